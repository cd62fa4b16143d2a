/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a part before any weights are seen, and projection onto its rows. */
#include "round/part.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/rational.h"

/* Operations up to which a table beats the lattice's loss of optimality (a few milliseconds). */
static const double table_limit = 4e6;
/* The right-hand side is an odd number of at most this many bits times a power of two: sums of 2^24 times 2^62 fit well below. */
enum { B_BITS = 100 };

static int by_size(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

/* Distinct |a|, largest last, and for each entry its place among them. */
static tare_status set_groups(tare_part *p, tare_error *error) {
  size_t n = (size_t)p->count;
  p->group = tare_alloc(n, sizeof *p->group);
  p->size = tare_alloc(n, sizeof *p->size);
  if (!p->group || !p->size) return tare_fail_memory(error, n * sizeof *p->size, "a row to round to");
  for (int i = 0; i < p->count; i++) p->size[i] = p->a[i] < 0 ? -p->a[i] : p->a[i];
  qsort(p->size, n, sizeof *p->size, by_size);
  for (int i = 0; i < p->count; i++)
    if (p->groups == 0 || p->size[i] != p->size[p->groups - 1]) p->size[p->groups++] = p->size[i];
  for (int i = 0; i < p->count; i++) {
    int64_t size = p->a[i] < 0 ? -p->a[i] : p->a[i];
    p->group[i] = (int)((const int64_t *)bsearch(&size, p->size, (size_t)p->groups, sizeof size, by_size) - p->size);
    p->total += (double)size;
  }
  p->largest = p->size[p->groups - 1];
  return TARE_OK;
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Gram-Schmidt, each row twice (Giraud et al. 2005: twice is enough). */
static tare_status set_projection(tare_part *p, tare_error *error) {
  size_t n = (size_t)p->count, m = (size_t)p->rows;
  p->root = tare_alloc(n, sizeof *p->root);
  p->ortho = tare_alloc(m * n, sizeof *p->ortho);
  p->back = tare_alloc(m * n, sizeof *p->back);
  p->lower = tare_alloc(m * m, sizeof *p->lower);
  if (!p->root || !p->ortho || !p->back || !p->lower) return tare_fail_memory(error, m * n * sizeof *p->ortho, "a projection");
  for (int i = 0; i < p->count; i++) p->root[i] = sqrt(p->metric[i]);
  for (int row = 0; row < p->rows; row++) {
    double *v = p->ortho + (size_t)row * n, *lower = p->lower + (size_t)row * m;
    for (int i = 0; i < p->count; i++) v[i] = (double)p->a[row * p->count + i] / p->root[i];
    for (int again = 0; again < 2; again++)
      for (int before = 0; before < row; before++) {
        const double *u = p->ortho + (size_t)before * n;
        double factor = dot(u, v, p->count);
        lower[before] += factor;
        for (int i = 0; i < p->count; i++) v[i] -= factor * u[i];
      }
    lower[row] = sqrt(dot(v, v, p->count));
    for (int i = 0; i < p->count; i++) {
      v[i] /= lower[row];
      p->back[(size_t)row * n + (size_t)i] = v[i] / p->root[i];
    }
  }
  return TARE_OK;
}

/*
 * Vectors with a . v = 0 on D groups are about largest^(1/(D-1)) long; two more
 * moves leave room for choice (doc/rounding.md: what was compared with brute force).
 */
static int table_is_enough(tare_part *p) {
  if (p->rows > 1) return 0;
  if (p->groups < 2) return 1;
  p->moves = (int)fmin(ceil(pow((double)p->largest, 1.0 / (p->groups - 1))) + 2, 10000);
  return tare_table_work(p, p->moves) <= table_limit;
}

tare_status tare_part_prepare(tare_part *p, tare_error *error) {
  tare_status status = p->rows == 1 ? set_groups(p, error) : TARE_OK;
  if (!status) status = set_projection(p, error);
  if (!status && !table_is_enough(p)) status = tare_lattice_create(p->rows, p->count, p->a, p->metric, &p->lattice, error);
  return status;
}

void tare_part_clear(tare_part *p) {
  for (int i = 0; p->b && i < p->rows; i++) fmpq_clear(&p->b[i]);
  tare_free(p->b);
  tare_free(p->variable);
  tare_free(p->a);
  tare_free(p->metric);
  tare_free(p->root);
  tare_free(p->b_odd);
  tare_free(p->b_shift);
  tare_free(p->ortho);
  tare_free(p->back);
  tare_free(p->lower);
  tare_free(p->group);
  tare_free(p->size);
  tare_lattice_free(p->lattice);
}

/* Coordinate i of b in the lattice of all values of a q: b itself for one row, whose coefficients have no common divisor. */
static void coordinate(const tare_part *p, int i, fmpq_t out) {
  if (!p->lattice) {
    fmpq_set(out, &p->b[i]);
    return;
  }
  fmpq_zero(out);
  for (int row = 0; row < p->rows; row++) {
    fmpq_t term;
    fmpq_init(term);
    fmpq_mul_fmpz(term, &p->b[row], fmpz_mat_entry(p->lattice->inverse, i, row));
    fmpq_add(out, out, term);
    fmpq_clear(term);
  }
  fmpz_mul(fmpq_denref(out), fmpq_denref(out), p->lattice->divisor);
  fmpq_canonicalise(out);
}

void tare_part_divisor(const tare_part *p, fmpz_t divisor) {
  fmpq_t at;
  fmpz_t odd;
  fmpq_init(at);
  fmpz_init(odd);
  fmpz_one(divisor);
  for (int i = 0; i < p->rows; i++) {
    coordinate(p, i, at);
    fmpz_fdiv_q_2exp(odd, fmpq_denref(at), fmpz_val2(fmpq_denref(at)));
    fmpz_lcm(divisor, divisor, odd);
  }
  fmpz_clear(odd);
  fmpq_clear(at);
}

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

/* The power of two in a number that is not 0. */
static int shift_of(const fmpq_t value) { return (int)fmpz_val2(fmpq_numref(value)) - (int)fmpz_val2(fmpq_denref(value)); }

static tare_status set_row(tare_part *p, int row, tare_error *error) {
  const fmpq *b = &p->b[row];
  if (fmpq_is_zero(b)) return TARE_OK;
  ulong up = fmpz_val2(fmpq_numref(b));
  if (fabs(tare_rational_double(fmpq_numref(b), fmpq_denref(b))) > FLT_MAX)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: the right-hand side is larger than any float");
  if (fmpz_bits(fmpq_numref(b)) > B_BITS + up)
    return tare_fail(error, TARE_E_UNSUPPORTED, "rounding: a right-hand side of %d bits; at most %d are supported",
                     (int)(fmpz_bits(fmpq_numref(b)) - up), B_BITS);
  fmpz_t odd;
  fmpz_init(odd);
  fmpz_fdiv_q_2exp(odd, fmpq_numref(b), up);
  set_wide(&p->b_odd[row], odd);
  fmpz_clear(odd);
  p->b_shift[row] = shift_of(b);
  return TARE_OK;
}

tare_status tare_part_set_divisor(tare_part *p, const fmpz_t divisor, int *coarsest, tare_error *error) {
  tare_status status = TARE_OK;
  p->b_odd = tare_alloc((size_t)p->rows, sizeof *p->b_odd);
  p->b_shift = tare_alloc((size_t)p->rows, sizeof *p->b_shift);
  if (!p->b_odd || !p->b_shift) return tare_fail_memory(error, (size_t)p->rows * sizeof *p->b_odd, "right-hand sides");
  for (int row = 0; row < p->rows && !status; row++) {
    fmpq_mul_fmpz(&p->b[row], &p->b[row], divisor);
    status = set_row(p, row, error);
  }
  fmpq_t at;
  fmpq_init(at);
  for (int i = 0; i < p->rows && !status; i++) {
    coordinate(p, i, at);
    if (!fmpq_is_zero(at) && shift_of(at) < *coarsest) *coarsest = shift_of(at);
  }
  fmpq_clear(at);
  return status;
}

static double largest_of(const double *y, int n) {
  double largest = 0;
  for (int i = 0; i < n; i++) largest = fabs(y[i]) > largest ? fabs(y[i]) : largest;
  return largest;
}

/* y -= a' (a a')^-1 (a y - b) in the metric; what cancels in one pass is left to the next. */
void tare_part_project(const tare_part *p, double *y, double *r) {
  double before = largest_of(y, p->count);
  for (int pass = 0; pass < 3; pass++) {
    for (int row = 0; row < p->rows; row++) {
      double sum = -ldexp((double)p->b_odd[row], p->b_shift[row]);
      const int64_t *a = p->a + row * p->count;
      double part[4] = {0};
      int i = 0;
      for (; i + 4 <= p->count; i += 4)
        for (int k = 0; k < 4; k++) part[k] += (double)a[i + k] * y[i + k];
      for (; i < p->count; i++) sum += (double)a[i] * y[i];
      sum += part[0] + part[1] + (part[2] + part[3]);
      for (int k = 0; k < row; k++) sum -= p->lower[row * p->rows + k] * r[k];
      r[row] = sum / p->lower[row * p->rows + row];
    }
    for (int row = 0; row < p->rows; row++)
      for (int i = 0; i < p->count; i++) y[i] -= r[row] * p->back[row * p->count + i];
  }
  int homogeneous = 1;
  for (int row = 0; row < p->rows; row++) homogeneous = homogeneous && p->b_odd[row] == 0;
  if (homogeneous && largest_of(y, p->count) < before * 0x1p-44) memset(y, 0, (size_t)p->count * sizeof *y); /* nothing but rounding errors */
}
