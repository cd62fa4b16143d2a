/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding units of weights. For each: the finest grid 2^e on which its
 * largest weight fits, the nearest integers, a correction so that the row holds.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/solver.h"

enum {
  MIN_EXPONENT = FLT_MIN_EXP - FLT_MANT_DIG,      /* -149: the smallest float is 2^-149 */
  MAX_EXPONENT = FLT_MAX_EXP - FLT_MANT_DIG,      /* 104: the largest is (2^24 - 1) 2^104 */
  COARSER = 40                                     /* grids tried when the finest has no room */
};

/* The largest integer that may stand on grid 2^e. */
static int64_t grid_bound(int e, int bits) {
  if (e < MAX_EXPONENT) return (int64_t)1 << bits;
  int64_t limit = ((int64_t)1 << FLT_MANT_DIG) - 1;
  int64_t most = e - MAX_EXPONENT > 40 ? 0 : limit >> (e - MAX_EXPONENT), full = (int64_t)1 << bits;
  return most < full ? most : full;
}

/* The smallest e with `largest` <= 2^bits * 2^e; 2^bits itself is allowed, so that rounding what was rounded changes nothing. */
static int finest_grid(double largest, int bits) {
  if (largest == 0) return MIN_EXPONENT;
  int exponent;
  double fraction = frexp(largest, &exponent);
  int e = exponent - bits - (fraction == 0.5);
  return e < MIN_EXPONENT ? MIN_EXPONENT : e;
}

static double largest_of(const double *x, int n) {
  double largest = 0;
  for (int i = 0; i < n; i++) largest = fmax(largest, fabs(x[i]));
  return largest;
}

/* b as a whole number of grid steps; 0 if it is none, or beyond every sum that the taps can reach. */
static int right_side(const tare_solver *s, int e, __int128 *steps) {
  *steps = 0;
  if (s->b_odd == 0) return 1;
  if (s->b_shift < e || fabs(s->b) > ldexp(s->weight, e + FLT_MANT_DIG + 1)) return 0;
  *steps = s->b_odd * ((__int128)1 << (s->b_shift - e));
  return 1;
}

/*
 * target -= a (a . target - b) / |a|^2: the nearest weights that obey, as far as doubles go.
 * What cancels in one pass is left to the next.
 */
static void project(const tare_solver *s, double *target) {
  for (int pass = 0; pass < 3; pass++) {
    double sum = -s->b;
    for (int i = 0; i < s->count; i++) sum += (double)s->a[i] * target[s->tap[i]];
    for (int i = 0; i < s->count; i++) target[s->tap[i]] -= (double)s->a[i] * (sum / s->norm);
  }
}

/* Nearest integers of all taps into q, and the row's into entry and x; returns sum a q - b in grid steps. */
static __int128 quantise(const tare_solver *s, tare_scratch *t, int e, int64_t bound, __int128 b) {
  double scale = ldexp(1, -e), most = (double)bound;
  for (int i = 0; i < s->taps; i++) t->q[i] = (int64_t)fmin(fmax(nearbyint(t->target[i] * scale), -most), most);
  __int128 sum = -b;
  for (int i = 0; i < s->count; i++) {
    int tap = s->tap[i];
    t->x[i] = t->target[tap] * scale;
    t->entry[i] = t->q[tap];
    sum += (__int128)s->a[i] * t->entry[i];
  }
  return sum;
}

/* Why the finest grid does not do: the right-hand side. */
static tare_status fail_grid(const tare_solver *s, double largest, int e, tare_error *error) {
  double step = ldexp(1, e), nearest = nearbyint(s->b / step) * step;
  return tare_fail(error, TARE_E_ARGUMENT,
                   "rounding: weights up to %.9g need steps of 2^%d, of which the right-hand side %.17g is no multiple; "
                   "the nearest that is one is %.17g",
                   largest, e, s->b * s->scale, nearest * s->scale);
}

enum attempt { DONE, NO_RIGHT_SIDE, NO_ROOM, OUT_OF_MEMORY };

/* One grid. `near` allows only what rounding to nearest leaves over: more means that the weights did not obey before. */
static enum attempt try_grid(const tare_solver *s, tare_scratch *t, int e, int bits, int near) {
  __int128 b;
  int64_t bound = grid_bound(e, bits);
  if (!right_side(s, e, &b)) return NO_RIGHT_SIDE;
  __int128 excess = quantise(s, t, e, bound, b);
  if (near && fabs((double)excess) > s->weight / 2) return NO_ROOM;
  int done = tare_correct(s, t->order, t->x, t->entry, bound, excess);
  if (done < 0) return OUT_OF_MEMORY;
  for (int i = 0; done && i < s->count; i++) t->q[s->tap[i]] = t->entry[i];
  return done ? DONE : NO_ROOM;
}

/* Weights that do not obey yet: their projection first, then the finest grid for that, then coarser ones. */
static tare_status round_projection(const tare_solver *s, tare_scratch *t, int bits, int *e, tare_error *error) {
  project(s, t->target);
  double largest = largest_of(t->target, s->taps);
  int finest = finest_grid(largest, bits);
  for (*e = finest; *e < finest + COARSER && grid_bound(*e, bits) > 0; ++*e) {
    enum attempt attempt = try_grid(s, t, *e, bits, 0);
    if (attempt == DONE) return TARE_OK;
    if (attempt == OUT_OF_MEMORY) return tare_fail_memory(error, 1, "rounding");
    if (attempt == NO_RIGHT_SIDE) return fail_grid(s, largest, *e, error);
  }
  return tare_fail(error, TARE_E_ARGUMENT, "rounding: no floats obey the row near these weights (up to %.9g)", largest);
}

tare_status tare_round_unit(const tare_solver *s, tare_scratch *t, int bits, const float *w, float *out, tare_error *error) {
  for (int i = 0; i < s->taps; i++) {
    if (!isfinite(w[i])) return tare_fail(error, TARE_E_ARGUMENT, "rounding: weight %d is not finite", i);
    t->target[i] = w[i];
  }
  if (s->count == 0) { /* no row: nothing to mend */
    memmove(out, w, (size_t)s->taps * sizeof *out);
    return TARE_OK;
  }
  int e = finest_grid(largest_of(t->target, s->taps), bits);
  enum attempt attempt = try_grid(s, t, e, bits, 1);
  if (attempt == OUT_OF_MEMORY) return tare_fail_memory(error, 1, "rounding");
  tare_status status = attempt == DONE ? TARE_OK : round_projection(s, t, bits, &e, error);
  double step = ldexp(1, e);
  for (int i = 0; i < s->taps && !status; i++) out[i] = (float)((double)t->q[i] * step);
  return status;
}

int tare_round_supported(const tare_constraint *constraint, tare_error *why) {
  if (!constraint) return tare_fail(why, TARE_E_ARGUMENT, "rounding: a constraint is needed; it is NULL") == TARE_OK;
  tare_solver *solver = NULL;
  tare_status status = tare_solver_create(constraint, &solver, why);
  tare_solver_free(solver);
  return status == TARE_OK;
}

static tare_status round_units(const tare_solver *s, size_t units, const float *w, float *out, tare_error *error) {
  tare_scratch scratch;
  tare_status status = tare_scratch_create(s, &scratch, error);
  if (status) return status;
  size_t n = (size_t)s->taps;
  for (size_t i = 0; i < units && !status; i++) {
    status = tare_round_unit(s, &scratch, FLT_MANT_DIG, w + i * n, out + i * n, error);
    if (status) tare_fail_prefix(error, status, "unit %zu", i);
  }
  tare_scratch_free(&scratch);
  return status;
}

/* Into memory of our own, so that `out` is untouched if a late unit fails. */
static tare_status round_apart(const tare_solver *s, size_t units, const float *w, float *out, tare_error *error) {
  size_t count = units * (size_t)s->taps;
  float *rounded = tare_alloc(count, sizeof *rounded);
  if (!rounded) return tare_fail_memory(error, count * sizeof *rounded, "rounded weights");
  tare_status status = round_units(s, units, w, rounded, error);
  if (!status) memcpy(out, rounded, count * sizeof *out);
  tare_free(rounded);
  return status;
}

tare_status tare_round_fp32(const tare_constraint *constraint, size_t units, const float *w, float *out, tare_error *error) {
  if (!constraint || !w || !out)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: a constraint, weights and a place for the result are needed; one is NULL");
  tare_solver *solver = NULL;
  tare_status status = tare_solver_create(constraint, &solver, error);
  if (!status) status = round_apart(solver, units, w, out, error);
  tare_solver_free(solver);
  return status;
}
