/* SPDX-License-Identifier: Apache-2.0 */
/* The look of a network: responses against the Fourier sum of the filters, examples, answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <complex.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/look.h"

enum { SIDE = 24, ROWS = LOOK_WAVES / 2 + 1, FILTERS = 4 };

static tare_source *leaves(int images) {
  tare_source_options options;
  tare_source *source;
  tare_source_defaults(&options);
  options.patch = SIDE;
  options.images = images;
  options.brightness = 0.5;
  assert_int_equal(tare_source_open("leaves", &options, &source, NULL), TARE_OK);
  return source;
}

static tare_net *started(const char *line) {
  tare_net_options options = {.height = SIDE, .width = SIDE, .channels = 1, .batch = 8, .threads = 1, .seed = 3};
  tare_net *net;
  tare_error error;
  float images[8 * SIDE * SIDE];
  for (size_t i = 0; i < sizeof images / sizeof *images; i++) images[i] = (float)((i * 7919) % 251) / 256;
  if (tare_net_create(line, &options, &net, &error)) fail_msg("%s", error.message);
  assert_int_equal(tare_net_start(net, images, 8, NULL), TARE_OK);
  return net;
}

/* |sum of w(y, x) e^(2 pi i (u y + v x))| in double. */
static double fourier(const float *w, int k, double u, double v) {
  double complex sum = 0;
  for (int y = 0; y < k; y++)
    for (int x = 0; x < k; x++) sum += (double)w[y * k + x] * cexp(2 * I * acos(-1) * (u * y + v * x));
  return cabs(sum);
}

/* What a layer in front does to a wave of this frequency. */
typedef double (*front_fn)(double u, double v);
static double no_front(double u, double v) { return (void)u, (void)v, 1; }
static double laplacian(double u, double v) { return fabs(4 - 2 * cos(2 * acos(-1) * u) - 2 * cos(2 * acos(-1) * v)); }

static void test_response(void **state) {
  (void)state;
  static const struct { const char *line; int k; front_fn front; } cases[] = {
    {"conv 4x5; relu; gap; dense 6", 5, no_front},
    {"conv 4x5 sum=0 spectral; bn; relu; gap; dense 6", 5, no_front},
    {"conv 4x5 {sum=0} difference nobias; relu; gap; dense 6", 5, no_front},
    {"conv 4x3 pad=reflect; relu; gap; dense 6", 3, no_front},
    {"laplacian; conv 4x3; bn; relu; gap; dense 6", 3, laplacian},
  };
  look_examples examples;
  tare_source *source = leaves(6);
  assert_int_equal(tare_look_draw(source, 1, &examples, NULL), TARE_OK);
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    tare_net *net = started(cases[c].line);
    look_seen seen;
    tare_error error;
    if (tare_look_at(net, &examples, &seen, &error)) fail_msg("%s: %s", cases[c].line, error.message);
    int k = cases[c].k;
    double worst = 0;
    for (int f = 0; f < FILTERS; f++)
      for (int i = 0; i < ROWS * LOOK_WAVES; i++) {
        double u = (double)(i / LOOK_WAVES) / LOOK_WAVES, v = (double)(i % LOOK_WAVES) / LOOK_WAVES;
        double expected = cases[c].front(u, v) * fourier(seen.weights + f * k * k, k, u, v);
        double error_here = fabs((double)seen.response[f * ROWS * LOOK_WAVES + i] - expected);
        if (!(error_here <= worst)) worst = error_here;
      }
    if (!(worst < 2e-5)) fail_msg("%s: response is off by %g", cases[c].line, worst);
    tare_look_free(&seen);
    tare_net_free(net);
  }
  tare_look_examples_free(&examples);
  tare_source_free(source);
}

/* Layers that are trained or not linear before the first convolution: its filters are shown, no response. */
static void test_no_response(void **state) {
  (void)state;
  static const struct { const char *line; int has_filters; } cases[] = {
    {"bn; conv 4x3; relu; gap; dense 6", 1}, {"maxpool 2; conv 4x3; gap; dense 6", 1}, {"flatten; dense 6", 0}};
  look_examples examples;
  tare_source *source = leaves(6);
  assert_int_equal(tare_look_draw(source, 1, &examples, NULL), TARE_OK);
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    tare_net *net = started(cases[c].line);
    look_seen seen;
    assert_int_equal(tare_look_at(net, &examples, &seen, NULL), TARE_OK);
    assert_null(seen.response);
    assert_int_equal(seen.weights != NULL, cases[c].has_filters);
    tare_look_free(&seen);
    tare_net_free(net);
  }
  tare_look_examples_free(&examples);
  tare_source_free(source);
}

static void test_examples(void **state) {
  (void)state;
  for (int images = 4; images <= 16; images *= 4) {
    tare_source *source = leaves(images);
    look_examples e;
    int count[6] = {0};
    assert_int_equal(tare_look_draw(source, 1, &e, NULL), TARE_OK);
    for (int i = 0; i < e.count; i++) count[e.labels[i]]++;
    for (int label = 0; label < 6; label++) assert_int_equal(count[label], 6);
    tare_look_examples_free(&e);
    tare_source_free(source);
  }
}

static void test_answers(void **state) {
  (void)state;
  tare_source *source = leaves(6);
  look_examples e;
  look_seen seen;
  tare_net *net = started("conv 4x5 sum=0; relu; gap; dense 6");
  assert_int_equal(tare_look_draw(source, 1, &e, NULL), TARE_OK);
  assert_int_equal(tare_look_at(net, &e, &seen, NULL), TARE_OK);
  for (int i = 0; i < e.count; i++) {
    const void *output;
    double sum = 0;
    assert_int_equal(tare_net_forward(net, e.images + (size_t)i * SIDE * SIDE, 1, 0, 0, &output, NULL), TARE_OK);
    const float *z = output;
    for (int c = 0; c < 6; c++) {
      assert_true(z[c] <= z[seen.says[i]]);
      sum += exp((double)z[c]);
    }
    assert_true(fabs((double)seen.sure[i] - exp((double)z[seen.says[i]]) / sum) < 1e-5);
  }
  tare_look_free(&seen);
  tare_look_examples_free(&e);
  tare_net_free(net);
  tare_source_free(source);
}

static void test_json(void **state) {
  (void)state;
  tare_source *source = leaves(6);
  tare_net *net = started("conv 4x5 sum=0; relu; gap; dense 6"), *other = started("conv 4x5 sum=0; relu; gap; dense 5");
  char *text;
  tare_error error;
  assert_int_equal(tare_look_json(net, source, 1, &text, &error), TARE_OK);
  json_t *json = json_loads(text, 0, NULL), *examples = json_object_get(json, "examples"), *seen = json_object_get(json, "look");
  /* base64: four characters for each three bytes, the last group filled */
  size_t pixels = json_array_size(json_object_get(examples, "labels")) * SIDE * SIDE;
  assert_int_equal(json_string_length(json_object_get(examples, "pixels")), (pixels + 2) / 3 * 4);
  assert_int_equal(json_string_length(json_object_get(json_object_get(seen, "filters"), "values")), (4 * 25 * 4 + 2) / 3 * 4);
  assert_int_equal(json_array_size(json_object_get(seen, "says")), json_array_size(json_object_get(examples, "labels")));
  json_decref(json);
  free(text);
  assert_int_equal(tare_look_json(other, source, 1, &text, &error), TARE_E_SHAPE);
  assert_non_null(strstr(error.message, "5 values"));
  assert_int_equal(tare_look_json(NULL, source, 1, &text, &error), TARE_E_ARGUMENT);
  tare_net_free(net);
  tare_net_free(other);
  tare_source_free(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_response), cmocka_unit_test(test_no_response), cmocka_unit_test(test_examples),
                                     cmocka_unit_test(test_answers), cmocka_unit_test(test_json)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
