/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact residual of float weights. A finite float is m * 2^e with a whole
 * m, so a row's sum is a whole number times 2^(the smallest e): 128-bit
 * integers hold it for ordinary weights, FLINT's for all.
 */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/create.h"

/* Weights of one unit: w[i] = mantissa[i] * 2^exponent[i], mantissa 0 or 24 bits. */
typedef struct unit {
  int *mantissa, *exponent;
  __int128 *fixed;          /* mantissa * 2^(exponent - low), if `spread` allows */
  int low, spread;          /* the smallest exponent of a weight that is not 0; bits from there to the top of the largest */
} unit;

/* The room that a sum of products leaves in a signed 128-bit integer. */
enum { ROOM = 126 };

static void decode(const float *w, int taps, unit *u) {
  int low = INT_MAX, high = INT_MIN;
  for (int i = 0; i < taps; i++) {
    u->mantissa[i] = (int)ldexpf(frexpf(w[i], &u->exponent[i]), FLT_MANT_DIG);
    u->exponent[i] -= FLT_MANT_DIG;
    if (u->mantissa[i] == 0) continue;
    if (u->exponent[i] < low) low = u->exponent[i];
    if (u->exponent[i] > high) high = u->exponent[i];
  }
  u->low = low == INT_MAX ? 0 : low;
  u->spread = low == INT_MAX ? 0 : high - low + FLT_MANT_DIG;
  if (u->spread >= ROOM) return;
  for (int i = 0; i < taps; i++) u->fixed[i] = u->mantissa[i] ? (__int128)u->mantissa[i] * ((__int128)1 << (u->exponent[i] - u->low)) : 0;
}

static void set_wide(fmpz_t out, __int128 value) {
  unsigned __int128 size = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
  fmpz_set_uiui(out, (ulong)(size >> 64), (ulong)size);
  if (value < 0) fmpz_neg(out, out);
}

/* sum a[i] w[tap[i]] / 2^low, whole. */
static void row_sum(const tare_row *row, const unit *u, fmpz_t sum) {
  if (row->bits && row->bits + u->spread <= ROOM) {
    __int128 total = 0;
    for (int i = 0; i < row->count; i++) total += row->a[i] * u->fixed[row->tap[i]];
    set_wide(sum, total);
    return;
  }
  fmpz_t term;
  fmpz_init(term);
  fmpz_zero(sum);
  for (int i = 0; i < row->count; i++) {
    int tap = row->tap[i];
    if (u->mantissa[tap] == 0) continue;
    fmpz_mul_si(term, &row->a[i], u->mantissa[tap]);
    fmpz_mul_2exp(term, term, (ulong)(u->exponent[tap] - u->low));
    fmpz_add(sum, sum, term);
  }
  fmpz_clear(term);
}

/* (sum 2^low - divisor b) / (den divisor), not in lowest terms; 0 is returned without it if it is 0. */
static int row_residual(const tare_row *row, const unit *u, int divisor, fmpq_t residual) {
  fmpz *num = fmpq_numref(residual), *den = fmpq_denref(residual);
  row_sum(row, u, num);
  if (fmpz_is_zero(num) && fmpz_is_zero(row->b)) return 0;
  fmpz_mul_si(den, row->b, divisor);
  if (u->low >= 0) fmpz_mul_2exp(num, num, (ulong)u->low);
  else fmpz_mul_2exp(den, den, (ulong)-u->low);
  fmpz_sub(num, num, den);
  if (fmpz_is_zero(num)) return 0;
  fmpz_mul_si(den, row->den, divisor);
  if (u->low < 0) fmpz_mul_2exp(den, den, (ulong)-u->low);
  return 1;
}

/* The largest residual so far. */
struct worst {
  fmpq_t value, size; /* signed; its magnitude */
  size_t unit;
  int row;
};

/* Rows of one unit; returns 1 if all hold exactly. */
static int check_unit(const tare_constraint *c, const unit *u, int divisor, size_t index, fmpq_t value, fmpq_t size, struct worst *worst) {
  int exact = 1;
  for (int i = 0; i < c->rows.count; i++) {
    if (!row_residual(&c->rows.row[i], u, divisor, value)) continue;
    exact = 0;
    fmpq_abs(size, value);
    if (fmpq_cmp(size, worst->size) <= 0) continue;
    fmpq_set(worst->value, value);
    fmpq_set(worst->size, size);
    worst->unit = index;
    worst->row = i;
  }
  return exact;
}

static tare_status check_finite(const float *w, int taps, size_t units, tare_error *error) {
  for (size_t i = 0; i < units * (size_t)taps; i++)
    if (!isfinite(w[i]))
      return tare_fail(error, TARE_E_ARGUMENT, "residual: weight %zu of unit %zu is not finite", i % (size_t)taps, i / (size_t)taps);
  return TARE_OK;
}

static void fill(const struct worst *worst, tare_residual *out) {
  out->worst_unit = worst->unit;
  out->worst_row = worst->row;
  out->max_abs = tare_rational_double(fmpq_numref(worst->size), fmpq_denref(worst->size));
  if (out->max_abs == 0 && !fmpq_is_zero(worst->size)) out->max_abs = DBL_TRUE_MIN;
  tare_rational_write_short(worst->value, out->fraction, sizeof out->fraction);
}

tare_status tare_constraint_residual(const tare_constraint *c, const float *w, size_t units, tare_residual *residual, tare_error *error) {
  return tare_constraint_residual_over(c, w, units, 1, residual, error);
}

tare_status tare_constraint_residual_over(const tare_constraint *c, const float *w, size_t units, int divisor, tare_residual *residual,
                                          tare_error *error) {
  if (!c || !w || !residual)
    return tare_fail(error, TARE_E_ARGUMENT, "residual: a constraint, weights and a place for the result are needed; one is NULL");
  if (divisor < 1) return tare_fail(error, TARE_E_ARGUMENT, "residual: expected a divisor of at least 1, found %d", divisor);
  tare_status status = check_finite(w, c->taps, units, error);
  if (status) return status;
  size_t n = (size_t)c->taps;
  unit u = {.mantissa = tare_alloc(n, sizeof *u.mantissa), .exponent = tare_alloc(n, sizeof *u.exponent)};
  u.fixed = tare_alloc(n, sizeof *u.fixed);
  if (!u.mantissa || !u.exponent || !u.fixed) status = tare_fail_memory(error, n * sizeof *u.fixed, "a residual");
  struct worst worst = {.row = 0};
  fmpq_t value, size;
  fmpq_init(worst.value);
  fmpq_init(worst.size);
  fmpq_init(value);
  fmpq_init(size);
  tare_residual result = {0};
  for (size_t i = 0; i < units && !status; i++) {
    decode(w + i * n, c->taps, &u);
    result.exact_units += (size_t)check_unit(c, &u, divisor, i, value, size, &worst);
  }
  if (!status) {
    fill(&worst, &result);
    *residual = result;
  }
  fmpq_clear(worst.value);
  fmpq_clear(worst.size);
  fmpq_clear(value);
  fmpq_clear(size);
  tare_free(u.mantissa);
  tare_free(u.exponent);
  tare_free(u.fixed);
  return status;
}
