/* SPDX-License-Identifier: Apache-2.0 */
#include "round/group.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"

/* Grids tried when the finest has no room. */
enum { COARSER = 40 };

int64_t tare_number_bound(const tare_number *number, int e) {
  if (e < number->high) return number->bound;
  int64_t most = number->bits ? number->bound - 1 : number->bound;
  return e - number->high > 40 ? 0 : most >> (e - number->high);
}

/*
 * The smallest e with size <= most * 2^e. What exceeds by less than a double's error is let through: rounding what was
 * rounded changes nothing.
 */
static int finest(double size, int64_t most, int low) {
  if (size == 0) return low;
  int e = ilogb(size) - ilogb((double)most) - 1;
  if (e < low) e = low;
  while (ldexp((double)most, e) < size * (1 - 0x1p-40)) e++;
  return e;
}

static size_t group_taps(const tare_job *job) { return job->units * (size_t)job->plan->taps; }

static int is_zero(const int32_t *q, size_t count) {
  size_t i = 0;
  while (i < count && q[i] == 0) i++;
  return i == count;
}

static int64_t sum_of(const int32_t *q, size_t count) {
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += labs((long)q[i]);
  return sum;
}

int tare_group_try(tare_job *job, double scale, int e, int64_t bound, int32_t *out) {
  const tare_plan *plan = job->plan;
  int done = 1;
  for (size_t i = 0; i < job->units && done > 0; i++)
    done = tare_unit_round(plan, &job->scratch, job->scratch.target + i * (size_t)plan->variables, scale, e, bound,
                           out + i * (size_t)plan->taps);
  if (done > 0 && job->sum_limit && sum_of(out, group_taps(job)) > job->sum_limit) return 0;
  return done;
}

static tare_status round_binary(tare_job *job, const float *w, double largest, double sum, int32_t *out, float *scale, tare_error *error) {
  const tare_number *number = tare_number_of(job->format);
  int e = finest(largest, number->bound, number->low);
  if (job->sum_limit) {
    int coarse = finest(sum, job->sum_limit, number->low);
    e = coarse > e ? coarse : e;
  }
  for (int last = e + COARSER; e < last; e++) {
    int64_t bound = tare_number_bound(number, e);
    if (bound == 0) break;
    if (e > job->plan->coarsest) return tare_group_fail_grid(job, w, largest, e, error);
    int done = tare_group_try(job, ldexp(1, e), e, bound, out);
    if (done < 0) return tare_fail_memory(error, 1, "rounding");
    if (!done) continue;
    *scale = ldexpf(1, e);
    return is_zero(out, group_taps(job)) && largest > *scale / 2 ? tare_group_fail_zero(job, w, error) : TARE_OK;
  }
  return tare_group_fail_room(job, w, largest, error);
}

tare_status tare_group_round(tare_job *job, const float *w, int32_t *out, float *scale, tare_error *error) {
  size_t n = (size_t)job->plan->taps;
  for (size_t i = 0; i < group_taps(job); i++)
    if (!isfinite(w[i])) return tare_fail(error, TARE_E_ARGUMENT, "rounding: weight %zu is not finite", i);
  double largest = 0, sum = 0;
  for (size_t i = 0; i < job->units; i++)
    tare_unit_target(job->plan, &job->scratch, w + i * n, job->scratch.target + i * (size_t)job->plan->variables, &largest, &sum);
  int is_free = job->plan->homogeneous && tare_number_of(job->format)->bits == 0 && !job->sum_limit;
  return is_free ? tare_group_round_free(job, w, largest, out, scale, error) : round_binary(job, w, largest, sum, out, scale, error);
}
