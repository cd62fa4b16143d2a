/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong use of every public function: an error, never a crash. Each call runs in a process of its own, so that a crash is one failure;
 * main.c compares the names of what was called with the headers.
 */
#ifndef TARE_TESTS_API_H
#define TARE_TESTS_API_H

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <tare/basis.h>
#include <tare/image.h>
#include <tare/race.h>

/* Runs `statement` in a child whose exit code is `held`. */
int api_fork(void);                                        /* 1 in the child */
void api_child(int held, const char *why);                 /* ends the child */
void api_parent(const char *call, const char *file, int line); /* reports what became of it */
int api_refused(tare_status status, const tare_error *error); /* a failure with a message of one line */

/* A call that must fail with a message; it takes ERR. */
#define REFUSES(call) \
  do { \
    if (api_fork()) { \
      tare_error e_ = {0}; \
      tare_status s_ = (call); \
      api_child(api_refused(s_, &e_), e_.message); \
    } \
    api_parent(#call, __FILE__, __LINE__); \
  } while (0)
#define ERR (&e_)
/* A call whose result must satisfy `condition`, where it is called `got`. */
#define GIVES(type, call, condition) \
  do { \
    if (api_fork()) { \
      type got = (type)(call); \
      api_child(condition, "another result"); \
    } \
    api_parent(#call, __FILE__, __LINE__); \
  } while (0)
#define GIVES_0(call) GIVES(size_t, call, got == 0)
#define GIVES_NULL(call) GIVES(const void *, call, got == NULL)
#define FAILS(call) GIVES(tare_status, call, got < 0)
/* A call without a result, which must do nothing. */
#define IGNORES(call) \
  do { \
    if (api_fork()) { \
      call; \
      api_child(1, ""); \
    } \
    api_parent(#call, __FILE__, __LINE__); \
  } while (0)

/* What must work, for what comes after it. */
void api_need(tare_status status, const tare_error *error, const char *call);
#define NEED(call) \
  do { \
    tare_error e_ = {0}; \
    tare_status s_ = (call); \
    api_need(s_, &e_, #call); \
  } while (0)

void api_rules(void); /* constraint, basis, round */
void api_convs(void); /* status, pool, conv, wisdom */
void api_files(void); /* data, format, image */
void api_nets(void);  /* net, train, race */

#endif
