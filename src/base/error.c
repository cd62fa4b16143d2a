/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tare_status tare_fail(tare_error *error, tare_status status, const char *format, ...) {
  if (!error) return status;
  va_list args;
  va_start(args, format);
  error->status = status;
  vsnprintf(error->message, sizeof error->message, format, args);
  va_end(args);
  return status;
}

tare_status tare_fail_memory(tare_error *error, size_t bytes, const char *what) {
  return tare_fail(error, TARE_E_MEMORY, "out of memory: %zu bytes for %s could not be had", bytes, what);
}

tare_status tare_fail_prefix(tare_error *error, tare_status status, const char *format, ...) {
  if (!error) return status;
  char rest[sizeof error->message];
  memcpy(rest, error->message, sizeof rest);
  va_list args;
  va_start(args, format);
  int used = vsnprintf(error->message, sizeof error->message, format, args);
  va_end(args);
  if (used >= 0 && (size_t)used < sizeof error->message)
    snprintf(error->message + used, sizeof error->message - (size_t)used, ": %s", rest);
  return error->status;
}

static const struct { tare_status status; const char *name; } names[] = {
  {TARE_OK, "ok"},
  {TARE_E_ARGUMENT, "wrong argument"},
  {TARE_E_SYNTAX, "syntax error"},
  {TARE_E_CONFLICT, "conflicting rules"},
  {TARE_E_SHAPE, "wrong shape"},
  {TARE_E_DATA, "bad input"},
  {TARE_E_DIVERGED, "diverged"},
  {TARE_E_STOPPED, "stopped"},
  {TARE_E_UNSUPPORTED, "not supported"},
  {TARE_E_MEMORY, "out of memory"},
  {TARE_E_IO, "input or output failed"},
  {TARE_E_LIBRARY, "a library failed"},
};

const char *tare_status_name(tare_status status) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (names[i].status == status) return names[i].name;
  return "unknown status";
}

const char *tare_version(void) { return TARE_VERSION; }
