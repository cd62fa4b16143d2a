/* SPDX-License-Identifier: Apache-2.0 */
/* How networks start: unit response whatever the pixels' scale, all methods as the same function if asked, plain layers as frameworks do. */
#include "nets.h"

/* The mean over filters of the variance of a first layer's output, by this test's own sums. */
static double response(tare_net *net, const float *images, int count) {
  int shape[3];
  tare_net_output_shape(net, shape);
  size_t c = (size_t)shape[2], n = 0;
  double sum[16] = {0}, squares[16] = {0}, mean = 0;
  for (int first = 0; first < count; first += BATCH, n += BATCH) {
    const void *output;
    assert_int_equal(tare_net_forward(net, images + (size_t)first * SIZE * SIZE * (size_t)net->options.channels, BATCH, 0, 0, &output,
                                      NULL), TARE_OK);
    for (size_t i = 0; i < (size_t)BATCH * tare_net_output_size(net); i++) {
      double y = (double)((const float *)output)[i];
      sum[i % c] += y;
      squares[i % c] += y * y;
    }
  }
  n *= (size_t)shape[0] * (size_t)shape[1];
  for (size_t k = 0; k < c; k++) mean += (squares[k] - sum[k] * sum[k] / (double)n) / (double)n;
  return mean / (double)c;
}

static void bases_start_with_a_response_of_variance_1(void **state) {
  (void)state;
  static const char *const methods[] = {"centred", "orthonormal", "pivot", "spectral", "spectral(0.5)", "dct", "whitened", "whitened-full"};
  static const double highs[] = {1, 255};
  for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
    for (size_t h = 0; h < 2; h++)
      for (int channels = 1; channels <= 2; channels++) {
        char line[80];
        snprintf(line, sizeof line, "conv 8x5 sum=0%s %s%s", channels == 2 ? "@filter" : "", methods[m], h ? " pad=reflect" : "");
        tare_net_options o = options_of(channels);
        float *images = make_images(3 * BATCH, channels, highs[h], 7);
        tare_net *net = started(line, &o, images, 3 * BATCH);
        double variance = response(net, images, 3 * BATCH);
        if (!(fabs(variance - 1) < 0.1)) fail_msg("%s on 0..%g: variance %g", line, highs[h], variance);
        tare_net_free(net);
        tare_free(images);
      }
}

/* Where the basis takes the scale, coefficients have variance 1 / (n - m) whatever the pixels' scale. */
static void coefficients_do_not_feel_the_scale_of_the_pixels(void **state) {
  (void)state;
  static const char *const methods[] = {"spectral", "dct", "whitened"};
  for (size_t m = 0; m < 3; m++)
    for (int h = 0; h < 2; h++) {
      char line[80];
      snprintf(line, sizeof line, "conv 16x7 sum=0 %s nobias", methods[m]);
      tare_net_options o = options_of(1);
      float *images = make_images(BATCH, 1, h ? 255 : 1, 7);
      tare_net *net = started(line, &o, images, BATCH);
      const float *t = tare_net_parameters(net);
      double squares = 0;
      size_t n = tare_net_parameter_count(net);
      assert_int_equal(n, 16 * 48);
      for (size_t i = 0; i < n; i++) squares += (double)t[i] * (double)t[i];
      if (strcmp(methods[m], "dct") && !(fabs(squares / 16 - 1) < 0.25)) fail_msg("%s: %g", methods[m], squares / 16);
      tare_net_free(net);
      tare_free(images);
    }
}

static void init_response_starts_all_as_the_same_function(void **state) {
  (void)state;
  static const char *const methods[] = {"spectral", "none", "penalty", "projection", "difference", "centred", "orthonormal", "pivot",
                                        "dct", "whitened"};
  float *images = make_images(BATCH, 2, 1, 9), *first = NULL;
  for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
    char line[80];
    snprintf(line, sizeof line, "conv 4x5 sum=1 %s; relu; dense 3", methods[m]);
    tare_net_options o = options_of(2);
    o.init = TARE_INIT_RESPONSE;
    tare_net *net = started(line, &o, images, BATCH);
    const void *output;
    assert_int_equal(tare_net_forward(net, images, BATCH, 0, 0, &output, NULL), TARE_OK);
    size_t bytes = BATCH * 3 * sizeof(float);
    if (!first) first = memcpy(malloc(bytes), output, bytes);
    for (int i = 0; i < BATCH * 3; i++)
      if (!(fabsf(first[i] - ((const float *)output)[i]) < 1e-3f))
        fail_msg("%s: %g, not %g", line, (double)((const float *)output)[i], (double)first[i]);
    tare_net_free(net);
  }
  free(first);
  tare_free(images);
}

static void nets_that_differ_in_one_layer_start_the_others_alike(void **state) {
  (void)state;
  static const char *const lines[] = {"conv 4x5 sum=0 spectral; relu; conv 3x3; gap; dense 2",
                                      "conv 4x5 sum=0 projection; relu; conv 3x3; gap; dense 2",
                                      "laplacian; conv 4x3; relu; conv 3x3; gap; dense 2"};
  float *images = make_images(BATCH, 1, 1, 15), first[4 * 27];
  for (size_t k = 0; k < 3; k++) {
    tare_net_options o = options_of(1);
    tare_net *net = started(lines[k], &o, images, BATCH);
    float values[4 * 27];
    assert_int_equal(tare_net_tensor_get(net, find(net, "conv2.weight"), values, NULL), TARE_OK);
    if (k == 0) memcpy(first, values, sizeof first);
    assert_memory_equal(first, values, sizeof first);
    tare_net_free(net);
  }
  tare_free(images);
}

/* Glorot's limit, reached but not passed; zero bias. */
static void plain_layers_start_as_frameworks_do(void **state) {
  (void)state;
  tare_net_options o = options_of(2);
  float *images = make_images(BATCH, 2, 1, 16);
  static const struct { const char *line; int inputs, outputs; size_t weights; } cases[] = {
    {"conv 64x5", 50, 1600, 3200}, {"conv 64x5 groups=2", 25, 800, 1600}, {"gap; dense 500", 2, 500, 1000},
    {"conv 64x5 sum=0 difference", 48, 64, 48 * 64}, {"conv 64x5 sum=1 difference", 50, 64, 48 * 64},
    {"conv 64x5 sum=0 penalty", 50, 1600, 3200},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    tare_net *net = started(cases[k].line, &o, images, BATCH);
    const float *t = tare_net_parameters(net);
    float largest = 0;
    for (size_t i = 0; i < cases[k].weights; i++) largest = fmaxf(largest, fabsf(t[i]));
    double limit = sqrt(6.0 / (cases[k].inputs + cases[k].outputs));
    if (!((double)largest <= limit * (1 + 1e-6) && (double)largest > 0.97 * limit))
      fail_msg("%s: largest %g of limit %g", cases[k].line, (double)largest, limit);
    for (size_t i = cases[k].weights; i < tare_net_parameter_count(net); i++) assert_true(t[i] == 0);
    tare_net_free(net);
  }
  tare_free(images);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bases_start_with_a_response_of_variance_1),
    cmocka_unit_test(coefficients_do_not_feel_the_scale_of_the_pixels),
    cmocka_unit_test(init_response_starts_all_as_the_same_function),
    cmocka_unit_test(nets_that_differ_in_one_layer_start_the_others_alike),
    cmocka_unit_test(plain_layers_start_as_frameworks_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
