/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int8 and int4 where b = 0: any scale keeps the rule. It is chosen so that the largest integer is the
 * format's (127): another symmetric quantiser, whose scale is the largest weight over 127, then finds the same integers.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/group.h"
#include "round/integers.h"

/* Scales tried for the largest integer that is wanted; then for any. */
enum { AIMED = 48, ANY = 64 };

static size_t group_taps(const tare_job *job) { return job->units * (size_t)job->plan->taps; }

/* A scale of so few bits that integer * scale is a float: 24 less those of the integer. Not over `most` even for the largest integer. */
static double short_scale(double scale, int64_t bound) {
  int bits = FLT_MANT_DIG - ilogb((double)bound) - 1;
  double step = ldexp(1, ilogb(scale) - bits + 1);
  if (step < FLT_TRUE_MIN) step = FLT_TRUE_MIN;
  double up = ceil(scale / step) * step;
  return up * (double)bound > FLT_MAX ? up - step : up;
}

/* Weights that are integers up to the bound times one float already, and obey, stay as they are: 1 if so, -1 when out of memory. */
static int keep(const tare_job *job, const float *w, int64_t bound, int32_t *out, float *scale) {
  if (job->plan->divisor != 1) return 0;
  int found = tare_integers_find(w, group_taps(job), 0, bound, out, scale);
  if (found <= 0) return found;
  tare_residual residual; /* b is 0: that of the integers does as well */
  const float one = 1;
  if (tare_round_residual(job->constraint, 1, out, 1, &one, 1, &residual, NULL)) return -1;
  return residual.max_abs == 0;
}

static int64_t peak_of(const int32_t *q, size_t count) {
  int64_t peak = 0;
  for (size_t i = 0; i < count; i++)
    if (labs((long)q[i]) > peak) peak = labs((long)q[i]);
  return peak;
}

static double distance2(const tare_job *job, const float *w, const int32_t *q, double scale) {
  double sum = 0;
  for (size_t i = 0; i < group_taps(job); i++) {
    double d = q[i] * scale - (double)w[i] * job->plan->divisor;
    sum += d * d;
  }
  return sum;
}

/* The largest weight stands within half a step of `bound`; the first scale where it, or another, ends up there. */
static int aim(tare_job *job, double largest, int64_t bound, int32_t *out, double *scale) {
  for (int i = 0; i < AIMED; i++) {
    double off = 0.01 * ((i + 1) / 2) * (i % 2 ? 2 : -2);
    *scale = short_scale(largest / ((double)bound + off), bound);
    int done = tare_group_try(job, *scale, 0, bound, out);
    if (done < 0) return done;
    if (done && peak_of(out, group_taps(job)) == bound) return 1;
  }
  return 0;
}

/* Rules whose integers never peak at the bound (the middle of 1 -2 1 is even): of coarser and coarser scales the one that comes closest. */
static int search(tare_job *job, const float *w, double largest, int64_t bound, int32_t *out, double *scale) {
  size_t count = group_taps(job);
  int32_t *candidate = tare_alloc(count, sizeof *candidate);
  double best = HUGE_VAL;
  int done = candidate ? 0 : -1;
  for (int i = 0; i < ANY && done >= 0; i++) {
    double s = short_scale(largest / ((double)bound * (1.05 - (double)i / ANY)), bound);
    done = tare_group_try(job, s, 0, bound, candidate);
    if (done <= 0 || peak_of(candidate, count) == 0) continue;
    double distance = distance2(job, w, candidate, s);
    if (distance >= best) continue;
    best = distance;
    *scale = s;
    memcpy(out, candidate, count * sizeof *out);
  }
  tare_free(candidate);
  return done < 0 ? done : best < HUGE_VAL;
}

tare_status tare_group_round_free(tare_job *job, const float *w, double largest, int32_t *out, float *scale, tare_error *error) {
  int64_t bound = tare_number_of(job->format)->bound;
  double s = 1;
  memset(out, 0, group_taps(job) * sizeof *out);
  if (largest == 0) {
    *scale = 1;
    return TARE_OK;
  }
  int done = keep(job, w, bound, out, scale);
  if (done > 0) return TARE_OK;
  if (done == 0) done = aim(job, largest, bound, out, &s);
  if (done == 0) done = search(job, w, largest, bound, out, &s);
  if (done < 0) return tare_fail_memory(error, 1, "rounding");
  *scale = (float)s;
  return done ? TARE_OK : tare_group_fail_zero(job, w, error);
}
