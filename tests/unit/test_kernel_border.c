/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of tmpl/border.c at every CPU level and precision. They only move and add numbers: results are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conv_helpers.h"
#include "kernel/border.h"

static tare_conv_problem problem_of(tare_rng *rng) {
  static const int channels[] = {1, 2, 3, 5, 7, 8, 13, 17, 33};
  tare_conv_problem p = {.groups = 1, .batch = draw(rng, 1, 3), .channels = channels[draw(rng, 0, 8)], .outputs = 1,
                         .border = (tare_border)draw(rng, 0, 2)};
  for (int i = 0; i < 2; i++) {
    p.size[i] = draw(rng, 1, 40);
    p.kernel[i] = draw(rng, 1, p.size[i] < 20 ? p.size[i] : 20);
    p.stride[i] = draw(rng, 1, 3);
    p.dilation[i] = p.kernel[i] > 1 ? draw(rng, 1, (p.size[i] - 1) / (p.kernel[i] - 1)) : 2;
    p.pad[i] = draw(rng, 0, p.border == TARE_BORDER_REFLECT ? p.size[i] - 1 : 20);
  }
  if (draw(rng, 0, 3)) return p; /* no planes */
  p.size[2] = draw(rng, 1, 4);
  p.pad[2] = draw(rng, 0, p.border == TARE_BORDER_REFLECT ? p.size[2] - 1 : 3);
  return p;
}

/* Small integers, so that sums are exact in float too. */
static void *integers(tare_rng *rng, const tare_kernels *k, size_t n, double **values) {
  *values = tare_alloc(n, sizeof **values);
  void *array = tare_alloc(n, k->real);
  for (size_t i = 0; i < n; i++) (*values)[i] = draw(rng, -50, 50);
  k->narrow(n, *values, array);
  return array;
}

static void *nans(const tare_kernels *k, size_t n) { return memset(tare_alloc(n, k->real), 0xFF, n * k->real); }

static void same(const tare_kernels *k, size_t n, const void *got, const double *want) {
  double *values = tare_alloc(n, sizeof *values);
  k->widen(n, got, values);
  for (size_t i = 0; i < n; i++)
    if (!(values[i] == want[i])) fail_msg("element %zu of %zu: %g, expected %g", i, n, values[i], want[i]);
  tare_free(values);
}

static void check_padding(tare_rng *rng, const tare_kernels *k) {
  tare_conv_problem p = problem_of(rng);
  int planes = p.size[2] ? p.size[2] : 1, d = planes + 2 * p.pad[2], h = p.size[0] + 2 * p.pad[0], w = p.size[1] + 2 * p.pad[1];
  size_t c = (size_t)p.channels, nx = count_x(&p), np = (size_t)p.batch * d * h * w * c;
  double *x_values, *d_values, *padded_want = tare_alloc(np, 8), *dx_want = tare_alloc(nx, 8);
  void *x = integers(rng, k, nx, &x_values), *dy = integers(rng, k, np, &d_values), *padded = nans(k, np), *dx = nans(k, nx);
  for (size_t at = 0; at < np; at++) {
    size_t pixel = at / c, n = pixel / ((size_t)d * h * w);
    int plane = walk_border(p.border, (int)(pixel / w / h % d) - p.pad[2], planes);
    int row = walk_border(p.border, (int)(pixel / w % h) - p.pad[0], p.size[0]);
    int column = walk_border(p.border, (int)(pixel % w) - p.pad[1], p.size[1]);
    if (plane < 0 || row < 0 || column < 0) continue;
    size_t from = (((n * planes + plane) * p.size[0] + row) * p.size[1] + column) * c + at % c;
    padded_want[at] = x_values[from];
    dx_want[from] += d_values[at];
  }
  k->pad_images(&p, x, padded);
  k->fold_images(&p, dy, dx);
  same(k, np, padded, padded_want);
  same(k, nx, dx, dx_want);
  void *all[] = {x, x_values, dy, d_values, padded, padded_want, dx, dx_want};
  for (int i = 0; i < 8; i++) tare_free(all[i]);
}

static void check_patches(tare_rng *rng, const tare_kernels *k) {
  tare_conv_problem p = problem_of(rng);
  p.pad[0] = p.pad[1] = p.pad[2] = p.size[2] = 0;
  p.batch = 1;
  int width = tare_conv_output_size(&p, 1), first = draw(rng, 0, tare_conv_output_size(&p, 0) - 1);
  int rows = draw(rng, 0, tare_conv_output_size(&p, 0) - first), kw = p.kernel[1], c = p.channels, columns = p.kernel[0] * kw * c;
  size_t nx = count_x(&p), n = (size_t)rows * width * columns;
  double *x_values, *want = tare_alloc(n, 8);
  void *x = integers(rng, k, nx, &x_values), *got = nans(k, n);
  for (size_t at = 0; at < n; at++) {
    int pixel = (int)(at / columns), column = (int)(at % columns), a = column / (kw * c), b = column / c % kw;
    int row = (first + pixel / width) * p.stride[0] + a * p.dilation[0], across = pixel % width * p.stride[1] + b * p.dilation[1];
    want[at] = x_values[((size_t)row * p.size[1] + across) * c + column % c];
  }
  k->patches(&p, first, rows, width, x, got);
  same(k, n, got, want);
  void *all[] = {x, x_values, got, want};
  for (int i = 0; i < 4; i++) tare_free(all[i]);
}

static void check_transpose(tare_rng *rng, const tare_kernels *k) {
  static const int most[] = {4, 9, 33, 70};
  size_t blocks = (size_t)draw(rng, 0, 3), rows = (size_t)draw(rng, 1, most[draw(rng, 0, 3)]);
  size_t columns = (size_t)draw(rng, 1, draw(rng, 0, 5) ? 40 : 300);
  if (draw(rng, 0, 1)) {
    size_t other = rows;
    rows = columns;
    columns = other;
  }
  size_t n = blocks * rows * columns;
  double *values, *want = tare_alloc(n, 8);
  void *x = integers(rng, k, n, &values), *y = nans(k, n + 1); /* one behind, which nobody may write */
  for (size_t i = 0; i < n; i++) want[i / (rows * columns) * rows * columns + i % columns * rows + i / columns % rows] = values[i];
  k->transpose_blocks(blocks, rows, columns, x, y);
  same(k, n, y, want);
  for (size_t i = 0; i < k->real; i++) assert_int_equal(((unsigned char *)y)[n * k->real + i], 0xFF);
  void *all[] = {x, values, y, want};
  for (int i = 0; i < 4; i++) tare_free(all[i]);
}

static void every_level_moves_the_same_numbers(void **state) {
  (void)state;
  for (int level = 0; level <= (int)tare_cpu() + 1; level++) {
    const tare_kernels *k = level > (int)tare_cpu() ? tare_kernels_get(TARE_F64) : tare_kernels_at(TARE_F32, (tare_level)level);
    tare_rng rng;
    tare_rng_init(&rng, 8, 0);
    for (int i = 0; i < 150; i++) {
      check_padding(&rng, k);
      check_patches(&rng, k);
      check_transpose(&rng, k);
    }
  }
}

static void borders_by_hand(void **state) {
  (void)state;
  static const int reflect[] = {2, 1, 0, 1, 2, 1, 0}, edge[] = {0, 0, 0, 1, 2, 2, 2};
  for (int i = -2; i < 5; i++) {
    assert_int_equal(tare_border_source(TARE_BORDER_REFLECT, i, 3), reflect[i + 2]);
    assert_int_equal(tare_border_source(TARE_BORDER_EDGE, i, 3), edge[i + 2]);
    assert_int_equal(tare_border_source(TARE_BORDER_ZERO, i, 3), i < 0 || i > 2 ? -1 : i);
    assert_int_equal(walk_border(TARE_BORDER_REFLECT, i, 3), reflect[i + 2]);
    assert_int_equal(walk_border(TARE_BORDER_EDGE, i, 3), edge[i + 2]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(borders_by_hand),
    cmocka_unit_test(every_level_moves_the_same_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
