/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <stdlib.h>
#include <tare/wisdom.h>

static void job(void *user, int number, int worker) { (void)user, (void)number, (void)worker; }

static void runner(void *context, int threads, void (*body)(void *argument), void *argument) {
  (void)context, (void)threads;
  body(argument);
}

static void pools(void) {
  tare_pool *pool;
  GIVES(const void *, tare_status_name((tare_status)12345), got != NULL);
  GIVES(const void *, tare_version(), got != NULL);
  GIVES(const void *, tare_cpu_level(), got != NULL);
  REFUSES(tare_pool_create(0, &pool, ERR));
  REFUSES(tare_pool_create(257, &pool, ERR));
  REFUSES(tare_pool_create(1, NULL, ERR));
  REFUSES(tare_pool_create_with(0, runner, NULL, &pool, ERR));
  REFUSES(tare_pool_create_with(257, runner, NULL, &pool, ERR));
  REFUSES(tare_pool_create_with(2, NULL, NULL, &pool, ERR));
  REFUSES(tare_pool_create_with(2, runner, NULL, NULL, ERR));
  IGNORES(tare_pool_run(NULL, 1, job, NULL));
  NEED(tare_pool_create(1, &pool, ERR)); /* no threads: a child has none of its parent's */
  IGNORES(tare_pool_run(pool, 1, NULL, NULL));
  IGNORES(tare_pool_run(pool, -1, job, NULL));
  IGNORES(tare_pool_free(NULL));
  tare_pool_free(pool);
}

static void problems(const tare_conv_problem *good) {
  tare_conv_problem p, zero = {0}, negative = *good, border = *good, huge = *good, groups = *good;
  char buffer[100];
  negative.stride[0] = -1;
  border.border = (tare_border)9;
  huge.batch = huge.size[0] = huge.size[1] = 1 << 24;
  groups.groups = 5;
  REFUSES(tare_conv_problem_parse(NULL, &p, ERR));
  REFUSES(tare_conv_problem_parse("c1h8o1k3", NULL, ERR));
  REFUSES(tare_conv_problem_parse("", &p, ERR));
  REFUSES(tare_conv_problem_parse("c99999999999h8o1k3", &p, ERR));
  REFUSES(tare_conv_problem_check(NULL, ERR));
  REFUSES(tare_conv_problem_check(&zero, ERR));
  REFUSES(tare_conv_problem_check(&negative, ERR));
  REFUSES(tare_conv_problem_check(&border, ERR));
  REFUSES(tare_conv_problem_check(&huge, ERR));
  REFUSES(tare_conv_problem_check(&groups, ERR));
  GIVES_0(tare_conv_problem_text(NULL, buffer, sizeof buffer));
  GIVES(size_t, tare_conv_problem_text(good, NULL, 0), got > 5);
  GIVES(size_t, tare_conv_problem_text(&border, buffer, sizeof buffer), got < sizeof buffer);
  GIVES_0(tare_conv_output_size(NULL, 0));
  GIVES_0(tare_conv_output_size(good, 3));
  GIVES_0(tare_conv_output_size(good, -1));
}

static void options(const tare_conv_problem *good) {
  tare_conv_plan *plan;
  const tare_conv_options wrong[] = {
    {.precision = (tare_precision)5}, {.layout = (tare_layout)5}, {.passes = 8}, {.passes = -1}, {.flags = 64}, {.threads = -1}, {.threads = 1000},
    {.candidate = "nobody"}, {.workspace_limit = 1},
  };
  tare_conv_problem zero = {0};
  REFUSES(tare_conv_plan_create(NULL, NULL, &plan, ERR));
  REFUSES(tare_conv_plan_create(good, NULL, NULL, ERR));
  REFUSES(tare_conv_plan_create(&zero, NULL, &plan, ERR));
  for (size_t i = 0; i + 1 < sizeof wrong / sizeof *wrong; i++) REFUSES(tare_conv_plan_create(good, &wrong[i], &plan, ERR));
  IGNORES(tare_conv_plan_free(NULL));
}

static void plans(const tare_conv_plan *forward) {
  float *a = aligned_alloc(64, 1 << 16);
  GIVES_NULL(tare_conv_plan_candidate(NULL, TARE_FORWARD));
  GIVES_NULL(tare_conv_plan_candidate(forward, (tare_pass)0));
  GIVES_NULL(tare_conv_plan_candidate(forward, (tare_pass)77));
  GIVES_NULL(tare_conv_plan_algorithm(NULL, TARE_FORWARD));
  GIVES_NULL(tare_conv_plan_algorithm(forward, TARE_BACKWARD_DATA));
  GIVES_NULL(tare_conv_plan_reasons(NULL));
  GIVES_0(tare_conv_prepared_size(NULL));
  GIVES_0(tare_conv_partial_size(NULL));
  GIVES_0(tare_conv_kept_size(NULL));
  GIVES_0(tare_conv_workspace_size(NULL));
  FAILS(tare_conv_prepare(NULL, a, a, a, NULL));
  FAILS(tare_conv_prepare(forward, NULL, a, a, NULL));
  FAILS(tare_conv_prepare(forward, a, NULL, a, NULL));
  FAILS(tare_conv_forward(NULL, a, a, NULL, a, NULL, a, NULL));
  FAILS(tare_conv_forward(forward, NULL, a, NULL, a, NULL, a, NULL));
  FAILS(tare_conv_forward(forward, a, NULL, NULL, a, NULL, a, NULL));
  FAILS(tare_conv_forward(forward, a, a, NULL, NULL, NULL, a, NULL));
  FAILS(tare_conv_backward(NULL, a, a, a, NULL, a, a, a, NULL));
  FAILS(tare_conv_backward(forward, a, a, a, NULL, a, a, a, NULL));
  FAILS(tare_conv_finish(NULL, a, a, a, NULL));
  FAILS(tare_conv_finish(forward, a, a, a, NULL));
  free(a);
}

static void backward_plans(const tare_conv_problem *good) {
  tare_conv_plan *plan;
  float *a = aligned_alloc(64, 1 << 16);
  NEED(tare_conv_plan_create(good, NULL, &plan, ERR));
  FAILS(tare_conv_backward(plan, a, NULL, a, NULL, a, a, a, NULL));
  FAILS(tare_conv_backward(plan, NULL, a, a, NULL, a, a, a, NULL));
  FAILS(tare_conv_backward(plan, a, a, NULL, NULL, a, a, a, NULL));
  FAILS(tare_conv_finish(plan, NULL, a, a, NULL));
  FAILS(tare_conv_finish(plan, a, NULL, a, NULL));
  tare_conv_plan_free(plan);
  free(a);
}

static void wisdom(void) {
  tare_wisdom *w;
  tare_error warning;
  REFUSES(tare_wisdom_create(NULL, ERR));
  NEED(tare_wisdom_create(&w, ERR));
  FAILS(tare_wisdom_load(NULL, "/nowhere", &warning));
  FAILS(tare_wisdom_load(w, NULL, &warning));
  GIVES(tare_status, tare_wisdom_load(w, "/dev", NULL), got == TARE_OK);
  REFUSES(tare_wisdom_save(NULL, "/nowhere/w", ERR));
  REFUSES(tare_wisdom_save(w, NULL, ERR));
  REFUSES(tare_wisdom_save(w, "/nowhere/w", ERR));
  GIVES_0(tare_wisdom_count(NULL));
  IGNORES(tare_wisdom_free(NULL));
  tare_wisdom_free(w);
}

void api_convs(void) {
  const tare_conv_options forward = {.passes = TARE_FORWARD};
  tare_conv_problem problem;
  tare_conv_plan *plan;
  NEED(tare_conv_problem_parse("n1c2h6o2k3", &problem, ERR));
  NEED(tare_conv_plan_create(&problem, &forward, &plan, ERR));
  pools();
  problems(&problem);
  options(&problem);
  plans(plan);
  backward_plans(&problem);
  wisdom();
  tare_conv_plan_free(plan);
}
