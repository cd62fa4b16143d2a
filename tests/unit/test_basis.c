/* SPDX-License-Identifier: Apache-2.0 */
/* Every basis against every kind of rule: it obeys, it spans, its adjoint is one, it solves; and what each promises beyond that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "basis/basis.h"
#include "kernel/kernel.h"

static const struct { const char *rule; tare_filter_shape shape; } cases[] = {
  {"sum=0", {2, {7, 7}, 1}},       {"sum=1/2", {2, {5, 3}, 1}},     {"sum=0", {2, {6, 6}, 1}},   {"order=2", {2, {7, 7}, 1}},
  {"bayar", {2, {5, 5}, 1}},       {"symmetric", {2, {7, 7}, 1}},   {"antisymmetric", {2, {5, 5}, 1}},
  {"symmetric; sum=0", {2, {9, 9}, 1}}, {"derivative(2,0) accuracy=2; antisymmetric@slice", {2, {1, 1}, 1}},
  {"moment(1,0)=0; sum=1", {2, {15, 15}, 1}}, {"order=4", {2, {15, 15}, 1}}, {"centre=-1", {2, {7, 7}, 1}},
  {"sum=0", {1, {9}, 1}},          {"order=1", {1, {12}, 1}},       {"sum=0", {3, {3, 4, 5}, 1}}, {"order=1", {3, {5, 5, 3}, 1}},
  {"sum=0@filter", {2, {5, 5}, 3}}, {"sum=0; order=1@filter", {2, {5, 5}, 4}}, {"", {2, {5, 5}, 1}}, {"sum=0", {2, {31, 31}, 1}},
  {"sum=0", {2, {1, 9}, 1}},       {"sum=0", {2, {67, 3}, 1}},
};
enum { CASES = sizeof cases / sizeof *cases };

static tare_constraint *rule(int i) {
  tare_constraint *c = NULL;
  if (tare_constraint_create(cases[i].rule, &cases[i].shape, 0, &c, NULL)) return NULL;
  return c;
}

static tare_covariance *covariance_of(const tare_filter_shape *shape) {
  tare_covariance *model, *c;
  assert_int_equal(tare_covariance_model(shape, 3.0, &model, NULL), TARE_OK);
  int n = tare_covariance_taps(model);
  double *m = malloc(sizeof *m * (size_t)n * (size_t)n);
  for (int i = 0; i < n; i++) /* not exactly diagonal in the DCT */
    for (int j = 0; j < n; j++) m[i * n + j] = tare_covariance_matrix(model)[i * n + j] + (i == j ? 0.003 * (1 + i % 3) : 0);
  assert_int_equal(tare_covariance_from_matrix(shape, m, &c, NULL), TARE_OK);
  free(m);
  tare_covariance_free(model);
  return c;
}

static double *random_array(size_t n, uint64_t seed) {
  double *x = malloc(sizeof *x * (n + 1));
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  for (size_t i = 0; i < n; i++) x[i] = tare_rng_normal(&rng);
  return x;
}

static void each(void (*check)(const tare_basis *, const tare_constraint *, const tare_covariance *)) {
  for (int i = 0; i < CASES; i++) {
    tare_constraint *c = rule(i);
    if (!c) continue;
    tare_covariance *m = covariance_of(&cases[i].shape);
    for (const char *const *name = tare_basis_names(); *name; name++) {
      tare_basis *b;
      tare_error error;
      tare_status status = tare_basis_create(c, *name, m, &b, &error);
      if (strcmp(*name, "whitened-full") == 0 && tare_constraint_taps(c) > 256) {
        assert_int_equal(status, TARE_E_UNSUPPORTED);
        continue;
      }
      if (status) print_error("%s, %s: %s\n", cases[i].rule, *name, error.message);
      assert_int_equal(status, TARE_OK);
      check(b, c, m);
      tare_basis_free(b);
    }
    tare_covariance_free(m);
    tare_constraint_free(c);
  }
}

/* The largest |A w - b| over the largest |A| |w|. */
static double residual(const tare_constraint *c, const double *w) {
  int n = tare_constraint_taps(c), m = tare_constraint_rows(c);
  double *a = malloc(sizeof *a * (size_t)(n + 1) * (size_t)(m + 1)), worst = 0;
  tare_constraint_matrix(c, a, a + n * m);
  for (int i = 0; i < m; i++) {
    double sum = -a[n * m + i], size = 1;
    for (int j = 0; j < n; j++) sum += a[i * n + j] * w[j], size += fabs(a[i * n + j] * w[j]);
    worst = fmax(worst, fabs(sum) / size);
  }
  free(a);
  return worst;
}

static void obeys_and_adjoint(const tare_basis *b, const tare_constraint *c, const tare_covariance *m) {
  (void)m;
  int n = tare_basis_taps(b), f = tare_basis_coefficients(b);
  assert_int_equal(f, strcmp(tare_basis_name(b), "centred") ? n - tare_constraint_rows(c) : n);
  double *t = random_array((size_t)f, 1), *v = random_array((size_t)n, 2), *w = malloc(sizeof *w * (size_t)n), *g = malloc(sizeof *g * (size_t)(f + 1));
  memset(w, 0xff, sizeof *w * (size_t)n);
  tare_basis_compose_f64(b, 1, t, w);
  double r = residual(c, w);
  if (!(r < 1e-12)) print_error("%s under %s: residual %g\n", tare_basis_name(b), tare_constraint_text(c), r);
  assert_true(r < 1e-12);
  tare_basis_transpose_f64(b, 1, v, g);
  double left = 0, right = 0, size = 0;
  for (int i = 0; i < n; i++) left += v[i] * (w[i] - tare_basis_offset(b)[i]), size += fabs(v[i] * w[i]);
  for (int i = 0; i < f; i++) right += g[i] * t[i], size += fabs(g[i] * t[i]);
  assert_true(fabs(left - right) <= 1e-12 * size);
  free(t), free(v), free(w), free(g);
}

static void solves(const tare_basis *b, const tare_constraint *c, const tare_covariance *m) {
  (void)m;
  int n = tare_basis_taps(b), f = tare_basis_coefficients(b);
  double *any = random_array((size_t)n, 3), *near = random_array((size_t)n, 3), *w = malloc(sizeof *w * (size_t)n), *t = malloc(sizeof *t * (size_t)(f + 1));
  tare_basis_project_f64(b, 1, near);
  assert_true(residual(c, near) < 1e-12);
  assert_int_equal(tare_basis_solve(b, 1, any, t, NULL), TARE_OK);
  tare_basis_compose_f64(b, 1, t, w);
  for (int i = 0; i < n; i++) assert_true(fabs(w[i] - near[i]) < 1e-9); /* the nearest weights that obey, so the basis spans them all */
  free(any), free(near), free(w), free(t);
}

static void float_agrees(const tare_basis *b, const tare_constraint *c, const tare_covariance *m) {
  (void)c, (void)m;
  enum { UNITS = 21 }; /* whole groups of any vector width, and a rest */
  size_t n = (size_t)tare_basis_taps(b), f = (size_t)tare_basis_coefficients(b);
  double *t = random_array(UNITS * f, 4), *w = malloc(sizeof *w * UNITS * n), *g = malloc(sizeof *g * (UNITS * f + 1));
  float *tf = malloc(sizeof *tf * (UNITS * f + 1)), *wf = malloc(sizeof *wf * UNITS * n), *gf = malloc(sizeof *gf * (UNITS * f + 1)), *again = malloc(sizeof *wf * UNITS * n);
  for (size_t i = 0; i < UNITS * f; i++) t[i] = (double)(tf[i] = (float)t[i]);
  tare_basis_compose_f64(b, UNITS, t, w);
  tare_basis_compose(b, UNITS, tf, wf);
  for (size_t i = 0; i < UNITS * n; i++) assert_true(wf[i] == (float)w[i]);
  double scale = 1e-30;
  for (size_t i = 0; i < UNITS * n; i++) scale = fmax(scale, fabs(w[i]));
  for (int level = 0; level <= (int)tare_cpu(); level++) {
    const tare_kernels *k = tare_kernels_at(TARE_F32, (tare_level)level);
    memset(wf, 0xff, sizeof *wf * UNITS * n);
    memset(gf, 0xff, sizeof *gf * UNITS * f);
    k->operator_compose(b->f32, UNITS, tf, wf);
    for (size_t i = 0; i < UNITS * n; i++) assert_true(fabs((double)wf[i] - w[i]) <= 4e-6 * scale);
    k->operator_compose(b->f32, 2, tf + f, again); /* a part alone gives the same bits */
    assert_memory_equal(again, wf + n, sizeof *wf * 2 * n);
    for (size_t i = 0; i < UNITS * n; i++) w[i] = (double)wf[i];
    k->operator_transpose(b->f32, UNITS, wf, gf);
    tare_basis_transpose_f64(b, UNITS, w, g);
    double most = 1e-30;
    for (size_t i = 0; i < UNITS * f; i++) most = fmax(most, fabs(g[i]));
    for (size_t i = 0; i < UNITS * f; i++) assert_true(fabs((double)gf[i] - g[i]) <= 4e-6 * most);
    tare_basis_compose_f64(b, UNITS, t, w);
  }
  free(t), free(w), free(g), free(tf), free(wf), free(gf), free(again);
}

static void rescales(const tare_basis *b, const tare_constraint *c, const tare_covariance *m) {
  double before = tare_basis_response(b, m), condition, again;
  if (tare_basis_taps(b) > 300 || tare_basis_coefficients(b) == 0) return;
  assert_int_equal(tare_basis_condition(b, m, &condition, NULL), TARE_OK);
  assert_true(condition >= 1 - 1e-9);
  if (strcmp(tare_basis_name(b), "whitened-full") == 0) assert_true(fabs(condition - 1) < 1e-6);
  int absorbs = tare_basis_rescale((tare_basis *)(size_t)b, 0.25);
  assert_true(fabs(tare_basis_response(b, m) - before * (absorbs ? 0.0625 : 1)) <= 1e-9 * before);
  assert_int_equal(tare_basis_condition(b, m, &again, NULL), TARE_OK);
  assert_true(fabs(again - condition) <= 1e-6 * condition);
  solves(b, c, m);
}

static void every_basis_obeys_every_rule(void **state) { (void)state; each(obeys_and_adjoint); }
static void every_basis_solves(void **state) { (void)state; each(solves); }
static void float_agrees_with_double_at_every_level(void **state) { (void)state; each(float_agrees); }
static void scales_and_conditions(void **state) { (void)state; each(rescales); }

static void a_sum_rule_gives_the_scaled_dct(void **state) {
  (void)state;
  enum { K = 7 };
  tare_filter_shape shape = {2, {K, K}, 1};
  tare_constraint *c;
  tare_basis *b;
  assert_int_equal(tare_constraint_create("sum=0", &shape, 0, &c, NULL), TARE_OK);
  for (int half = 0; half < 2; half++) {
    assert_int_equal(tare_basis_create(c, half ? "spectral(0.5)" : "spectral", NULL, &b, NULL), TARE_OK);
    assert_string_equal(tare_basis_name(b), half ? "spectral(0.5)" : "spectral");
    double matrix[K * K * (K * K - 1)];
    tare_basis_matrix(b, matrix);
    for (int u = 0; u < K; u++)
      for (int v = u ? 0 : 1; v < K; v++)
        for (int i = 0; i < K; i++)
          for (int j = 0; j < K; j++) {
            double cu = sqrt((u ? 2.0 : 1.0) / K), cv = sqrt((v ? 2.0 : 1.0) / K);
            double want = pow(u * u + v * v, half ? 0.25 : 0.5) * cu * cos(M_PI * (i + 0.5) * u / K) * cv * cos(M_PI * (j + 0.5) * v / K);
            assert_true(fabs(matrix[(i * K + j) * (K * K - 1) + u * K + v - 1] - want) < 1e-12);
          }
    tare_basis_free(b);
  }
  tare_constraint_free(c);
}

static void reflections_leave_most_frequencies_alone(void **state) {
  (void)state;
  tare_filter_shape shape = {2, {31, 31}, 1};
  static const char *const rules[] = {"symmetric", "antisymmetric", "sum=1", "sum=0; symmetric"}; /* each only drops coefficients */
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    tare_constraint *c;
    tare_basis *b;
    assert_int_equal(tare_constraint_create(rules[i], &shape, 0, &c, NULL), TARE_OK);
    assert_int_equal(tare_basis_create(c, "spectral", NULL, &b, NULL), TARE_OK);
    assert_int_equal(b->f32->blocks + b->f32->denses, 0);
    tare_basis_free(b);
    tare_constraint_free(c);
  }
}

/* H is as many reflections as the rule has rows, in parts of the coordinates, and never a dense block: O(n m). */
static void a_rule_costs_as_many_reflections_as_rows(void **state) {
  (void)state;
  tare_filter_shape shape = {2, {31, 31}, 1};
  static const struct { const char *rule; int rows; } rules[] = {{"bayar", 2}, {"order=2", 6}, {"order=4", 15}};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    tare_constraint *c;
    tare_basis *b;
    assert_int_equal(tare_constraint_create(rules[i].rule, &shape, 0, &c, NULL), TARE_OK);
    assert_int_equal(tare_constraint_rows(c), rules[i].rows);
    assert_int_equal(tare_basis_create(c, "spectral", NULL, &b, NULL), TARE_OK);
    assert_int_equal(b->f32->denses, 0);
    int reflections = 0, kept = 0;
    for (int k = 0; k < b->f32->blocks; k++) reflections += b->f32->block[k].rank;
    for (int r = 0; r < b->f32->runs; r++) kept += b->f32->run[r].length;
    assert_true(reflections > 0 && reflections <= rules[i].rows); /* a coordinate that a row fixes alone needs none */
    assert_int_equal(kept, 31 * 31 - rules[i].rows); /* every coefficient stands on a frequency */
    tare_basis_free(b);
    tare_constraint_free(c);
  }
}

static void the_order_of_conditions(void **state) {
  (void)state;
  for (int k = 7; k <= 15; k += 8) {
    tare_filter_shape shape = {2, {k, k}, 1};
    tare_constraint *c;
    tare_covariance *m;
    assert_int_equal(tare_constraint_create("sum=0", &shape, 0, &c, NULL), TARE_OK);
    assert_int_equal(tare_covariance_model(&shape, 100, &m, NULL), TARE_OK);
    double value[4], none;
    const char *const names[] = {"whitened", "spectral", "orthonormal", "pivot"};
    for (int i = 0; i < 4; i++) {
      tare_basis *b;
      assert_int_equal(tare_basis_create(c, names[i], m, &b, NULL), TARE_OK);
      assert_int_equal(tare_basis_condition(b, m, &value[i], NULL), TARE_OK);
      tare_basis_free(b);
    }
    assert_int_equal(tare_basis_condition(NULL, m, &none, NULL), TARE_OK);
    assert_true(fabs(value[1] - 1) < 1e-9); /* on its own model spectral is perfect */
    assert_true(value[2] / value[1] > (k == 7 ? 10 : 20));
    assert_true(value[1] < value[3] && value[3] < none);
    tare_covariance_free(m);
    tare_constraint_free(c);
  }
}

static void measured_is_the_mean_over_patches(void **state) {
  (void)state;
  enum { H = 9, W = 8, N = 3, C = 2, K = 3 };
  double *pixels = random_array(N * H * W * C, 5);
  float images[N * H * W * C];
  for (int i = 0; i < N * H * W * C; i++) images[i] = (float)pixels[i];
  tare_filter_shape shape = {2, {K, K}, C};
  tare_covariance *c;
  int dilation[2] = {2, 1};
  assert_int_equal(tare_covariance_measure(&shape, images, N, H, W, C, dilation, 0.5, &c, NULL), TARE_OK);
  for (int p = 0; p < K * K; p++)
    for (int q = 0; q < K * K; q++) {
      double sum = 0;
      int count = 0;
      for (int n = 0; n < N; n++)
        for (int i = 0; i + 4 < H; i++)
          for (int j = 0; j + 2 < W; j++)
            for (int ch = 0; ch < C; ch++, count++)
              sum += (double)images[((n * H + i + 2 * (p / K)) * W + j + p % K) * C + ch] * (double)images[((n * H + i + 2 * (q / K)) * W + j + q % K) * C + ch];
      assert_true(fabs(tare_covariance_matrix(c)[p * K * K + q] - sum / count - 0.25 / 3) < 1e-9);
    }
  tare_covariance_free(c);
  assert_int_equal(tare_covariance_measure(&shape, images, N, 4, W, C, dilation, 0, &c, NULL), TARE_E_SHAPE);
  free(pixels);
}

static void wrong_use(void **state) {
  (void)state;
  tare_filter_shape shape = {2, {7, 7}, 1}, large = {2, {17, 17}, 1}, other = {2, {5, 5}, 1};
  tare_constraint *c, *wide;
  tare_covariance *m, *small;
  tare_basis *b = NULL;
  tare_error error;
  assert_int_equal(tare_constraint_create("sum=0", &shape, 0, &c, NULL), TARE_OK);
  assert_int_equal(tare_constraint_create("sum=0", &large, 0, &wide, NULL), TARE_OK);
  assert_int_equal(tare_covariance_model(&large, 1, &m, NULL), TARE_OK);
  assert_int_equal(tare_covariance_model(&other, 1, &small, NULL), TARE_OK);
  const char *const unknown[] = {"", "spectra", "spectral(", "spectral()", "spectral(x)", "spectral(5)", "dct(1)", "pivot(1)", "spectral(1"};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) assert_int_equal(tare_basis_create(c, unknown[i], NULL, &b, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_basis_create(c, "whitened", NULL, &b, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_basis_create(c, "whitened", small, &b, &error), TARE_E_SHAPE);
  assert_int_equal(tare_basis_create(wide, "whitened-full", m, &b, &error), TARE_E_UNSUPPORTED);
  assert_int_equal(tare_basis_create(NULL, "pivot", NULL, &b, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_covariance_model(&shape, NAN, &m, &error), TARE_E_ARGUMENT);
  assert_null(b);
  tare_covariance_free(m);
  tare_covariance_free(small);
  tare_constraint_free(c);
  tare_constraint_free(wide);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_basis_obeys_every_rule),
    cmocka_unit_test(every_basis_solves),
    cmocka_unit_test(float_agrees_with_double_at_every_level),
    cmocka_unit_test(scales_and_conditions),
    cmocka_unit_test(a_sum_rule_gives_the_scaled_dct),
    cmocka_unit_test(reflections_leave_most_frequencies_alone),
    cmocka_unit_test(a_rule_costs_as_many_reflections_as_rows),
    cmocka_unit_test(the_order_of_conditions),
    cmocka_unit_test(measured_is_the_mean_over_patches),
    cmocka_unit_test(wrong_use),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
