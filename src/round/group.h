/* SPDX-License-Identifier: Apache-2.0 */
/* Units that share one scale: which scale, and what is said where there is none. */
#ifndef TARE_ROUND_GROUP_H
#define TARE_ROUND_GROUP_H

#include "round/number.h"
#include "round/plan.h"

typedef struct tare_job {
  const tare_constraint *constraint;
  const tare_plan *plan;
  tare_number_format format;
  int64_t sum_limit;     /* grade grid: the largest sum |integers| of a group; 0: any */
  size_t units;          /* of a group */
  tare_scratch scratch;  /* for `units` */
} tare_job;

/* Rounds one group: w, out: units x taps. Fails as tare_round says. */
tare_status tare_group_round(tare_job *job, const float *w, int32_t *out, float *scale, tare_error *error);

/* The largest integer that may stand on grid 2^e. */
int64_t tare_number_bound(const tare_number *number, int e);

/* The messages of failures; each finds the smallest format that would do. */
tare_status tare_group_fail_zero(tare_job *job, const float *w, tare_error *error);
tare_status tare_group_fail_room(tare_job *job, const float *w, double largest, tare_error *error);
tare_status tare_group_fail_grid(tare_job *job, const float *w, double largest, int e, tare_error *error);

/* One scale that need not be a power of two, for rules with b = 0 and formats of integers. */
tare_status tare_group_round_free(tare_job *job, const float *w, double largest, int32_t *out, float *scale, tare_error *error);
/* 1 if all units obeyed within the bound, 0 if not, -1 when out of memory. */
int tare_group_try(tare_job *job, double scale, int e, int64_t bound, int32_t *out);

#endif
