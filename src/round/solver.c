/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a row before any weights are seen. */
#include "round/solver.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/constraint.h"
#include "constraint/rational.h"

/* Operations up to which a table beats the lattice's loss of optimality (a few milliseconds). */
static const double table_limit = 4e6;
/* The right-hand side is an odd number of at most this many bits times a power of two: sums of 2^24 times 2^62 fit well below. */
enum { B_BITS = 100 };

static void set_wide(__int128 *out, const fmpz_t value) {
  fmpz_t high, low;
  fmpz_init(high);
  fmpz_init(low);
  fmpz_abs(low, value);
  fmpz_fdiv_q_2exp(high, low, 64);
  fmpz_fdiv_r_2exp(low, low, 64);
  __int128 size = (__int128)(((unsigned __int128)fmpz_get_ui(high) << 64) | fmpz_get_ui(low));
  *out = fmpz_sgn(value) < 0 ? -size : size;
  fmpz_clear(high);
  fmpz_clear(low);
}

/* "p/q" of value * scale for a message. */
static void add_product(tare_text *text, double value, const fmpq_t scale) {
  fmpq_t product;
  fmpq_init(product);
  int exponent;
  fmpz_set_si(fmpq_numref(product), (slong)ldexp(frexp(value, &exponent), 53));
  exponent -= 53;
  if (exponent >= 0) fmpz_mul_2exp(fmpq_numref(product), fmpq_numref(product), (ulong)exponent);
  else fmpz_mul_2exp(fmpq_denref(product), fmpq_denref(product), (ulong)-exponent);
  fmpq_canonicalise(product);
  fmpq_mul(product, product, scale);
  tare_rational_write(text, product);
  fmpq_clear(product);
}

/* No float grid holds b: name the nearest that does, as the user would write it. */
static tare_status fail_right_side(const fmpq_t b, const fmpq_t scale, tare_error *error) {
  float nearest = (float)tare_rational_double(fmpq_numref(b), fmpq_denref(b));
  if (!isfinite(nearest)) return tare_fail(error, TARE_E_ARGUMENT, "rounding: the right-hand side is larger than any float");
  tare_text text = {0};
  fmpq_t user;
  fmpq_init(user);
  fmpq_mul(user, b, scale);
  tare_text_add(&text, "rounding: no binary float grid holds the right-hand side ");
  tare_rational_write(&text, user);
  tare_text_add(&text, "; the nearest that one does is ");
  add_product(&text, nearest, scale);
  fmpq_clear(user);
  char *message = tare_text_take(&text);
  tare_status status = tare_fail(error, TARE_E_ARGUMENT, "%s",
                                 message ? message : "rounding: no binary float grid holds the right-hand side");
  tare_free(message);
  return status;
}

/* b = odd * 2^shift, if its denominator is a power of two. */
static tare_status set_right_side(tare_solver *s, const fmpq_t b, const fmpq_t scale, tare_error *error) {
  ulong up = fmpz_val2(fmpq_numref(b)), down = fmpz_val2(fmpq_denref(b));
  if (fmpz_bits(fmpq_denref(b)) != down + 1 || fmpz_bits(fmpq_numref(b)) > B_BITS + up) return fail_right_side(b, scale, error);
  fmpz_t odd;
  fmpz_init(odd);
  fmpz_fdiv_q_2exp(odd, fmpq_numref(b), up);
  set_wide(&s->b_odd, odd);
  fmpz_clear(odd);
  s->b_shift = (int)up - (int)down;
  s->b = tare_rational_double(fmpq_numref(b), fmpq_denref(b));
  s->scale = tare_rational_double(fmpq_numref(scale), fmpq_denref(scale));
  return TARE_OK;
}

/* The row's integers divided by their gcd, which goes into b. */
static tare_status set_row(tare_solver *s, const tare_row *row, tare_error *error) {
  fmpz_t divisor, a;
  fmpq_t b, scale;
  fmpz_init(divisor);
  fmpz_init(a);
  fmpq_init(b);
  fmpq_init(scale);
  for (int i = 0; i < row->count; i++) fmpz_gcd(divisor, divisor, &row->a[i]);
  tare_status status = TARE_OK;
  for (int i = 0; i < row->count && !status; i++) {
    fmpz_divexact(a, &row->a[i], divisor);
    if (fmpz_bits(a) > TARE_COEFFICIENT_BITS)
      status = tare_fail(error, TARE_E_UNSUPPORTED,
                         "rounding: a coefficient of the row has %d bits as an integer; at most %d are supported",
                         (int)fmpz_bits(a), TARE_COEFFICIENT_BITS);
    else s->a[i] = fmpz_get_si(a);
    s->tap[i] = row->tap[i];
  }
  fmpq_set_fmpz_frac(b, row->b, divisor);
  fmpq_set_fmpz_frac(scale, divisor, row->den);
  if (!status) status = set_right_side(s, b, scale, error);
  fmpz_clear(divisor);
  fmpz_clear(a);
  fmpq_clear(b);
  fmpq_clear(scale);
  return status;
}

static int by_size(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

/* Distinct |a|, largest last, and for each entry its place among them. */
static void set_groups(tare_solver *s) {
  for (int i = 0; i < s->count; i++) s->size[i] = s->a[i] < 0 ? -s->a[i] : s->a[i];
  qsort(s->size, (size_t)s->count, sizeof *s->size, by_size);
  for (int i = 0; i < s->count; i++)
    if (s->groups == 0 || s->size[i] != s->size[s->groups - 1]) s->size[s->groups++] = s->size[i];
  for (int i = 0; i < s->count; i++) {
    int64_t size = s->a[i] < 0 ? -s->a[i] : s->a[i];
    s->group[i] = (int)((const int64_t *)bsearch(&size, s->size, (size_t)s->groups, sizeof size, by_size) - s->size);
    s->weight += (double)size;
    s->norm += (double)size * (double)size;
  }
  s->largest = s->size[s->groups - 1];
}

/*
 * Vectors with a . v = 0 on D groups are about largest^(1/(D-1)) long; two more
 * moves leave room for choice (doc/rules.md: what was compared with brute force).
 */
static tare_status choose_method(tare_solver *s, tare_error *error) {
  if (s->groups < 2) return TARE_OK;
  s->moves = (int)fmin(ceil(pow((double)s->largest, 1.0 / (s->groups - 1))) + 2, 10000);
  if (tare_table_work(s, s->moves) <= table_limit) return TARE_OK;
  return tare_lattice_build(&s->lattice, s->a, s->count, error);
}

static tare_status fill(tare_solver *s, const tare_row *row, tare_error *error) {
  size_t n = (size_t)row->count;
  s->count = row->count;
  s->tap = tare_alloc(n, sizeof *s->tap);
  s->a = tare_alloc(n, sizeof *s->a);
  s->group = tare_alloc(n, sizeof *s->group);
  s->size = tare_alloc(n, sizeof *s->size);
  if (!s->tap || !s->a || !s->group || !s->size) return tare_fail_memory(error, n * sizeof *s->a, "a row to round to");
  tare_status status = set_row(s, row, error);
  if (status) return status;
  set_groups(s);
  return choose_method(s, error);
}

tare_status tare_solver_create(const tare_constraint *constraint, tare_solver **out, tare_error *error) {
  int rows = tare_constraint_rows(constraint);
  if (rows > 1)
    return tare_fail(error, TARE_E_UNSUPPORTED, "rounding: the rules \"%s\" have %d rows; exact rounding is for rules of one row",
                     tare_constraint_text(constraint), rows);
  tare_solver *s = tare_alloc(1, sizeof *s);
  if (!s) return tare_fail_memory(error, sizeof *s, "a row to round to");
  s->taps = tare_constraint_taps(constraint);
  tare_status status = rows ? fill(s, tare_constraint_row(constraint, 0), error) : TARE_OK;
  if (status) tare_solver_free(s);
  else *out = s;
  return status;
}

void tare_solver_free(tare_solver *s) {
  if (!s) return;
  tare_free(s->tap);
  tare_free(s->a);
  tare_free(s->group);
  tare_free(s->size);
  tare_free(s);
}

tare_status tare_scratch_create(const tare_solver *s, tare_scratch *out, tare_error *error) {
  size_t n = (size_t)s->taps, count = (size_t)s->count;
  *out = (tare_scratch){.target = tare_alloc(n, sizeof *out->target), .q = tare_alloc(n, sizeof *out->q)};
  out->x = tare_alloc(count, sizeof *out->x);
  out->entry = tare_alloc(count, sizeof *out->entry);
  out->order = tare_alloc(count, sizeof *out->order);
  if (out->target && out->x && out->q && out->entry && out->order) return TARE_OK;
  tare_scratch_free(out);
  return tare_fail_memory(error, n * sizeof *out->q, "rounding");
}

void tare_scratch_free(tare_scratch *scratch) {
  tare_free(scratch->target);
  tare_free(scratch->x);
  tare_free(scratch->q);
  tare_free(scratch->entry);
  tare_free(scratch->order);
  *scratch = (tare_scratch){0};
}
