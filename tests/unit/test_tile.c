/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tile transforms of every width and size against a direct transform in double. Frequencies stand in an order of the tile's own, so the
 * order is found first, from the phases of a point at (0, 1) and of one at (1, 0).
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
#include "kernel/tile.h"

enum { GUARD = 64 };
static const double two_pi = 6.283185307179586476925286766559;

typedef struct turn { double cosine, sine; } turn;

/* A width, a size and what it needs; turns[i] is i / size of a whole one; frequency f is (rows[f], columns[f]) of the transform. */
typedef struct bench {
  const tare_tile_kernels *k;
  tare_tile *tile;
  int lanes, size, frequencies, *rows, *columns;
  size_t stride, imaginary, floats;
  float *spectrum, *scratch;
  turn *turns;
  tare_rng rng;
} bench;

static float *poisoned(size_t count) {
  float *at = tare_alloc(count, sizeof(float));
  memset(at, 0xff, count * sizeof(float)); /* NaN */
  return at;
}

static int below(bench *b, int n) { return (int)tare_rng_below(&b->rng, (uint64_t)n); }

static void refresh(bench *b) {
  memset(b->spectrum, 0xff, b->floats * sizeof(float));
  memset(b->scratch, 0xff, tare_tile_scratch(b->tile, b->lanes) * sizeof(float));
}

static float real(const bench *b, int f, int lane) { return b->spectrum[f * b->stride + lane]; }
static float imaginary(const bench *b, int f, int lane) { return b->spectrum[f * b->stride + b->imaginary + lane]; }

/* The frequency along one axis of every f. */
static void find_axis(bench *b, int row, int *axis) {
  float *pixel = tare_alloc(b->lanes, sizeof(float));
  pixel[0] = 1;
  const tare_tile_source from = {.at = pixel, .row0 = row, .rows = 1, .column0 = !row, .columns = 1, .lanes = b->lanes};
  refresh(b);
  b->k->forward(b->tile, &from, b->spectrum, b->stride, b->imaginary, b->scratch);
  for (int f = 0; f < b->frequencies; f++) {
    double turns = atan2(-imaginary(b, f, 0), real(b, f, 0)) / two_pi * b->size;
    axis[f] = ((int)lrint(turns) + b->size) % b->size;
  }
  tare_free(pixel);
}

static void start(bench *b, const tare_tile_kernels *k, int size, uint64_t seed) {
  *b = (bench){.k = k, .lanes = k->lanes, .size = size};
  assert_int_equal(tare_tile_create(size, &b->tile, NULL), TARE_OK);
  b->frequencies = b->tile->frequencies;
  assert_int_equal(b->frequencies, size * size / 2 + 2);
  tare_rng_init(&b->rng, 42, seed);
  b->imaginary = (size_t)b->lanes;
  b->stride = (size_t)b->lanes * (size_t)(2 + below(b, 3));
  if (below(b, 2)) b->imaginary = b->stride * (size_t)b->frequencies, b->stride = (size_t)b->lanes;
  b->floats = (size_t)b->frequencies * b->stride + b->imaginary + (size_t)b->lanes;
  b->spectrum = poisoned(b->floats);
  b->scratch = poisoned(tare_tile_scratch(b->tile, b->lanes));
  b->rows = tare_alloc(b->frequencies, sizeof(int));
  b->columns = tare_alloc(b->frequencies, sizeof(int));
  b->turns = tare_alloc(size, sizeof *b->turns);
  for (int i = 0; i < size; i++) b->turns[i] = (turn){cos(two_pi * i / size), sin(two_pi * i / size)};
  find_axis(b, 1, b->rows);
  find_axis(b, 0, b->columns);
}

static void stop(bench *b) {
  tare_free(b->tile);
  tare_free(b->spectrum);
  tare_free(b->scratch);
  tare_free(b->turns);
  tare_free(b->rows);
  tare_free(b->columns);
}

typedef void (*bench_test)(bench *b);

/* Once for each width of every level that this machine has, and each size. */
static void each(bench_test test) {
  uint64_t seed = 0;
  for (int level = 0; level <= (int)tare_cpu(); level++)
    for (int lanes = 4; lanes <= 16; lanes *= 2) {
      const tare_tile_kernels *k = tare_tile_kernels_at((tare_level)level, lanes);
      assert_true(k || lanes != tare_tile_lanes((tare_level)level));
      for (int i = 0; k && tare_tile_sizes[i]; i++) {
        bench b;
        assert_int_equal(k->lanes, lanes);
        start(&b, k, tare_tile_sizes[i], seed++);
        test(&b);
        stop(&b);
      }
    }
}

/* Every pair k, -k once, the four that are their own pairs as well, DC first. */
static void order(bench *b) {
  const int t = b->size;
  char *seen = tare_alloc((size_t)t * (size_t)t, 1);
  assert_int_equal(b->rows[0], 0);
  assert_int_equal(b->columns[0], 0);
  for (int f = 0; f < b->frequencies; f++) {
    int r = b->rows[f], c = b->columns[f], other = (t - r) % t * t + (t - c) % t;
    assert_int_equal(seen[r * t + c] + (other == r * t + c ? 0 : seen[other]), 0);
    seen[r * t + c] = 1;
  }
  tare_free(seen);
}

/* An image that holds a box, and where the box is; the lanes beyond those of the box, and all around it, are poisoned. */
typedef struct box {
  int row0, rows, column0, columns, lanes;
  ptrdiff_t row, column;
  size_t floats;
  float *image, *at, *mean;
} box;

/* The image of a box whose place and lanes are set. */
static void give_image(bench *b, box *x) {
  x->row = x->columns * x->column + below(b, 5);
  x->floats = (size_t)(x->rows * x->row) + 2 * GUARD;
  x->image = poisoned(x->floats);
  x->at = x->image + GUARD;
  x->mean = below(b, 2) ? poisoned(b->lanes) : NULL;
  for (int l = 0; x->mean && l < b->lanes; l++) x->mean[l] = (float)tare_rng_normal(&b->rng);
}

static box make_box(bench *b) {
  box x = {.row0 = below(b, 3) ? 0 : below(b, b->size), .column0 = below(b, 3) ? 0 : below(b, b->size)};
  x.rows = 1 + below(b, b->size - x.row0);
  x.columns = 1 + below(b, b->size - x.column0);
  x.lanes = below(b, 2) ? b->lanes : 1 + below(b, b->lanes);
  x.column = x.lanes + (below(b, 2) ? 0 : below(b, 20));
  give_image(b, &x);
  return x;
}

static float *pixel(const box *x, int r, int c) { return x->at + r * x->row + c * x->column; }

static void drop(box *x) {
  tare_free(x->image);
  tare_free(x->mean);
}

static void fill(bench *b, const box *x) {
  for (int r = 0; r < x->rows; r++)
    for (int c = 0; c < x->columns; c++)
      for (int l = 0; l < x->lanes; l++) pixel(x, r, c)[l] = (float)tare_rng_normal(&b->rng);
}

static tare_tile_source source(const box *x) {
  return (tare_tile_source){x->at, x->row, x->column, x->row0, x->rows, x->column0, x->columns, x->lanes, x->mean};
}

/* X(k) of one lane of a box, directly. */
static void direct(const bench *b, const box *x, int lane, int f, double *re, double *im) {
  *re = *im = 0;
  for (int r = 0; r < x->rows && lane < x->lanes; r++)
    for (int c = 0; c < x->columns; c++) {
      const turn *t = &b->turns[((x->row0 + r) * b->rows[f] + (x->column0 + c) * b->columns[f]) % b->size];
      double value = (double)pixel(x, r, c)[lane] - (x->mean ? (double)x->mean[lane] : 0);
      *re += value * t->cosine;
      *im -= value * t->sine;
    }
}

/* rms of the error at a sample of frequencies and lanes (DC too, which may be large), over the rms there or that of a box of unit variance. */
static double forward_error(bench *b, const box *x, int one_lane) {
  double sum = 0, square = 0;
  const int samples = 40;
  for (int s = 0; s < samples; s++) {
    int f = s == 0 ? 0 : below(b, b->frequencies), lane = one_lane >= 0 ? one_lane : below(b, b->lanes);
    double re, im;
    direct(b, x, one_lane >= 0 ? 0 : lane, f, &re, &im);
    sum += pow(real(b, f, lane) - re, 2) + pow(imaginary(b, f, lane) - im, 2);
    square += re * re + im * im;
  }
  return sqrt(sum / fmax(square, (double)samples * (x->rows * x->columns + 1e-30))); /* no rows: exact */
}

/*
 * Rounding: each of 2 log2(T) levels of sums adds 3e-8 or so, independently: 4e-8 sqrt(log2(T)); twice that (2e-7 at T = 70). Beside a mean, where
 * the spectrum is DC above all and the error that of one number, twice again.
 */
static double tolerance(const bench *b, const box *x) { return (x->mean ? 16e-8 : 8e-8) * sqrt(log2(b->size)); }

static void forward(bench *b) {
  for (int round = 0; round < 4; round++) {
    box x = make_box(b);
    fill(b, &x);
    tare_tile_source from = source(&x);
    refresh(b);
    b->k->forward(b->tile, &from, b->spectrum, b->stride, b->imaginary, b->scratch);
    double error = forward_error(b, &x, -1);
    if (!(error <= tolerance(b, &x))) fail_msg("T %d lanes %d rows %d+%d columns %d+%d of %d lanes: %g", b->size, b->lanes, x.row0, x.rows, x.column0, x.columns,
               x.lanes, error);
    for (int f = 0; f < b->frequencies; f++)
      for (int l = 0; l < b->lanes; l++) assert_true(isfinite(real(b, f, l)) && isfinite(imaginary(b, f, l)));
    drop(&x);
  }
}

/* Boxes of their own, or all of one geometry with neighbouring pixels, which takes another way. */
static void each_lane(bench *b, int alike) {
  box x[16];
  tare_tile_source from[16];
  for (int l = 0; l < b->lanes; l++) {
    x[l] = make_box(b);
    if (alike) {
      drop(&x[l]);
      if (l > 0) x[l] = x[0];
      else if (b->size > b->lanes) x[l].column0 = below(b, b->size - b->lanes), x[l].columns = b->size - x[l].column0 - below(b, 2);
    }
    x[l].lanes = 1;
    if (alike || below(b, 2)) x[l].column = 1;
    if (alike) give_image(b, &x[l]);
    fill(b, &x[l]);
    from[l] = source(&x[l]);
    if (!alike && below(b, 5) == 0) x[l].rows = from[l].rows = 0;
  }
  refresh(b);
  b->k->forward_each(b->tile, from, b->spectrum, b->stride, b->imaginary, b->scratch);
  for (int l = 0; l < b->lanes; l++) {
    assert_true(forward_error(b, &x[l], l) <= tolerance(b, &x[l]));
    drop(&x[l]);
  }
}

static void forward_each(bench *b) {
  for (int round = 0; round < 4; round++) each_lane(b, round % 2);
}

/* There and back: T*T times the box, added or not, and nothing else changed. */
static void round_trip(bench *b) {
  box x = make_box(b), y = make_box(b);
  x.lanes = b->lanes, tare_free(x.mean), x.mean = NULL;
  tare_free(x.image);
  x.column = b->lanes, x.row = b->lanes * x.columns, x.image = poisoned(x.rows * x.row), x.at = x.image;
  fill(b, &x);
  fill(b, &y);
  tare_tile_source from = source(&x);
  tare_tile_target to = {y.at, y.row, y.column, y.row0, y.rows, y.column0, y.columns, y.lanes, below(b, 2)};
  float *before = tare_alloc(y.floats, sizeof(float));
  memcpy(before, y.image, y.floats * sizeof(float));
  b->k->forward(b->tile, &from, b->spectrum, b->stride, b->imaginary, b->scratch);
  memset(b->scratch, 0xff, tare_tile_scratch(b->tile, b->lanes) * sizeof(float));
  b->k->inverse(b->tile, b->spectrum, b->stride, b->imaginary, &to, b->scratch);
  double sum = 0, count = 0;
  for (int r = 0; r < y.rows; r++)
    for (int c = 0; c < y.columns; c++)
      for (int l = 0; l < y.lanes; l++) {
        int i = y.row0 + r - x.row0, j = y.column0 + c - x.column0;
        size_t at = (size_t)(pixel(&y, r, c) + l - y.image);
        double want = i >= 0 && i < x.rows && j >= 0 && j < x.columns ? (double)pixel(&x, i, j)[l] * b->size * b->size : 0;
        sum += pow(y.image[at] - want - (to.add ? (double)before[at] : 0), 2);
        count++;
        before[at] = y.image[at];
      }
  assert_memory_equal(before, y.image, y.floats * sizeof(float));
  double error = sqrt(sum / count) / b->size / b->size;
  if (!(error <= tolerance(b, &y))) fail_msg("T %d lanes %d: %g", b->size, b->lanes, error);
  tare_free(before);
  drop(&x);
  drop(&y);
}

/* The inverse of X conj(W) is T*T times sum_n x(n + d) w(n). */
static void correlation(bench *b) {
  if (b->size > 60) return;
  const int t = b->size, l = b->lanes;
  float *x = tare_alloc((size_t)(t * t * l), sizeof(float)), *y = poisoned((size_t)(t * t * l)), w[9 * 16] = {0};
  float *other = poisoned(b->floats);
  for (int i = 0; i < t * t * l; i++) x[i] = (float)tare_rng_normal(&b->rng);
  for (int i = 0; i < 9 * l; i++) w[i] = (float)tare_rng_normal(&b->rng);
  tare_tile_source from = {x, t * l, l, 0, t, 0, t, l, NULL}, filter = {w, 3 * l, l, 0, 3, 0, 3, l, NULL};
  tare_tile_target to = {y, t * l, l, 0, t, 0, t, l, 0};
  b->k->forward(b->tile, &from, b->spectrum, b->stride, b->imaginary, b->scratch);
  b->k->forward(b->tile, &filter, other, b->stride, b->imaginary, b->scratch);
  for (int f = 0; f < b->frequencies; f++)
    for (int i = 0; i < l; i++) {
      float *p = b->spectrum + f * b->stride + i, *q = p + b->imaginary;
      const float *r = other + f * b->stride + i, *s = r + b->imaginary;
      float re = *p * *r + *q * *s, im = *q * *r - *p * *s;
      *p = re, *q = im;
    }
  b->k->inverse(b->tile, b->spectrum, b->stride, b->imaginary, &to, b->scratch);
  for (int n = 0; n < t * t * l; n++) {
    double sum = 0;
    for (int i = 0; i < 9; i++) sum += (double)w[i * l + n % l] * (double)x[((n / l / t + i / 3) % t * t + (n / l + i % 3) % t) * l + n % l];
    assert_true(fabs(y[n] / (double)(t * t) - sum) < 1e-5);
  }
  tare_free(x);
  tare_free(y);
  tare_free(other);
}

/* Floats behind the rows of each column of a half-transformed tile, which nothing may touch. */
enum { BEHIND = 3 * 2 * 16 };

static void guard(float *half, size_t pitch, int columns, int set) {
  for (int c = 0; c < columns; c++)
    for (size_t i = (size_t)(c + 1) * pitch - BEHIND; i < (size_t)(c + 1) * pitch; i++) {
      if (set) half[i] = 77;
      assert_true(half[i] == 77);
    }
}

/* The columns of a half-transformed box, one after the other, are the spectrum that stands in b. */
static void forward_halves(bench *b, const tare_tile_source *from, float *half, size_t pitch) {
  float *column = poisoned(b->floats);
  const int end = from->row0 + from->rows;
  size_t at = 0, vector = (size_t)b->lanes * sizeof(float);
  b->k->forward_rows(b->tile, from, half, pitch, b->scratch);
  for (int c = 0; c <= b->size / 2; c++) {
    b->k->forward_column(b->tile, c, half + (size_t)c * pitch, end, column, b->stride, b->imaginary, b->scratch);
    for (int f = 0; f < tile_column_frequencies(b->tile, c); f++, at += b->stride) {
      assert_memory_equal(column + (size_t)f * b->stride, b->spectrum + at, vector);
      assert_memory_equal(column + (size_t)f * b->stride + b->imaginary, b->spectrum + at + b->imaginary, vector);
    }
  }
  tare_free(column);
}

static void inverse_halves(bench *b, const tare_tile_target *to, float *half, size_t pitch) {
  const float *at = b->spectrum;
  for (int c = 0; c <= b->size / 2; at += (size_t)tile_column_frequencies(b->tile, c++) * b->stride)
    b->k->inverse_column(b->tile, c, at, b->stride, b->imaginary, to->row0 + to->rows, half + (size_t)c * pitch, b->scratch);
  b->k->inverse_rows(b->tile, half, pitch, to, b->scratch);
}

/* By halves: the same bits as whole transforms. */
static void halves(bench *b) {
  box x = make_box(b), y = make_box(b);
  fill(b, &x);
  tare_tile_source from = source(&x);
  const int columns = b->size / 2 + 1, most = x.row0 + x.rows > y.row0 + y.rows ? x.row0 + x.rows : y.row0 + y.rows;
  const size_t pitch = (size_t)(2 * b->lanes * most) + BEHIND;
  float *half = poisoned(pitch * (size_t)columns), *again = tare_alloc(y.floats, sizeof(float));
  refresh(b);
  b->k->forward(b->tile, &from, b->spectrum, b->stride, b->imaginary, b->scratch);
  guard(half, pitch, columns, 1);
  forward_halves(b, &from, half, pitch);
  fill(b, &y);
  memcpy(again, y.image, y.floats * sizeof(float));
  tare_tile_target to = {y.at, y.row, y.column, y.row0, y.rows, y.column0, y.columns, y.lanes, below(b, 2)};
  b->k->inverse(b->tile, b->spectrum, b->stride, b->imaginary, &to, b->scratch);
  to.at = again + (y.at - y.image);
  inverse_halves(b, &to, half, pitch);
  assert_memory_equal(again, y.image, y.floats * sizeof(float));
  guard(half, pitch, columns, 0);
  tare_free(half);
  tare_free(again);
  drop(&x);
  drop(&y);
}

static void test_halves(void **state) { (void)state, each(halves); }
static void test_order(void **state) { (void)state, each(order); }
static void test_forward(void **state) { (void)state, each(forward); }
static void test_forward_each(void **state) { (void)state, each(forward_each); }
static void test_round_trip(void **state) { (void)state, each(round_trip); }
static void test_correlation(void **state) { (void)state, each(correlation); }

static void test_create(void **state) {
  (void)state;
  tare_error error = {TARE_OK, ""};
  tare_tile *tile = NULL;
  assert_int_equal(tare_tile_create(13, &tile, &error), TARE_E_ARGUMENT);
  assert_null(tile);
  for (int i = 0; tare_tile_sizes[i]; i++) {
    assert_true(tare_tile_sizes[i + 1] == 0 || tare_tile_sizes[i] < tare_tile_sizes[i + 1]);
    assert_int_equal(tare_tile_create(tare_tile_sizes[i], &tile, &error), TARE_OK);
    const int t = tile->size;
    assert_int_equal(t, tile->odd * tile->even);
    assert_true(tare_tile_forward_operations(tile, 3, 3) < tare_tile_forward_operations(tile, t, t) / 2);
    assert_true(tare_tile_inverse_operations(tile, t - 4, t - 4) < tare_tile_inverse_operations(tile, t, t));
    assert_true(tare_tile_inverse_operations(tile, 1, 1) > 0);
    tare_free(tile);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_create), cmocka_unit_test(test_order), cmocka_unit_test(test_forward),
                                     cmocka_unit_test(test_forward_each), cmocka_unit_test(test_round_trip),
                                     cmocka_unit_test(test_correlation), cmocka_unit_test(test_halves)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
