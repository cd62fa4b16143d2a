/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient check over every layer, every method, and what convolutions can be given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "net/layers.h"

static const tare_net_options options = {.height = 7, .width = 9, .channels = 2, .batch = 9, .threads = 1, .seed = 3};

static void check_with(const char *line, const tare_net_options *o) {
  double worst = NAN, worst_f32 = NAN;
  tare_error error;
  tare_status status = tare_net_check_gradient(line, o, &worst, &worst_f32, &error);
  if (status) fail_msg("%s: %s", line, error.message);
  if (!(worst <= 1e-7 && worst_f32 <= 1e-4)) fail_msg("%s: relative error %g in double, float differs by %g", line, worst, worst_f32);
}

static void check(const char *line) { check_with(line, &options); }

/* Two images only: where many lines say the same about each image. */
static void check_small(const char *line) {
  tare_net_options o = options;
  o.batch = 2;
  check_with(line, &o);
}

/* Every row of the table of layers; a layer that comes new into it and not into this list fails. */
static void every_layer_agrees_with_differences(void **state) {
  (void)state;
  static const char *const lines[] = {
    "conv 3x3", "bn", "relu", "sort", "maxpool 3 /2", "avgpool 3 /2", "gap", "flatten", "dense 4", "dropout 0.4", "image-mean", "local-mean 5",
    "laplacian", "gradients",
  };
  for (int i = 0; tare_layer_kind_name(i); i++) {
    const char *name = tare_layer_kind_name(i);
    size_t k = 0, count = sizeof lines / sizeof *lines;
    while (k < count && strncmp(lines[k], name, strlen(name))) k++;
    if (k == count) fail_msg("no line checks layer %s", name);
    check(lines[k]);
    char between[200]; /* with layers above and below: what it hands down matters */
    snprintf(between, sizeof between, "conv 4x2; %s; dense 3", lines[k]);
    check(between);
    snprintf(between, sizeof between, "conv 4x2; bn; relu; %s; relu; dense 3", lines[k]);
    check(between);
  }
}

static void every_method_agrees_with_differences(void **state) {
  (void)state;
  static const char *const rules[] = {"sum=0", "sum=1", "bayar", "{order=1}", "sum=1/2@filter", "{sum=1; symmetric}"};
  for (int i = 0; tare_method_name(i); i++)
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
      char line[200];
      snprintf(line, sizeof line, "conv 4x3 %s %s; relu; dense 3", rules[r], tare_method_name(i));
      check_small(line);
    }
  check("conv 4x3 sum=0 spectral(0.5)");
  check("conv 4x3 sum=0 penalty(10)");
  check("conv 4x3 spectral");
  check("conv 4x3 centred");
  check("conv 4x3 whitened-full");
}

static void a_method_in_the_middle_hands_its_gradient_down(void **state) {
  (void)state;
  static const char *const methods[] = {"difference", "spectral", "whitened", "projection", "weight-standardization"};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    char line[200];
    snprintf(line, sizeof line, "conv 3x2; bn; relu; conv 4x3 sum=1 %s; dense 2", methods[i]);
    check(line);
  }
}

static void borders_strides_groups_and_dilation(void **state) {
  (void)state;
  static const char *const shapes[] = {
    "pad=same", "pad=reflect", "pad=edge", "pad=valid", "pad=1 border=reflect", "pad=2", "/2", "/3 pad=same", "groups=2",
    "groups=2 pad=edge /2",
    "dilation=2", "dilation=2 pad=reflect", "nobias", "groups=2 dilation=2 /2 pad=same nobias",
  };
  static const char *const heads[] = {"conv 4x3", "conv 4x3 sum=0 spectral", "conv 4x3 sum=1 difference",
                                      "conv 4x3 sum=0@filter difference", "conv 4x3x5", "conv 4x3x1 sum=0 pivot"};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
      char line[200];
      snprintf(line, sizeof line, "%s %s; relu", heads[h], shapes[i]);
      check_small(line);
    }
}

static void whole_networks_and_other_sizes(void **state) {
  (void)state;
  check("conv 4x3 sum=0 spectral; bn; relu; conv 6x3 /2; bn; relu; conv 5x2; bn; relu; gap; dense 6");
  check("conv 4x3 sum=0; relu; maxpool 2; dropout 0.2; flatten; dense 7; relu; dense 3 nobias");
  check("conv 6x3; sort; conv 4x3; sort; maxpool 2; sort; dense 2");
  check("bn; relu; bn; avgpool 2; relu; relu; dropout 0.5; dropout 0.1");
  tare_net_options o = options;
  for (int batch = 1; batch <= 17; batch += 8) { /* one image; one more than full shards */
    o.batch = batch;
    o.threads = 2;
    o.height = 6;
    o.width = 9;
    o.channels = 1;
    check_with("conv 3x3 sum=0 spectral pad=same; bn; relu; gap; dense 2", &o);
  }
  o.init = TARE_INIT_RESPONSE;
  check_with("conv 3x3 sum=0 difference; relu; dense 2", &o);
}

static void wrong_use_is_refused(void **state) {
  (void)state;
  tare_error error;
  double worst;
  assert_int_equal(tare_net_check_gradient("convv 3x3", &options, &worst, NULL, &error), TARE_E_SYNTAX);
  assert_int_equal(tare_net_check_gradient("conv 3x3", NULL, &worst, NULL, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_check_gradient("conv 3x3", &options, NULL, NULL, &error), TARE_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_layer_agrees_with_differences),
    cmocka_unit_test(every_method_agrees_with_differences),
    cmocka_unit_test(a_method_in_the_middle_hands_its_gradient_down),
    cmocka_unit_test(borders_strides_groups_and_dilation),
    cmocka_unit_test(whole_networks_and_other_sizes),
    cmocka_unit_test(wrong_use_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
