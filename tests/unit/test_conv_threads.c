/* SPDX-License-Identifier: Apache-2.0 */
/* The work of a training step is divided well among threads: by the processor time of its jobs, which other work on the machine hardly changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conv/measure.h"
#include "conv_division.h"
#include "conv_helpers.h"

/* Dense, first layer, depthwise; short filters and long ones. */
static const char *const problems[] = {"n8c16h40o16k3p1", "n8c16h40o16k9p4", "n8c1h64o16k5p2", "n8c1h64o16k21p10", "g32n8c32h40o32k5p2", "g32n8c32h40o32k21p10"};
enum { TRIES = 4 }; /* the best counts: a job that is interrupted may take longer */

static void run_steps(void *user) {
  double seconds;
  tare_trials_time((tare_trial *const *)user, 1, 0, &seconds);
  assert_true(seconds > 0);
}

static void work_is_divided(void **state) {
  (void)state;
  const tare_conv_options options = {.flags = TARE_CONV_SHARED, .threads = 2};
  tare_pool *pool;
  assert_int_equal(tare_pool_create(2, &pool, NULL), TARE_OK);
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
    tare_conv_problem p;
    tare_conv_plan *plan;
    tare_trial *trial;
    double two = 0, four = 0, speedup[MOST_THREADS + 1];
    assert_int_equal(tare_conv_problem_parse(problems[i], &p, NULL), TARE_OK);
    assert_int_equal(tare_conv_plan_create(&p, &options, &plan, NULL), TARE_OK);
    assert_int_equal(tare_trial_create(plan, pool, &trial, NULL), TARE_OK);
    for (int j = 0; j < TRIES; j++) {
      measure_division(run_steps, &trial, speedup);
      two = fmax(two, speedup[2]);
      four = fmax(four, speedup[4]);
    }
    if (!(two >= 1.7 && four >= 2.6)) fail_msg("%s: 2 threads would be %.2f times as fast as one, 4 %.2f times", problems[i], two, four);
    tare_trial_free(trial);
  }
  tare_pool_free(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(work_is_divided)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
