/* SPDX-License-Identifier: Apache-2.0 */
/* Networks, images to start them with, and a few steps: what the tests of the net room share. */
#ifndef NETS_H
#define NETS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "net/layers.h"

enum { SIZE = 20, BATCH = 21 };
static const char whole[] = "conv 6x5 sum=0 spectral; bn; relu; conv 5x3 /2 sum=1 projection; bn; relu; maxpool 2; dropout 0.3; dense 4";

static inline tare_net_options options_of(int channels) {
  return (tare_net_options){.height = SIZE, .width = SIZE, .channels = channels, .batch = BATCH, .threads = 1, .seed = 11};
}

static inline tare_net *make(const char *line, const tare_net_options *options) {
  tare_net *net = NULL;
  tare_error error;
  if (tare_net_create(line, options, &net, &error)) fail_msg("%s: %s", line, error.message);
  return net;
}

/* Images with much brightness and gradients and little detail, as photos have, between 0 and `high`. */
static inline float *make_images(int count, int channels, double high, uint64_t seed) {
  float *images = tare_alloc((size_t)count * SIZE * SIZE * (size_t)channels, sizeof *images), *x = images;
  tare_rng rng;
  tare_rng_init(&rng, seed, 1);
  for (int image = 0; image < count; image++) {
    double level = tare_rng_unit(&rng), across = tare_rng_normal(&rng), down = tare_rng_normal(&rng);
    for (int i = 0; i < SIZE * SIZE * channels; i++) {
      double u = (i / channels % SIZE) / (double)SIZE - 0.5, v = (i / channels / SIZE) / (double)SIZE - 0.5;
      double value = level + 0.3 * (across * u + down * v) + 0.2 * sin(9 * u * down + level) + 0.03 * tare_rng_normal(&rng);
      *x++ = (float)(high * value);
    }
  }
  return images;
}

static inline tare_net *started(const char *line, const tare_net_options *options, const float *images, int count) {
  tare_net *net = make(line, options);
  tare_error error;
  if (tare_net_start(net, images, (size_t)count, &error)) fail_msg("%s: %s", line, error.message);
  return net;
}

/* One training pass; doutput a fixed pattern. */
static inline void pass(tare_net *net, const float *images, int count, uint64_t step) {
  size_t outputs = tare_net_output_size(net) * (size_t)count;
  float *doutput = tare_alloc(outputs, sizeof *doutput);
  for (size_t i = 0; i < outputs; i++) doutput[i] = (float)((double)(i * 37 % 11) / 11 - 0.4);
  const void *output;
  assert_int_equal(tare_net_forward(net, images, count, 1, step, &output, NULL), TARE_OK);
  assert_int_equal(tare_net_backward(net, doutput, NULL), TARE_OK);
  tare_free(doutput);
}

/* A few steps of plain gradient descent. */
static inline void descend(tare_net *net, const float *images, int count, int steps, float rate) {
  for (int s = 0; s < steps; s++) {
    pass(net, images, count, (uint64_t)s);
    float *p = tare_net_parameters(net), *g = tare_net_gradients(net);
    for (size_t i = 0; i < tare_net_parameter_count(net); i++) p[i] -= rate * g[i];
    assert_int_equal(tare_net_after_step(net, NULL), TARE_OK);
  }
}

static inline size_t find(const tare_net *net, const char *name) {
  for (size_t i = 0; i < tare_net_tensor_count(net); i++) {
    tare_net_tensor info;
    assert_int_equal(tare_net_tensor_info(net, i, &info, NULL), TARE_OK);
    if (strcmp(info.name, name) == 0) return i;
  }
  fail_msg("no tensor %s", name);
  return 0;
}

#endif
