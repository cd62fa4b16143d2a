/* SPDX-License-Identifier: Apache-2.0 */
/* The progress bar: one line on stderr, only on a terminal, at most ten times a second. And Ctrl-C. */
#include "cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int drawn;        /* 1 while it stands there */
static double last_time; /* when it was drawn */

int cli_terminal_width(FILE *file) {
  struct winsize size;
  const char *columns = getenv("COLUMNS");
  int width = columns ? atoi(columns) : 0;
  if (width <= 0 && isatty(fileno(file)) && ioctl(fileno(file), TIOCGWINSZ, &size) == 0) width = size.ws_col;
  if (width <= 0) width = 80;
  return width < 40 ? 40 : width > 120 ? 120 : width;
}

int cli_progress_shown(void) {
  const char *term = getenv("TERM");
  return !cli_quiet() && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

void cli_duration(char *text, size_t size, double seconds) {
  long s = seconds > 0 ? (long)(seconds + 0.5) : 0;
  if (s < 60) snprintf(text, size, "%ld s", s);
  else if (s < 3600) snprintf(text, size, "%ld:%02ld min", s / 60, s % 60);
  else snprintf(text, size, "%ld:%02ld h", s / 3600, s / 60 % 60);
}

/* What draws the bar: characters of a UTF-8 terminal with a colour (https://no-color.org turns it off), else plain ones. */
typedef struct look { const char *done, *rest, *colour, *pale, *plain; } look;

static int is_utf8(void) {
  static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"}; /* the first that is set counts */
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    const char *value = getenv(variables[i]);
    if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
  }
  return 0;
}

static look choose_look(void) {
  const char *no_color = getenv("NO_COLOR");
  int colour = !(no_color && *no_color), utf8 = is_utf8();
  return (look){utf8 ? "\u2501" : "#", utf8 ? (colour ? "\u2501" : "\u2500") : ".", colour ? "\033[36m" : "", colour ? "\033[2m" : "", colour ? "\033[0m" : ""};
}

static void draw_bar(double fraction, int columns) {
  look l = choose_look();
  int done = (int)(fraction * columns);
  fprintf(stderr, "\r%s", l.colour);
  for (int i = 0; i < columns; i++) fprintf(stderr, "%s%s", i == done ? l.pale : "", i < done ? l.done : l.rest);
  fputs(l.plain, stderr);
}

/* Parts of the text, joined by ", ", are left out from the end until it fits. */
static void fit(char *text, int columns) {
  while ((int)strlen(text) > columns) {
    char *last = NULL;
    for (char *next = strstr(text, ", "); next; next = strstr(next + 1, ", ")) last = next;
    if (!last) last = text + (columns > 0 ? columns : 0);
    *last = 0;
  }
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void cli_progress_draw(double fraction, double seconds_left, const char *format, ...) {
  double time = now();
  if (!cli_progress_shown() || (drawn && time - last_time < 0.1)) return;
  last_time = time;
  char text[320], left[32];
  int width = cli_terminal_width(stderr) - 1, columns = width / 4 < 24 ? width / 4 : 24;
  fraction = fraction >= 0 && fraction <= 1 ? fraction : fraction > 1; /* NaN is 0 */
  int length = snprintf(text, sizeof text, " %3d %%, ", (int)(fraction * 100));
  if (seconds_left > 0) {
    cli_duration(left, sizeof left, seconds_left);
    length += snprintf(text + length, sizeof text - (size_t)length, "%s left, ", left);
  }
  va_list args;
  va_start(args, format);
  vsnprintf(text + length, sizeof text - (size_t)length, format, args);
  va_end(args);
  fit(text, width - columns);
  draw_bar(fraction, columns);
  fprintf(stderr, "%s\033[K", text); /* and what was longer before goes */
  fflush(stderr);
  drawn = 1;
}

void cli_progress_clear(void) {
  if (!drawn) return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  drawn = 0;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
}

void cli_catch_interrupt(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

int cli_interrupted(void) { return interrupted; }
