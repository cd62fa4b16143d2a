/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a tare_error: every failing return goes through tare_fail. */
#ifndef TARE_BASE_ERROR_H
#define TARE_BASE_ERROR_H

#include <tare/status.h>

/* Formats the message into `error` (which may be NULL) and returns `status`: return tare_fail(error, TARE_E_DATA, "...", ...); */
tare_status tare_fail(tare_error *error, tare_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The message of a failed allocation of `bytes` for `what`. */
tare_status tare_fail_memory(tare_error *error, size_t bytes, const char *what);
/* Puts "PREFIX: " in front of a message that is already there ("layer 2: ..."); returns error's status (or `status` if error is NULL). */
tare_status tare_fail_prefix(tare_error *error, tare_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
