/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/measure.h"

#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"

#define TURN 0.004    /* seconds of a turn */
#define LEAST 0.03    /* of all turns, when a plan is chosen */
#define MOST 10       /* times LEAST, after which a slow one has no further turns */
#define HOPELESS 10.0 /* times the best expectation, and this many cycles: */
#define LONG 1e7
enum { LEAST_RUNS = 5, MANY_RUNS = 200, PATTERN = 4096 };

struct tare_trial {
  tare_conv_plan *plan;
  tare_pool *pool;
  float *x, *w, *dy, *y, *dx, *dw, *prepared, *partial, *kept, *workspace;
  double best, total;
  int runs, status;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Numbers in [-1, 1), the same few over and over: what they are does not change the time. */
static void *numbers(const tare_conv_plan *plan, size_t count) {
  void *values = tare_alloc(count, plan->kernels->real);
  tare_rng rng;
  tare_rng_init(&rng, 1, 1);
  for (size_t i = 0; values && i < count; i++) {
    double value = i < PATTERN ? tare_rng_range(&rng, -1, 1) : 0;
    if (plan->options.precision == TARE_F64) ((double *)values)[i] = i < PATTERN ? value : ((double *)values)[i - PATTERN];
    else ((float *)values)[i] = i < PATTERN ? (float)value : ((float *)values)[i - PATTERN];
  }
  return values;
}

tare_status tare_trial_create(tare_conv_plan *plan, tare_pool *pool, tare_trial **out, tare_error *error) {
  const tare_conv_problem *p = &plan->problem;
  size_t x = (size_t)p->batch * tare_conv_image_size(p), w = tare_conv_weights_size(p), real = plan->kernels->real;
  size_t y = (size_t)p->batch * tare_conv_result_size(p);
  int passes = plan->options.passes;
  tare_trial *t = tare_alloc(1, sizeof *t);
  if (!t) return tare_conv_plan_free(plan), tare_fail_memory(error, sizeof *t, "timing a plan");
  *t = (tare_trial){.plan = plan, .pool = pool};
  t->x = numbers(plan, x);
  t->w = numbers(plan, w);
  t->dy = numbers(plan, y);
  t->y = tare_alloc(y, real);
  t->dx = tare_alloc(passes & TARE_BACKWARD_DATA ? x : 0, real);
  t->dw = tare_alloc(w, real);
  t->prepared = tare_alloc(plan->prepared_size, real);
  t->partial = tare_alloc(plan->partial_size, real);
  t->kept = tare_alloc(plan->kept_size, real);
  t->workspace = tare_alloc(plan->workspace_size, real);
  if (t->x && t->w && t->dy && t->y && t->dx && t->dw && t->prepared && t->partial && t->kept && t->workspace) return *out = t, TARE_OK;
  tare_trial_free(t);
  return tare_fail_memory(error, (x + y + w) * real, "timing a plan");
}

void tare_trial_free(tare_trial *t) {
  if (!t) return;
  float *arrays[] = {t->x, t->w, t->dy, t->y, t->dx, t->dw, t->prepared, t->partial, t->kept, t->workspace};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) tare_free(arrays[i]);
  tare_conv_plan_free(t->plan);
  tare_free(t);
}

static tare_status run(const tare_trial *t) {
  int passes = t->plan->options.passes, backward = passes & (TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS);
  float *kept = passes & TARE_FORWARD && backward && t->plan->kept_size ? t->kept : NULL;
  tare_status status = TARE_OK;
  if (passes & (TARE_FORWARD | TARE_BACKWARD_DATA)) status = tare_conv_prepare(t->plan, t->w, t->prepared, t->workspace, t->pool);
  if (!status && passes & TARE_FORWARD) status = tare_conv_forward(t->plan, t->x, t->prepared, NULL, t->y, kept, t->workspace, t->pool);
  if (!status && backward)
    status = tare_conv_backward(t->plan, t->x, t->dy, t->prepared, kept, passes & TARE_BACKWARD_DATA ? t->dx : NULL,
                                passes & TARE_BACKWARD_WEIGHTS ? t->partial : NULL, t->workspace, t->pool);
  if (!status && passes & TARE_BACKWARD_WEIGHTS) status = tare_conv_finish(t->plan, t->partial, t->dw, t->workspace, t->pool);
  return status;
}

static double timed(tare_trial *t) {
  double start = now();
  if (run(t)) t->status = TARE_E_LIBRARY;
  return now() - start;
}

static void record(tare_trial *t, double seconds) {
  if (!t->runs++ || seconds < t->best) t->best = seconds;
  t->total += seconds;
}

static int is_done(const tare_trial *t, double least) {
  return t->status || (t->runs >= LEAST_RUNS && t->total >= least) || t->runs >= MANY_RUNS || (t->runs && t->total >= MOST * least);
}

/* The first run brings the caches back; it counts where it is long. */
static void take_turn(tare_trial *t) {
  double start = now(), first = timed(t);
  if (first > TURN) record(t, first);
  else
    do record(t, timed(t));
    while (!t->status && now() - start < TURN);
}

void tare_trials_time(tare_trial *const *trials, int count, double least, double *seconds) {
  for (int i = 0; i < count; i++) {
    trials[i]->runs = 0;
    trials[i]->total = 0;
    double first = timed(trials[i]); /* allocates pages, fills caches; counts only where there is no time for another */
    if (first >= MOST * least) record(trials[i], first);
  }
  for (int left = 1; left;) {
    left = 0;
    for (int i = 0; i < count; i++) {
      if (!is_done(trials[i], least)) take_turn(trials[i]);
      left |= !is_done(trials[i], least);
    }
  }
  for (int i = 0; i < count; i++) seconds[i] = trials[i]->status ? -1 : trials[i]->best;
}

/* A plan of one group. */
static tare_status single(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_conv_plan **out, tare_error *error) {
  tare_conv_plan *one = tare_alloc(1, sizeof *one);
  if (!one) return tare_fail_memory(error, sizeof *one, "a plan");
  *one = (tare_conv_plan){.problem = plan->problem, .options = plan->options, .kernels = plan->kernels, .group_of = {-1, -1, -1}};
  one->options.passes = passes;
  tare_status status = tare_conv_make_group(one, how, passes, &one->groups[0], error);
  if (status) return tare_conv_plan_free(one), status;
  one->group_count = 1;
  tare_conv_add_sizes(one);
  *out = one;
  return TARE_OK;
}

/* Worth timing: not much slower, as it expects, than the best, or quickly done. */
static int is_hopeful(const tare_verdict *v, double best) { return v->cycles >= 0 && (v->cycles <= HOPELESS * best || v->cycles < LONG); }

static double best_of(const tare_verdict *verdicts) {
  double best = -1;
  for (int i = 0; tare_candidates[i]; i++)
    if (verdicts[i].cycles >= 0 && (best < 0 || verdicts[i].cycles < best)) best = verdicts[i].cycles;
  return best;
}

unsigned tare_conv_measure(const tare_conv_plan *plan, int passes, const tare_verdict *verdicts, double *costs) {
  tare_trial *trials[TARE_MOST_CANDIDATES] = {NULL};
  tare_pool *pool = NULL;
  double seconds[TARE_MOST_CANDIDATES], best = best_of(verdicts);
  int which[TARE_MOST_CANDIDATES], count = 0;
  unsigned bits = 0;
  if (plan->options.flags & TARE_CONV_SHARED && plan->options.threads > 1 && tare_pool_create(plan->options.threads, &pool, NULL)) pool = NULL;
  for (int i = 0; tare_candidates[i]; i++) {
    tare_conv_plan *one = NULL;
    costs[i] = verdicts[i].cycles * 1e6;
    if (!is_hopeful(&verdicts[i], best) || single(plan, tare_candidates[i], passes, &one, NULL)) continue;
    if (!tare_trial_create(one, pool, &trials[count], NULL)) which[count++] = i;
  }
  tare_trials_time(trials, count, LEAST, seconds);
  for (int i = 0; i < count; i++) {
    if (seconds[i] >= 0) {
      costs[which[i]] = seconds[i] * 1e9;
      bits |= 1u << which[i];
    }
    tare_trial_free(trials[i]);
  }
  tare_pool_free(pool);
  return bits;
}
