/* SPDX-License-Identifier: Apache-2.0 */
/* A bank of filters in one format; what a rule means for batch norm. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/number.h"

tare_status tare_round(const tare_constraint *constraint, const tare_round_options *options, size_t filters, const float *w,
                       tare_rounding **out, tare_error *error) {
  if (!constraint || !options || !w || !out || !filters) return tare_fail(error, TARE_E_ARGUMENT, "rounding: an argument is NULL");
  return tare_fail(error, TARE_E_UNSUPPORTED, "rounding: %s is not supported", tare_number_format_name(options->format));
}

void tare_rounding_free(tare_rounding *r) {
  if (!r) return;
  tare_free(r->integers);
  tare_free(r->scale);
  tare_free(r->weights);
  tare_free(r->cost);
  tare_free(r);
}

tare_status tare_round_residual(const tare_constraint *constraint, size_t filters, const int32_t *integers, size_t scales,
                                const float *scale, int divisor, tare_residual *residual, tare_error *error) {
  if (!constraint || !filters || !integers || !scales || !scale || !divisor || !residual) return tare_fail(error, TARE_E_ARGUMENT, "residual: an argument is NULL");
  return tare_fail(error, TARE_E_UNSUPPORTED, "residual of integers: not supported");
}

tare_status tare_certificate_write(const tare_constraint *constraint, const tare_rounding *rounding, char **json, tare_error *error) {
  if (!constraint || !rounding || !json) return tare_fail(error, TARE_E_ARGUMENT, "certificate: an argument is NULL");
  return tare_fail(error, TARE_E_UNSUPPORTED, "certificates are not supported");
}

void tare_certificate_free(char *json) { tare_free(json); }

tare_status tare_certificate_verify(const char *json, size_t count, const float *weights, tare_error *error) {
  if (!json || !count || !weights) return tare_fail(error, TARE_E_ARGUMENT, "certificate: an argument is NULL");
  return tare_fail(error, TARE_E_UNSUPPORTED, "certificates are not supported");
}

int tare_round_may_fold(const tare_constraint *constraint, tare_error *why) {
  if (!constraint || tare_constraint_rows(constraint) == 0 || tare_constraint_is_homogeneous(constraint)) return 1;
  tare_fail(why, TARE_E_ARGUMENT,
            "folding batch norm: it multiplies both sides of A w = b, and the right side of \"%s\" is not 0; keep batch norm as an operation of its own",
            tare_constraint_text(constraint));
  return 0;
}
