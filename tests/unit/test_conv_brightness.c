/* SPDX-License-Identifier: Apache-2.0 */
/* Images plus 1000, brightness taken off: every candidate and pass as accurate as without the offset, against the formula in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conv_example.h"

enum { OFFSET = 1000, MODULO = TARE_CONV_MODULO_SLICE | TARE_CONV_MODULO_FILTER };
typedef enum rule { FREE, SUM_0, SUM_1, RULES } rule;

/* Multiples of 1/64 with a sum that floats hold exactly: tap 0 makes it so. */
static void obey(const tare_conv_problem *p, rule r, double *w) {
  size_t taps = (size_t)p->kernel[0] * (size_t)p->kernel[1] * (size_t)p->kernel[2], n = tare_conv_weights_size(p);
  for (size_t i = 0; i < n && r != FREE; i++) w[i] = floor(w[i] * 64) / 64;
  for (size_t i = 0; i < n && r != FREE; i += taps) {
    double sum = 0;
    for (size_t t = 1; t < taps; t++) sum += w[i + t];
    w[i] = (r == SUM_1) - sum;
  }
}

/* `want` holds results of the bright images, and the sizes of errors that are allowed: those of the images without the offset. */
static struct example bright_example(tare_rng *rng, tare_conv_problem p, rule r) {
  struct example e = example_of(rng, p);
  int stays = p.border == TARE_BORDER_ZERO && p.pad[0] + p.pad[1] + p.pad[2] > 0;
  size_t nx = count_x(&p), ny = count_y(&p), nw = tare_conv_weights_size(&p);
  naive dark = {tare_alloc(ny, 8), tare_alloc(nx, 8), tare_alloc(nw, 8), tare_alloc(ny, 8), tare_alloc(nx, 8), tare_alloc(nw, 8)};
  double *arrays[] = {e.want.y, e.want.dx, e.want.dw, e.want.y_size, e.want.dx_size, e.want.dw_size};
  size_t sizes[] = {ny, nx, nw, ny, nx, nw};
  for (int i = 0; i < 6; i++) memset(arrays[i], 0, sizes[i] * 8);
  obey(&p, r, e.w);
  naive_passes(&p, e.x, e.w, e.dy, &dark);
  for (size_t i = 0; i < nx; i++) e.x[i] = (double)(float)(e.x[i] + OFFSET);
  naive_passes(&p, e.x, e.w, e.dy, &e.want);
  if (!stays) {
    memcpy(e.want.y_size, dark.y_size, ny * 8);
    memcpy(e.want.dw_size, dark.dw_size, nw * 8);
  }
  double *all[] = {dark.y, dark.dx, dark.dw, dark.y_size, dark.dx_size, dark.dw_size};
  for (int i = 0; i < 6; i++) tare_free(all[i]);
  return e;
}

/* An array with its guard, images as the layout has them. */
static float *images_of(const tare_kernels *k, tare_layout layout, size_t batch, size_t channels, size_t n, const double *values) {
  float *plain = array_of(k, n, values, 0);
  if (layout == TARE_NHWC) return plain;
  float *turned = array_of(k, n, NULL, NANS);
  k->transpose_blocks(batch, n / batch / channels, channels, plain, turned);
  free_guarded(k, plain, n);
  return turned;
}

static float *back_to_nhwc(const tare_kernels *k, tare_layout layout, size_t batch, size_t channels, size_t n, float *got) {
  float *plain = array_of(k, n, NULL, NANS);
  if (layout == TARE_NHWC) memcpy(plain, got, n * sizeof *got);
  else k->transpose_blocks(batch, channels, n / batch / channels, got, plain);
  free_guarded(k, got, n);
  return plain;
}

typedef struct results { float *y, *dx, *dw; } results;

/* The passes of a plan, as a training step does them; results nhwc and plain. */
static results run_step(const struct example *e, const tare_conv_plan *plan, const tare_conv_options *o, const double *bias, tare_pool *pool) {
  const tare_kernels *k = tare_kernels_get(TARE_F32);
  const tare_conv_problem *p = &e->p;
  size_t nx = count_x(p), ny = count_y(p), nw = tare_conv_weights_size(p), batch = (size_t)p->batch, c = (size_t)p->channels, out = (size_t)p->outputs;
  size_t sizes[] = {tare_conv_prepared_size(plan), tare_conv_partial_size(plan), tare_conv_kept_size(plan), tare_conv_workspace_size(plan)};
  float *x = images_of(k, o->layout, batch, c, nx, e->x), *dy = images_of(k, o->layout, batch, out, ny, e->dy), *w = array_of(k, nw, e->w, 0);
  float *b = array_of(k, out, bias, 0), *own[4], *y = array_of(k, ny, NULL, NANS), *dx = array_of(k, nx, NULL, NANS), *dw = array_of(k, nw, NULL, NANS);
  for (int i = 0; i < 4; i++) own[i] = array_of(k, sizes[i], NULL, i == 3 ? JUNK : NANS);
  int data = o->passes & TARE_BACKWARD_DATA, weights = o->passes & TARE_BACKWARD_WEIGHTS, forward = o->passes & TARE_FORWARD;
  float *kept = forward && sizes[2] ? own[2] : NULL;
  if (forward || data) assert_int_equal(tare_conv_prepare(plan, w, own[0], own[3], pool), TARE_OK);
  if (forward) assert_int_equal(tare_conv_forward(plan, x, own[0], bias ? b : NULL, y, kept, own[3], pool), TARE_OK);
  memset(own[3], JUNK, sizes[3] * sizeof(float));
  if (data || weights)
    assert_int_equal(tare_conv_backward(plan, weights ? x : NULL, dy, data ? own[0] : NULL, kept, data ? dx : NULL, weights ? own[1] : NULL, own[3], pool), TARE_OK);
  if (weights) assert_int_equal(tare_conv_finish(plan, own[1], dw, own[3], pool), TARE_OK);
  for (int i = 0; i < 4; i++) free_guarded(k, own[i], sizes[i]);
  free_guarded(k, x, nx), free_guarded(k, dy, ny), free_guarded(k, w, nw), free_guarded(k, b, out);
  return (results){back_to_nhwc(k, o->layout, batch, out, ny, y), back_to_nhwc(k, o->layout, batch, c, nx, dx), dw};
}

static void drop(results *r) { tare_free(r->y), tare_free(r->dx), tare_free(r->dw); }

/* Each block of n values less its mean. */
static void remove_constants(size_t all, size_t n, double *values) {
  for (size_t i = 0; i < all; i += n) {
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += values[i + j];
    for (size_t j = 0; j < n; j++) values[i + j] -= sum / (double)n;
  }
}

/* What errors of a gradient's constant part are measured by: the brightness times the sums of each image's dy, or what sums of its tiles' are like. */
static double constant_size(const struct example *e, size_t output) {
  const tare_conv_problem *p = &e->p;
  size_t pixels = tare_conv_output_pixels(p);
  double all = 0, squares = 0;
  for (size_t n = 0; n < (size_t)p->batch; n++) {
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) {
      double dy = e->dy[(n * pixels + i) * (size_t)p->outputs + output];
      sum += dy;
      squares += dy * dy;
    }
    all += fabs(sum) * OFFSET;
  }
  return fmax(all, sqrt(squares) * OFFSET);
}

/*
 * 2e-6 of the sum of magnitudes that the images without the offset have (fft: the largest), and roundings of the constant part: few, but that
 * of fft goes through an inverse transform.
 */
static void check(const struct example *e, const char *who, const char *what, size_t n, const double *got, const double *want, const double *size, double whole) {
  int fft = strcmp(who, "fft") == 0;
  double largest = 0;
  for (size_t i = 0; i < n; i++) largest = fmax(largest, size[i]);
  for (size_t i = 0; i < n; i++) {
    double constant = whole >= 0 ? whole : constant_size(e, i / (n / (size_t)e->p.outputs)) + fabs(want[i]);
    if (fabs(got[i] - want[i]) <= 2e-6 * (fft || whole == 0 ? largest : size[i]) + (fft ? 8e-7 : 2e-7) * constant) continue;
    char text[128];
    tare_conv_problem_text(&e->p, text, sizeof text);
    fail_msg("%s, %s, %s, element %zu: %.9g, expected %.9g", text, who, what, i, got[i], want[i]);
  }
}

static void check_results(const struct example *e, const char *who, const tare_conv_options *o, const double *bias, const results *r) {
  const tare_kernels *k = tare_kernels_get(TARE_F32);
  const tare_conv_problem *p = &e->p;
  size_t ny = count_y(p), nx = count_x(p), nw = tare_conv_weights_size(p), slice = nw / (size_t)p->outputs / (size_t)(p->channels / p->groups);
  double *got = tare_alloc(ny + nx + nw, 8), *want = tare_alloc(ny + nw, 8), largest = 0;
  for (size_t i = 0; i < ny; i++) {
    want[i] = e->want.y[i] + (bias ? bias[i % (size_t)p->outputs] : 0);
    largest = fmax(largest, fabs(want[i]));
  }
  k->widen(ny, r->y, got);
  if (o->passes & TARE_FORWARD) check(e, who, "forward", ny, got, want, e->want.y_size, largest + 1e-300);
  k->widen(nx, r->dx, got);
  if (o->passes & TARE_BACKWARD_DATA) check(e, who, "backward data", nx, got, e->want.dx, e->want.dx_size, 1e-300);
  k->widen(nw, r->dw, got);
  memcpy(want, e->want.dw, nw * 8);
  if (o->flags & MODULO) {
    size_t n = o->flags & TARE_CONV_MODULO_SLICE ? slice : nw / (size_t)p->outputs;
    remove_constants(nw, n, got);
    remove_constants(nw, n, want);
  }
  if (o->passes & TARE_BACKWARD_WEIGHTS) check(e, who, "backward weights", nw, got, want, e->want.dw_size, o->flags & MODULO ? 0 : -1);
  tare_free(got);
  tare_free(want);
}

/* 1 if the candidate (NULL: the plan's choice) does these passes. */
static int check_plan(const struct example *e, const char *candidate, tare_conv_options o, const double *bias, tare_pool *pool) {
  tare_conv_plan *plan;
  o.candidate = candidate;
  o.flags |= TARE_CONV_BRIGHTNESS | (pool ? TARE_CONV_SHARED : 0);
  o.threads = pool ? 2 : 1;
  tare_status status = tare_conv_plan_create(&e->p, &o, &plan, NULL);
  if (status) return assert_int_equal(status, TARE_E_UNSUPPORTED), 0;
  results one = run_step(e, plan, &o, bias, pool);
  check_results(e, candidate ? candidate : "fft", &o, bias, &one); /* the plan may have chosen it */
  if (pool) { /* the same bits without */
    results two = run_step(e, plan, &o, bias, NULL);
    if (o.passes & TARE_FORWARD) assert_memory_equal(one.y, two.y, count_y(&e->p) * sizeof(float));
    if (o.passes & TARE_BACKWARD_WEIGHTS) assert_memory_equal(one.dw, two.dw, tare_conv_weights_size(&e->p) * sizeof(float));
    drop(&two);
  }
  drop(&one);
  tare_conv_plan_free(plan);
  return 1;
}

static void random_bright_images(void **state) {
  (void)state;
  static const int modulo[] = {0, TARE_CONV_MODULO_SLICE, TARE_CONV_MODULO_FILTER};
  tare_rng rng;
  tare_pool *pool;
  int done[8] = {0};
  tare_rng_init(&rng, 11, 0);
  assert_int_equal(tare_pool_create(2, &pool, NULL), TARE_OK);
  for (int i = 0; i < 180; i++) {
    struct example e = bright_example(&rng, random_problem(&rng, 3e5), (rule)(i % RULES));
    tare_conv_options o = {.layout = (tare_layout)(i / 2 % 2), .flags = modulo[draw(&rng, 0, 2)]};
    const double *bias = i % 5 ? e.bias : NULL;
    for (int j = 0; tare_candidates[j]; j++)
      for (o.passes = 1; o.passes <= 4; o.passes *= 2) done[j] += check_plan(&e, tare_candidates[j]->name, o, bias, i % 4 ? NULL : pool);
    o.passes = 7;
    assert_true(check_plan(&e, NULL, o, bias, i % 4 ? NULL : pool));
    check_plan(&e, "fft", o, bias, i % 4 ? pool : NULL);
    example_free(&e);
  }
  for (int j = 0; tare_candidates[j]; j++) assert_true(!is_built(tare_candidates[j]) || done[j] > 20);
  tare_pool_free(pool);
}

/* The error's rms over that of the result. */
static double relative(size_t n, const float *got, const double *want) {
  double off = 0, all = 0;
  for (size_t i = 0; i < n; i++) {
    off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
    all += want[i] * want[i];
  }
  return sqrt(off / all);
}

/* Filters whose rule holds exactly, borders that do not step to 0. */
static void errors_keep_the_limit(void **state) {
  (void)state;
  static const char *const problems[] = {"n3c1h40o5k7", "n2c5h33o7k9_valid", "g6n2c6h30o6k7", "n2c3h24o4k11p5_reflect", "n2c4h25o6k5p3_edge", "n2c3h31o4k3s2d2"};
  tare_rng rng;
  tare_rng_init(&rng, 12, 0);
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
    for (int j = 0; tare_candidates[j]; j++)
      for (rule r = SUM_0; r <= SUM_1; r++) {
        tare_conv_problem p;
        tare_conv_plan *plan;
        assert_int_equal(tare_conv_problem_parse(problems[i], &p, NULL), TARE_OK);
        for (int pass = 1; pass <= 4; pass *= 4) {
          tare_conv_options o = {.passes = pass, .flags = TARE_CONV_BRIGHTNESS, .candidate = tare_candidates[j]->name};
          if (tare_conv_plan_create(&p, &o, &plan, NULL)) continue;
          struct example e = bright_example(&rng, p, r);
          results got = run_step(&e, plan, &o, NULL, NULL);
          double error = pass == TARE_FORWARD ? relative(count_y(&p), got.y, e.want.y) : relative(tare_conv_weights_size(&p), got.dw, e.want.dw);
          if (!(error <= 5e-7)) fail_msg("%s, %s, pass %d, sum %d: %g", problems[i], o.candidate, pass, r == SUM_1, error);
          drop(&got);
          example_free(&e);
          tare_conv_plan_free(plan);
        }
      }
}

/* With zeros around it an image keeps its brightness: the flag changes no bit (fft: it takes it off in tiles inside). */
static void zero_borders_change_nothing(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 13, 0);
  tare_conv_problem p;
  assert_int_equal(tare_conv_problem_parse("n3c5h20o7k5p2", &p, NULL), TARE_OK);
  struct example e = bright_example(&rng, p, FREE);
  for (int j = 0; tare_candidates[j]; j++)
    for (int pass = 1; pass <= 4; pass *= 4) {
      tare_conv_options o = {.passes = pass, .candidate = tare_candidates[j]->name}, bright = o;
      tare_conv_plan *plans[2];
      bright.flags = TARE_CONV_BRIGHTNESS;
      if (strcmp(o.candidate, "fft") == 0 || tare_conv_plan_create(&p, &o, &plans[0], NULL)) continue;
      assert_int_equal(tare_conv_plan_create(&p, &bright, &plans[1], NULL), TARE_OK);
      assert_int_equal(tare_conv_workspace_size(plans[0]), tare_conv_workspace_size(plans[1]));
      results a = run_step(&e, plans[0], &o, e.bias, NULL), b = run_step(&e, plans[1], &bright, e.bias, NULL);
      if (pass == TARE_FORWARD) assert_memory_equal(a.y, b.y, count_y(&p) * sizeof(float));
      else assert_memory_equal(a.dw, b.dw, tare_conv_weights_size(&p) * sizeof(float));
      drop(&a), drop(&b);
      for (int i = 0; i < 2; i++) tare_conv_plan_free(plans[i]);
    }
  example_free(&e);
}

/* Long chains of float sums are left out, whoever makes them; the results keep the limit. */
static void accurate_plans_keep_the_limit(void **state) {
  (void)state;
  static const char *const problems[] = {"n4c1h60o8k3", "n8c32h12o16k5p2", "g4n8c4h50o4k3p1", "n2c64h9o8k7s2p3"};
  tare_rng rng;
  tare_rng_init(&rng, 14, 0);
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
    for (int pass = 1; pass <= 4; pass *= 2) {
      tare_conv_problem p;
      tare_conv_plan *plan;
      tare_conv_options o = {.passes = pass, .flags = TARE_CONV_ACCURATE};
      assert_int_equal(tare_conv_problem_parse(problems[i], &p, NULL), TARE_OK);
      assert_int_equal(tare_conv_plan_create(&p, &o, &plan, NULL), TARE_OK);
      struct example e = example_of(&rng, p);
      results got = run_step(&e, plan, &o, NULL, NULL);
      const float *result[] = {got.y, got.dx, got.dw};
      const double *want[] = {e.want.y, e.want.dx, e.want.dw};
      double error = relative(count_of(&p, (tare_pass)pass), result[pass / 2], want[pass / 2]);
      if (!(error <= 5e-7)) fail_msg("%s, %s, pass %d: %g", problems[i], tare_conv_plan_candidate(plan, (tare_pass)pass), pass, error);
      drop(&got);
      example_free(&e);
      tare_conv_plan_free(plan);
    }
  tare_conv_problem p;
  tare_conv_plan *plan;
  const tare_conv_options o = {.passes = TARE_BACKWARD_WEIGHTS, .flags = TARE_CONV_ACCURATE, .candidate = "im2col"};
  assert_int_equal(tare_conv_problem_parse("n8c4h1000o4k1", &p, NULL), TARE_OK);
  assert_int_equal(tare_conv_plan_create(&p, &o, &plan, NULL), TARE_E_UNSUPPORTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_bright_images),
    cmocka_unit_test(errors_keep_the_limit),
    cmocka_unit_test(zero_borders_change_nothing),
    cmocka_unit_test(accurate_plans_keep_the_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
