/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "round/plan.h"

static tare_constraint *make(const char *text, int rows, int columns, int channels) {
  tare_filter_shape shape = {.dims = columns ? 2 : 1, .size = {rows, columns}, .channels = channels};
  tare_constraint *c = NULL;
  tare_error error = {0};
  if (tare_constraint_create(text, &shape, 0, &c, &error)) fail_msg("%s: %s", text, error.message);
  return c;
}

/* A 1-D rule of one custom row, through a file. */
static tare_constraint *make_row(const char *json, int taps) {
  char path[] = P_tmpdir "/tare-test-XXXXXX", text[64];
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, json, strlen(json)), (int)strlen(json));
  close(fd);
  snprintf(text, sizeof text, "rows=%s", path);
  tare_constraint *c = make(text, taps, 0, 1);
  unlink(path);
  return c;
}

static int is_exact(const tare_constraint *c, const float *w, size_t units) {
  tare_residual residual;
  assert_int_equal(tare_constraint_residual(c, w, units, &residual, NULL), TARE_OK);
  return residual.exact_units == units && residual.max_abs == 0;
}

/* Every weight a multiple, by at most 2^24, of one power of two. */
static int on_a_grid(const float *w, int n) {
  float largest = 0;
  for (int i = 0; i < n; i++) largest = fmaxf(largest, fabsf(w[i]));
  int exponent;
  double fraction = frexp(largest, &exponent);
  int e = exponent - 24 - (fraction == 0.5);
  for (int i = 0; i < n; i++) {
    double q = ldexp(w[i], -e);
    if (q != nearbyint(q)) return 0;
  }
  return 1;
}

/* Random weights with mean zero, as a filter that was trained under the rule in floats. */
static void draw(tare_rng *rng, float *w, int n, double scale) {
  double mean = 0;
  double *x = tare_alloc((size_t)n, sizeof *x);
  for (int i = 0; i < n; i++) mean += x[i] = tare_rng_normal(rng);
  for (int i = 0; i < n; i++) w[i] = (float)(scale * (x[i] - mean / n));
  tare_free(x);
}

static void poison(float *w, size_t n) {
  for (size_t i = 0; i < n; i++) w[i] = NAN;
}

/* Thousands of filters for one rule: exact, on a grid, unchanged by a second rounding, in place as well. */
static void check_rule(tare_constraint *c, size_t units, double scale, uint64_t seed) {
  int n = tare_constraint_taps(c);
  size_t count = units * (size_t)n;
  float *w = tare_alloc(count, sizeof *w), *out = tare_alloc(count, sizeof *out), *again = tare_alloc(count, sizeof *again);
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  for (size_t i = 0; i < units; i++) draw(&rng, w + i * (size_t)n, n, scale);
  poison(out, count);
  tare_error error = {0};
  assert_int_equal(tare_round_supported(c, &error), 1);
  if (tare_round_fp32(c, units, w, out, &error)) fail_msg("%s: %s", tare_constraint_text(c), error.message);
  assert_true(is_exact(c, out, units));
  for (size_t i = 0; i < units; i++) assert_true(on_a_grid(out + i * (size_t)n, n));
  assert_int_equal(tare_round_fp32(c, units, out, again, NULL), TARE_OK);
  assert_memory_equal(again, out, count * sizeof *out);
  assert_int_equal(tare_round_fp32(c, units, w, w, NULL), TARE_OK);
  assert_memory_equal(w, out, count * sizeof *out);
  tare_free(w);
  tare_free(out);
  tare_free(again);
  tare_constraint_free(c);
}

static void every_filter_is_exact(void **state) {
  (void)state;
  static const struct { const char *text; int rows, columns, channels, units; } cases[] = {
    {"sum=0", 7, 7, 1, 2000},          {"sum=0", 3, 3, 1, 4000},   {"sum=0", 2, 1, 1, 1000},        {"sum=1", 5, 5, 1, 2000},
    {"sum=1/2", 4, 6, 1, 2000},        {"sum=-3", 3, 5, 1, 1000},  {"moment(1,0)=0", 7, 7, 1, 2000}, {"moment(1,0)=0", 4, 4, 1, 1000},
    {"moment(0,2)=1", 5, 5, 1, 1000},  {"moment(3,1)=0", 9, 9, 1, 500}, {"centre=-1", 5, 5, 1, 1000}, {"sum=0@filter", 5, 5, 3, 1000},
    {"moment(2,0)=1@filter", 6, 5, 4, 500}, {"sum=0", 31, 31, 1, 100}, {"moment(2,2)=0", 31, 31, 1, 40}, {"moment(4,0)=0", 15, 15, 1, 100},
  };
  static const double scales[] = {1, 0.03, 100};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++)
      check_rule(make(cases[i].text, cases[i].rows, cases[i].columns, cases[i].channels), (size_t)cases[i].units, scales[k], i * 10 + k);
}

static void custom_rows_are_exact(void **state) {
  (void)state;
  static const struct { const char *json; int taps; } cases[] = {
    {"{\"A\": [[2, 3, 5]], \"b\": [0]}", 3},
    {"{\"A\": [[7, -11]], \"b\": [0]}", 2},
    {"{\"A\": [[6, 10, 15, 0]], \"b\": [1]}", 4},
    {"{\"A\": [[0.299, 0.587, 0.114]], \"b\": [0]}", 3},
    {"{\"A\": [[0.212656, 0.715158, 0.072186, 0.212656, 0.715158, 0.072187]], \"b\": [0]}", 6},
    {"{\"A\": [[1000003, 999983, 99991, 31337, 27182, 31415, 16180, 14142, 17320, 22360, 26457, 33166, 36055, 41231, 43589]], \"b\": [0]}", 15},
    {"{\"A\": [[\"1/3\", \"1/7\", \"-1/11\", 1e-3]], \"b\": [0]}", 4},
    {"{\"A\": [[4, 4, 4, 8]], \"b\": [2]}", 4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_rule(make_row(cases[i].json, cases[i].taps), 500, 1, i);
}

/* The least squared distance over all integers within `reach` of x and the bound that obey. */
static double search(const tare_part *s, const double *x, int64_t bound, int64_t goal, int reach, int at, double cost, double best) {
  if (cost >= best) return best;
  if (at == s->count) return goal == 0 ? cost : best;
  int64_t middle = (int64_t)nearbyint(x[at]);
  for (int64_t q = middle - reach; q <= middle + reach; q++)
    if (q <= bound && q >= -bound)
      best = search(s, x, bound, goal - s->a[at] * q, reach, at + 1, cost + ((double)q - x[at]) * ((double)q - x[at]), best);
  return best;
}

/* Corrections of random vectors against all there are. Returns the number of those that were worse than the best. */
static int compare_with_all(const tare_constraint *c, int trials, int64_t bound, uint64_t seed) {
  tare_plan *plan;
  assert_int_equal(tare_plan_create(c, 0, &plan, NULL), TARE_OK);
  assert_int_equal(plan->parts, 1);
  const tare_part *s = &plan->part[0];
  tare_scratch scratch;
  assert_int_equal(tare_scratch_create(plan, 1, &scratch, NULL), TARE_OK);
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  int worse = 0;
  for (int trial = 0; trial < trials; trial++) {
    int64_t q[8], sum = 0, excess = 0;
    double x[8];
    for (int i = 0; i < s->count; i++) {
      x[i] = tare_rng_range(&rng, (double)-bound, (double)bound);
      q[i] = (int64_t)nearbyint(x[i]);
      sum += s->a[i] * q[i];
    }
    excess = (int64_t)tare_rng_below(&rng, (uint64_t)s->total + 1) - (int64_t)(s->total / 2);
    int64_t goal = sum - excess;
    double best = search(s, x, bound, goal, 12, 0, 0, INFINITY), cost = 0;
    __int128 wide = excess;
    int done = tare_correct(s, scratch.order, x, q, bound, &wide);
    if (!done && isinf(best)) continue;
    if (!done && s->lattice) continue; /* not complete near the bound: a coarser grid is taken */
    assert_int_equal(done, 1);
    for (int i = 0; i < s->count; i++) {
      assert_true(q[i] <= bound && q[i] >= -bound);
      goal -= s->a[i] * q[i];
      cost += ((double)q[i] - x[i]) * ((double)q[i] - x[i]);
    }
    assert_true(goal == 0);
    worse += cost > best + 1e-9;
  }
  tare_scratch_free(&scratch);
  tare_plan_free(plan);
  return worse;
}

static void sums_are_optimal(void **state) {
  (void)state;
  static const char *rows[] = {"{\"A\": [[1, -1, 1]], \"b\": [0]}", "{\"A\": [[1, 1, 1, -1]], \"b\": [0]}", "{\"A\": [[1, -1, 1, 1, 1]], \"b\": [0]}"};
  for (int i = 0; i < 3; i++) {
    tare_constraint *c = make_row(rows[i], i + 3);
    assert_int_equal(compare_with_all(c, 3000, 1000, 1), 0);
    assert_int_equal(compare_with_all(c, 3000, 3, 2), 0);
    tare_constraint_free(c);
  }
}

static void small_rows_are_optimal(void **state) {
  (void)state;
  static const struct { const char *json; int taps; } rows[] = {
    {"{\"A\": [[1, 2]], \"b\": [0]}", 2},       {"{\"A\": [[2, 3]], \"b\": [0]}", 2},         {"{\"A\": [[1, 2, 3]], \"b\": [0]}", 3},
    {"{\"A\": [[2, -3, 5]], \"b\": [0]}", 3},   {"{\"A\": [[3, 5, 7]], \"b\": [0]}", 3},      {"{\"A\": [[1, 1, 2, 2]], \"b\": [0]}", 4},
    {"{\"A\": [[1, -1, 2, -3]], \"b\": [0]}", 4}, {"{\"A\": [[6, 10, 15]], \"b\": [0]}", 3}, {"{\"A\": [[2, 3, 4, 5]], \"b\": [0]}", 4},
    {"{\"A\": [[7, 11]], \"b\": [0]}", 2},      {"{\"A\": [[1, 4, 6, 4]], \"b\": [0]}", 4},   {"{\"A\": [[5, 5, 8]], \"b\": [0]}", 3},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tare_constraint *c = make_row(rows[i].json, rows[i].taps);
    int worse = compare_with_all(c, 300, 1000, i);
    if (worse) print_message("%s: %d of 300 not optimal\n", rows[i].json, worse);
    assert_int_equal(worse, 0);
    tare_constraint_free(c);
  }
}

/* The table against the lattice on a row that both can do: never worse, and the lattice not far. */
static void lattice_is_close(void **state) {
  (void)state;
  tare_constraint *c = make_row("{\"A\": [[9, 14, 23, 31, 38, 45]], \"b\": [0]}", 6);
  tare_plan *plan;
  assert_int_equal(tare_plan_create(c, 0, &plan, NULL), TARE_OK);
  const tare_part *s = &plan->part[0];
  assert_null(s->lattice);
  tare_lattice *lattice;
  assert_int_equal(tare_lattice_create(1, s->count, s->a, s->metric, &lattice, NULL), TARE_OK);
  tare_rng rng;
  tare_rng_init(&rng, 3, 0);
  double table_cost = 0, lattice_cost = 0;
  for (int trial = 0; trial < 500; trial++) {
    double x[6];
    int64_t q[6], p[6], change_q = 0, change_p = 0, excess = (int64_t)tare_rng_below(&rng, 89) - 44;
    for (int i = 0; i < 6; i++) {
      x[i] = tare_rng_range(&rng, -1e5, 1e5);
      q[i] = p[i] = (int64_t)nearbyint(x[i]);
    }
    assert_int_equal(tare_correct_table(s, s->moves, x, q, 1 << 24, excess), 1);
    __int128 wide = excess;
    assert_int_equal(tare_correct_lattice(lattice, x, p, 1 << 24, &wide), 1);
    double cost_q = 0, cost_p = 0;
    for (int i = 0; i < 6; i++) {
      change_q += s->a[i] * (q[i] - (int64_t)nearbyint(x[i]));
      change_p += s->a[i] * (p[i] - (int64_t)nearbyint(x[i]));
      cost_q += pow((double)q[i] - x[i], 2);
      cost_p += pow((double)p[i] - x[i], 2);
    }
    assert_true(change_q == -excess && change_p == -excess);
    assert_true(cost_q <= cost_p + 1e-9);
    table_cost += cost_q;
    lattice_cost += cost_p;
  }
  assert_true(lattice_cost < 1.5 * table_cost);
  tare_lattice_free(lattice);
  tare_plan_free(plan);
  tare_constraint_free(c);
}

static void check_one(const char *text, const float *w, int rows, int columns) {
  tare_constraint *c = make(text, rows, columns, 1);
  float out[64];
  tare_error error = {0};
  poison(out, 64);
  if (tare_round_fp32(c, 1, w, out, &error)) fail_msg("%s: %s", text, error.message);
  assert_true(is_exact(c, out, 1));
  assert_true(on_a_grid(out, rows * columns));
  tare_constraint_free(c);
}

static void odd_weights(void **state) {
  (void)state;
  float zero[9] = {0}, tiny[9], denormal[9], huge[9], equal[9], wide[9], negative[9];
  for (int i = 0; i < 9; i++) {
    tiny[i] = 1e-30f * (float)(i + 1);
    denormal[i] = 1.4e-45f * (float)(i * i);
    huge[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    equal[i] = 0.1f;
    wide[i] = powf(10, (float)(4 * i - 20)) * (i % 2 ? 1 : -1);
    negative[i] = -1;
  }
  const float *all[] = {zero, tiny, denormal, huge, equal, wide, negative};
  for (int i = 0; i < 7; i++) {
    check_one("sum=0", all[i], 3, 3);
    check_one("moment(1,0)=0", all[i], 3, 3);
    if (all[i] != huge && all[i] != wide) check_one("sum=1", all[i], 3, 3);
    if (all[i] != huge && all[i] != wide) check_one("centre=-1/2", all[i], 3, 3);
    if (all[i] != huge && all[i] != wide) check_one("moment(2,0)=1/2", all[i], 3, 3);
  }
  float rare[4] = {0x1.fffffep127f, -0x1.fffffep127f, 0x1p127f, -0x1.fffffep126f};
  check_one("sum=0", rare, 2, 2);
  float at_the_top[4] = {16777216, 16777215, -16777215, -16777213};
  check_one("sum=0", at_the_top, 2, 2);
}

/* Weights far from their rule: the nearest that obey, 1/9 each, though sums of 3e38 cancel. */
static void far_weights_are_projected(void **state) {
  (void)state;
  float w[9], out[9];
  for (int i = 0; i < 9; i++) w[i] = 3e38f;
  tare_constraint *c = make("sum=1", 3, 3, 1);
  assert_int_equal(tare_round_fp32(c, 1, w, out, NULL), TARE_OK);
  assert_true(is_exact(c, out, 1));
  for (int i = 0; i < 9; i++) assert_true(fabs(out[i] - 1.0 / 9) < 1e-7);
  tare_constraint_free(c);
  c = make("centre=1/2", 3, 3, 1);
  assert_int_equal(tare_round_fp32(c, 1, (float[9]){0.1f, 0.2f, 0, 0, 3e38f}, out, NULL), TARE_OK);
  assert_true(out[4] == 0.5f && fabsf(out[0] - 0.1f) < 1e-7f);
  tare_constraint_free(c);
}

/* Weights on a grid that obey are left alone; others near them obey after. */
static void exact_weights_stay(void **state) {
  (void)state;
  float w[9] = {0.5f, -0.25f, 0.125f, 0, 1, -1, -0.375f, 1e-3f, -1e-3f}, out[9];
  w[7] = ldexpf(nearbyintf(ldexpf(w[7], 23)), -23);
  w[8] = -w[7];
  tare_constraint *c = make("sum=0", 3, 3, 1);
  assert_int_equal(tare_round_fp32(c, 1, w, out, NULL), TARE_OK);
  assert_memory_equal(w, out, sizeof w);
  tare_constraint_free(c);
  float odd[9] = {0.1f, -0.7f, 1e-9f};
  c = make("none", 3, 3, 1);
  assert_int_equal(tare_round_supported(c, NULL), 1);
  assert_int_equal(tare_round_fp32(c, 1, odd, out, NULL), TARE_OK);
  assert_memory_equal(odd, out, sizeof odd);
  tare_constraint_free(c);
}

static void refuse(const char *text, const float *w, tare_status expected, const char *part) {
  tare_constraint *c = make(text, 3, 3, 1);
  tare_error error = {0};
  float out[9], before[9];
  for (int i = 0; i < 9; i++) out[i] = before[i] = 42;
  assert_int_equal(tare_round_fp32(c, 1, w, out, &error), expected);
  if (!strstr(error.message, part)) fail_msg("%s: expected \"%s\" in: %s", text, part, error.message);
  assert_memory_equal(out, before, sizeof out);
  tare_constraint_free(c);
}

static void what_cannot_be_is_refused(void **state) {
  (void)state;
  float w[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, bad[9] = {0, NAN}, infinite[9] = {INFINITY}, large[9] = {1e20f, -1e20f, 3e10f};
  refuse("sum=1/10", w, TARE_E_ARGUMENT, "13421773/134217728");
  refuse("sum=0.3", w, TARE_E_ARGUMENT, "3/10");
  refuse("sum=1e300", w, TARE_E_ARGUMENT, "larger than any float");
  refuse("sum=0", bad, TARE_E_ARGUMENT, "weight 1 is not finite");
  refuse("sum=0", infinite, TARE_E_ARGUMENT, "weight 0 is not finite");
  refuse("sum=1/2", large, TARE_E_ARGUMENT, "nearest");
  tare_constraint *c = make("sum=1/10", 3, 3, 1);
  tare_error why = {0};
  assert_int_equal(tare_round_supported(c, &why), 0);
  assert_non_null(strstr(why.message, "13421773/134217728"));
  tare_constraint_free(c);
  c = make("bayar", 3, 3, 1);
  assert_int_equal(tare_round_supported(c, &why), 1);
  tare_constraint_free(c);
  assert_int_equal(tare_round_fp32(NULL, 1, w, w, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_round_supported(NULL, NULL), 0);
}

/* A late failure leaves all of the output alone. */
static void failure_touches_nothing(void **state) {
  (void)state;
  float w[18] = {0.1f, 0.2f}, out[18];
  w[17] = NAN;
  for (int i = 0; i < 18; i++) out[i] = 42;
  tare_constraint *c = make("sum=0", 3, 3, 1);
  tare_error error = {0};
  assert_int_equal(tare_round_fp32(c, 2, w, out, &error), TARE_E_ARGUMENT);
  assert_non_null(strstr(error.message, "unit 1"));
  for (int i = 0; i < 18; i++) assert_true(out[i] == 42);
  tare_constraint_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_filter_is_exact),
    cmocka_unit_test(custom_rows_are_exact),
    cmocka_unit_test(sums_are_optimal),
    cmocka_unit_test(small_rows_are_optimal),
    cmocka_unit_test(lattice_is_close),
    cmocka_unit_test(odd_weights),
    cmocka_unit_test(far_weights_are_projected),
    cmocka_unit_test(exact_weights_stay),
    cmocka_unit_test(what_cannot_be_is_refused),
    cmocka_unit_test(failure_touches_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
