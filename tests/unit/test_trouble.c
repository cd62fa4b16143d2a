/* SPDX-License-Identifier: Apache-2.0 */
/* Numerical trouble: values that are not finite, images without content, denormals, brightness of a million. */
#include "toy.h"

static const char usual[] = "conv 4x3 sum=0; bn; relu; conv 4x3; bn; relu; gap; dense 3";

/* The toy's batches, some of them spoilt: image `at` of each batch from `first` to `last` has `value` in one pixel, or in all. */
typedef struct trouble { toy data; uint64_t first, last; int at, all, flat, ramp; float value, add, times; } trouble;

static tare_status troubled_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  trouble *t = user;
  tare_status status = toy_batch(&t->data, index, batch, error);
  if (status) return status;
  for (int i = 0; i < BATCH * PIXELS; i++) t->data.images[i] = (t->flat ? t->data.images[i / PIXELS * PIXELS] : t->data.images[i]) * t->times + t->add;
  for (int i = 0; t->ramp && i < BATCH * PIXELS; i++) t->data.images[i] = (float)(1 + t->data.labels[i / PIXELS]) * (float)(i % SIDE);
  if (index < t->first || index > t->last) return TARE_OK;
  for (int i = 0; i < (t->all ? BATCH * PIXELS : 1); i++) t->data.images[t->all ? i : t->at * PIXELS + 40] = t->value;
  return TARE_OK;
}

static trouble at(uint64_t first, uint64_t last, float value) { return (trouble){.first = first, .last = last, .value = value, .at = 3, .times = 1}; }

static int is_finite(tare_net *net) {
  const float *p = tare_net_parameters(net), *s = tare_net_state(net);
  int finite = 1;
  for (size_t i = 0; i < tare_net_parameter_count(net); i++) finite &= isfinite(p[i]) != 0;
  for (size_t i = 0; i < tare_net_state_count(net); i++) finite &= isfinite(s[i]) != 0;
  return finite;
}

static int skips;
static int count_skips(void *user, const tare_progress *p) {
  (void)user;
  skips += isnan(p->loss) != 0;
  assert_true(isnan(p->loss) || isfinite(p->loss));
  return 0;
}

/* A skipped step leaves everything as it was: without the bad batches, whose places are passed over, the parameters are the same. */
static void steps_that_are_not_finite_are_skipped(void **state) {
  (void)state;
  const float values[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) {
    trouble bad = at(20, 23, values[i]);
    tare_train_options options = defaults(40);
    tare_train_result result;
    tare_net *net = new_net(usual, 2, 5);
    options.progress = count_skips;
    skips = 0;
    assert_ok(tare_train(net, troubled_batch, &bad, &options, &result, ERR));
    assert_int_equal(skips, 4);
    assert_int_equal(result.skipped, 4);
    assert_int_equal(result.steps, 40);
    assert_true(is_finite(net) && isfinite(result.last_loss));
    tare_net_free(net);
  }
}

static void too_many_in_a_row_end_the_run(void **state) {
  (void)state;
  tare_error error = {0};
  trouble bad = at(20, 1000, NAN);
  tare_train_options options = defaults(40);
  tare_net *net = new_net(usual, 1, 5);
  options.most_skipped = 5;
  expect_failure(tare_train(net, troubled_batch, &bad, &options, NULL, &error), TARE_E_DIVERGED, &error, "step 26: ");
  assert_non_null(strstr(error.message, "5 steps before, which were skipped"));
  assert_true(is_finite(net));
  tare_net_free(net);
}

/* Stopped in the middle of the bad ones and resumed: the same bits and the same count. */
static void skipping_survives_a_resume(void **state) {
  (void)state;
  float *whole = NULL;
  for (int resumed = 0; resumed < 2; resumed++) {
    trouble bad = at(18, 21, NAN);
    tare_train_options options = defaults(30);
    tare_train_result result;
    tare_net *net = new_net(usual, 1, 5);
    options.checkpoint = state_path;
    options.resume = 1;
    unlink(state_path);
    if (resumed) {
      options.steps = 20;
      assert_ok(tare_train(net, troubled_batch, &bad, &options, NULL, ERR));
      tare_net_free(net);
      net = new_net(usual, 1, 5);
      options.steps = 30;
    }
    assert_ok(tare_train(net, troubled_batch, &bad, &options, &result, ERR));
    assert_int_equal(result.skipped, 4);
    size_t bytes = tare_net_parameter_count(net) * sizeof(float);
    if (!resumed) memcpy(whole = malloc(bytes), tare_net_parameters(net), bytes);
    else assert_memory_equal(whole, tare_net_parameters(net), bytes);
    tare_net_free(net);
  }
  free(whole);
}

/* The start passes over images that are not finite; it fails only where there is no other. */
static void the_start_passes_over_bad_images(void **state) {
  (void)state;
  tare_error error = {0};
  trouble some = at(0, 3, NAN), all = at(0, 100000, NAN);
  all.all = 1;
  tare_train_options options = defaults(10);
  tare_net *net = new_net(usual, 1, 5);
  assert_ok(tare_train(net, troubled_batch, &some, &options, NULL, ERR));
  assert_true(is_finite(net));
  tare_net_free(net);
  net = new_net(usual, 1, 5);
  expect_failure(tare_train(net, troubled_batch, &all, &options, NULL, &error), TARE_E_DATA, &error, "not finite");
  tare_net_free(net);
}

/* Black, grey and white images, denormals, brightness of a million: every method trains on them without a value that is not finite. */
static void images_without_content_are_harmless(void **state) {
  (void)state;
  const struct { float add, times; int flat; } worlds[] = {{0, 0}, {0.3f, 0}, {255, 0}, {0, 1e-41f}, {0, 1e-20f}, {1e6f, 1}, {-1e6f, 0}, {0, 1, 1}, {500, 100, 1}};
  const char *methods[] = {"spectral", "whitened", "whitened-full", "pivot", "centred", "projection", "difference"};
  for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
    for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++) {
      char line[120];
      trouble world = {.first = 1, .add = worlds[w].add, .times = worlds[w].times, .flat = worlds[w].flat};
      tare_train_options options = defaults(6);
      tare_train_result result;
      tare_eval_result test;
      snprintf(line, sizeof line, "conv 4x3 sum=0 %s; bn; relu; conv 4x3; bn; relu; gap; dense 3", methods[m]);
      tare_net *net = new_net(line, 1, 5);
      tare_error error = {0};
      if (tare_train(net, troubled_batch, &world, &options, &result, &error)) fail_msg("%s, world %zu: %s", methods[m], w, error.message);
      if (result.skipped || !is_finite(net) || !(result.last_loss < 20)) fail_msg("%s, world %zu: loss %g, %d skipped", methods[m], w, result.last_loss, (int)result.skipped);
      assert_ok(tare_evaluate(net, troubled_batch, &world, 2, TARE_LOSS_CROSS_ENTROPY, &test, NULL, ERR));
      if (!isfinite(test.loss)) fail_msg("%s, world %zu: test loss %g", methods[m], w, test.loss);
      float weights[4 * 9];
      assert_ok(tare_net_tensor_get(net, 0, weights, ERR));
      for (int i = 0; i < 36; i++)
        if ((worlds[w].times == 0 || worlds[w].flat) && !(fabsf(weights[i]) < 1e3f)) fail_msg("%s, world %zu: weight %g from images without content", methods[m], w, (double)weights[i]);
      tare_net_free(net);
    }
}

static void expect_notes(int flat, int ramp, const char *line, const char *notes) {
  trouble world = {.first = 1, .times = 1, .flat = flat, .ramp = ramp};
  tare_train_options options = defaults(2);
  tare_net *net = new_net(line, 1, 5);
  assert_ok(tare_train(net, troubled_batch, &world, &options, NULL, ERR));
  if (*notes ? !strstr(tare_net_notes(net), notes) : *tare_net_notes(net) != 0) fail_msg("'%s', expected '%s'", tare_net_notes(net), notes);
  tare_net_free(net);
}

static void what_the_start_could_not_measure_is_said(void **state) {
  (void)state;
  expect_notes(1, 0, "conv 2x3 sum=0 whitened; relu; gap; dense 3", "layer 1: its input has no detail to measure");
  expect_notes(0, 0, "conv 2x3 sum=0 whitened; relu; gap; dense 3", "");
  expect_notes(0, 0, "conv 2x3 sum=0 spectral; relu; gap; dense 3", "");
  expect_notes(1, 0, "conv 2x3 sum=0 spectral; relu; gap; dense 3", "");
  expect_notes(0, 1, "conv 2x3 sum=0 whitened; relu; gap; dense 3", "7 of 8 frequencies have less than 1e-4 of the largest variance");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(steps_that_are_not_finite_are_skipped, clean_folder),
    cmocka_unit_test_setup(too_many_in_a_row_end_the_run, clean_folder),
    cmocka_unit_test_setup(skipping_survives_a_resume, clean_folder),
    cmocka_unit_test_setup(the_start_passes_over_bad_images, clean_folder),
    cmocka_unit_test_setup(images_without_content_are_harmless, clean_folder),
    cmocka_unit_test_setup(what_the_start_could_not_measure_is_said, clean_folder),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
