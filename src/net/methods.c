/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods, and what its rows do. To add one: see doc/net.md. */
#include "net/methods.h"

#include <string.h>

static void *at(const tare_weights *weights, const void *array, size_t elements) {
  return (char *)array + elements * weights->kernels->real;
}

static size_t bytes(const tare_weights *weights, size_t elements) { return elements * weights->kernels->real; }

/* none, penalty, projection, gradient-centralization: parameters are weights. */
static void copy_weights(const tare_weights *weights, size_t first, size_t count, const void *t, void *w) {
  size_t from = first * weights->taps;
  memcpy(at(weights, w, from), at(weights, t, from), bytes(weights, count * weights->taps));
}

static void copy_gradient(const tare_weights *weights, size_t first, size_t count, const void *t, const void *dw, void *g) {
  (void)t;
  copy_weights(weights, first, count, dw, g);
}

/* projection: w -= A^+ (A w - b). */
static void project(const tare_weights *weights, size_t first, size_t count, void *t) {
  void *from = at(weights, t, first * weights->taps);
  if (weights->precision == TARE_F64) tare_basis_project_f64(weights->basis, count, from);
  else tare_basis_project(weights->basis, count, from);
}

/* The bases: w = w0 + B t. */
static void basis_compose(const tare_weights *weights, size_t first, size_t count, const void *t, void *w) {
  const void *from = at(weights, t, first * weights->coefficients);
  void *to = at(weights, w, first * weights->taps);
  if (weights->precision == TARE_F64) tare_basis_compose_f64(weights->basis, count, from, to);
  else tare_basis_compose_quick(weights->basis, count, from, to);
}

static void basis_backprop(const tare_weights *weights, size_t first, size_t count, const void *t, const void *dw, void *g) {
  (void)t;
  const void *from = at(weights, dw, first * weights->taps);
  void *to = at(weights, g, first * weights->coefficients);
  if (weights->precision == TARE_F64) tare_basis_transpose_f64(weights->basis, count, from, to);
  else tare_basis_transpose(weights->basis, count, from, to);
}

/* difference: the 1x1 convolution's weights are the coefficients, and where b is not 0 a fixed 1 that brings in w0's response. */
static void split_compose(const tare_weights *weights, size_t first, size_t count, const void *t, void *w) {
  static const double one = 1;
  size_t from = (size_t)weights->coefficients, to = (size_t)weights->composed;
  for (size_t unit = first; unit < first + count; unit++) {
    memcpy(at(weights, w, unit * to), at(weights, t, unit * from), bytes(weights, from));
    if (to > from) weights->kernels->narrow(1, &one, at(weights, w, unit * to + from));
  }
}

static void split_backprop(const tare_weights *weights, size_t first, size_t count, const void *t, const void *dw, void *g) {
  (void)t;
  size_t to = (size_t)weights->coefficients, from = (size_t)weights->composed;
  for (size_t unit = first; unit < first + count; unit++)
    memcpy(at(weights, g, unit * to), at(weights, dw, unit * from), bytes(weights, to));
}

/* weight-standardization (Qiao et al. 2019): each filter less its mean, over its norm. */
static void standard_compose(const tare_weights *weights, size_t first, size_t count, const void *t, void *w) {
  size_t from = first * weights->taps;
  weights->kernels->standardize_rows(count, (size_t)weights->taps, at(weights, t, from), at(weights, w, from));
}

static void standard_backprop(const tare_weights *weights, size_t first, size_t count, const void *t, const void *dw, void *g) {
  size_t from = first * weights->taps;
  weights->kernels->standardize_rows_backward(count, (size_t)weights->taps, at(weights, t, from), at(weights, dw, from),
                                              at(weights, g, from));
}

/* gradient-centralization (Yong et al. 2020): the gradient of each filter less its mean. */
static void centred_gradient(const tare_weights *weights, size_t first, size_t count, const void *t, const void *dw, void *g) {
  (void)t;
  size_t from = first * weights->taps;
  weights->kernels->centre_rows(count, (size_t)weights->taps, at(weights, dw, from), at(weights, g, from));
}

static const tare_method methods[] = {
  {"none", .compose = copy_weights, .backprop = copy_gradient},
  {"penalty", .rule = TARE_RULE_MUST, .takes_argument = 1, .argument = 0.01, .high = 1e6, .penalises = 1,
   .compose = copy_weights, .backprop = copy_gradient},
  {"projection", .rule = TARE_RULE_MUST, .holds = 1, .projects = 1, .compose = copy_weights, .backprop = copy_gradient,
   .after_step = project},
  {"difference", .rule = TARE_RULE_MUST, .holds = 1, .basis = "pivot", .split = 1, .compose = split_compose, .backprop = split_backprop},
  {"centred", .holds = 1, .basis = "centred", .compose = basis_compose, .backprop = basis_backprop},
  {"orthonormal", .holds = 1, .basis = "orthonormal", .compose = basis_compose, .backprop = basis_backprop},
  {"pivot", .holds = 1, .basis = "pivot", .compose = basis_compose, .backprop = basis_backprop},
  {"spectral", .holds = 1, .basis = "spectral", .absorbs = 1, .takes_argument = 1, .argument = 1, .low = -4, .high = 4,
   .compose = basis_compose, .backprop = basis_backprop},
  {"dct", .holds = 1, .basis = "dct", .absorbs = 1, .compose = basis_compose, .backprop = basis_backprop},
  {"whitened", .holds = 1, .basis = "whitened", .absorbs = 1, .measures = 1, .compose = basis_compose, .backprop = basis_backprop},
  {"whitened-full", .holds = 1, .basis = "whitened-full", .absorbs = 1, .measures = 1, .compose = basis_compose,
   .backprop = basis_backprop},
  {"weight-standardization", .whole_filters = 1, .compose = standard_compose, .backprop = standard_backprop},
  {"gradient-centralization", .whole_filters = 1, .approximate = 1, .compose = copy_weights, .backprop = centred_gradient},
};
enum { METHODS = sizeof methods / sizeof *methods };

const tare_method *tare_method_find(const char *name, size_t length) {
  for (int i = 0; i < METHODS; i++)
    if (strlen(methods[i].name) == length && strncmp(methods[i].name, name, length) == 0) return &methods[i];
  return NULL;
}

const char *tare_method_name(int i) { return i < METHODS ? methods[i].name : NULL; }
