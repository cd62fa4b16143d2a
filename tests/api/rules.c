/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

static const tare_filter_shape shape = {.dims = 2, .size = {3, 3}, .channels = 1};
static const float weights[9] = {0, 1, 0, 1, -4, 1, 0, 1, 0};
static double wide[81];
static float floats[81];

static void constraints(tare_constraint *rule) {
  tare_constraint *out;
  tare_residual residual;
  const tare_filter_shape flat = {.dims = 0, .channels = 1}, huge = {.dims = 3, .size = {1 << 20, 1 << 20, 1 << 20}, .channels = 1 << 20},
                          none = {.dims = 2, .size = {3, -1}, .channels = 1}, empty = {.dims = 2, .size = {3, 3}, .channels = 0};
  REFUSES(tare_constraint_create(NULL, &shape, 0, &out, ERR));
  REFUSES(tare_constraint_create("sum=0", NULL, 0, &out, ERR));
  REFUSES(tare_constraint_create("sum=0", &shape, 0, NULL, ERR));
  REFUSES(tare_constraint_create("sum=0", &flat, 0, &out, ERR));
  REFUSES(tare_constraint_create("sum=0", &huge, 0, &out, ERR));
  REFUSES(tare_constraint_create("sum=0", &none, 0, &out, ERR));
  REFUSES(tare_constraint_create("sum=0", &empty, 0, &out, ERR));
  FAILS(tare_constraint_create("sum=", &shape, 0, &out, NULL));
  GIVES_0(tare_constraint_taps(NULL));
  GIVES_0(tare_constraint_rows(NULL));
  GIVES_0(tare_constraint_is_filter(NULL));
  GIVES_0(tare_constraint_is_homogeneous(NULL));
  GIVES_NULL(tare_constraint_shape(NULL));
  GIVES_NULL(tare_constraint_text(NULL));
  GIVES_NULL(tare_constraint_notes(NULL));
  IGNORES(tare_constraint_matrix(NULL, wide, wide));
  IGNORES(tare_constraint_matrix(rule, NULL, NULL));
  REFUSES(tare_constraint_residual(NULL, weights, 1, &residual, ERR));
  REFUSES(tare_constraint_residual(rule, NULL, 1, &residual, ERR));
  REFUSES(tare_constraint_residual(rule, weights, 1, NULL, ERR));
  REFUSES(tare_constraint_residual(rule, (const float[9]){[3] = NAN}, 1, &residual, ERR));
  REFUSES(tare_constraint_residual_over(NULL, weights, 1, 3, &residual, ERR));
  REFUSES(tare_constraint_residual_over(rule, NULL, 1, 3, &residual, ERR));
  REFUSES(tare_constraint_residual_over(rule, weights, 1, 3, NULL, ERR));
  REFUSES(tare_constraint_residual_over(rule, weights, 1, 0, &residual, ERR));
  IGNORES(tare_constraint_free(NULL));
}

static void covariances(tare_basis *basis) {
  tare_covariance *out;
  double *nans = (double[81]){[7] = NAN};
  REFUSES(tare_covariance_model(NULL, 1, &out, ERR));
  REFUSES(tare_covariance_model(&shape, -1, &out, ERR));
  REFUSES(tare_covariance_model(&shape, NAN, &out, ERR));
  REFUSES(tare_covariance_model(&shape, 1, NULL, ERR));
  REFUSES(tare_covariance_measure(NULL, floats, 1, 9, 9, 1, NULL, 0, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, NULL, 1, 9, 9, 1, NULL, 0, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, floats, 0, 9, 9, 1, NULL, 0, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, floats, 1, 2, 9, 1, (const int[2]){1, 1}, 0, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, floats, 1, 9, 9, -1, NULL, 0, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, floats, 1, 9, 9, 1, (const int[2]){0, 1}, 0, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, floats, 1, 9, 9, 1, (const int[2]){1, 1}, NAN, &out, ERR));
  REFUSES(tare_covariance_measure(&shape, floats, 1, 9, 9, 1, (const int[2]){1, 1}, 0, NULL, ERR));
  REFUSES(tare_covariance_measure(&shape, (const float[81]){[5] = INFINITY}, 1, 9, 9, 1, (const int[2]){1, 1}, 0, &out, ERR));
  REFUSES(tare_covariance_from_matrix(NULL, wide, &out, ERR));
  REFUSES(tare_covariance_from_matrix(&shape, NULL, &out, ERR));
  REFUSES(tare_covariance_from_matrix(&shape, wide, NULL, ERR));
  REFUSES(tare_covariance_from_matrix(&shape, nans, &out, ERR));
  GIVES_NULL(tare_covariance_matrix(NULL));
  IGNORES(tare_covariance_free(NULL));
  GIVES(double, tare_basis_response(NULL, NULL), isnan(got));
  GIVES(double, tare_basis_response(basis, NULL), isnan(got));
}

static void bases(const tare_constraint *rule, tare_basis *basis, const tare_covariance *model) {
  tare_basis *out;
  double condition;
  REFUSES(tare_basis_create(NULL, "dct", NULL, &out, ERR));
  REFUSES(tare_basis_create(rule, NULL, NULL, &out, ERR));
  REFUSES(tare_basis_create(rule, "dct", NULL, NULL, ERR));
  REFUSES(tare_basis_create(rule, "whitened", NULL, &out, ERR));
  REFUSES(tare_basis_create(rule, "spectral(", NULL, &out, ERR));
  REFUSES(tare_basis_create(rule, "spectral(9)", NULL, &out, ERR));
  REFUSES(tare_basis_create(rule, "nothing", NULL, &out, ERR));
  GIVES(const void *, tare_basis_names(), got != NULL);
  GIVES_0(tare_basis_taps(NULL));
  GIVES_0(tare_basis_coefficients(NULL));
  GIVES_0(tare_basis_ridged(NULL));
  GIVES_NULL(tare_basis_name(NULL));
  GIVES_NULL(tare_basis_offset(NULL));
  IGNORES(tare_basis_compose(NULL, 1, floats, floats));
  IGNORES(tare_basis_compose(basis, 1, NULL, NULL));
  IGNORES(tare_basis_compose_quick(NULL, 1, floats, floats));
  IGNORES(tare_basis_compose_quick(basis, 1, NULL, NULL));
  IGNORES(tare_basis_compose_f64(NULL, 1, wide, wide));
  IGNORES(tare_basis_compose_f64(basis, 1, NULL, NULL));
  IGNORES(tare_basis_transpose(NULL, 1, floats, floats));
  IGNORES(tare_basis_transpose(basis, 1, NULL, NULL));
  IGNORES(tare_basis_transpose_f64(NULL, 1, wide, wide));
  IGNORES(tare_basis_transpose_f64(basis, 1, NULL, NULL));
  IGNORES(tare_basis_matrix(NULL, wide));
  IGNORES(tare_basis_matrix(basis, NULL));
  IGNORES(tare_basis_project(NULL, 1, floats));
  IGNORES(tare_basis_project(basis, 1, NULL));
  IGNORES(tare_basis_project_f64(NULL, 1, wide));
  IGNORES(tare_basis_project_f64(basis, 1, NULL));
  REFUSES(tare_basis_solve(NULL, 1, wide, wide, ERR));
  REFUSES(tare_basis_solve(basis, 1, NULL, wide, ERR));
  REFUSES(tare_basis_solve(basis, 1, wide, NULL, ERR));
  GIVES_0(tare_basis_rescale(NULL, 1));
  GIVES_0(tare_basis_rescale(basis, 0));
  GIVES_0(tare_basis_rescale(basis, NAN));
  REFUSES(tare_basis_condition(basis, NULL, &condition, ERR));
  REFUSES(tare_basis_condition(basis, model, NULL, ERR));
  IGNORES(tare_basis_free(NULL));
}

static void formats(void) {
  tare_number_format format;
  uint16_t bits[2];
  GIVES_NULL(tare_number_format_name((tare_number_format)99));
  GIVES_NULL(tare_number_format_name((tare_number_format)-1));
  REFUSES(tare_number_format_find(NULL, &format, ERR));
  REFUSES(tare_number_format_find("fp32", NULL, ERR));
  REFUSES(tare_number_format_find("fp3", &format, ERR));
  REFUSES(tare_number_pack16(TARE_FORMAT_FP32, 1, weights, bits, ERR));
  REFUSES(tare_number_pack16(TARE_FORMAT_FP16, 1, NULL, bits, ERR));
  REFUSES(tare_number_pack16(TARE_FORMAT_FP16, 1, weights, NULL, ERR));
  REFUSES(tare_number_pack16(TARE_FORMAT_FP16, 1, (const float[1]){NAN}, bits, ERR));
  IGNORES(tare_number_unpack16(TARE_FORMAT_FP16, 1, NULL, floats));
  IGNORES(tare_number_unpack16((tare_number_format)99, 1, bits, floats));
}

static void rounding(const tare_constraint *rule) {
  tare_rounding *out;
  tare_residual residual;
  char *json;
  const tare_round_options plain = {0}, format = {.format = (tare_number_format)99}, grade = {.grade = (tare_grade)7},
                           pixels = {.grade = TARE_GRADE_GRID, .pixel_bits = 31};
  const int32_t integers[9] = {0, 1, 0, 1, -4, 1, 0, 1, 0};
  const float one = 1, nan = NAN;
  REFUSES(tare_round(NULL, &plain, 1, weights, &out, ERR));
  REFUSES(tare_round(rule, NULL, 1, weights, &out, ERR));
  REFUSES(tare_round(rule, &plain, 1, NULL, &out, ERR));
  REFUSES(tare_round(rule, &plain, 1, weights, NULL, ERR));
  REFUSES(tare_round(rule, &format, 1, weights, &out, ERR));
  REFUSES(tare_round(rule, &grade, 1, weights, &out, ERR));
  REFUSES(tare_round(rule, &pixels, 1, weights, &out, ERR));
  REFUSES(tare_round(rule, &plain, 1, (const float[9]){[2] = INFINITY}, &out, ERR));
  IGNORES(tare_rounding_free(NULL));
  REFUSES(tare_round_residual(NULL, 1, integers, 1, &one, 1, &residual, ERR));
  REFUSES(tare_round_residual(rule, 1, NULL, 1, &one, 1, &residual, ERR));
  REFUSES(tare_round_residual(rule, 1, integers, 1, NULL, 1, &residual, ERR));
  REFUSES(tare_round_residual(rule, 1, integers, 0, &one, 1, &residual, ERR));
  REFUSES(tare_round_residual(rule, 1, integers, 1, &nan, 1, &residual, ERR));
  REFUSES(tare_round_residual(rule, 1, integers, 1, &one, 0, &residual, ERR));
  REFUSES(tare_round_residual(rule, 1, integers, 1, &one, 1, NULL, ERR));
  REFUSES(tare_certificate_write(NULL, NULL, &json, ERR));
  REFUSES(tare_certificate_write(rule, NULL, &json, ERR));
  IGNORES(tare_certificate_free(NULL));
  REFUSES(tare_certificate_verify(NULL, 9, weights, ERR));
  REFUSES(tare_certificate_verify("{}", 9, NULL, ERR));
  REFUSES(tare_certificate_verify("{}", 9, weights, ERR));
  GIVES(int, tare_round_may_fold(NULL, NULL), got == 1);
  GIVES_0(tare_round_supported(NULL, NULL));
  REFUSES(tare_round_fp32(NULL, 1, weights, floats, ERR));
  REFUSES(tare_round_fp32(rule, 1, NULL, floats, ERR));
  REFUSES(tare_round_fp32(rule, 1, weights, NULL, ERR));
  REFUSES(tare_round_fp32(rule, 1, (const float[9]){NAN}, floats, ERR));
}

void api_rules(void) {
  tare_constraint *rule;
  tare_basis *basis;
  tare_covariance *model;
  NEED(tare_constraint_create("sum=0", &shape, 0, &rule, ERR));
  NEED(tare_covariance_model(&shape, 1, &model, ERR));
  NEED(tare_basis_create(rule, "spectral", NULL, &basis, ERR));
  constraints(rule);
  covariances(basis);
  bases(rule, basis, model);
  formats();
  rounding(rule);
  tare_basis_free(basis);
  tare_covariance_free(model);
  tare_constraint_free(rule);
}
