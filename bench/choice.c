/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-choice [PROBLEMS [SEED [THREADS]]]: how good the planner's choice is. For random problems, each pass and the whole step: the
 * time of the plan that the model chooses against that of the plan that measuring chooses, in turns.
 * Prints every choice that is more than a tenth slower, then the share that is not, and how long planning took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "conv/measure.h"

#define MOST_FLOPS 4e9 /* of a pass: a second for the slowest that is timed */
#define LEAST 0.02     /* seconds for each plan */
#define SURE 0.1       /* the same before one is called slower */
#define GOOD 1.1

typedef struct kind { const char *name; int passes; } kind;
static const kind kinds[] = {{"forward", 1}, {"backward data", 2}, {"backward weights", 4}, {"step", 7}};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct tally { int good, count; double planning, slowest; int plans; } tally;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int pick(tare_rng *rng, const int *values, int count) { return values[tare_rng_below(rng, (uint64_t)count)]; }

/* Shapes as networks have them: mostly 'same' borders, a third depthwise, some strides. */
static tare_conv_problem draw(tare_rng *rng) {
  static const int channels[] = {1, 1, 3, 4, 8, 16, 24, 32, 48, 64, 96, 128}, kernels[] = {1, 3, 3, 5, 7, 7, 9, 11, 13, 15, 15, 21, 27, 31};
  static const int sizes[] = {7, 14, 20, 28, 32, 48, 56, 64, 96}, batches[] = {1, 2, 4, 8, 16};
  enum { CHANNELS = 12, KERNELS = 14, SIZES = 9, BATCHES = 5 };
  for (;;) {
    tare_conv_problem p = {.groups = 1, .batch = pick(rng, batches, BATCHES), .channels = pick(rng, channels, CHANNELS)};
    p.outputs = pick(rng, channels + 4, CHANNELS - 4);
    if (tare_rng_below(rng, 3) == 0) p.groups = p.outputs = p.channels = pick(rng, channels + 4, CHANNELS - 4);
    p.size[0] = p.size[1] = pick(rng, sizes, SIZES);
    p.kernel[0] = p.kernel[1] = pick(rng, kernels, KERNELS);
    p.stride[0] = p.stride[1] = tare_rng_below(rng, 8) ? 1 : 2;
    p.dilation[0] = p.dilation[1] = 1;
    p.pad[0] = p.pad[1] = tare_rng_below(rng, 4) ? p.kernel[0] / 2 : 0;
    p = tare_conv_problem_complete(&p);
    if (tare_conv_problem_check(&p, NULL) == TARE_OK && tare_conv_flops(&p) < MOST_FLOPS) return p;
  }
}

static void fail(const tare_error *error) {
  fprintf(stderr, "bench-choice: %s\n", error->message);
  exit(4);
}

static void add_plan(tare_conv_plan *plan, tare_pool *pool, tare_trial **trials, int *count) {
  tare_error error;
  if (tare_trial_create(plan, pool, &trials[*count], &error)) fail(&error);
  ++*count;
}

/* "onednn (jit:avx512_core), fft (tiles of 40)": the passes' ways, where they differ from the one before. */
static void describe(const tare_conv_plan *plan, char *text, size_t size) {
  char last[150] = "", way[150];
  text[0] = 0;
  for (int i = 0; i < TARE_PASSES; i++) {
    const char *name = tare_conv_plan_candidate(plan, tare_pass_at(i));
    size_t length = strlen(text);
    if (!name) continue;
    snprintf(way, sizeof way, "%s (%s)", name, tare_conv_plan_algorithm(plan, tare_pass_at(i)));
    if (strcmp(way, last) != 0) snprintf(text + length, size - length, "%s%s", length ? ", " : "", way);
    memcpy(last, way, sizeof last);
  }
}

/* The plan by the model, its making timed; then the measured one. */
static int make_plans(const tare_conv_problem *p, int passes, int threads, tare_pool *pool, tare_trial **trials, char (*names)[300], tally *t) {
  tare_conv_options options = {.passes = passes, .threads = threads, .flags = threads > 1 ? TARE_CONV_SHARED : 0};
  tare_conv_plan *plan;
  tare_error error;
  int count = 0;
  double start = now();
  if (tare_conv_plan_create(p, &options, &plan, &error)) fail(&error);
  double seconds = now() - start;
  t->planning += seconds;
  t->plans++;
  if (seconds > t->slowest) t->slowest = seconds;
  describe(plan, names[count], sizeof names[count]);
  add_plan(plan, pool, trials, &count);
  options.measure = 1;
  if (tare_conv_plan_create(p, &options, &plan, &error)) fail(&error);
  describe(plan, names[count], sizeof names[count]);
  add_plan(plan, pool, trials, &count);
  return count;
}

static void compare(const tare_conv_problem *p, const kind *k, int threads, tare_pool *pool, tally *t) {
  tare_trial *trials[2];
  char names[2][300], problem[200];
  double seconds[2];
  int count = make_plans(p, k->passes, threads, pool, trials, names, t), same = strcmp(names[0], names[1]) == 0;
  if (!same) tare_trials_time(trials, count, LEAST, seconds);
  if (!same && seconds[0] > GOOD * seconds[1]) tare_trials_time(trials, count, SURE, seconds);
  double ratio = same ? 1 : seconds[0] / seconds[1];
  tare_conv_problem_text(p, problem, sizeof problem);
  if (ratio > GOOD) printf("%-32s %-16s %5.2f  chose %s: %.4f ms; better %s: %.4f ms\n", problem, k->name, ratio, names[0], seconds[0] * 1e3, names[1], seconds[1] * 1e3);
  t->good += ratio <= GOOD;
  t->count++;
  for (int i = 0; i < count; i++) tare_trial_free(trials[i]);
}

int main(int argc, char **argv) {
  int problems = argc > 1 ? atoi(argv[1]) : 200, threads = argc > 3 ? atoi(argv[3]) : 2;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  tally tallies[KINDS] = {{0}};
  tare_pool *pool;
  tare_error error;
  tare_rng rng;
  if (tare_pool_create(threads, &pool, &error)) fail(&error);
  tare_rng_init(&rng, seed, 0);
  for (int i = 0; i < problems; i++) {
    tare_conv_problem p = draw(&rng);
    for (int k = 0; k < KINDS; k++) compare(&p, &kinds[k], threads, pool, &tallies[k]);
    fflush(stdout);
  }
  for (int k = 0; k < KINDS; k++)
    printf("%-16s %3d of %3d within a tenth of the best (%.1f %%); planning %.3f ms, at most %.3f\n", kinds[k].name, tallies[k].good,
           tallies[k].count, 100.0 * tallies[k].good / tallies[k].count, tallies[k].planning / tallies[k].plans * 1e3, tallies[k].slowest * 1e3);
  tare_pool_free(pool);
  return 0;
}
