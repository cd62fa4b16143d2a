/* SPDX-License-Identifier: Apache-2.0 */
/* Every candidate, every pass, against an independent formula in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conv_example.h"

/* One pass of one plan into fresh NaNs; the result in the precision, plain for weights. Its guards are checked. */
static void *run_pass(const struct example *e, const tare_conv_plan *plan, const tare_kernels *k, tare_pass pass, int with_bias) {
  const tare_conv_problem *p = &e->p;
  size_t nx = count_x(p), ny = count_y(p), nw = tare_conv_weights_size(p), no = (size_t)p->outputs;
  size_t prepared_size = tare_conv_prepared_size(plan), partial_size = tare_conv_partial_size(plan);
  size_t work_size = tare_conv_workspace_size(plan);
  void *x = array_of(k, nx, e->x, 0), *w = array_of(k, nw, e->w, 0), *dy = array_of(k, ny, e->dy, 0), *bias = array_of(k, no, e->bias, 0);
  void *prepared = array_of(k, prepared_size, NULL, NANS), *partial = array_of(k, partial_size, NULL, NANS);
  void *work = array_of(k, work_size, NULL, JUNK);
  size_t n = count_of(p, pass);
  void *out = array_of(k, n, NULL, NANS);
  if (pass != TARE_BACKWARD_WEIGHTS) assert_int_equal(tare_conv_prepare(plan, w, prepared, work, NULL), TARE_OK);
  if (pass == TARE_FORWARD) assert_int_equal(tare_conv_forward(plan, x, prepared, with_bias ? bias : NULL, out, NULL, work, NULL), TARE_OK);
  if (pass == TARE_BACKWARD_DATA) assert_int_equal(tare_conv_backward(plan, NULL, dy, prepared, NULL, out, NULL, work, NULL), TARE_OK);
  if (pass == TARE_BACKWARD_WEIGHTS) {
    assert_int_equal(tare_conv_backward(plan, x, dy, NULL, NULL, NULL, partial, work, NULL), TARE_OK);
    assert_int_equal(tare_conv_finish(plan, partial, out, work, NULL), TARE_OK);
  }
  void *arrays[] = {x, w, dy, bias, prepared, partial, work};
  size_t sizes[] = {nx, nw, ny, no, prepared_size, partial_size, work_size};
  for (int i = 0; i < 7; i++) free_guarded(k, arrays[i], sizes[i]);
  for (size_t i = 0; i < GUARD; i++) assert_int_equal(((unsigned char *)out)[n * k->real + i], 0x5C);
  return out;
}

/* 1 if the candidate accepts. */
static int check_candidate(const struct example *e, const tare_candidate *how, tare_precision precision, tare_pass pass, int with_bias) {
  const tare_kernels *k = tare_kernels_get(precision);
  tare_conv_plan *plan = NULL;
  tare_error error;
  const tare_conv_options options = {.precision = precision, .passes = (int)pass, .candidate = how->name};
  tare_status status = tare_conv_plan_create(&e->p, &options, &plan, &error);
  if (status) {
    assert_int_equal(status, TARE_E_UNSUPPORTED);
    assert_null(plan);
    return 0;
  }
  void *once = run_pass(e, plan, k, pass, with_bias), *again = run_pass(e, plan, k, pass, with_bias);
  compare(e, k, how->name, pass, once, with_bias, tolerance_of(precision, how->name));
  assert_memory_equal(once, again, count_of(&e->p, pass) * k->real);
  tare_free(once);
  tare_free(again);
  tare_conv_plan_free(plan);
  return 1;
}

enum { MOST = 32 }; /* candidates */

static void check_all(const struct example *e, int accepted[MOST], int with_bias) {
  for (int pass = 1; pass <= 4; pass *= 2) {
    for (int i = 0; tare_candidates[i]; i++) accepted[i] += check_candidate(e, tare_candidates[i], TARE_F32, (tare_pass)pass, with_bias);
    assert_true(check_candidate(e, &tare_candidate_reference, TARE_F64, (tare_pass)pass, with_bias));
    assert_true(check_candidate(e, &tare_candidate_reference, TARE_F32, (tare_pass)pass, with_bias));
  }
}

static void random_problems_agree_with_the_formula(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 5, 0);
  int accepted[MOST] = {0};
  for (int i = 0; i < 250; i++) {
    struct example e = example_of(&rng, random_problem(&rng, 4e5));
    check_all(&e, accepted, i % 2);
    example_free(&e);
  }
  for (int i = 0; tare_candidates[i]; i++) { /* of 750: none declines without need */
    const tare_candidate *how = tare_candidates[i];
    if (is_built(how)) assert_true(accepted[i] > (how == &tare_candidate_onednn || how == &tare_candidate_im2col || how == &tare_candidate_reference ? 250 : 10));
  }
}

/* Shapes with a weak spot each: several chunks of patches, a border wider than the filter, kernel as large as the image, every tail. */
static const char *const chosen[] = {
  "n2c1h48o8k15",        "n1c3h40w33o5k15p7_reflect", "n2c1h64o3k31p15_edge", "n1c2h9w30o33k9x3p0x1",  "g13n2c13h11o26k5p2",
  "n1c1h5o1k3p7",        "n2c7h6o13k6s3",             "n1c8h30o16k3s2p1d2",   "n1c1h2o1k1p1_reflect",  "n3c33h1o7k1",
  "g3n1c9h8w5o6k3p6_edge", "n1c16h4w21o8k4x21",       "n8c13h1o10k1",         "g7n1c7h20o7k19p9_reflect", "n1c1h1o1k1p3_edge",
  "n1c1h9w70o8k7p9x2",   "g1n2c1h20w37o1k5p2",       "g40n1c40h9w12o40k7p3",     "g5n2c5h12w23o5k3p4",    "n2c4h11w75o21k4x6p2",
  "n2c2h16o8k1s2",       "n3c7h32w9o5k1s1x2", /* oneDNN writes past its memory: the adapter must decline */
};

static void chosen_problems_agree_with_the_formula(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 6, 0);
  for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
    tare_conv_problem p;
    tare_error error = {.message = ""};
    if (tare_conv_problem_parse(chosen[i], &p, &error)) fail_msg("%s", error.message);
    struct example e = example_of(&rng, p);
    check_all(&e, (int[MOST]){0}, 1);
    example_free(&e);
  }
}

static double dot_of(const tare_kernels *k, size_t n, const void *a, const double *b) {
  double *values = tare_alloc(n, sizeof *values), sum = 0;
  k->widen(n, a, values);
  for (size_t i = 0; i < n; i++) sum += values[i] * b[i];
  tare_free(values);
  return sum;
}

/* <dy, conv(x, w)> = <dx, x> = <dw, w>, with one plan for the three passes. */
static void backward_passes_are_adjoint(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 7, 0);
  for (int i = 0; i < 100; i++) {
    tare_conv_problem p = random_problem(&rng, 3e5);
    struct example e = example_of(&rng, p);
    tare_precision precision = i % 2 ? TARE_F64 : TARE_F32;
    const tare_kernels *k = tare_kernels_get(precision);
    tare_conv_plan *plan;
    assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.precision = precision}, &plan, NULL), TARE_OK);
    void *y = run_pass(&e, plan, k, TARE_FORWARD, 0), *dx = run_pass(&e, plan, k, TARE_BACKWARD_DATA, 0);
    void *dw = run_pass(&e, plan, k, TARE_BACKWARD_WEIGHTS, 0);
    double size = 0, a = dot_of(k, count_y(&p), y, e.dy), b = dot_of(k, count_x(&p), dx, e.x);
    double c = dot_of(k, tare_conv_weights_size(&p), dw, e.w);
    for (size_t j = 0; j < count_y(&p); j++) size += e.want.y_size[j] * fabs(e.dy[j]);
    double tolerance = (precision == TARE_F64 ? 1e-14 : 1e-6) * size;
    assert_true(fabs(a - b) <= tolerance && fabs(a - c) <= tolerance);
    tare_free(y);
    tare_free(dx);
    tare_free(dw);
    tare_conv_plan_free(plan);
    example_free(&e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_problems_agree_with_the_formula),
    cmocka_unit_test(chosen_problems_agree_with_the_formula),
    cmocka_unit_test(backward_passes_are_adjoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
