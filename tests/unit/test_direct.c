/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct convolutions. The kernels at every CPU level against their formula in double, in arrays without a spare element, so
 * that a sanitizer sees every read beyond; the candidate's accuracy over many terms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "conv_helpers.h"

enum { GUARD = 16, MOST_X = 32, ROUNDS = 120 };

typedef struct numbers { size_t n; double *wide; void *real; } numbers;

static double get(const tare_kernels *k, const void *array, size_t i) {
  return k->real == sizeof(float) ? (double)((const float *)array)[i] : ((const double *)array)[i];
}

/* n random numbers, or (rng NULL) zeros. malloc: nothing behind them is readable. */
static numbers make(const tare_kernels *k, tare_rng *rng, size_t n) {
  numbers a = {n, malloc(n * sizeof(double)), malloc(n * k->real)};
  for (size_t i = 0; i < n; i++) a.wide[i] = rng ? tare_rng_normal(rng) : 0;
  k->narrow(n, a.wide, a.real);
  k->widen(n, a.real, a.wide);
  return a;
}

static void drop(numbers *a) {
  free(a->wide);
  free(a->real);
}

static double tolerance_of(const tare_kernels *k) { return k->real == 4 ? 1e-6 : 2e-15; }
static int ceiling(int a, int b) { return (a + b - 1) / b; }

static tare_direct random_shape(tare_rng *rng, int lanes) {
  tare_direct d = {.kind = (tare_direct_kind)draw(rng, 0, 2), .taps = draw(rng, 1, 19), .groups = draw(rng, 1, 70)};
  d.step = draw(rng, 1, 20);
  d.tap = (d.kind != TARE_DIRECT_DENSE) ? draw(rng, 1, 20) : 1;
  if (d.kind == TARE_DIRECT_SLIDING) d.step = d.tap = lanes;
  d.lanes = draw(rng, 1, (d.kind != TARE_DIRECT_DENSE) ? lanes : 3 * lanes);
  d.vectors = ceiling(d.lanes, lanes);
  d.last = draw(rng, 1, d.lanes);
  d.out = d.lanes + draw(rng, 0, 3);
  return d;
}

/* What lane `lane` of group g meets at tap t. */
static double x_of(const tare_direct *d, const double *x, int g, int t, int lane) {
  return x[g * d->step + t * d->tap + ((d->kind != TARE_DIRECT_DENSE) ? lane : 0)];
}

static numbers make_row(const tare_kernels *k, tare_rng *rng, const tare_direct *d, int slack) {
  size_t lanes = (d->kind != TARE_DIRECT_DENSE) ? (size_t)k->direct_lanes() : 1;
  return make(k, rng, (size_t)(d->groups - 1 + slack) * d->step + (size_t)(d->taps - 1) * d->tap + lanes);
}

/* y as it should be, and the sum of magnitudes. */
static double y_of(const tare_direct *d, int rows, const numbers *x, const double *w, const double *bias, int g, int lane, int width,
                   double *size) {
  double sum = bias ? bias[lane] : 0;
  *size = fabs(sum);
  for (int a = 0; a < rows; a++)
    for (int t = 0; t < d->taps; t++) {
      double term = x_of(d, x[a].wide, g, t, lane) * w[(a * d->taps + t) * width + lane];
      sum += term;
      *size += fabs(term);
    }
  return sum;
}

static void forward(const tare_kernels *k, tare_rng *rng) {
  tare_direct d = random_shape(rng, k->direct_lanes());
  if (draw(rng, 0, 9) == 0) { /* sums in parts, and parts of parts */
    d.taps = d.kind == TARE_DIRECT_SLIDING ? 64 : draw(rng, 60, 1500);
    d.groups = draw(rng, 1, 5);
  }
  int rows = draw(rng, 0, 6), width = d.vectors * k->direct_lanes();
  numbers x[6], w = make(k, rng, (size_t)rows * d.taps * width), bias = make(k, rng, (size_t)width);
  const void *pointers[6];
  for (int a = 0; a < rows; a++) pointers[a] = (x[a] = make_row(k, rng, &d, TARE_DIRECT_SLACK)).real;
  size_t used = (size_t)(d.groups - 1) * d.out + d.last;
  unsigned char *y = malloc((used + GUARD) * k->real);
  memset(y, 0xFF, (used + GUARD) * k->real);
  int with_bias = draw(rng, 0, 1);
  k->direct_forward(&d, rows, pointers, w.real, with_bias ? bias.real : NULL, y);
  for (int g = 0; g < d.groups; g++)
    for (int lane = 0; lane < d.out && (size_t)(g * d.out + lane) < used; lane++) {
      double size, got = get(k, y, (size_t)(g * d.out + lane));
      int mine = lane < (g == d.groups - 1 ? d.last : d.lanes);
      double want = mine ? y_of(&d, rows, x, w.wide, with_bias ? bias.wide : NULL, g, lane, width, &size) : 0;
      if (!mine) assert_true(isnan(got)); /* between groups nothing is written */
      else if (!(fabs(got - want) <= tolerance_of(k) * size)) fail_msg("group %d lane %d: %.9g, expected %.9g", g, lane, got, want);
    }
  for (size_t i = used * k->real; i < (used + GUARD) * k->real; i++) assert_int_equal(y[i], 0xFF);
  for (int a = 0; a < rows; a++) drop(&x[a]);
  drop(&w);
  drop(&bias);
  free(y);
}

/* Two chains of the same images: twice the sums. */
static void weights(const tare_kernels *k, tare_rng *rng) {
  const tare_direct d = random_shape(rng, k->direct_lanes());
  int width = d.vectors * k->direct_lanes();
  tare_direct_chain c = {.filter_rows = draw(rng, 1, 9), .rows = draw(rng, 1, 4), .down = draw(rng, 1, 2)};
  c.first = draw(rng, 0, d.groups - 1);
  c.groups = draw(rng, 1, d.groups - c.first);
  int slack = d.kind == TARE_DIRECT_SLIDING ? TARE_DIRECT_SLACK : 0, count = (c.rows - 1) * c.down + c.filter_rows;
  numbers x[MOST_X], dy[4], outside = make_row(k, NULL, &d, slack);
  const void *x_rows[MOST_X], *dy_rows[4];
  for (int i = 0; i < count; i++) {
    x[i] = make_row(k, draw(rng, 0, 2) ? rng : NULL, &d, slack);
    x_rows[i] = x[i].wide[0] == 0 ? outside.real : x[i].real;
  }
  for (int i = 0; i < c.rows; i++) dy_rows[i] = (dy[i] = make(k, rng, (size_t)(d.groups - 1) * d.out + width)).real;
  c.x = x_rows;
  c.dy = dy_rows;
  c.outside = outside.real;
  size_t n = (size_t)c.filter_rows * d.taps * width;
  numbers sums = make(k, NULL, 2 * n);
  k->direct_weights(&d, &c, sums.real);
  k->direct_weights(&d, &c, sums.real);
  for (size_t i = 0; i < n; i++) {
    int lane = (int)(i % width), t = (int)(i / width % d.taps), a = (int)(i / width / d.taps);
    double want = 0, size = 0;
    for (int r = 0; r < c.rows; r++)
      for (int g = c.first; g < c.first + c.groups; g++) {
        double term = 2 * x_of(&d, x[r * c.down + a].wide, g, t, lane) * dy[r].wide[g * d.out + lane];
        want += term;
        size += fabs(term);
      }
    double got = get(k, sums.real, i) - get(k, sums.real, n + i);
    if (!(fabs(got - want) <= tolerance_of(k) * size)) fail_msg("row %d tap %d lane %d: %.9g, expected %.9g", a, t, lane, got, want);
  }
  for (int i = 0; i < count; i++) drop(&x[i]);
  for (int i = 0; i < c.rows; i++) drop(&dy[i]);
  drop(&outside);
  drop(&sums);
}

static void gather(const tare_kernels *k, tare_rng *rng) {
  int lanes = k->direct_lanes(), pixels = draw(rng, 1, 9), n = draw(rng, 1, lanes), stride = n + draw(rng, 0, 5);
  numbers x = make(k, rng, (size_t)(pixels - 1) * stride + n), to = make(k, rng, (size_t)pixels * lanes);
  k->direct_gather(pixels, n, x.real, (size_t)stride, to.real);
  for (int i = 0; i < pixels * lanes; i++)
    assert_true(get(k, to.real, (size_t)i) == (i % lanes < n ? x.wide[i / lanes * stride + i % lanes] : 0));
  drop(&x);
  drop(&to);
}

static void each_table(void (*test)(const tare_kernels *k, tare_rng *rng)) {
  for (int level = 0; level <= (int)tare_cpu() + 1; level++) {
    const tare_kernels *k = level > (int)tare_cpu() ? tare_kernels_get(TARE_F64) : tare_kernels_at(TARE_F32, (tare_level)level);
    tare_rng rng;
    tare_rng_init(&rng, 11, (uint64_t)level);
    for (int round = 0; round < ROUNDS; round++) test(k, &rng);
  }
}

static void forward_is_its_formula(void **state) { (void)state; each_table(forward); }
static void weights_are_their_formula(void **state) { (void)state; each_table(weights); }
static void gather_is_its_formula(void **state) { (void)state; each_table(gather); }

/* Root of the mean square of the error over that of what is expected. */
static double error_of(size_t n, const float *got, const double *want) {
  double wrong = 0, all = 0;
  for (size_t i = 0; i < n; i++) {
    wrong += (got[i] - want[i]) * (got[i] - want[i]);
    all += want[i] * want[i];
  }
  return sqrt(wrong / all);
}

static float *random_floats(tare_rng *rng, size_t n, double *wide) {
  float *values = tare_alloc(n, sizeof *values);
  for (size_t i = 0; i < n; i++) wide[i] = values[i] = (float)tare_rng_normal(rng);
  return values;
}

static void check_accuracy(tare_rng *rng, const char *text) {
  tare_conv_problem p;
  assert_int_equal(tare_conv_problem_parse(text, &p, NULL), TARE_OK);
  size_t nx = count_x(&p), ny = count_y(&p), nw = tare_conv_weights_size(&p);
  double *wide[3] = {tare_alloc(nx, 8), tare_alloc(nw, 8), tare_alloc(ny, 8)};
  float *x = random_floats(rng, nx, wide[0]), *w = random_floats(rng, nw, wide[1]), *dy = random_floats(rng, ny, wide[2]);
  naive want = {tare_alloc(ny, 8), tare_alloc(nx, 8), tare_alloc(nw, 8), tare_alloc(ny, 8), tare_alloc(nx, 8), tare_alloc(nw, 8)};
  naive_passes(&p, wide[0], wide[1], wide[2], &want);
  tare_conv_plan *plan;
  assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.candidate = "direct"}, &plan, NULL), TARE_OK);
  float *prepared = tare_alloc(tare_conv_prepared_size(plan), 4), *partial = tare_alloc(tare_conv_partial_size(plan), 4);
  float *workspace = tare_alloc(tare_conv_workspace_size(plan), 4);
  float *y = tare_alloc(ny, 4), *dx = tare_alloc(nx, 4), *dw = tare_alloc(nw, 4);
  assert_int_equal(tare_conv_prepare(plan, w, prepared, workspace, NULL), TARE_OK);
  assert_int_equal(tare_conv_forward(plan, x, prepared, NULL, y, NULL, workspace, NULL), TARE_OK);
  assert_int_equal(tare_conv_backward(plan, x, dy, prepared, NULL, dx, partial, workspace, NULL), TARE_OK);
  assert_int_equal(tare_conv_finish(plan, partial, dw, workspace, NULL), TARE_OK);
  double errors[3] = {error_of(ny, y, want.y), error_of(nx, dx, want.dx), error_of(nw, dw, want.dw)};
  for (int i = 0; i < 3; i++)
    if (!(errors[i] <= 3e-7)) fail_msg("%s, pass %d: error %.3g of the output", text, 1 << i, errors[i]);
  void *all[] = {wide[0], wide[1], wide[2], x, w, dy, want.y, want.dx, want.dw, want.y_size, want.dx_size, want.dw_size,
                 prepared, partial, workspace, y, dx, dw};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) tare_free(all[i]);
  tare_conv_plan_free(plan);
}

static void many_terms_cost_no_accuracy(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 12, 0);
  check_accuracy(&rng, "n8c1h128o3k3");
  check_accuracy(&rng, "n1c1h7w40000o2k3x5p1x2");
  check_accuracy(&rng, "g18n4c18h64o18k7p3");
  check_accuracy(&rng, "n2c3h32o20k9p4");
  check_accuracy(&rng, "n1c40h9o8k12x11p5"); /* thousands in an output */
  check_accuracy(&rng, "n1c3h9o40k11x12p5"); /* and in a pixel's gradient */
  check_accuracy(&rng, "g3n1c3h40o3k39p19");
  check_accuracy(&rng, "g16n1c16h30o16k23p11");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(forward_is_its_formula),
    cmocka_unit_test(weights_are_their_formula),
    cmocka_unit_test(gather_is_its_formula),
    cmocka_unit_test(many_terms_cost_no_accuracy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
