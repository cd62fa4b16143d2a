/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-threads [THREADS [PROBLEM...]]: how much faster threads make a training step. Two numbers for each problem: the ratio of the shortest
 * times with one thread and with all, in turns; and what the division of the work allows, from the processor time of its jobs alone
 * (tests/unit/conv_division.h). On a busy machine only the second means anything, for the others' work is in the first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conv/measure.h"
#include "conv_division.h"

static const char *const standard[] = {"n8c32h64o32k3p1", "n8c32h64o32k7p3", "n8c32h64o32k15p7", "n8c32h64o32k31p15", "n8c1h128o32k3p1", "n8c1h128o32k7p3",
  "n8c1h128o32k15p7", "n8c1h128o32k31p15", "g32n8c32h64o32k3p1", "g32n8c32h64o32k7p3", "g32n8c32h64o32k15p7", "g32n8c32h64o32k31p15"};
#define LEAST 0.3 /* seconds for each number of threads */

static _Noreturn void fail(const tare_error *error) {
  fprintf(stderr, "bench-threads: %s\n", error->message);
  exit(2);
}

static tare_trial *trial_of(const char *text, int threads, tare_pool *pool) {
  const tare_conv_options options = {.flags = TARE_CONV_SHARED, .threads = threads};
  tare_conv_problem p;
  tare_conv_plan *plan;
  tare_trial *trial;
  tare_error error;
  if (tare_conv_problem_parse(text, &p, &error) || tare_conv_plan_create(&p, &options, &plan, &error) || tare_trial_create(plan, pool, &trial, &error)) fail(&error);
  return trial;
}

static void run_steps(void *user) {
  double seconds;
  tare_trials_time((tare_trial *const *)user, 1, LEAST / 4, &seconds);
}

static void row(const char *text, int threads, tare_pool *one, tare_pool *all) {
  tare_trial *trials[2] = {trial_of(text, threads, one), trial_of(text, threads, all)};
  double seconds[2], speedup[MOST_THREADS + 1];
  tare_trials_time(trials, 2, LEAST, seconds);
  measure_division(run_steps, &trials[1], speedup);
  printf("%-22s %10.3f %10.3f %8.2f %10.2f\n", text, 1e3 * seconds[0], 1e3 * seconds[1], seconds[0] / seconds[1], speedup[threads]);
  for (int i = 0; i < 2; i++) tare_trial_free(trials[i]);
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  tare_pool *one, *all;
  tare_error error;
  if (threads < 2 || threads > MOST_THREADS) return fprintf(stderr, "bench-threads: expected 2 to %d threads, found '%s'\n", MOST_THREADS, argv[1]), 2;
  if (tare_pool_create(1, &one, &error) || tare_pool_create(threads, &all, &error)) fail(&error);
  printf("step                   1 thread, ms  %2d, ms    ratio    divided\n", threads);
  for (size_t i = 0; argc > 2 ? (int)i + 2 < argc : i < sizeof standard / sizeof *standard; i++) row(argc > 2 ? argv[i + 2] : standard[i], threads, one, all);
  tare_pool_free(one);
  tare_pool_free(all);
  return 0;
}
