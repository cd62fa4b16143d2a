/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-round [RULE K]: random filters that obey a rule as far as floats go, rounded to every format. A line each: how many
 * obey exactly after plain rounding on the same grid and after ours, what ours costs (distance from the weights given over that of plain
 * rounding on the same grid: over all filters, and the worst), time to prepare a rule and for one filter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tare/round.h>

#include "base/rng.h"
#include "round/plan.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double plain_exact(const tare_constraint *c, const tare_rounding *r, const float *w) {
  static const double most[TARE_FORMATS] = {1 << 24, 1 << 11, 1 << 8, 127, 7};
  int32_t *q = calloc(r->filters * r->taps, sizeof *q);
  size_t group = r->taps / r->scales;
  for (size_t i = 0; q && i < r->filters * r->taps; i++) {
    double x = (double)w[i] * r->divisor / r->scale[i / group];
    q[i] = (int32_t)__builtin_fmin(__builtin_fmax(__builtin_nearbyint(x), -most[r->format]), most[r->format]);
  }
  tare_residual residual = {0};
  if (q) (void)tare_round_residual(c, r->filters, q, r->scales, r->scale, r->divisor, &residual, NULL);
  free(q);
  return (double)residual.exact_units / (double)r->filters;
}

/* Random weights, then the nearest that obey, in floats. */
static int draw(const tare_constraint *c, size_t filters, float *w) {
  tare_rng rng;
  tare_rng_init(&rng, 1, 0);
  size_t n = (size_t)tare_constraint_taps(c);
  tare_plan *plan;
  tare_scratch scratch;
  tare_error error;
  if (tare_plan_create(c, 1, &plan, &error) || tare_scratch_create(plan, 1, &scratch, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  for (size_t i = 0; i < filters; i++) {
    double largest = 0, sum = 0;
    float *one = w + i * n;
    for (size_t k = 0; k < n; k++) one[k] = (float)(tare_rng_normal(&rng) / (double)plan->divisor / __builtin_sqrt((double)n));
    tare_unit_target(plan, &scratch, one, scratch.target, &largest, &sum);
    for (int k = 0; k < plan->taps; k++)
      if (plan->variable[k] >= 0) one[k] = (float)(plan->sign[k] * scratch.target[plan->variable[k]] / plan->divisor);
    for (int k = 0; k < plan->fixed_count; k++)
      one[plan->fixed[k].tap] = (float)(__builtin_ldexp((double)plan->fixed[k].odd, plan->fixed[k].shift) / plan->divisor);
  }
  tare_scratch_free(&scratch);
  tare_plan_free(plan);
  return 0;
}

static void measure(const char *text, int size, tare_number_format format, tare_grade grade, size_t filters) {
  tare_filter_shape shape = {.dims = 2, .size = {size, size}, .channels = 1};
  tare_constraint *c = NULL;
  tare_rounding *r = NULL;
  tare_error error;
  if (tare_constraint_create(text, &shape, 0, &c, &error)) {
    printf("%-36s %2d  %s\n", text, size, error.message);
    return;
  }
  size_t n = (size_t)size * (size_t)size;
  float *w = calloc(filters * n, sizeof *w);
  tare_round_options options = {.format = format, .grade = grade, .allow_divisor = 1};
  double start = now();
  if (!w || draw(c, filters, w)) exit(1);
  start = now();
  tare_plan *plan;
  if (tare_plan_create(c, 1, &plan, &error) == TARE_OK) tare_plan_free(plan);
  double prepared = now() - start;
  start = now();
  tare_status status = tare_round(c, &options, filters, w, &r, &error);
  double took = (now() - start - prepared) / (double)filters;
  printf("%-36s %2d  %-4s %-5s ", text, size, tare_number_format_name(format), grade ? "grid" : "exact");
  if (status) printf("%s\n", error.message);
  else {
    tare_residual residual = {0};
    (void)tare_round_residual(c, filters, r->integers, r->scales, r->scale, r->divisor, &residual, NULL);
    printf("plain %5.1f %%  ours %5.1f %%  cost %.4f max %6.3f  peak %8d  divisor %d  prepare %7.2f ms, %7.1f us a filter\n", 100 * plain_exact(c, r, w),
           100 * (double)residual.exact_units / (double)filters, r->cost_mean, r->cost_max, r->peak_min, r->divisor, prepared, took * 1e3);
  }
  tare_rounding_free(r);
  tare_constraint_free(c);
  free(w);
}

int main(int argc, char **argv) {
  static const struct { const char *text; int size, filters; } cases[] = {
    {"sum=0", 3, 1000},  {"sum=0", 5, 1000},   {"sum=0", 7, 1000},   {"sum=0", 15, 500},  {"sum=0", 31, 200},
    {"sum=1", 7, 1000},  {"sum=1/2", 7, 1000}, {"bayar", 5, 1000},   {"bayar", 7, 1000},  {"order=1", 5, 1000},
    {"order=1", 7, 1000},  {"order=2", 7, 1000}, {"order=3", 7, 1000}, {"order=4", 7, 1000}, {"order=4", 15, 200},
    {"order=4", 31, 200},  {"moment(4,0)=0", 7, 1000}, {"derivative(2,0) accuracy=2", 7, 1000}, {"derivative(2,0) accuracy=4", 7, 1000},
    {"derivative(2,0) accuracy=4", 31, 100}, {"symmetric", 7, 1000}, {"symmetric; sum=0", 7, 1000}, {"symmetric; order=3", 31, 100},
  };
  if (argc == 3) {
    for (int format = 0; format < TARE_FORMATS; format++)
      for (int grade = 0; grade < 2; grade++) measure(argv[1], atoi(argv[2]), (tare_number_format)format, (tare_grade)grade, 1000);
    return 0;
  }
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int format = 0; format < TARE_FORMATS; format++)
      measure(cases[i].text, cases[i].size, (tare_number_format)format, TARE_GRADE_EXACT, (size_t)cases[i].filters);
  return 0;
}
