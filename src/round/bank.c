/* SPDX-License-Identifier: Apache-2.0 */
/* A bank of filters in one format: integers, scales, weights, and what it costs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/group.h"

/* fp32 sums of integers are exact in any order while every partial sum is at most 2^24. */
enum { EXACT_SUM = (1 << 24) - 1 };

static tare_status check_options(const tare_round_options *o, tare_error *error) {
  if ((unsigned)o->format >= TARE_FORMATS)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: format %d is none of fp32, fp16, bf16, int8, int4", (int)o->format);
  if (o->grade != TARE_GRADE_EXACT && o->grade != TARE_GRADE_GRID)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: grade %d is neither exact nor grid", (int)o->grade);
  if (o->pixel_bits != 0 && o->pixel_bits != 8 && o->pixel_bits != 16)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: expected pixels of 8 or 16 bits, found %d", o->pixel_bits);
  return TARE_OK;
}

static size_t filter_taps(const tare_constraint *constraint) {
  const tare_filter_shape *shape = tare_constraint_shape(constraint);
  size_t taps = (size_t)shape->channels;
  for (int axis = 0; axis < shape->dims; axis++) taps *= (size_t)shape->size[axis];
  return taps;
}

/* Sizes and memory of the result; the job's group is a filter, or a unit where each has its own scale. */
static tare_status prepare(const tare_round_options *options, size_t filters, tare_job *job, tare_rounding *r, tare_error *error) {
  size_t units;
  r->format = job->format = options->format;
  r->grade = options->grade;
  r->filters = filters;
  r->taps = filter_taps(job->constraint);
  units = r->taps / (size_t)job->plan->taps;
  if (r->grade == TARE_GRADE_GRID) {
    r->pixel_bits = options->pixel_bits ? options->pixel_bits : 8;
    job->sum_limit = EXACT_SUM / ((1 << r->pixel_bits) - 1);
    if ((size_t)job->sum_limit < r->taps)
      return tare_fail(error, TARE_E_UNSUPPORTED,
                       "rounding: with %d-bit pixels an fp32 sum is exact while the integers of a filter add up to at most %lld; %zu taps leave "
                       "less than one each; take %s",
                       r->pixel_bits, (long long)job->sum_limit, r->taps, r->pixel_bits > 8 ? "8-bit pixels or grade exact" : "grade exact");
  }
  r->scales = r->grade == TARE_GRADE_GRID || tare_number_of(job->format)->bits == 0 ? 1 : units;
  job->units = units / r->scales;
  r->divisor = job->plan->divisor;
  r->integers = tare_alloc(filters * r->taps, sizeof *r->integers);
  r->weights = tare_alloc(filters * r->taps, sizeof *r->weights);
  r->scale = tare_alloc(filters * r->scales, sizeof *r->scale);
  r->cost = tare_alloc(filters, sizeof *r->cost);
  if (!r->integers || !r->weights || !r->scale || !r->cost)
    return tare_fail_memory(error, filters * r->taps * sizeof *r->weights, "rounded weights");
  return tare_scratch_create(job->plan, job->units, &job->scratch, error);
}

/* Squared distances of a group from what was given: of its weights, and of plain rounding with the same scale. */
static void add_distances(const tare_job *job, const float *w, const float *rounded, double scale, double *ours, double *plain) {
  double most = (double)tare_number_of(job->format)->bound;
  for (size_t i = 0; i < job->units * (size_t)job->plan->taps; i++) {
    double x = (double)w[i] * job->plan->divisor, nearest = tare_nearest(x / scale, most) * scale;
    *ours += (rounded[i] - x) * (rounded[i] - x);
    *plain += (nearest - x) * (nearest - x);
  }
}

static double ratio(double ours, double plain) { return plain > 0 ? sqrt(ours / plain) : ours > 0 ? HUGE_VAL : 1; }

static void tell_sizes(tare_rounding *r, size_t filter) {
  int64_t sum = 0;
  int32_t peak = 0;
  for (size_t i = 0; i < r->taps; i++) {
    int32_t size = abs(r->integers[filter * r->taps + i]);
    sum += size;
    if (size > peak) peak = size;
  }
  if (sum > r->sum_max) r->sum_max = sum;
  if (peak > 0 && (r->peak_min == 0 || peak < r->peak_min)) r->peak_min = peak;
}

/* One filter, group by group. */
static tare_status round_filter(tare_job *job, size_t filter, const float *w, tare_rounding *r, double *ours, double *plain, tare_error *error) {
  size_t group = r->taps / r->scales;
  for (size_t k = 0; k < r->scales; k++) {
    size_t at = filter * r->taps + k * group;
    float *scale = &r->scale[filter * r->scales + k];
    tare_status status = tare_group_round(job, w + at, r->integers + at, scale, error);
    if (status) return tare_fail_prefix(error, status, "filter %zu", filter);
    for (size_t i = at; i < at + group; i++) r->weights[i] = (float)r->integers[i] * *scale;
    add_distances(job, w + at, r->weights + at, *scale, ours, plain);
  }
  return TARE_OK;
}

static tare_status round_filters(tare_job *job, const float *w, tare_rounding *r, tare_error *error) {
  double all_ours = 0, all_plain = 0;
  tare_status status = TARE_OK;
  for (size_t i = 0; i < r->filters && !status; i++) {
    double ours = 0, plain = 0;
    status = round_filter(job, i, w, r, &ours, &plain, error);
    if (status) break;
    r->cost[i] = ratio(ours, plain);
    if (isfinite(r->cost[i]) && r->cost[i] > r->cost_max) r->cost_max = r->cost[i];
    all_ours += ours;
    all_plain += plain;
    tell_sizes(r, i);
  }
  r->cost_mean = ratio(all_ours, all_plain);
  return status;
}

tare_status tare_round(const tare_constraint *constraint, const tare_round_options *options, size_t filters, const float *w,
                       tare_rounding **out, tare_error *error) {
  if (!constraint || !options || (!w && filters) || !out)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: a constraint, options, weights and a place for the result are needed; one is NULL");
  tare_status status = check_options(options, error);
  if (status) return status;
  tare_plan *plan = NULL;
  tare_rounding *r = tare_alloc(1, sizeof *r);
  if (!r) return tare_fail_memory(error, sizeof *r, "rounded weights");
  tare_job job = {.constraint = constraint};
  status = tare_plan_create(constraint, options->allow_divisor, &plan, error);
  job.plan = plan;
  if (!status) status = prepare(options, filters, &job, r, error);
  if (!status) status = round_filters(&job, w, r, error);
  tare_scratch_free(&job.scratch);
  tare_plan_free(plan);
  if (status) tare_rounding_free(r);
  else *out = r;
  return status;
}

void tare_rounding_free(tare_rounding *r) {
  if (!r) return;
  tare_free(r->integers);
  tare_free(r->scale);
  tare_free(r->weights);
  tare_free(r->cost);
  tare_free(r);
}

int tare_round_may_fold(const tare_constraint *constraint, tare_error *why) {
  if (!constraint || tare_constraint_rows(constraint) == 0 || tare_constraint_is_homogeneous(constraint)) return 1;
  tare_fail(why, TARE_E_ARGUMENT,
            "folding batch norm multiplies both sides of A w = b, and the right side of \"%s\" is not 0: the folded filters would obey another "
            "rule each; leave batch norm an operation of its own",
            tare_constraint_text(constraint));
  return 0;
}
