/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of spectra and means of boxes, every width of every level against double: random sizes with tails, empty ones too, results full of NaN before,
 * guards of NaN behind. Each element's error is at most that of its sum of products, in parts of float's precision of the sum of their magnitudes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <complex.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "kernel/tile.h"

enum { ROUNDS = 60, GUARD = 32 };
static const double precision = 1.2e-7; /* of one sum, for a term of its own size; sums of some hundred terms stay below ten of these */

typedef struct bench { const tare_tile_kernels *k; int lanes; tare_rng rng; } bench;

static int below(bench *b, int n) { return (int)tare_rng_below(&b->rng, (uint64_t)n); }

static float *poisoned(size_t count) {
  float *at = tare_alloc(count + GUARD, sizeof(float));
  memset(at, 0xff, (count + GUARD) * sizeof(float)); /* NaN */
  return at;
}

static float *numbers(bench *b, size_t count) {
  float *at = poisoned(count);
  for (size_t i = 0; i < count; i++) at[i] = (float)tare_rng_normal(&b->rng);
  return at;
}

static void check_guard(const float *at, size_t count) {
  for (size_t i = count; i < count + GUARD; i++) assert_true(isnan(at[i]));
}

static double complex at(const float *p, size_t imaginary) { return p[0] + (double)p[imaginary] * I; }

/* A sum and what its rounding errors are measured by. */
typedef struct sum { double complex value; double size; } sum;

static void add(sum *s, double complex term) {
  s->value += term;
  s->size += cabs(term);
}

static void check(const float *got, size_t imaginary, const sum *want) {
  double error = cabs(at(got, imaginary) - want->value);
  assert_true(error <= 10 * precision * want->size); /* NaN is not */
}

typedef void (*bench_test)(bench *b);

static void each(bench_test test) {
  for (int level = 0; level <= (int)tare_cpu(); level++)
    for (int lanes = 4; lanes <= 16; lanes *= 2) {
      bench b = {.k = tare_tile_kernels_at((tare_level)level, lanes), .lanes = lanes};
      tare_rng_init(&b.rng, 43, (uint64_t)(level * 100 + lanes));
      for (int i = 0; b.k && i < ROUNDS; i++) test(&b);
    }
}

/* [frequency][re, im][lane] */
static void points(bench *b) {
  size_t n = (size_t)below(b, 40), pair = 2 * (size_t)b->lanes, all = n * pair;
  float *x = numbers(b, all), *w = numbers(b, all), *y = poisoned(all), *more = numbers(b, all), *before = numbers(b, all);
  int conjugate = below(b, 2);
  b->k->multiply(n, conjugate, x, w, y);
  memcpy(before, more, all * sizeof(float));
  b->k->multiply_add(n, x, w, more);
  check_guard(y, all);
  check_guard(more, all);
  for (size_t i = 0; i < n; i++)
    for (size_t l = i * pair; l < i * pair + (size_t)b->lanes; l++) {
      size_t imaginary = (size_t)b->lanes;
      double complex p = at(x + l, imaginary), q = at(w + l, imaginary);
      sum product = {0}, added = {0};
      add(&product, p * (conjugate ? conj(q) : q));
      check(y + l, imaginary, &product);
      add(&added, at(before + l, imaginary));
      add(&added, p * conj(q));
      check(more + l, imaginary, &added);
    }
  float *arrays[] = {x, w, y, more, before};
  for (int i = 0; i < 5; i++) tare_free(arrays[i]);
}

/* One lane of x, of each channel, times all lanes of w. */
static void spread(bench *b) {
  size_t n = (size_t)below(b, 20), pair = 2 * (size_t)b->lanes, all = n * pair, lane = (size_t)below(b, b->lanes), imaginary = (size_t)b->lanes;
  int channels = 1 + below(b, 4);
  float *x = numbers(b, all * (size_t)channels), *w = numbers(b, all * (size_t)channels), *y = poisoned(all), *more = numbers(b, all), *before = numbers(b, all);
  b->k->spread(n, channels, x + lane, all, w, all, y);
  memcpy(before, more, all * sizeof(float));
  b->k->spread_add(n, x + lane, w, more);
  check_guard(y, all);
  check_guard(more, all);
  for (size_t i = 0; i < n; i++)
    for (size_t l = 0; l < (size_t)b->lanes; l++) {
      sum product = {0}, added = {0};
      for (size_t c = 0; c < (size_t)channels; c++)
        add(&product, at(x + c * all + i * pair + lane, imaginary) * conj(at(w + c * all + i * pair + l, imaginary)));
      check(y + i * pair + l, imaginary, &product);
      add(&added, at(before + i * pair + l, imaginary));
      add(&added, at(x + i * pair + lane, imaginary) * conj(at(w + i * pair + l, imaginary)));
      check(more + i * pair + l, imaginary, &added);
    }
  float *arrays[] = {x, w, y, more, before};
  for (int i = 0; i < 5; i++) tare_free(arrays[i]);
}

static double complex term(tare_tile_product_kind kind, double complex x, double complex w) {
  return (kind == TARE_CONJUGATE_A_B ? conj(x) : x) * (kind == TARE_A_CONJUGATE_B ? conj(w) : w);
}

/* Rows, terms and columns in both orders of rows and terms in memory, with room between them. */
static void matrix(bench *b) {
  const int sizes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 17, 24, 33};
  const ptrdiff_t lanes = b->lanes;
  tare_tile_product p = {.kind = (tare_tile_product_kind)below(b, 3), .rows = sizes[below(b, 14)], .terms = sizes[below(b, 14)], .vectors = below(b, 5),
                         .add = below(b, 2)};
  const ptrdiff_t columns = p.vectors * lanes, gap = below(b, 3);
  const int across = below(b, 2);
  p.a_row = across ? 1 : p.terms + gap, p.a_term = across ? p.rows + gap : 1;
  p.a_imaginary = (ptrdiff_t)(p.rows + gap) * (p.terms + gap);
  p.b_imaginary = p.d_imaginary = columns;
  p.b_term = 2 * columns + gap * lanes, p.d_row = 2 * columns + gap * lanes;
  const size_t a_all = 2 * (size_t)p.a_imaginary, b_all = (size_t)p.terms * (size_t)p.b_term, d_all = (size_t)p.rows * (size_t)p.d_row;
  float *x = numbers(b, a_all), *w = numbers(b, b_all), *d = p.add ? numbers(b, d_all) : poisoned(d_all), *before = poisoned(d_all);
  memcpy(before, d, d_all * sizeof(float));
  b->k->matrix(&p, x, w, d);
  check_guard(d, d_all);
  for (ptrdiff_t i = 0; i < p.rows; i++)
    for (ptrdiff_t j = 0; j < columns; j++) {
      sum s = {0};
      if (p.add) add(&s, at(before + i * p.d_row + j, (size_t)p.d_imaginary));
      for (ptrdiff_t k = 0; k < p.terms; k++)
        add(&s, term(p.kind, at(x + i * p.a_row + k * p.a_term, (size_t)p.a_imaginary), at(w + k * p.b_term + j, (size_t)p.b_imaginary)));
      check(d + i * p.d_row + j, (size_t)p.d_imaginary, &s);
    }
  float *arrays[] = {x, w, d, before};
  for (int i = 0; i < 4; i++) tare_free(arrays[i]);
}

static void mean(bench *b) {
  int rows = 1 + below(b, 9), columns = 1 + below(b, 9), lanes = 1 + below(b, b->lanes), apart = lanes + below(b, 5);
  size_t all = (size_t)(rows * columns * apart);
  float *x = numbers(b, all), *means = poisoned((size_t)b->lanes);
  const tare_tile_source from = {.at = x, .row = columns * apart, .column = apart, .rows = rows, .columns = columns, .lanes = lanes};
  b->k->mean(&from, means);
  check_guard(means, (size_t)b->lanes);
  for (int l = 0; l < b->lanes; l++) {
    sum s = {0};
    for (int i = 0; i < rows * columns && l < lanes; i++) add(&s, (double)x[i * apart + l] / (rows * columns));
    assert_true(fabs((double)means[l] - creal(s.value)) <= 10 * precision * s.size);
  }
  tare_free(x);
  tare_free(means);
}

static void test_points(void **state) { (void)state, each(points); }
static void test_spread(void **state) { (void)state, each(spread); }
static void test_matrix(void **state) { (void)state, each(matrix); }
static void test_mean(void **state) { (void)state, each(mean); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_points), cmocka_unit_test(test_spread), cmocka_unit_test(test_matrix), cmocka_unit_test(test_mean)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
