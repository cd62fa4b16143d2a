/* SPDX-License-Identifier: Apache-2.0 */
/* Optimisers: one row each. The loops are plain so that the compiler vectorises them; scalars are computed in double first. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "train/tables.h"

/* v = mu v + g; p -= lr v (Polyak 1964, as Sutskever et al. 2013 with the rate outside v). Decay is added to g. */
static void sgd(const tare_hyper *hyper, double lr, uint64_t step, size_t n, const float *restrict g, float *restrict p,
                float *const *state) {
  (void)step;
  float *restrict v = state[0];
  const float mu = (float)hyper->momentum, rate = (float)lr, decay = (float)hyper->weight_decay;
  for (size_t i = 0; i < n; i++) {
    v[i] = mu * v[i] + (g[i] + decay * p[i]);
    p[i] -= rate * v[i];
  }
}

/*
 * Kingma & Ba 2015, Algorithm 1:
 *   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
 * `coupled` decay is added to g, `kept` multiplies p before the step.
 */
static void adam_step(const tare_hyper *hyper, double lr, uint64_t step, double coupled, double kept, size_t n, const float *restrict g,
                      float *restrict p, float *restrict m, float *restrict v) {
  const double t = (double)step;
  const float b1 = (float)hyper->beta1, b2 = (float)hyper->beta2, c1 = (float)(1 - hyper->beta1), c2 = (float)(1 - hyper->beta2);
  const float rate = (float)(lr / (1 - pow(hyper->beta1, t))), root = (float)(1 / sqrt(1 - pow(hyper->beta2, t)));
  const float epsilon = (float)hyper->epsilon, add = (float)coupled, keep = (float)kept;
  for (size_t i = 0; i < n; i++) {
    float d = g[i] + add * p[i];
    m[i] = b1 * m[i] + c1 * d;
    v[i] = b2 * v[i] + c2 * (d * d);
    p[i] = keep * p[i] - rate * m[i] / (root * sqrtf(v[i]) + epsilon);
  }
}

static void adam(const tare_hyper *hyper, double lr, uint64_t step, size_t n, const float *g, float *p, float *const *state) {
  adam_step(hyper, lr, step, hyper->weight_decay, 1, n, g, p, state[0], state[1]);
}

/* Loshchilov & Hutter 2019, Algorithm 2: the decay apart from the gradient, p -= lr decay p, with the scheduled rate. */
static void adamw(const tare_hyper *hyper, double lr, uint64_t step, size_t n, const float *g, float *p, float *const *state) {
  adam_step(hyper, lr, step, 0, 1 - lr * hyper->weight_decay, n, g, p, state[0], state[1]);
}

static const tare_optimizer optimizers[] = {
  {"adam", 1e-3, {"m", "v"}, adam},
  {"adamw", 1e-3, {"m", "v"}, adamw},
  {"sgd", 1e-2, {"momentum"}, sgd},
};
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

tare_status tare_optimizer_find(const char *name, const tare_optimizer **out, tare_error *error) {
  tare_text names = {0};
  for (int i = 0; i < OPTIMIZERS; i++)
    if (name && strcmp(optimizers[i].name, name) == 0) return *out = &optimizers[i], TARE_OK;
  for (int i = 0; i < OPTIMIZERS; i++) tare_text_add(&names, "%s%s", i ? ", " : "", optimizers[i].name);
  tare_fail(error, TARE_E_ARGUMENT, "no optimizer '%s'; there are: %s", name ? name : "", names.data ? names.data : "");
  tare_text_free(&names);
  return TARE_E_ARGUMENT;
}

tare_status tare_hyper_set(const tare_train_options *options, const tare_optimizer *optimizer, tare_hyper *hyper, tare_error *error) {
  tare_hyper h;
  const struct { const char *name; double given, otherwise, low, below; double *to; } rows[] = {
    {"learning rate", options->lr == 0 ? NAN : options->lr, optimizer->lr, 0, INFINITY, &h.lr},
    {"momentum", options->momentum, 0.9, 0, 1, &h.momentum},
    {"beta1", options->beta1, 0.9, 0, 1, &h.beta1},
    {"beta2", options->beta2, 0.999, 0, 1, &h.beta2},
    {"epsilon", options->epsilon, 1e-8, 0, INFINITY, &h.epsilon},
    {"weight decay", options->weight_decay, 0, 0, INFINITY, &h.weight_decay},
  };
  if (isnan(options->lr)) return tare_fail(error, TARE_E_ARGUMENT, "learning rate: expected a number, found nan");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    double value = isnan(rows[i].given) ? rows[i].otherwise : rows[i].given;
    if (!(value >= rows[i].low && value < rows[i].below))
      return tare_fail(error, TARE_E_ARGUMENT, "%s %g: expected at least %g and below %g", rows[i].name, value, rows[i].low, rows[i].below);
    *rows[i].to = value;
  }
  *hyper = h;
  return TARE_OK;
}
