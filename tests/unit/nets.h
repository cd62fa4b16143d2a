/* SPDX-License-Identifier: Apache-2.0 */
/* Networks and images to start them with: what test_net.c and test_net_start.c share. */
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
