/* SPDX-License-Identifier: Apache-2.0 */
/* The progress bar: one line on stderr, only on a terminal, without colour, at most ten times a second. And Ctrl-C. */
#include "cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int drawn;        /* columns that the bar takes now */
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

void cli_progress_draw(double fraction, double seconds_left, const char *format, ...) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double time = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
  if (!cli_progress_shown() || (drawn && time - last_time < 0.1)) return;
  last_time = time;
  enum { BAR = 24 };
  char doing[200], left[40] = "", line[320], bar[BAR + 1] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(doing, sizeof doing, format, args);
  va_end(args);
  fraction = fraction >= 0 && fraction <= 1 ? fraction : fraction > 1; /* NaN is 0 */
  for (int i = 0; i < BAR; i++) bar[i] = i < (int)(fraction * BAR) ? '#' : '.';
  if (seconds_left > 0) {
    char duration[32];
    cli_duration(duration, sizeof duration, seconds_left);
    snprintf(left, sizeof left, ", %s left", duration);
  }
  int width = cli_terminal_width(stderr) - 1;
  int length = snprintf(line, sizeof line, "[%s] %3d %%%s  %s", bar, (int)(fraction * 100), left, doing);
  if (length > width) line[length = width] = 0;
  fprintf(stderr, "\r%s%*s", line, drawn > length ? drawn - length : 0, "");
  fflush(stderr);
  drawn = length;
}

void cli_progress_clear(void) {
  if (!drawn) return;
  fprintf(stderr, "\r%*s\r", drawn, "");
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
