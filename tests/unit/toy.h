/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for files, and a small task to train on: what the tests of the train room share. */
#ifndef TARE_TESTS_TOY_H
#define TARE_TESTS_TOY_H

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

#include "base/error.h"
#include "base/rng.h"
#include "train/train.h"

static char folder[64], model_path[128], state_path[128];

static inline int make_folder(void **state) {
  (void)state;
  strcpy(folder, P_tmpdir "/tare-train-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(model_path, sizeof model_path, "%s/m.safetensors", folder);
  snprintf(state_path, sizeof state_path, "%s/state", folder);
  return 0;
}

static inline int clean_folder(void **state) {
  (void)state;
  unlink(model_path);
  unlink(state_path);
  return 0;
}

static inline int remove_folder(void **state) {
  clean_folder(state);
  return rmdir(folder); /* fails if anything was left behind */
}

/* assert_ok(f(..., ERR)) */
#define ERR (&e_)
#define assert_ok(call) \
  do { \
    tare_error e_ = {0}; \
    tare_status s_ = (call); \
    if (s_) fail_msg("%s: %s (%s)", #call, tare_status_name(s_), e_.message); \
  } while (0)

static inline void expect_failure(tare_status got, tare_status expected, const tare_error *error, const char *because) {
  if (got != expected || !strstr(error->message, because))
    fail_msg("status %d (%s), '%s'; expected %d, '%s'", got, tare_status_name(got), error->message, expected, because);
}

/* Which of three gratings is under the noise, at any brightness? */

enum { SIDE = 12, CLASSES = 3, BATCH = 16, PIXELS = SIDE * SIDE };

typedef struct toy {
  int count;               /* images a batch; BATCH if 0 */
  uint64_t fail_at;        /* from this batch on it fails */
  uint64_t spoil_at;       /* this batch has a NaN */
  const float *kernel;     /* 3x3: images are noise, targets its response */
  uint64_t asked[256], asks;
  float images[BATCH * PIXELS], targets[BATCH * PIXELS];
  int32_t labels[BATCH];
} toy;

static inline void respond(const float *image, const float *kernel, float *out) {
  for (int y = 0; y < SIDE - 2; y++)
    for (int x = 0; x < SIDE - 2; x++) {
      double sum = 0;
      for (int k = 0; k < 9; k++) sum += (double)kernel[k] * (double)image[(y + k / 3) * SIDE + x + k % 3];
      out[y * (SIDE - 2) + x] = (float)sum;
    }
}

static inline tare_status toy_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  toy *t = user;
  t->asked[t->asks++ % 256] = index;
  if (t->fail_at && index >= t->fail_at) return tare_fail(error, TARE_E_DATA, "toy: no batch %d", (int)index);
  tare_rng rng;
  tare_rng_init(&rng, 77, index);
  int count = t->count ? t->count : BATCH;
  for (int i = 0; i < count; i++) {
    t->labels[i] = (int32_t)tare_rng_below(&rng, CLASSES);
    double brightness = tare_rng_range(&rng, -1, 1), u[CLASSES] = {1, 0, 1}, v[CLASSES] = {0, 1, 1};
    for (int y = 0; y < SIDE; y++)
      for (int x = 0; x < SIDE; x++)
        t->images[i * PIXELS + y * SIDE + x] = t->kernel ? (float)tare_rng_normal(&rng) :
          (float)(brightness + 0.5 * cos(1.6 * (u[t->labels[i]] * x + v[t->labels[i]] * y)) + 0.2 * tare_rng_normal(&rng));
    if (t->kernel) respond(t->images + i * PIXELS, t->kernel, t->targets + i * (SIDE - 2) * (SIDE - 2));
  }
  if (t->spoil_at && index == t->spoil_at) t->images[5] = NAN;
  *batch = (tare_batch){.count = count, .images = t->images};
  if (t->kernel) batch->targets = t->targets;
  else batch->labels = t->labels;
  return TARE_OK;
}

static inline tare_net *new_net(const char *line, int threads, uint64_t seed) {
  tare_net_options options = {.height = SIDE, .width = SIDE, .channels = 1, .batch = BATCH, .threads = threads, .seed = seed};
  tare_net *net = NULL;
  assert_ok(tare_net_create(line, &options, &net, ERR));
  return net;
}

static const char small[] = "conv 2x3 sum=0; bn; relu; gap; dense 3";

static inline tare_train_options defaults(uint64_t steps) {
  tare_train_options options;
  tare_train_defaults(&options);
  options.lr = 0.01;
  options.steps = steps;
  return options;
}

#endif
