/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of layers: every CPU level against plain sums in double. Sizes
 * have tails, outputs hold NaN before, and what lies behind them must stay as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "kernel/kernel.h"

enum { GUARD = 37 };

/* A test runs once for each table that this machine can run. */
typedef void (*table_test)(const tare_kernels *k, tare_rng *rng);

static void each_table(table_test test) {
  for (int level = 0; level <= (int)tare_cpu() + 1; level++) {
    int wide = level > (int)tare_cpu();
    const tare_kernels *k = wide ? tare_kernels_get(TARE_F64) : tare_kernels_at(TARE_F32, (tare_level)level);
    tare_rng rng;
    tare_rng_init(&rng, 42, 1);
    for (int round = 0; round < 40; round++) test(k, &rng);
  }
}

/* An array of n elements of the table's precision, and the same numbers in double. */
typedef struct numbers { size_t n; double *wide; void *real; } numbers;

static double epsilon_of(const tare_kernels *k) { return k->real == sizeof(float) ? 6e-8 : 1.2e-16; }

static void set(const tare_kernels *k, void *array, size_t i, double value) {
  if (k->real == sizeof(float)) ((float *)array)[i] = (float)value;
  else ((double *)array)[i] = value;
}

static double get(const tare_kernels *k, const void *array, size_t i) {
  return k->real == sizeof(float) ? (double)((const float *)array)[i] : ((const double *)array)[i];
}

static numbers make(const tare_kernels *k, tare_rng *rng, size_t n, double mean) {
  numbers a = {n, tare_alloc(n + 1, sizeof(double)), tare_alloc(n + GUARD, k->real)};
  for (size_t i = 0; i < n; i++) {
    set(k, a.real, i, rng ? mean + tare_rng_normal(rng) : NAN);
    a.wide[i] = get(k, a.real, i);
  }
  for (size_t i = n; i < n + GUARD; i++) set(k, a.real, i, 77);
  return a;
}

static void drop(numbers *a) {
  tare_free(a->wide);
  tare_free(a->real);
}

/* a.real is a.wide within `tolerance` roundings of `scale`, and nothing was written behind it. */
static void same(const tare_kernels *k, const numbers *a, double scale, double tolerance, const char *what) {
  for (size_t i = 0; i < a->n; i++) {
    double wrong = fabs(get(k, a->real, i) - a->wide[i]);
    if (!(wrong <= tolerance * epsilon_of(k) * (scale + fabs(a->wide[i]))))
      fail_msg("%s (%zu bytes): element %zu of %zu is %.9g, expected %.9g", what, k->real, i, a->n, get(k, a->real, i), a->wide[i]);
  }
  for (size_t i = a->n; i < a->n + GUARD; i++) assert_true(get(k, a->real, i) == 77);
}

static size_t below(tare_rng *rng, size_t bound) { return (size_t)tare_rng_below(rng, bound); }

static void elementwise(const tare_kernels *k, tare_rng *rng) {
  size_t n = below(rng, 300);
  numbers x = make(k, rng, n, 0), g = make(k, rng, n, 0), y = make(k, NULL, n, 0), dx = make(k, NULL, n, 0), product = make(k, NULL, n, 0);
  for (size_t i = 0; i < n; i++) {
    y.wide[i] = x.wide[i] > 0 ? x.wide[i] : 0;
    dx.wide[i] = x.wide[i] > 0 ? g.wide[i] : 0;
    product.wide[i] = x.wide[i] * g.wide[i];
  }
  k->relu_forward(n, x.real, y.real);
  same(k, &y, 0, 0, "relu_forward");
  k->relu_backward(n, y.real, g.real, dx.real);
  same(k, &dx, 0, 0, "relu_backward");
  k->multiply(n, x.real, g.real, product.real);
  same(k, &product, 0, 2, "multiply");
  k->relu_backward(n, y.real, g.real, g.real); /* in place */
  memcpy(g.wide, dx.wide, n * sizeof(double));
  same(k, &g, 0, 0, "relu_backward in place");
  k->add(n, x.real, g.real);
  for (size_t i = 0; i < n; i++) g.wide[i] += x.wide[i];
  same(k, &g, 2, 2, "add");
  k->relu_forward(n, x.real, x.real);
  memcpy(x.wide, y.wide, n * sizeof(double));
  same(k, &x, 0, 0, "relu_forward in place");
  double *wide = tare_alloc(n + 1, sizeof *wide);
  k->widen(n, x.real, wide);
  for (size_t i = 0; i < n; i++) assert_true(wide[i] == x.wide[i]);
  k->narrow(n, product.wide, y.real);
  memcpy(y.wide, product.wide, n * sizeof(double));
  same(k, &y, 0, 2, "narrow");
  tare_free(wide);
  drop(&x), drop(&g), drop(&y), drop(&dx), drop(&product);
}

static void sort(const tare_kernels *k, tare_rng *rng) {
  size_t rows = below(rng, 9), half = 1 + below(rng, 40), n = rows * 2 * half;
  numbers x = make(k, rng, n, 0), g = make(k, rng, n, 0), y = make(k, NULL, n, 0), dx = make(k, NULL, n, 0);
  for (size_t i = 0; i < n; i++) {
    size_t first = i / (2 * half) * 2 * half + i % half, second = first + half, large = x.wide[first] < x.wide[second] ? second : first;
    int upper = i % (2 * half) < half;
    y.wide[i] = upper ? fmax(x.wide[first], x.wide[second]) : fmin(x.wide[first], x.wide[second]);
    dx.wide[i] = g.wide[i == large ? first : second];
  }
  k->sort_forward(rows, half, x.real, y.real);
  same(k, &y, 0, 0, "sort_forward");
  k->sort_backward(rows, half, x.real, g.real, dx.real);
  same(k, &dx, 0, 0, "sort_backward");
  drop(&x), drop(&g), drop(&y), drop(&dx);
}

static void penalty(const tare_kernels *k, tare_rng *rng) {
  size_t units = below(rng, 9), taps = 1 + below(rng, 30), rows = 1 + below(rng, 3), n = units * taps;
  numbers w = make(k, rng, n, 0), g = make(k, rng, n, 0);
  double a[90], b[3], value = 0, strength = 0.5;
  for (size_t i = 0; i < rows * taps; i++) a[i] = tare_rng_normal(rng);
  for (size_t r = 0; r < rows; r++) b[r] = tare_rng_normal(rng);
  for (size_t u = 0; u < units; u++)
    for (size_t r = 0; r < rows; r++) {
      double residual = -b[r];
      for (size_t i = 0; i < taps; i++) residual += a[r * taps + i] * w.wide[u * taps + i];
      value += strength * fabs(residual);
      for (size_t i = 0; i < taps; i++) g.wide[u * taps + i] += strength * (residual > 0 ? 1 : -1) * a[r * taps + i];
    }
  assert_true(fabs(k->penalty(units, (int)taps, (int)rows, a, b, strength, w.real, NULL) - value) <= 1e-12 * (1 + value));
  assert_true(fabs(k->penalty(units, (int)taps, (int)rows, a, b, strength, w.real, g.real) - value) <= 1e-12 * (1 + value));
  same(k, &g, 8, 4, "penalty");
  drop(&w), drop(&g);
}

/* Channels c repeated over a period of at least 8. */
static void norm(const tare_kernels *k, tare_rng *rng) {
  size_t c = 1 + below(rng, 9), period = c * (1 + below(rng, 9)), n = c * (1 + below(rng, 400));
  int relu = (int)below(rng, 2);
  numbers x = make(k, rng, n, 3), dy = make(k, rng, n, 0.2), y = make(k, NULL, n, 0), dx = make(k, NULL, n, 0);
  numbers v = make(k, rng, 6 * period, 1), sums = make(k, NULL, 2 * period, 0), plain = make(k, NULL, period, 0);
  const double *mean = v.wide, *a = mean + period, *b = a + period, *p = b + period, *q = p + period, *r = q + period;
  memset(sums.wide, 0, 2 * period * sizeof(double));
  memset(plain.wide, 0, period * sizeof(double));
  for (size_t i = 0; i < n; i++) {
    size_t j = i % period;
    plain.wide[j] += dy.wide[i];
    sums.wide[j] += x.wide[i] - mean[j];
    sums.wide[period + j] += (x.wide[i] - mean[j]) * (x.wide[i] - mean[j]);
  }
  k->column_sums(n, period, dy.real, plain.real);
  same(k, &plain, 30, 100, "column_sums");
  k->bn_sums(n, period, x.real, v.real, sums.real);
  same(k, &sums, 100, 100, "bn_sums");
  memset(sums.wide, 0, 2 * period * sizeof(double));
  for (size_t i = 0; i < n; i++) {
    size_t j = i % period;
    double value = (x.wide[i] - mean[j]) * a[j] + b[j], g;
    if (fabs(value) < 1e-5) { /* on which side of the kink: rounding decides */
      set(k, x.real, i, mean[j] + (a[j] != 0 ? (1 - b[j]) / a[j] : 0));
      x.wide[i] = get(k, x.real, i);
      value = (x.wide[i] - mean[j]) * a[j] + b[j];
    }
    g = relu && value <= 0 ? 0 : dy.wide[i];
    y.wide[i] = relu && value <= 0 ? 0 : value;
    dx.wide[i] = p[j] * g + q[j] * (x.wide[i] - mean[j]) + r[j];
    sums.wide[j] += g;
    sums.wide[period + j] += g * (x.wide[i] - mean[j]);
  }
  k->bn_forward(n, period, relu, v.real, x.real, y.real);
  same(k, &y, 40, 8, "bn_forward");
  k->bn_backward_sums(n, period, relu, v.real, x.real, dy.real, sums.real);
  same(k, &sums, 100, 100, "bn_backward_sums");
  k->bn_backward(n, period, relu, v.real, x.real, dy.real, dx.real);
  same(k, &dx, 40, 8, "bn_backward");
  k->bn_backward(n, period, relu, v.real, x.real, dy.real, dy.real); /* in place */
  for (size_t i = 0; i < n; i++) assert_true(get(k, dy.real, i) == get(k, dx.real, i));
  drop(&x), drop(&dy), drop(&y), drop(&dx), drop(&v), drop(&sums), drop(&plain);
}

static void rows(const tare_kernels *k, tare_rng *rng) {
  size_t count = below(rng, 5), n = 6 + below(rng, 60);
  numbers x = make(k, rng, count * n, 5), dy = make(k, rng, count * n, 1), centred = make(k, NULL, count * n, 0);
  numbers y = make(k, NULL, count * n, 0), dx = make(k, NULL, count * n, 0);
  for (size_t r = 0; r < count; r++) {
    const double *in = x.wide + r * n, *g = dy.wide + r * n;
    double mean = 0, square = 0, gradient_mean = 0, along = 0;
    for (size_t i = 0; i < n; i++) mean += in[i] / (double)n, gradient_mean += g[i] / (double)n;
    for (size_t i = 0; i < n; i++) square += (in[i] - mean) * (in[i] - mean), along += (in[i] - mean) * g[i];
    for (size_t i = 0; i < n; i++) {
      centred.wide[r * n + i] = in[i] - mean;
      y.wide[r * n + i] = (in[i] - mean) / sqrt(square);
      dx.wide[r * n + i] = (g[i] - gradient_mean - (in[i] - mean) * along / square) / sqrt(square);
    }
  }
  k->centre_rows(count, n, x.real, centred.real);
  same(k, &centred, 8, 10, "centre_rows");
  k->standardize_rows(count, n, x.real, y.real);
  same(k, &y, 4, 60, "standardize_rows");
  k->standardize_rows_backward(count, n, x.real, dy.real, dx.real);
  same(k, &dx, 8, 200, "standardize_rows_backward");
  if (count) { /* a constant row */
    for (size_t i = 0; i < n; i++) set(k, x.real, i, 3);
    k->standardize_rows(1, n, x.real, x.real);
    for (size_t i = 0; i < n; i++) assert_true(get(k, x.real, i) == 0);
  }
  drop(&x), drop(&dy), drop(&centred), drop(&y), drop(&dx);
}

typedef struct window { int images, h, w, c, k, stride, oh, ow; } window;

static window random_window(tare_rng *rng) {
  window g = {.images = 1 + (int)below(rng, 3), .c = 1 + (int)below(rng, 20), .k = 1 + (int)below(rng, 4),
              .stride = 1 + (int)below(rng, 4)};
  g.h = g.k + (int)below(rng, 8);
  g.w = g.k + (int)below(rng, 8);
  g.oh = (g.h - g.k) / g.stride + 1;
  g.ow = (g.w - g.k) / g.stride + 1;
  return g;
}

/* Where output o looks at tap t of its window. */
static size_t input_of(const window *g, size_t o, int t) {
  size_t c = o % (size_t)g->c, j = o / (size_t)g->c % (size_t)g->ow, i = o / (size_t)g->c / (size_t)g->ow % (size_t)g->oh;
  size_t image = o / (size_t)g->c / (size_t)g->ow / (size_t)g->oh;
  size_t row = i * (size_t)g->stride + (size_t)(t / g->k), column = j * (size_t)g->stride + (size_t)(t % g->k);
  return ((image * (size_t)g->h + row) * (size_t)g->w + column) * (size_t)g->c + c;
}

static void pooling(const tare_kernels *k, tare_rng *rng) {
  window g = random_window(rng);
  size_t inputs = (size_t)(g.images * g.h * g.w * g.c), outputs = (size_t)(g.images * g.oh * g.ow * g.c);
  numbers x = make(k, rng, inputs, 0), dy = make(k, rng, outputs, 0), y = make(k, NULL, outputs, 0), mean = make(k, NULL, outputs, 0);
  numbers dx = make(k, NULL, inputs, 0), dmean = make(k, NULL, inputs, 0);
  uint16_t *winners = malloc(outputs * sizeof *winners);
  memset(dx.wide, 0, inputs * sizeof(double));
  memset(dmean.wide, 0, inputs * sizeof(double));
  for (size_t o = 0; o < outputs; o++) {
    int best = 0;
    mean.wide[o] = 0;
    for (int t = 0; t < g.k * g.k; t++) {
      double value = x.wide[input_of(&g, o, t)];
      if (value > x.wide[input_of(&g, o, best)]) best = t;
      mean.wide[o] += value / (g.k * g.k);
      dmean.wide[input_of(&g, o, t)] += dy.wide[o] / (g.k * g.k);
    }
    y.wide[o] = x.wide[input_of(&g, o, best)];
    dx.wide[input_of(&g, o, best)] += dy.wide[o];
  }
  k->maxpool_forward(g.images, g.h, g.w, g.c, g.k, g.stride, x.real, y.real, winners);
  same(k, &y, 0, 0, "maxpool_forward");
  k->maxpool_backward(g.images, g.h, g.w, g.c, g.k, g.stride, winners, dy.real, dx.real);
  same(k, &dx, 4, 8, "maxpool_backward");
  k->avgpool_forward(g.images, g.h, g.w, g.c, g.k, g.stride, x.real, mean.real);
  same(k, &mean, 4, 8, "avgpool_forward");
  k->avgpool_backward(g.images, g.h, g.w, g.c, g.k, g.stride, dy.real, dmean.real);
  same(k, &dmean, 4, 8, "avgpool_backward");
  free(winners);
  drop(&x), drop(&dy), drop(&y), drop(&mean), drop(&dx), drop(&dmean);
}

static void global_means(const tare_kernels *k, tare_rng *rng) {
  int images = 1 + (int)below(rng, 4), positions = 1 + (int)below(rng, 200), c = 1 + (int)below(rng, 80);
  size_t n = (size_t)(images * positions * c), m = (size_t)(images * c);
  numbers x = make(k, rng, n, 2), y = make(k, NULL, m, 0), dy = make(k, rng, m, 0), dx = make(k, NULL, n, 0), rest = make(k, NULL, n, 0);
  numbers scratch = make(k, NULL, (size_t)c, 0);
  memset(y.wide, 0, m * sizeof(double));
  for (size_t i = 0; i < n; i++) y.wide[i / (size_t)(positions * c) * (size_t)c + i % (size_t)c] += x.wide[i] / positions;
  for (size_t i = 0; i < n; i++) {
    size_t o = i / (size_t)(positions * c) * (size_t)c + i % (size_t)c;
    dx.wide[i] = dy.wide[o] / positions;
    rest.wide[i] = x.wide[i] - y.wide[o];
  }
  k->gap_forward(images, positions, c, x.real, y.real);
  same(k, &y, 4, 20, "gap_forward");
  k->gap_backward(images, positions, c, dy.real, dx.real);
  same(k, &dx, 0, 4, "gap_backward");
  k->image_mean(images, positions, c, x.real, rest.real, scratch.real);
  same(k, &rest, 4, 20, "image_mean");
  k->image_mean(images, positions, c, x.real, x.real, scratch.real);
  for (size_t i = 0; i < n; i++) assert_true(get(k, x.real, i) == get(k, rest.real, i));
  drop(&x), drop(&y), drop(&dy), drop(&dx), drop(&rest), drop(&scratch);
}

/* The first of equal values wins; the index fits the largest window; a NaN stays. */
static void ties_go_to_the_first(const tare_kernels *k, tare_rng *rng) {
  (void)rng;
  uint16_t winner = 9;
  numbers x = make(k, NULL, 255 * 255, 0), y = make(k, NULL, 1, 0);
  for (size_t i = 0; i < x.n; i++) set(k, x.real, i, i + 1 == x.n ? 2 : 1);
  k->maxpool_forward(1, 255, 255, 1, 255, 1, x.real, y.real, &winner);
  assert_int_equal(winner, 255 * 255 - 1);
  set(k, x.real, 3, 2);
  k->maxpool_forward(1, 255, 255, 1, 255, 1, x.real, y.real, &winner);
  assert_int_equal(winner, 3);
  set(k, x.real, 7, NAN);
  k->maxpool_forward(1, 255, 255, 1, 255, 1, x.real, y.real, &winner);
  assert_true(isnan(get(k, y.real, 0)));
  drop(&x), drop(&y);
}

/* A network that diverged must not look well behind a relu. */
static void relu_lets_nan_through(const tare_kernels *k, tare_rng *rng) {
  size_t n = 1 + below(rng, 200), at = below(rng, n);
  numbers x = make(k, rng, n, 0), y = make(k, rng, n, 0), v = make(k, rng, 6 * n, 1);
  set(k, x.real, at, NAN);
  k->relu_forward(n, x.real, y.real);
  for (size_t i = 0; i < n; i++) assert_int_equal(isnan(get(k, y.real, i)) != 0, i == at);
  k->bn_forward(n, n, 1, v.real, x.real, y.real);
  for (size_t i = 0; i < n; i++) assert_int_equal(isnan(get(k, y.real, i)) != 0, i == at);
  drop(&x), drop(&y), drop(&v);
}

static void nan_through_relu(void **state) { (void)state, each_table(relu_lets_nan_through); }
static void elementwise_kernels(void **state) { (void)state, each_table(elementwise); }
static void levels(const tare_kernels *k, tare_rng *rng) {
  size_t pixels = below(rng, 200), c = 1 + below(rng, 80), n = pixels * c;
  numbers x = make(k, rng, n, 1000), values = make(k, rng, c, 0), y = make(k, NULL, n, 0);
  double sums[81], want[80] = {0};
  for (size_t i = 0; i < n; i++) {
    want[i % c] += x.wide[i];
    y.wide[i] = x.wide[i] + values.wide[i % c];
  }
  sums[c] = 77;
  k->channel_sums(pixels, (int)c, x.real, sums);
  for (size_t i = 0; i < c; i++) assert_true(fabs(sums[i] - want[i]) <= 1e-13 * fabs(want[i]));
  assert_true(sums[c] == 77);
  k->add_channels(pixels, (int)c, values.real, x.real, y.real);
  same(k, &y, 0, 2, "add_channels");
  k->add_channels(pixels, (int)c, values.real, x.real, x.real);
  for (size_t i = 0; i < n; i++) assert_true(get(k, x.real, i) == get(k, y.real, i));
  drop(&x), drop(&values), drop(&y);
}

static void level_kernels(void **state) { (void)state, each_table(levels); }
static void sort_kernel(void **state) { (void)state, each_table(sort); }
static void penalty_kernel(void **state) { (void)state, each_table(penalty); }
static void norm_kernels(void **state) { (void)state, each_table(norm); }
static void row_kernels(void **state) { (void)state, each_table(rows); }
static void pooling_kernels(void **state) { (void)state, each_table(pooling); }
static void mean_kernels(void **state) { (void)state, each_table(global_means); }
static void pooling_ties(void **state) { (void)state, each_table(ties_go_to_the_first); }

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(elementwise_kernels), cmocka_unit_test(sort_kernel), cmocka_unit_test(penalty_kernel), cmocka_unit_test(norm_kernels), cmocka_unit_test(row_kernels),
    cmocka_unit_test(pooling_kernels), cmocka_unit_test(mean_kernels), cmocka_unit_test(level_kernels), cmocka_unit_test(pooling_ties),
    cmocka_unit_test(nan_through_relu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
