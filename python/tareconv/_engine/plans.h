/* SPDX-License-Identifier: Apache-2.0 */
/* Plans by the string of their call, kept between calls; and crews: a pool of threads with a workspace, one for each call at a time. */
#ifndef TARECONV_PLANS_H
#define TARECONV_PLANS_H

#include <tare/conv.h>

#include "engine.h"

typedef struct tareconv_plan {
  char *call;
  tare_conv_plan *plan;
  tare_conv_problem problem;
  int users;
  size_t real;          /* bytes of an element */
  tareconv_sizes sizes;
  size_t kept_at;       /* where kept begins in saved */
  unsigned long used;   /* when last */
} tareconv_plan;

/* A plan stays until as many put back as got it, and then while it is among those last used. */
tare_status tareconv_plan_get(const char *call, tareconv_plan **out, tare_error *error);
void tareconv_plan_put(tareconv_plan *plan);

typedef struct tareconv_crew {
  tare_pool *pool;
  int threads;
  tareconv_parallel parallel; /* whose threads the pool's are; NULL: its own */
  void *memory;
  size_t size;               /* bytes of memory */
  struct tareconv_crew *next;
} tareconv_crew;

/* A crew of nobody else, of `threads` (0: all that the process may use), with at least `bytes` of memory, 64-byte aligned. */
tare_status tareconv_crew_get(int threads, tareconv_parallel parallel, size_t bytes, tareconv_crew **out, tare_error *error);
void tareconv_crew_put(tareconv_crew *crew);

/* Fills *error, which may be NULL; returns its status. */
tare_status tareconv_fail(tare_error *error, tare_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
