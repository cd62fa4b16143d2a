/* SPDX-License-Identifier: Apache-2.0 */
/* Every format and grade: exact for every rule, at the stated cost, refused with reasons where it cannot be, certified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tare/round.h>

#include "base/rng.h"
#include "round/plan.h"

static tare_constraint *make(const char *text, int dims, int size, int channels, int full) {
  tare_filter_shape shape = {.dims = dims, .size = {size, size}, .channels = channels};
  tare_constraint *c = NULL;
  tare_error error = {0};
  if (tare_constraint_create(text, &shape, full, &c, &error)) fail_msg("%s, %d: %s", text, size, error.message);
  return c;
}

static size_t taps_of(const tare_constraint *c) {
  const tare_filter_shape *s = tare_constraint_shape(c);
  size_t taps = (size_t)s->channels;
  for (int d = 0; d < s->dims; d++) taps *= (size_t)s->size[d];
  return taps;
}

/* Random weights; if `obey`, the nearest that obey, in floats. */
static float *draw(const tare_constraint *c, size_t filters, double scale, int obey, uint64_t seed) {
  size_t n = (size_t)tare_constraint_taps(c), count = filters * taps_of(c);
  float *w = malloc(count * sizeof *w);
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  for (size_t i = 0; i < count; i++) w[i] = (float)(scale * tare_rng_normal(&rng));
  if (!obey) return w;
  tare_plan *plan;
  tare_scratch t;
  assert_int_equal(tare_plan_create(c, 1, &plan, NULL), TARE_OK);
  assert_int_equal(tare_scratch_create(plan, 1, &t, NULL), TARE_OK);
  for (float *one = w; one < w + count; one += n) {
    double largest = 0, sum = 0;
    tare_unit_target(plan, &t, one, t.target, &largest, &sum);
    for (int k = 0; k < plan->taps; k++)
      if (plan->variable[k] >= 0) one[k] = (float)(plan->sign[k] * t.target[plan->variable[k]] / plan->divisor);
    for (int k = 0; k < plan->fixed_count; k++)
      one[plan->fixed[k].tap] = (float)(ldexp((double)plan->fixed[k].odd, plan->fixed[k].shift) / plan->divisor);
  }
  tare_scratch_free(&t);
  tare_plan_free(plan);
  return w;
}

static const int64_t bounds[TARE_FORMATS] = {1 << 24, 1 << 11, 1 << 8, 127, 7};

/* All that a rounding promises, checked apart from the code that rounds: residual, bounds, scales, packing, certificate. */
static void check(const tare_constraint *c, const tare_rounding *r) {
  tare_residual residual;
  tare_error error = {0};
  const char *text = tare_constraint_text(c), *format = tare_number_format_name(r->format);
  assert_int_equal(tare_round_residual(c, r->filters, r->integers, r->scales, r->scale, r->divisor, &residual, &error), TARE_OK);
  if (residual.max_abs != 0) fail_msg("%s %s: off by %s", text, format, residual.fraction);
  if (r->divisor == 1) {
    assert_int_equal(tare_constraint_residual(c, r->weights, r->filters * r->taps / (size_t)tare_constraint_taps(c), &residual, NULL), TARE_OK);
    assert_true(residual.max_abs == 0);
  }
  size_t group = r->taps / r->scales;
  uint16_t bits;
  for (size_t i = 0; i < r->filters * r->taps; i++) {
    float scale = r->scale[i / group];
    int exponent;
    assert_true(llabs(r->integers[i]) <= bounds[r->format]);
    assert_true((double)r->weights[i] == (double)r->integers[i] * (double)scale); /* exact in double: 24 bits each */
    if (r->format <= TARE_FORMAT_BF16 || r->grade == TARE_GRADE_GRID) assert_true(frexpf(scale, &exponent) == 0.5f);
    if (r->format == TARE_FORMAT_FP16 || r->format == TARE_FORMAT_BF16)
      assert_int_equal(tare_number_pack16(r->format, 1, &r->weights[i], &bits, NULL), TARE_OK);
  }
  for (size_t f = 0; r->grade == TARE_GRADE_GRID && f < r->filters; f++) {
    int64_t sum = 0;
    for (size_t i = 0; i < r->taps; i++) sum += llabs(r->integers[f * r->taps + i]);
    assert_true(sum * ((1 << r->pixel_bits) - 1) < 1 << 24);
  }
  char *json = NULL;
  if (tare_certificate_write(c, r, &json, &error)) fail_msg("%s %s: %s", text, format, error.message);
  assert_int_equal(tare_certificate_verify(json, r->filters * r->taps, r->weights, NULL), TARE_OK);
  tare_certificate_free(json);
}

static void round_and_check(const tare_constraint *c, const float *w, size_t filters, tare_round_options options) {
  tare_rounding *r = NULL, *again = NULL;
  tare_error error = {0};
  if (tare_round(c, &options, filters, w, &r, &error)) {
    if (options.format == TARE_FORMAT_INT4 && strstr(error.message, "smallest format that does is")) return;
    fail_msg("%s %s grade %d: %s", tare_constraint_text(c), tare_number_format_name(options.format), (int)options.grade, error.message);
  }
  check(c, r);
  if (r->divisor == 1) { /* rounding twice is rounding once */
    assert_int_equal(tare_round(c, &options, filters, r->weights, &again, NULL), TARE_OK);
    assert_memory_equal(again->weights, r->weights, filters * r->taps * sizeof *r->weights);
  }
  tare_rounding_free(r);
  tare_rounding_free(again);
}

/* The list of the issue: every rule, every size, every format. Of rules that need thirds, three times the filter. */
static void every_rule_in_every_format(void **state) {
  (void)state;
  static const char *rules[] = {"sum=0", "sum=1", "sum=1/2", "bayar", "order=1", "order=2", "order=4", "moment(1,1)=0", "moment(4,0)=0",
                                "moment(2,2)=1", "derivative(2,0) accuracy=2", "derivative(2,0) accuracy=4", "symmetric", "antisymmetric",
                                "symmetric; sum=0", "symmetric; order=3", "sum=0@filter; moment(1,0)=0", "sum=1/10"};
  static const int sizes[] = {2, 3, 4, 5, 7, 12};
  tare_filter_shape shape = {.dims = 2, .channels = 1};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      tare_constraint *c;
      shape.size[0] = shape.size[1] = sizes[k];
      if (tare_constraint_create(rules[i], &shape, 0, &c, NULL)) continue; /* no free weight */
      float *w = draw(c, 10, 0.3, 1, i * 10 + k);
      for (int format = 0; format < TARE_FORMATS; format++)
        for (int grade = 0; grade < 2; grade++)
          round_and_check(c, w, 10, (tare_round_options){(tare_number_format)format, (tare_grade)grade, 8, 1});
      free(w);
      tare_constraint_free(c);
    }
}

static void large_filters(void **state) {
  (void)state;
  static const char *rules[] = {"sum=0", "bayar", "order=4", "symmetric; order=2", "derivative(2,0) accuracy=4"};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    tare_constraint *c = make(rules[i], 2, 31, 1, 0);
    float *w = draw(c, 3, 0.3, 1, i);
    for (int format = 0; format <= TARE_FORMAT_INT8; format++)
      round_and_check(c, w, 3, (tare_round_options){(tare_number_format)format, TARE_GRADE_EXACT, 0, 1});
    round_and_check(c, w, 3, (tare_round_options){TARE_FORMAT_FP32, TARE_GRADE_GRID, 8, 1});
    free(w);
    tare_constraint_free(c);
  }
}

/* Random small integer rows of rank 1 to 6 and random right-hand sides, through a file. */
static void random_rows(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 17, 0);
  for (int trial = 0; trial < 60; trial++) {
    char path[] = P_tmpdir "/tare-test-XXXXXX", rule[64];
    int fd = mkstemp(path), m = 1 + trial % 6, n = m + 3 + (int)tare_rng_below(&rng, 8), homogeneous = trial % 4 < 2;
    FILE *f = fdopen(fd, "w");
    fprintf(f, "{\"A\": [");
    for (int row = 0; row < m; row++)
      for (int i = 0; i < n; i++)
        fprintf(f, "%s%d%s", i ? ", " : row ? ", [" : "[", (int)tare_rng_below(&rng, 9) - 4, i == n - 1 ? "]" : "");
    fprintf(f, "], \"b\": [");
    for (int row = 0; row < m; row++) fprintf(f, "%s%d", row ? ", " : "", homogeneous ? 0 : (int)tare_rng_below(&rng, 3));
    fprintf(f, "]}");
    fclose(f);
    snprintf(rule, sizeof rule, "rows=%s", path);
    tare_constraint *c = make(rule, 1, n, 1, 0);
    float *w = draw(c, 8, 1, trial % 2, (uint64_t)trial);
    for (int format = 0; format <= TARE_FORMAT_INT8; format++)
      round_and_check(c, w, 8, (tare_round_options){(tare_number_format)format, (tare_grade)(trial % 2), 8, 1});
    free(w);
    tare_constraint_free(c);
    unlink(path);
  }
}

/* Tiny, huge, denormal, equal and zero weights: exact, or (fp16 and 1e30) refused. */
static void odd_weights(void **state) {
  (void)state;
  static const char *rules[] = {"sum=0", "order=1", "symmetric; sum=0"};
  static const double scales[] = {1e-30, 1e30, 1e-43, 0};
  for (size_t i = 0; i < 3; i++)
    for (size_t k = 0; k < 5; k++)
      for (int format = 0; format < TARE_FORMATS; format++) {
        tare_constraint *c = make(rules[i], 2, 5, 1, 0);
        float *w = draw(c, 4, k < 4 ? scales[k] : 1, 0, k);
        for (int j = 0; k == 4 && j < 100; j++) w[j] = 0.1f;
        tare_round_options options = {.format = (tare_number_format)format};
        tare_rounding *r = NULL;
        tare_error error = {0};
        if (format == TARE_FORMAT_FP16 && k == 1) {
          assert_int_equal(tare_round(c, &options, 4, w, &r, &error), TARE_E_ARGUMENT);
          assert_non_null(strstr(error.message, "smallest format that does is fp32"));
        } else round_and_check(c, w, 4, options);
        free(w);
        tare_constraint_free(c);
      }
}

/* Distance over that of plain rounding on the same grid: sqrt(1 + 1/n) for a sum (Conway & Sloane, chapter 21), stated for others. */
static void costs(void **state) {
  (void)state;
  static const struct { const char *text; int size; double most; } cases[] = {
    {"sum=0", 5, 1.03}, {"sum=1", 5, 1.03}, {"bayar", 5, 1.03}, {"sum=0", 7, 1.02}, {"sum=1/2", 7, 1.02}, {"bayar", 7, 1.02}, {"order=1", 7, 1.2}, {"order=2", 7, 1.45}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int format = 0; format < TARE_FORMATS; format++) {
      tare_constraint *c = make(cases[i].text, 2, cases[i].size, 1, 0);
      float *w = draw(c, 1000, 0.15, 1, i);
      tare_rounding *r;
      tare_round_options options = {.format = (tare_number_format)format};
      assert_int_equal(tare_round(c, &options, 1000, w, &r, NULL), TARE_OK);
      if (!(r->cost_mean <= cases[i].most)) fail_msg("%s %d %s: cost %g", cases[i].text, cases[i].size, tare_number_format_name(r->format), r->cost_mean);
      tare_rounding_free(r);
      free(w);
      tare_constraint_free(c);
    }
}

/* int8 where b = 0: another symmetric quantiser (scale = largest / 127, round) finds the same integers from the weights. */
static void int8_is_found_by_others(void **state) {
  (void)state;
  tare_constraint *c = make("sum=0", 2, 7, 3, 0);
  float *w = draw(c, 200, 0.1, 1, 3);
  tare_rounding *r;
  tare_round_options options = {.format = TARE_FORMAT_INT8};
  assert_int_equal(tare_round(c, &options, 200, w, &r, NULL), TARE_OK);
  assert_int_equal(r->peak_min, 127);
  for (size_t f = 0; f < 200; f++) {
    const float *filter = r->weights + f * r->taps;
    float largest = 0;
    for (size_t i = 0; i < r->taps; i++) largest = fmaxf(largest, fabsf(filter[i]));
    float scale = largest / 127;
    assert_true(scale == r->scale[f]);
    for (size_t i = 0; i < r->taps; i++) assert_int_equal((int)nearbyintf(filter[i] / scale), r->integers[f * r->taps + i]);
  }
  tare_rounding_free(r);
  free(w);
  tare_constraint_free(c);
  c = make("bayar", 2, 5, 1, 0);
  w = draw(c, 100, 0.1, 1, 4);
  assert_int_equal(tare_round(c, &options, 100, w, &r, NULL), TARE_OK);
  for (size_t f = 0; f < 100; f++) { /* the centre is -2^k */
    int q = -r->integers[f * 25 + 12];
    assert_true(q > 0 && (q & (q - 1)) == 0 && r->weights[f * 25 + 12] == -1);
  }
  tare_rounding_free(r);
  free(w);
  tare_constraint_free(c);
}

/* Grade grid: a constant image of any 8-bit value gives exactly 0, in any order of summation. */
static void grid_sums_are_exact_in_any_order(void **state) {
  (void)state;
  tare_constraint *c = make("sum=0", 2, 7, 3, 0);
  float *w = draw(c, 20, 0.1, 1, 5);
  tare_rng rng;
  tare_rng_init(&rng, 1, 0);
  for (int format = 0; format < TARE_FORMATS; format++) {
    tare_rounding *r;
    tare_round_options options = {.format = (tare_number_format)format, .grade = TARE_GRADE_GRID};
    assert_int_equal(tare_round(c, &options, 20, w, &r, NULL), TARE_OK);
    for (int value = 0; value < 256; value++)
      for (size_t f = 0; f < 20; f++) {
        float sum = 0;
        size_t start = tare_rng_below(&rng, r->taps), stride = 1 + 2 * tare_rng_below(&rng, 7);
        while (r->taps % stride == 0 && stride > 1) stride += 2;
        if (stride % 3 == 0 || stride % 7 == 0) stride = 11; /* coprime to 147 */
        for (size_t i = 0; i < r->taps; i++) sum += r->weights[f * r->taps + (start + i * stride) % r->taps] * (float)value;
        assert_true(sum == 0);
      }
    tare_rounding_free(r);
  }
  tare_constraint_free(c);
  free(w);
  c = make("sum=0", 2, 31, 1, 0);
  w = draw(c, 1, 0.1, 1, 5);
  tare_rounding *r;
  tare_error error = {0};
  tare_round_options options = {.grade = TARE_GRADE_GRID, .pixel_bits = 16};
  assert_int_equal(tare_round(c, &options, 1, w, &r, &error), TARE_E_UNSUPPORTED);
  assert_non_null(strstr(error.message, "at most 256"));
  free(w);
  tare_constraint_free(c);
}

/* Exact filters that people use come back as they are in every format; one over 12 does not sum to zero in floats. */
static void known_filters(void **state) {
  (void)state;
  static const float small[9] = {-.25f, .5f, -.25f, .5f, -1, .5f, -.25f, .5f, -.25f};
  static const int kv[25] = {-1, 2, -2, 2, -1, 2, -6, 8, -6, 2, -2, 8, -12, 8, -2, 2, -6, 8, -6, 2, -1, 2, -2, 2, -1};
  float large[25];
  for (int i = 0; i < 25; i++) large[i] = (float)kv[i] / 12;
  tare_constraint *c3 = make("sum=0", 2, 3, 1, 0), *c5 = make("sum=0", 2, 5, 1, 0);
  tare_residual residual;
  assert_int_equal(tare_constraint_residual(c5, large, 1, &residual, NULL), TARE_OK);
  assert_true(residual.max_abs > 0);
  for (int format = 0; format < TARE_FORMATS; format++)
    for (int grade = 0; grade < 2; grade++) {
      tare_round_options options = {(tare_number_format)format, (tare_grade)grade, 8, 0};
      tare_rounding *r;
      assert_int_equal(tare_round(c3, &options, 1, small, &r, NULL), TARE_OK);
      assert_memory_equal(r->weights, small, sizeof small);
      tare_rounding_free(r);
      round_and_check(c5, large, 1, options);
    }
  tare_constraint_free(c3);
  tare_constraint_free(c5);
}

/* Rows as many as taps: the textbook table, as fractions (Fornberg 1988): the integers over the divisor. */
static void finite_differences(void **state) {
  (void)state;
  static const struct { const char *rule; int size, over, table[9]; } tables[] = {
    {"derivative(1) accuracy=2", 3, 2, {-1, 0, 1}},
    {"derivative(2) accuracy=1", 3, 1, {1, -2, 1}},
    {"derivative(1) accuracy=4", 5, 12, {1, -8, 0, 8, -1}},
    {"derivative(2) accuracy=3", 5, 12, {-1, 16, -30, 16, -1}},
    {"derivative(3) accuracy=2", 5, 2, {-1, 2, 0, -2, 1}},
    {"derivative(4) accuracy=1", 5, 1, {1, -4, 6, -4, 1}},
    {"derivative(1) accuracy=6", 7, 60, {-1, 9, -45, 0, 45, -9, 1}},
    {"derivative(2) accuracy=5", 7, 180, {2, -27, 270, -490, 270, -27, 2}},
    {"derivative(1) accuracy=8", 9, 840, {3, -32, 168, -672, 0, 672, -168, 32, -3}},
    {"derivative(2) accuracy=7", 9, 5040, {-9, 128, -1008, 8064, -14350, 8064, -1008, 128, -9}},
  };
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    tare_constraint *c = make(tables[i].rule, 1, tables[i].size, 1, 1);
    float w[9] = {0};
    tare_rounding *r = NULL;
    tare_error error = {0};
    tare_round_options options = {.allow_divisor = 1};
    if (tare_round(c, &options, 1, w, &r, &error)) fail_msg("%s: %s", tables[i].rule, error.message);
    for (int k = 0; k < tables[i].size; k++) /* weight / divisor = table / over */
      assert_true((double)r->weights[k] * tables[i].over == (double)tables[i].table[k] * r->divisor);
    check(c, r);
    tare_rounding_free(r);
    tare_constraint_free(c);
  }
}

static void refuse(const char *rule, int dims, int size, tare_round_options options, float weight, const char *part) {
  tare_constraint *c = make(rule, dims, size, 1, 0);
  float *w = draw(c, 1, weight, 0, 9);
  tare_rounding *r = NULL;
  tare_error error = {0};
  if (tare_round(c, &options, 1, w, &r, &error) == TARE_OK) fail_msg("%s: not refused", rule);
  if (!strstr(error.message, part)) fail_msg("%s: expected \"%s\" in: %s", rule, part, error.message);
  assert_null(r);
  free(w);
  tare_constraint_free(c);
}

static void refusals_say_what_would_do(void **state) {
  (void)state;
  refuse("order=4", 1, 6, (tare_round_options){.format = TARE_FORMAT_INT4}, 1, "the smallest format that does is int8"); /* 1 -5 10 -10 5 -1 */
  refuse("sum=1/10", 2, 5, (tare_round_options){.format = TARE_FORMAT_INT8}, 1, "the nearest that one does is");
  refuse("sum=1/10", 2, 5, (tare_round_options){.format = TARE_FORMAT_INT8}, 1, "divide its response by 5");
  refuse("derivative(2,0) accuracy=4", 2, 7, (tare_round_options){0}, 1, "divide its response by 3");
  refuse("sum=1/2", 2, 5, (tare_round_options){.format = TARE_FORMAT_BF16}, 1000, "the nearest that is one is");
  refuse("sum=0", 2, 5, (tare_round_options){.format = TARE_FORMATS}, 1, "none of fp32");
  refuse("sum=0", 2, 5, (tare_round_options){.pixel_bits = 7}, 1, "8 or 16");
  tare_constraint *c = make("sum=1", 2, 5, 1, 0), *zero = make("sum=0", 2, 5, 1, 0);
  tare_error why = {0};
  assert_int_equal(tare_round_may_fold(zero, &why), 1);
  assert_int_equal(tare_round_may_fold(NULL, &why), 1);
  assert_int_equal(tare_round_may_fold(c, &why), 0);
  assert_non_null(strstr(why.message, "sum=1"));
  tare_constraint_free(c);
  tare_constraint_free(zero);
}

static void replace(char *json, const char *from, const char *to) {
  char *at = strstr(json, from);
  assert_non_null(at);
  assert_int_equal(strlen(from), strlen(to));
  memcpy(at, to, strlen(to));
}

/* Sums that a certificate states wrongly: fewer than there are, or more than its grade allows. */
static void certificates_of_other_sums_fail(void **state) {
  (void)state;
  tare_constraint *c = make("sum=0", 1, 5, 1, 0);
  float *w = draw(c, 6, 0.1, 1, 8);
  tare_rounding *r;
  tare_round_options options = {.format = TARE_FORMAT_FP32, .grade = TARE_GRADE_GRID};
  assert_int_equal(tare_round(c, &options, 6, w, &r, NULL), TARE_OK);
  char *json, copy[4000];
  assert_int_equal(tare_certificate_write(c, r, &json, NULL), TARE_OK);
  const char *sum = strstr(json, "\"sum_max\":");
  assert_non_null(sum);
  static const struct { int stated; const char *part; } cases[] = {{7, "more than the 7 stated"}, {1 << 24, "the bound of its grade"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_error error = {0};
    snprintf(copy, sizeof copy, "%.*s\"sum_max\":%d%s", (int)(sum - json), json, cases[i].stated, strpbrk(sum, ",}"));
    assert_int_equal(tare_certificate_verify(copy, r->filters * r->taps, r->weights, &error), TARE_E_DATA);
    if (!strstr(error.message, cases[i].part)) fail_msg("%s", error.message);
  }
  tare_certificate_free(json);
  tare_rounding_free(r);
  tare_constraint_free(c);
  free(w);
}

/* A certificate fails for one flipped bit, another rule, another format, a broken text. */
static void certificates_can_fail(void **state) {
  (void)state;
  tare_constraint *c = make("sum=0", 2, 5, 2, 0);
  float *w = draw(c, 6, 0.1, 1, 8);
  tare_rounding *r;
  tare_round_options options = {.format = TARE_FORMAT_BF16};
  assert_int_equal(tare_round(c, &options, 6, w, &r, NULL), TARE_OK);
  char *json;
  assert_int_equal(tare_certificate_write(c, r, &json, NULL), TARE_OK);
  static const struct { const char *from, *to, *part; } changes[] = {
    {"sum=0", "sum=1", "off by"}, {"bf16", "int4", ""}, {"\"filters\":6", "\"filters\":7", "7 filters"}, {"\"tare_", "\"fare_", "expected JSON"},
    {"\"exact\"", "\"other\"", "grade"}, {"\"sum_max\"", "\"sum_min\"", "sum_max"}, {"{", "[", ""}, {"\"rule\"", "\"role\"", "rule"}};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    char *copy = strdup(json);
    tare_error error = {0};
    replace(copy, changes[i].from, changes[i].to);
    if (tare_certificate_verify(copy, r->filters * r->taps, r->weights, &error) != TARE_E_DATA) fail_msg("%s passed", changes[i].to);
    if (!strstr(error.message, changes[i].part)) fail_msg("%s: %s", changes[i].to, error.message);
    free(copy);
  }
  r->weights[17] = nextafterf(r->weights[17], 1);
  assert_int_equal(tare_certificate_verify(json, r->filters * r->taps, r->weights, NULL), TARE_E_DATA);
  char *other = NULL;
  assert_int_equal(tare_certificate_write(c, r, &other, NULL), TARE_E_LIBRARY);
  assert_null(other);
  tare_certificate_free(json);
  tare_rounding_free(r);
  tare_constraint_free(c);
  free(w);
}

static void packing(void **state) {
  (void)state;
  static const struct { tare_number_format format; float value; unsigned bits; } known[] = {
    {TARE_FORMAT_FP16, 1, 0x3c00}, {TARE_FORMAT_FP16, -2, 0xc000}, {TARE_FORMAT_FP16, 65504, 0x7bff}, {TARE_FORMAT_FP16, 0x1p-24f, 1},
    {TARE_FORMAT_FP16, 0x1p-14f, 0x400}, {TARE_FORMAT_BF16, 1, 0x3f80}, {TARE_FORMAT_BF16, -0x1.fep127f, 0xff7f}, {TARE_FORMAT_BF16, 0x1p-133f, 1}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint16_t bits = 0;
    assert_int_equal(tare_number_pack16(known[i].format, 1, &known[i].value, &bits, NULL), TARE_OK);
    assert_int_equal(bits, known[i].bits);
  }
  for (int format = TARE_FORMAT_FP16; format <= TARE_FORMAT_BF16; format++)
    for (unsigned b = 0; b < 1 << 16; b++) {
      uint16_t bits = (uint16_t)b, back = 0;
      float value;
      tare_number_unpack16((tare_number_format)format, 1, &bits, &value);
      tare_status status = tare_number_pack16((tare_number_format)format, 1, &value, &back, NULL);
      if (isfinite(value)) assert_true(status == TARE_OK && back == bits);
      else assert_int_equal(status, TARE_E_ARGUMENT);
    }
  float odd = 0.1f;
  uint16_t bits;
  assert_int_equal(tare_number_pack16(TARE_FORMAT_FP16, 1, &odd, &bits, NULL), TARE_E_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_rule_in_every_format), cmocka_unit_test(large_filters),
    cmocka_unit_test(random_rows),                cmocka_unit_test(odd_weights),
    cmocka_unit_test(costs),                      cmocka_unit_test(int8_is_found_by_others),
    cmocka_unit_test(grid_sums_are_exact_in_any_order), cmocka_unit_test(known_filters),
    cmocka_unit_test(finite_differences),         cmocka_unit_test(refusals_say_what_would_do),
    cmocka_unit_test(certificates_of_other_sums_fail),
    cmocka_unit_test(certificates_can_fail),      cmocka_unit_test(packing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
