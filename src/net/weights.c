/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of one convolution: rule, basis, start. What differs between methods is in methods.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/methods.h"

static tare_filter_shape shape_of(const tare_weights *weights) {
  return (tare_filter_shape){.dims = 2, .size = {weights->kernel[0], weights->kernel[1]}, .channels = weights->channels};
}

int tare_weights_slice_taps(const tare_weights *weights) { return weights->kernel[0] * weights->kernel[1]; }
size_t tare_weights_count(const tare_weights *weights) {
  return (size_t)weights->outputs * weights->channels * tare_weights_slice_taps(weights);
}
size_t tare_weights_parameters(const tare_weights *weights) { return weights->units * weights->coefficients; }
size_t tare_weights_composed(const tare_weights *weights) { return weights->units * weights->composed; }

static tare_status make_rule(tare_weights *weights, const char *rule, tare_error *error) {
  tare_filter_shape shape = shape_of(weights);
  tare_status status = tare_constraint_create(rule, &shape, 0, &weights->constraint, error);
  if (status) return status;
  weights->rows = tare_constraint_rows(weights->constraint);
  size_t cells = (size_t)weights->rows * tare_constraint_taps(weights->constraint);
  weights->matrix = tare_alloc(cells, sizeof(double));
  weights->target = tare_alloc((size_t)weights->rows, sizeof(double));
  if (!weights->matrix || !weights->target) return tare_fail_memory(error, cells * sizeof(double), "a rule");
  tare_constraint_matrix(weights->constraint, weights->matrix, weights->target);
  return TARE_OK;
}

static void count_units(tare_weights *weights) {
  int by_filter = weights->method->whole_filters || (weights->constraint && tare_constraint_is_filter(weights->constraint));
  weights->units = by_filter ? (size_t)weights->outputs : (size_t)weights->outputs * weights->channels;
  weights->taps = by_filter ? weights->channels * tare_weights_slice_taps(weights) : tare_weights_slice_taps(weights);
}

tare_status tare_weights_create(tare_weights *weights, const tare_method *method, double argument, const char *rule, int outputs,
                                int channels, const int kernel[2], tare_precision precision, tare_error *error) {
  *weights = (tare_weights){.method = method, .argument = argument, .outputs = outputs, .channels = channels,
                            .kernel = {kernel[0], kernel[1]}, .precision = precision, .kernels = tare_kernels_get(precision), .scale = 1};
  if (method->rule == TARE_RULE_MUST && !rule)
    return tare_fail(error, TARE_E_ARGUMENT, "%s needs a rule, such as sum=0", method->name);
  if (method->split && (kernel[0] % 2 == 0 || kernel[1] % 2 == 0))
    return tare_fail(error, TARE_E_ARGUMENT, "%s needs odd filter sizes, found %dx%d; pivot takes any", method->name, kernel[0], kernel[1]);
  tare_status status = rule ? make_rule(weights, rule, error) : TARE_OK;
  if (status) return status;
  count_units(weights);
  weights->coefficients = weights->composed = weights->taps;
  if (method->basis || method->projects) status = tare_weights_set_basis(weights, NULL, 1, error);
  if (status || !method->basis) return status;
  weights->coefficients = tare_basis_coefficients(weights->basis);
  if (method->split) weights->composed = weights->coefficients + !tare_constraint_is_homogeneous(weights->constraint);
  return TARE_OK;
}

void tare_weights_free(tare_weights *weights) {
  tare_constraint_free(weights->constraint);
  tare_basis_free(weights->basis);
  tare_free(weights->matrix);
  tare_free(weights->target);
  tare_free(weights->covariance);
  *weights = (tare_weights){0};
}

/* From `matrix`, or the model; a constant gets the variance of the lowest frequency, 1. */
static tare_status make_covariance(const tare_weights *weights, const double *matrix, tare_covariance **out, tare_error *error) {
  tare_filter_shape shape = shape_of(weights);
  if (matrix) return tare_covariance_from_matrix(&shape, matrix, out, error);
  return tare_covariance_model(&shape, 1, out, error);
}

tare_status tare_weights_basis(const tare_weights *weights, const char *name, const double *covariance, tare_basis **out,
                               tare_error *error) {
  tare_filter_shape shape = shape_of(weights);
  tare_constraint *plain = NULL;
  tare_covariance *measured = NULL;
  tare_status status = weights->constraint ? TARE_OK : tare_constraint_create("none", &shape, 0, &plain, error);
  int measures = strncmp(name, "whitened", 8) == 0;
  if (!status && measures) status = make_covariance(weights, covariance, &measured, error);
  if (!status) status = tare_basis_create(plain ? plain : weights->constraint, name, measured, out, error);
  tare_covariance_free(measured);
  tare_constraint_free(plain);
  return status;
}

tare_status tare_weights_set_basis(tare_weights *weights, const double *covariance, double scale, tare_error *error) {
  const tare_method *method = weights->method;
  char name[64];
  snprintf(name, sizeof name, "%s", method->basis ? method->basis : "orthonormal");
  if (method->takes_argument && method->basis) snprintf(name, sizeof name, "%s(%.17g)", method->basis, weights->argument);
  tare_basis *basis = NULL;
  size_t cells = (size_t)tare_weights_slice_taps(weights) * tare_weights_slice_taps(weights);
  double *copy = covariance && method->measures ? tare_alloc(cells, sizeof *copy) : NULL;
  if (covariance && method->measures && !copy) return tare_fail_memory(error, cells * sizeof *copy, "a covariance");
  tare_status status = tare_weights_basis(weights, name, covariance, &basis, error);
  if (status) {
    tare_free(copy);
    return status;
  }
  if (copy) memcpy(copy, covariance, cells * sizeof *copy);
  if (scale != 1) tare_basis_rescale(basis, scale);
  tare_basis_free(weights->basis);
  tare_free(weights->covariance);
  weights->basis = basis;
  weights->covariance = copy;
  weights->scale = scale;
  return TARE_OK;
}

void tare_weights_plain(const tare_weights *weights, const void *t, void *w) {
  if (!weights->method->split) weights->method->compose(weights, 0, weights->units, t, w);
  else if (weights->precision == TARE_F64) tare_basis_compose_f64(weights->basis, weights->units, t, w);
  else tare_basis_compose(weights->basis, weights->units, t, w);
}

tare_status tare_weights_solve(const tare_weights *weights, const double *w, double *t, tare_error *error) {
  if (weights->method->basis) return tare_basis_solve(weights->basis, weights->units, w, t, error);
  memcpy(t, w, tare_weights_count(weights) * sizeof *t);
  return TARE_OK;
}

/* Glorot & Bengio 2010, eq. 16, of the convolution that is trained: for a split method that is the 1x1. */
void tare_weights_glorot(const tare_weights *weights, int groups, tare_rng *rng, double *t) {
  const tare_method *method = weights->method;
  size_t count = tare_weights_parameters(weights);
  double inputs = (double)tare_weights_count(weights) / weights->outputs, outputs = (double)weights->outputs / groups;
  if (method->split) inputs = (double)tare_weights_composed(weights) / weights->outputs;
  else outputs *= tare_weights_slice_taps(weights);
  double limit = sqrt(6 / (inputs + outputs));
  for (size_t i = 0; i < count; i++) t[i] = tare_rng_range(rng, -limit, limit);
  if (method->projects) tare_basis_project_f64(weights->basis, weights->units, t);
}

tare_status tare_weights_draw(const tare_weights *weights, const tare_basis *basis, const double *covariance, tare_rng *rng, double *t,
                              tare_error *error) {
  tare_covariance *c;
  tare_status status = make_covariance(weights, covariance, &c, error);
  if (status) return status;
  size_t units = tare_weights_count(weights) / (size_t)tare_basis_taps(basis);
  double response = tare_basis_response(basis, c) * (double)units / weights->outputs;
  tare_covariance_free(c);
  if (!(response > 0)) response = 1; /* nothing gets through: an all-constant input */
  size_t count = units * (size_t)tare_basis_coefficients(basis);
  for (size_t i = 0; i < count; i++) t[i] = tare_rng_normal(rng) / sqrt(response);
  return TARE_OK;
}

double tare_weights_penalty(const tare_weights *weights, const void *t, void *g) {
  if (!weights->method->penalises) return 0;
  return weights->kernels->penalty(weights->units, weights->taps, weights->rows, weights->matrix, weights->target, weights->argument, t, g);
}

uint64_t tare_weights_sides(const tare_weights *weights, const void *t) {
  uint64_t hash = 0;
  if (!weights->method->penalises) return hash;
  for (size_t unit = 0; unit < weights->units; unit++)
    for (int row = 0; row < weights->rows; row++) {
      double residual = -weights->target[row], value;
      for (int tap = 0; tap < weights->taps; tap++) {
        weights->kernels->widen(1, (const char *)t + (unit * (size_t)weights->taps + tap) * weights->kernels->real, &value);
        residual += weights->matrix[(size_t)row * weights->taps + tap] * value;
      }
      hash = tare_mix(hash, residual > 0);
    }
  return hash;
}
