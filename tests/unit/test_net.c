/* SPDX-License-Identifier: Apache-2.0 */
/* What networks promise: the same bits for any number of threads, rules that hold, tensors that come back. */
#include "nets.h"

static const char whole[] = "conv 6x5 sum=0 spectral; bn; relu; conv 5x3 /2 sum=1 projection; bn; relu; maxpool 2; dropout 0.3; dense 4";

/* One training pass; doutput a fixed pattern. */
static void pass(tare_net *net, const float *images, int count, uint64_t step) {
  size_t outputs = tare_net_output_size(net) * (size_t)count;
  float *doutput = tare_alloc(outputs, sizeof *doutput);
  for (size_t i = 0; i < outputs; i++) doutput[i] = (float)((double)(i * 37 % 11) / 11 - 0.4);
  const void *output;
  assert_int_equal(tare_net_forward(net, images, count, 1, step, &output, NULL), TARE_OK);
  assert_int_equal(tare_net_backward(net, doutput, NULL), TARE_OK);
  tare_free(doutput);
}

/* A few steps of plain gradient descent. */
static void descend(tare_net *net, const float *images, int count, int steps, float rate) {
  for (int s = 0; s < steps; s++) {
    pass(net, images, count, (uint64_t)s);
    float *p = tare_net_parameters(net), *g = tare_net_gradients(net);
    for (size_t i = 0; i < tare_net_parameter_count(net); i++) p[i] -= rate * g[i];
    assert_int_equal(tare_net_after_step(net, NULL), TARE_OK);
  }
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
  (void)state;
  static const int counts[] = {1, 7, 8, 9, 16, 20, 21};
  float *images = make_images(BATCH, 2, 1, 5);
  for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
    float *first = NULL, *state_first = NULL;
    for (int threads = 1; threads <= 4; threads++) {
      tare_net_options o = options_of(2);
      o.threads = threads;
      tare_net *net = started(whole, &o, images, BATCH);
      descend(net, images, counts[k], 2, 0.01f);
      pass(net, images, counts[k], 9);
      size_t bytes = tare_net_parameter_count(net) * sizeof(float), state_bytes = tare_net_state_count(net) * sizeof(float);
      if (!first) {
        first = memcpy(malloc(bytes), tare_net_gradients(net), bytes);
        state_first = memcpy(malloc(state_bytes), tare_net_state(net), state_bytes);
      }
      assert_memory_equal(first, tare_net_gradients(net), bytes);
      assert_memory_equal(state_first, tare_net_state(net), state_bytes);
      tare_net_free(net);
    }
    free(first);
    free(state_first);
  }
  tare_free(images);
}

static void what_a_larger_batch_left_behind_does_not_count(void **state) {
  (void)state;
  tare_net_options o = options_of(2);
  float *images = make_images(BATCH, 2, 1, 5);
  tare_net *fresh = started(whole, &o, images, BATCH), *used = started(whole, &o, images, BATCH);
  pass(used, images, BATCH, 0);
  pass(used, images, 11, 1);
  pass(fresh, images, 11, 1);
  assert_memory_equal(tare_net_gradients(fresh), tare_net_gradients(used), tare_net_parameter_count(fresh) * sizeof(float));
  tare_net_free(fresh);
  tare_net_free(used);
  tare_free(images);
}

/*
 * To the bit for an image at the same place in its shard, whatever its neighbours; to rounding at
 * another place, where a matrix product may add in another order.
 */
static void evaluation_takes_each_image_by_itself(void **state) {
  (void)state;
  tare_net_options o = options_of(1);
  float *images = make_images(BATCH, 1, 1, 6);
  tare_net *net = started(whole, &o, images, BATCH);
  descend(net, images, BATCH, 3, 0.01f);
  size_t size = tare_net_output_size(net), pixels = SIZE * SIZE;
  float all[BATCH * 4];
  const void *output;
  assert_int_equal(tare_net_forward(net, images, BATCH, 0, 0, &output, NULL), TARE_OK);
  memcpy(all, output, sizeof all);
  for (int i = 0; i < BATCH; i++)
    for (int count = 1; count <= BATCH - i; count += 5) {
      assert_int_equal(tare_net_forward(net, images + (size_t)i * pixels, count, 0, 77, &output, NULL), TARE_OK);
      const float *here = output, *want = all + (size_t)i * size;
      if (i % 8 == 0) assert_memory_equal(here, want, size * (size_t)count * sizeof(float));
      for (size_t k = 0; k < size * (size_t)count; k++) assert_true(fabsf(here[k] - want[k]) <= 1e-5f * (1 + fabsf(want[k])));
    }
  tare_net_free(net);
  tare_free(images);
}

/* The largest residual, relative to 1 + the sum of the magnitudes of one unit's weights. */
static double residual_of(tare_net *net, const char *name) {
  tare_net_tensor info;
  tare_residual residual;
  size_t index = find(net, name), count = 1;
  assert_int_equal(tare_net_tensor_info(net, index, &info, NULL), TARE_OK);
  for (int i = 0; i < info.dims; i++) count *= (size_t)info.shape[i];
  float *values = tare_alloc(count, sizeof *values);
  assert_int_equal(tare_net_tensor_get(net, index, values, NULL), TARE_OK);
  assert_int_equal(tare_constraint_residual(info.constraint, values, count / (size_t)tare_constraint_taps(info.constraint), &residual,
                                            NULL), TARE_OK);
  double largest = 0;
  for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)values[i]));
  tare_free(values);
  return residual.max_abs / (1 + largest * tare_constraint_taps(info.constraint));
}

static void rules_hold_from_the_start_and_while_training(void **state) {
  (void)state;
  static const char *const rules[] = {"sum=0", "sum=1", "bayar", "order=1", "sum=1@filter"};
  float *images = make_images(BATCH, 2, 1, 8);
  for (int m = 0; tare_method_name(m); m++)
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++)
      for (int init = 0; init < 2; init++) {
        char line[80];
        snprintf(line, sizeof line, "conv 4x5 %s %s", rules[r], tare_method_name(m));
        tare_net_options o = options_of(2);
        o.init = init ? TARE_INIT_RESPONSE : TARE_INIT_METHOD;
        tare_net *net = started(line, &o, images, BATCH);
        tare_net_tensor info;
        tare_net_tensor_info(net, 0, &info, NULL);
        int holds = tare_method_find(tare_method_name(m), strlen(tare_method_name(m)))->holds;
        assert_int_equal(info.rule_trained, holds);
        assert_non_null(info.constraint);
        double before = residual_of(net, "conv1.weight");
        descend(net, images, BATCH, 3, 1e-5f);
        double after = residual_of(net, "conv1.weight");
        if (holds && !(before < 1e-6 && after < 1e-6)) fail_msg("%s: residual %g, after steps %g", line, before, after);
        if (!holds && init == 0 && !(before > 1e-4)) fail_msg("%s: residual %g", line, before);
        tare_net_free(net);
      }
  tare_free(images);
}

/* The same t in both: the same function, the same gradient of t. */
static void pivot_and_difference_are_the_same(void **state) {
  (void)state;
  static const char *const rules[] = {"sum=0", "sum=1", "bayar", "sum=1@filter", "{order=1} /2 pad=reflect", "sum=0 groups=2"};
  float *images = make_images(BATCH, 2, 1, 10);
  for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
    tare_net *nets[2];
    for (int k = 0; k < 2; k++) {
      char line[100];
      snprintf(line, sizeof line, "conv 4x5 %s %s; bn; relu; dense 3", rules[r], k ? "difference" : "pivot");
      tare_net_options o = options_of(2);
      nets[k] = started(line, &o, images, BATCH);
    }
    size_t count = tare_net_parameter_count(nets[0]);
    assert_int_equal(count, tare_net_parameter_count(nets[1]));
    for (int steps = 0; steps < 2; steps++) {
      if (steps == 0) memcpy(tare_net_parameters(nets[1]), tare_net_parameters(nets[0]), count * sizeof(float));
      for (int k = 0; k < 2; k++) {
        assert_int_equal(tare_net_after_step(nets[k], NULL), TARE_OK);
        descend(nets[k], images, BATCH, 5, 0.003f);
      }
      const float *g[2] = {tare_net_gradients(nets[0]), tare_net_gradients(nets[1])};
      const float *p[2] = {tare_net_parameters(nets[0]), tare_net_parameters(nets[1])};
      double scale = 0;
      for (size_t i = 0; i < count; i++) scale = fmax(scale, fabs((double)g[0][i]));
      for (size_t i = 0; i < count; i++) {
        if (!(fabsf(g[0][i] - g[1][i]) <= 2e-3 * scale))
          fail_msg("%s: gradient %zu: %g and %g of %g", rules[r], i, (double)g[0][i], (double)g[1][i], scale);
        assert_true(fabsf(p[0][i] - p[1][i]) <= 2e-3f);
      }
    }
    float weights[2][4 * 2 * 25];
    for (int k = 0; k < 2; k++) assert_int_equal(tare_net_tensor_get(nets[k], find(nets[k], "conv1.weight"), weights[k], NULL), TARE_OK);
    size_t plain = strstr(rules[r], "groups") ? 100 : 200;
    for (size_t i = 0; i < plain; i++) assert_true(fabsf(weights[0][i] - weights[1][i]) <= 2e-3f);
    for (int k = 0; k < 2; k++) tare_net_free(nets[k]);
  }
  tare_free(images);
}

static void difference_is_literally_two_layers(void **state) {
  (void)state;
  tare_net_options o = options_of(2);
  tare_net *net = make("conv 4x5 sum=1 difference; dense 3", &o);
  assert_int_equal(net->layer_count, 5); /* input, frozen, 1x1, dense, output */
  assert_int_equal(net->layers[1]->out[2], 2 * (24 + 1)); /* differences of each channel, and w0's response: b is not 0 */
  assert_int_equal(net->layers[1]->parameter_count, 0);
  assert_int_equal(net->layers[1]->needs_dx, 0);
  assert_null(tare_conv_plan_candidate(((tare_conv *)net->layers[1]->self)->plan, TARE_BACKWARD_WEIGHTS));
  assert_null(tare_conv_plan_candidate(((tare_conv *)net->layers[1]->self)->plan, TARE_BACKWARD_DATA));
  assert_int_equal(net->layers[2]->parameter_count, 4 * 2 * 24 + 4);
  tare_net_free(net);
}

static void tensors_come_back(void **state) {
  (void)state;
  float *images = make_images(BATCH, 2, 1, 12);
  for (int m = 0; tare_method_name(m); m++) {
    char line[100];
    snprintf(line, sizeof line, "conv 4x5 sum=1 %s; bn; relu; conv 3x3 groups=1; dense 3", tare_method_name(m));
    tare_net_options o = options_of(2), other = o;
    other.seed = 99;
    tare_net *a = started(line, &o, images, BATCH), *b = make(line, &other);
    descend(a, images, BATCH, 2, 1e-4f);
    static const char *const names[] = {"conv1.weight", "conv1.bias", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
                                        "conv2.weight", "conv2.bias", "dense1.weight", "dense1.bias"};
    assert_int_equal(tare_net_tensor_count(a), 10);
    for (size_t i = 0; i < 10; i++) {
      tare_net_tensor info;
      size_t index = find(a, names[i]), count = 1;
      assert_int_equal(tare_net_tensor_info(a, index, &info, NULL), TARE_OK);
      for (int d = 0; d < info.dims; d++) count *= (size_t)info.shape[d];
      float *values = malloc(count * sizeof *values);
      assert_int_equal(tare_net_tensor_get(a, index, values, NULL), TARE_OK);
      assert_int_equal(tare_net_tensor_set(b, find(b, names[i]), values, NULL), TARE_OK);
      values[0] = NAN;
      assert_int_equal(tare_net_tensor_set(b, find(b, names[i]), values, NULL), TARE_E_ARGUMENT);
      free(values);
    }
    const void *ya, *yb;
    assert_int_equal(tare_net_forward(a, images, BATCH, 0, 0, &ya, NULL), TARE_OK);
    assert_int_equal(tare_net_forward(b, images, BATCH, 0, 0, &yb, NULL), TARE_OK);
    for (int i = 0; i < BATCH * 3; i++)
      if (!(fabsf(((const float *)ya)[i] - ((const float *)yb)[i]) < 1e-3f))
        fail_msg("%s: %g came back as %g", line, (double)((const float *)ya)[i], (double)((const float *)yb)[i]);
    tare_net_free(a);
    tare_net_free(b);
  }
  tare_free(images);
}

static void pinned_weights_are_used_as_they_are(void **state) {
  (void)state;
  static const char *const methods[] = {"spectral", "difference", "projection", "weight-standardization"};
  float *images = make_images(BATCH, 1, 1, 13);
  for (size_t m = 0; m < 4; m++) {
    char line[80];
    snprintf(line, sizeof line, "conv 1x3 sum=0 %s nobias", methods[m]);
    tare_net_options o = options_of(1);
    tare_net *net = started(line, &o, images, BATCH);
    float pin[9] = {0}, back[9];
    pin[4] = 3; /* no weight of this rule: 3 times the inner pixels */
    assert_int_equal(tare_net_tensor_pin(net, 0, pin, NULL), TARE_OK);
    const void *output;
    assert_int_equal(tare_net_forward(net, images, BATCH, 0, 0, &output, NULL), TARE_OK);
    for (int i = 0; i < BATCH; i++)
      for (int r = 0; r < SIZE - 2; r++)
        for (int c = 0; c < SIZE - 2; c++)
          assert_true(((const float *)output)[(i * (SIZE - 2) + r) * (SIZE - 2) + c] == 3 * images[(i * SIZE + r + 1) * SIZE + c + 1]);
    assert_int_equal(tare_net_tensor_get(net, 0, back, NULL), TARE_OK);
    assert_memory_equal(back, pin, sizeof pin);
    tare_error error;
    assert_int_equal(tare_net_forward(net, images, BATCH, 1, 0, &output, &error), TARE_E_ARGUMENT);
    float zero_sum[9] = {1, -1, 0, 0, 0.5f, 0, 0, -0.5f, 0};
    assert_int_equal(tare_net_tensor_set(net, 0, zero_sum, NULL), TARE_OK); /* takes the pin away */
    assert_int_equal(tare_net_forward(net, images, BATCH, 1, 0, &output, NULL), TARE_OK);
    assert_int_equal(tare_net_tensor_get(net, 0, back, NULL), TARE_OK);
    if (m < 3)
      for (int i = 0; i < 9; i++) assert_true(fabsf(back[i] - zero_sum[i]) < 1e-6f);
    tare_net_free(net);
  }
  tare_free(images);
}

static void scales_make_the_same_bases_again(void **state) {
  (void)state;
  static const char line[] = "conv 4x5 sum=0 whitened; bn; relu; conv 3x3 sum=0 spectral; relu; conv 3x3 sum=0 whitened-full; gap; dense 2";
  float *images = make_images(BATCH, 1, 255, 14);
  tare_net_options o = options_of(1);
  tare_net *a = started(line, &o, images, BATCH), *b = make(line, &o);
  const double *scales;
  size_t count;
  assert_int_equal(tare_net_get_scales(a, &scales, &count, NULL), TARE_OK);
  assert_int_equal(count, 1 + 25 * 25 + 1 + 1 + 9 * 9);
  assert_int_equal(tare_net_set_scales(b, scales, count - 1, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_set_scales(b, scales, count, NULL), TARE_OK);
  memcpy(tare_net_parameters(b), tare_net_parameters(a), tare_net_parameter_count(a) * sizeof(float));
  descend(a, images, BATCH, 2, 0.01f);
  descend(b, images, BATCH, 2, 0.01f);
  assert_memory_equal(tare_net_parameters(a), tare_net_parameters(b), tare_net_parameter_count(a) * sizeof(float));
  double bad[1 + 25 * 25 + 1 + 1 + 9 * 9];
  memcpy(bad, scales, sizeof bad);
  bad[0] = -1;
  assert_int_equal(tare_net_set_scales(b, bad, count, NULL), TARE_E_ARGUMENT);
  tare_net_free(a);
  tare_net_free(b);
  tare_free(images);
}

static void dropout_takes_its_share_out_and_repeats(void **state) {
  (void)state;
  tare_net_options o = options_of(1);
  tare_net *net = make("dropout 0.25", &o);
  float *ones = tare_alloc((size_t)BATCH * SIZE * SIZE, sizeof *ones);
  size_t n = (size_t)BATCH * SIZE * SIZE, out = 0;
  for (size_t i = 0; i < n; i++) ones[i] = 1;
  const void *output;
  float *first = malloc(n * sizeof *first);
  assert_int_equal(tare_net_forward(net, ones, BATCH, 1, 4, &output, NULL), TARE_OK);
  memcpy(first, output, n * sizeof *first);
  for (size_t i = 0; i < n; i++) {
    assert_true(first[i] == 0 || fabsf(first[i] - 4 / 3.0f) < 1e-6f);
    out += first[i] == 0;
  }
  assert_true(fabs((double)out / (double)n - 0.25) < 0.02);
  assert_int_equal(tare_net_forward(net, ones, BATCH, 1, 5, &output, NULL), TARE_OK);
  assert_memory_not_equal(first, output, n * sizeof *first);
  assert_int_equal(tare_net_forward(net, ones, BATCH, 1, 4, &output, NULL), TARE_OK);
  assert_memory_equal(first, output, n * sizeof *first);
  assert_int_equal(tare_net_forward(net, ones, BATCH, 0, 4, &output, NULL), TARE_OK);
  assert_memory_equal(ones, output, n * sizeof *first);
  free(first);
  tare_free(ones);
  tare_net_free(net);
}

/* penalty(2) on given weights, by hand: 2 (|1 + 2 - 1| + |-3 - 1|) for sum=1 and two 1x2 filters. */
static void the_penalty_is_the_sum_of_residuals(void **state) {
  (void)state;
  tare_net_options o = options_of(1);
  tare_net *net = make("conv 2x1x2 sum=1 penalty(2) nobias", &o);
  const float w[4] = {1, 2, -4, 1};
  assert_int_equal(tare_net_tensor_set(net, 0, w, NULL), TARE_OK);
  assert_true(fabs(tare_net_penalty(net) - 12) < 1e-6);
  float *images = make_images(BATCH, 1, 0, 1); /* all 0: the penalty's gradient alone */
  pass(net, images, BATCH, 0);
  const float *g = tare_net_gradients(net);
  assert_true(g[0] == 2 && g[1] == 2 && g[2] == -2 && g[3] == -2);
  tare_net_free(net);
  net = make("conv 2x3 sum=0 spectral", &o);
  assert_true(tare_net_penalty(net) == 0);
  tare_net_free(net);
  tare_free(images);
}

static void wrong_use_is_refused(void **state) {
  (void)state;
  tare_net_options o = options_of(1);
  float *images = make_images(BATCH, 1, 1, 17);
  tare_net *net = make("conv 2x3 sum=0; gap", &o);
  float doutput[BATCH * 2] = {0};
  const void *output;
  tare_error error;
  assert_int_equal(tare_net_start(net, images, 0, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_backward(net, doutput, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_start(net, images, BATCH, &error), TARE_OK);
  assert_int_equal(tare_net_forward(net, images, 0, 1, 0, &output, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_forward(net, images, BATCH + 1, 1, 0, &output, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_forward(net, images, 3, 0, 0, &output, &error), TARE_OK);
  assert_int_equal(tare_net_backward(net, doutput, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_tensor_get(net, 2, doutput, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_tensor_pin(net, 1, doutput, &error), TARE_E_ARGUMENT);
  images[5] = INFINITY;
  assert_int_equal(tare_net_start(net, images, BATCH, &error), TARE_E_DATA);
  for (int i = 0; i < BATCH * SIZE * SIZE; i++) images[i] = 7; /* constant: no response to scale */
  assert_int_equal(tare_net_start(net, images, BATCH, &error), TARE_OK);
  for (size_t i = 0; i < tare_net_parameter_count(net); i++) assert_true(isfinite(((const float *)tare_net_parameters(net))[i]));
  tare_net_free(net);
  tare_net_free(NULL);
  tare_free(images);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    cmocka_unit_test(what_a_larger_batch_left_behind_does_not_count),
    cmocka_unit_test(evaluation_takes_each_image_by_itself),
    cmocka_unit_test(rules_hold_from_the_start_and_while_training),
    cmocka_unit_test(pivot_and_difference_are_the_same),
    cmocka_unit_test(difference_is_literally_two_layers),
    cmocka_unit_test(tensors_come_back),
    cmocka_unit_test(pinned_weights_are_used_as_they_are),
    cmocka_unit_test(scales_make_the_same_bases_again),
    cmocka_unit_test(dropout_takes_its_share_out_and_repeats),
    cmocka_unit_test(the_penalty_is_the_sum_of_residuals),
    cmocka_unit_test(wrong_use_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
