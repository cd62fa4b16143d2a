/* SPDX-License-Identifier: Apache-2.0 */
/* Talk and errors on stderr, and what exit code a status is. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const char *verb_name; /* NULL before the verb is known */
static int quiet, verbose;

void cli_talk(const cli_args *args) {
  verb_name = args->verb->name;
  quiet = args->value[CLI_QUIET].given || cli_rank() > 0;
  verbose = args->value[CLI_VERBOSE].given && !quiet;
}

int cli_quiet(void) { return quiet; }

/* One line whatever the text holds: a file name may hold anything. On a terminal it is broken at words. */
static void put_line(const char *format, va_list args) {
  char text[2000];
  vsnprintf(text, sizeof text, format, args);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = *c == '\n' || *c == '\t' ? ' ' : '?';
  if (isatty(STDERR_FILENO)) cli_wrap(stderr, text, 2, 2, cli_terminal_width(stderr));
  else fprintf(stderr, "%s\n", text);
}

void cli_say(const char *format, ...) {
  if (quiet) return;
  va_list args;
  va_start(args, format);
  cli_progress_clear();
  put_line(format, args);
  va_end(args);
}

void cli_detail(const char *format, ...) {
  if (!verbose) return;
  va_list args;
  va_start(args, format);
  cli_progress_clear();
  put_line(format, args);
  va_end(args);
}

int cli_exit_code(tare_status status) {
  static const struct { tare_status status; int code; } codes[] = {
    {TARE_OK, 0},          {TARE_E_ARGUMENT, 2}, {TARE_E_SYNTAX, 2},   {TARE_E_CONFLICT, 2}, {TARE_E_SHAPE, 2}, {TARE_E_UNSUPPORTED, 2},
    {TARE_E_DATA, 3},      {TARE_E_DIVERGED, 3}, {TARE_E_STOPPED, 130},
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i].status == status) return codes[i].code;
  return 4;
}

int cli_fail(tare_status status, const char *format, ...) {
  va_list args;
  int code = cli_exit_code(status), rank = cli_rank();
  if (rank > 0 && code == cli_exit_code(TARE_E_ARGUMENT)) return code; /* rank 0 says it */
  va_start(args, format);
  cli_progress_clear();
  if (rank > 0) fprintf(stderr, "rank %d: ", rank);
  fprintf(stderr, verb_name ? "tare %s: " : "tare: ", verb_name);
  put_line(format, args);
  va_end(args);
  return code;
}

int cli_report(const tare_error *error) { return cli_fail(error->status, "%s", error->message); }

int cli_finish(int code) {
  int flushed = fflush(stdout);
  if ((flushed || ferror(stdout)) && code == 0) return cli_fail(TARE_E_IO, "standard output cannot be written: %s", strerror(errno));
  return code;
}
