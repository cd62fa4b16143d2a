/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes and error messages of every tare function.
 *
 * A function that can fail returns a tare_status and takes an optional
 * `tare_error *` as its last argument. On failure the message says what was
 * expected, what was found and what to do, on one line without a newline;
 * every output argument is left NULL or untouched, and nothing needs freeing.
 * NULL where something is needed is TARE_E_ARGUMENT; functions without a status give 0 or NULL for it, or do nothing.
 * The library never prints, exits or aborts.
 */
#ifndef TARE_STATUS_H
#define TARE_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Symbols of the API; all others are hidden. */
#if defined(_WIN32)
#define TARE_API
#else
#define TARE_API __attribute__((visibility("default")))
#endif

/* Three families: wrong use (-1 to -99), not supported (-100 to -199), the machine failed (-200 on). */
typedef enum tare_status {
  TARE_OK = 0,
  TARE_E_ARGUMENT = -1,  /* a NULL, an out-of-range number, an unknown name */
  TARE_E_SYNTAX = -2,    /* text (rule, network line, problem string) that does not parse */
  TARE_E_CONFLICT = -3,  /* rules that contradict each other or leave no free weight */
  TARE_E_SHAPE = -4,     /* sizes that do not fit each other */
  TARE_E_DATA = -5,      /* an input file or folder that is missing, damaged or of the wrong kind */
  TARE_E_DIVERGED = -6,  /* training produced a loss that is not a finite number */
  TARE_E_STOPPED = -7,   /* the caller's callback asked to stop */
  TARE_E_UNSUPPORTED = -100, /* well-formed, but this build or this part cannot do it */
  TARE_E_MEMORY = -200,
  TARE_E_IO = -201,      /* an output that could not be written; a system call that failed */
  TARE_E_LIBRARY = -202  /* a library underneath reported a failure */
} tare_status;

/* Owned by the caller; may live on the stack. Filled only on failure. */
typedef struct tare_error {
  tare_status status; /* what the function returned */
  char message[1000]; /* one line, terminated */
} tare_error;

/* A short English name of a status ("wrong shape"); never NULL. Thread-safe. */
TARE_API const char *tare_status_name(tare_status status);

/* The library's version, "major.minor.patch". Thread-safe. */
TARE_API const char *tare_version(void);

/* The CPU level the kernels use: "baseline", "avx2" or "avx512". Thread-safe. */
TARE_API const char *tare_cpu_level(void);

#ifdef __cplusplus
}
#endif
#endif
