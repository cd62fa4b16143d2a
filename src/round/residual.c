/* SPDX-License-Identifier: Apache-2.0 */
/* The exact residual of integers times scales: sum a q is a whole number, the scale a whole number times a power of two. */
#include <float.h>
#include <math.h>

#include "base/error.h"
#include "constraint/constraint.h"
#include "constraint/rational.h"
#include "round/number.h"

/* The room that a sum of products of 32-bit integers leaves in a signed 128-bit integer. */
enum { ROOM = 126, INTEGER_BITS = 32 };

/* sum a q; 1 if it is seen to be 0 without a long number. */
static int row_sum(const tare_row *row, const int32_t *q, fmpz_t sum) {
  fmpz_zero(sum);
  if (row->bits && row->bits + INTEGER_BITS <= ROOM) {
    __int128 total = 0;
    for (int i = 0; i < row->count; i++) total += (__int128)row->a[i] * q[row->tap[i]];
    if (total == 0) return 1;
    unsigned __int128 size = total < 0 ? -(unsigned __int128)total : (unsigned __int128)total;
    fmpz_set_uiui(sum, (ulong)(size >> 64), (ulong)size);
    if (total < 0) fmpz_neg(sum, sum);
    return 0;
  }
  for (int i = 0; i < row->count; i++) {
    if (q[row->tap[i]] >= 0) fmpz_addmul_ui(sum, &row->a[i], (ulong)q[row->tap[i]]);
    else fmpz_submul_ui(sum, &row->a[i], (ulong)-(int64_t)q[row->tap[i]]);
  }
  return fmpz_is_zero(sum);
}

/* (sum a q * scale - divisor * b) / (den * divisor); 0 is returned without it if it is 0. */
static int row_residual(const tare_row *row, const int32_t *q, float scale, int divisor, fmpq_t residual) {
  fmpz *num = fmpq_numref(residual), *den = fmpq_denref(residual);
  if (row_sum(row, q, num) && fmpz_is_zero(row->b)) return 0;
  int exponent;
  fmpz_mul_si(num, num, (slong)ldexpf(frexpf(scale, &exponent), FLT_MANT_DIG));
  exponent -= FLT_MANT_DIG;
  fmpz_mul_si(den, row->b, divisor);
  if (exponent >= 0) fmpz_mul_2exp(num, num, (ulong)exponent);
  else fmpz_mul_2exp(den, den, (ulong)-exponent);
  fmpz_sub(num, num, den);
  if (fmpz_is_zero(num)) return 0;
  fmpz_mul_si(den, row->den, divisor);
  if (exponent < 0) fmpz_mul_2exp(den, den, (ulong)-exponent);
  fmpq_canonicalise(residual);
  return 1;
}

static tare_status check_scales(size_t count, const float *scale, tare_error *error) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(scale[i]) || !(scale[i] > 0))
      return tare_fail(error, TARE_E_ARGUMENT, "residual: expected scales over 0, found scale %zu of %.9g", i, (double)scale[i]);
  return TARE_OK;
}

/* Rows of one unit; *worst is the residual that is largest so far, *most its size. */
static void check_unit(const tare_constraint *c, const int32_t *q, float scale, int divisor, size_t unit, fmpq_t worst, fmpq_t most,
                       tare_residual *out) {
  fmpq_t value, size;
  fmpq_init(value);
  fmpq_init(size);
  int exact = 1;
  for (int i = 0; i < tare_constraint_rows(c); i++) {
    if (!row_residual(tare_constraint_row(c, i), q, scale, divisor, value)) continue;
    exact = 0;
    fmpq_abs(size, value);
    if (fmpq_cmp(size, most) <= 0) continue;
    fmpq_set(worst, value);
    fmpq_set(most, size);
    out->worst_unit = unit;
    out->worst_row = i;
    out->max_abs = fmax(tare_rational_double(fmpq_numref(size), fmpq_denref(size)), DBL_TRUE_MIN);
  }
  out->exact_units += (size_t)exact;
  fmpq_clear(value);
  fmpq_clear(size);
}

tare_status tare_round_residual(const tare_constraint *constraint, size_t filters, const int32_t *integers, size_t scales,
                                const float *scale, int divisor, tare_residual *residual, tare_error *error) {
  if (!constraint || !integers || !scale || !residual || divisor < 1)
    return tare_fail(error, TARE_E_ARGUMENT, "residual: a constraint, integers, scales, a divisor and a place for the result are needed");
  size_t n = (size_t)tare_constraint_taps(constraint);
  size_t units = tare_constraint_is_filter(constraint) ? 1 : (size_t)tare_constraint_shape(constraint)->channels;
  if (scales != 1 && scales != units)
    return tare_fail(error, TARE_E_ARGUMENT, "residual: expected 1 or %zu scales a filter, found %zu", units, scales);
  tare_status status = check_scales(filters * scales, scale, error);
  if (status) return status;
  fmpq_t worst, most;
  fmpq_init(worst);
  fmpq_init(most);
  tare_residual result = {0};
  for (size_t i = 0; i < filters * units; i++)
    check_unit(constraint, integers + i * n, scale[scales == 1 ? i / units : i], divisor, i, worst, most, &result);
  tare_rational_write_short(worst, result.fraction, sizeof result.fraction);
  fmpq_clear(worst);
  fmpq_clear(most);
  *residual = result;
  return TARE_OK;
}
