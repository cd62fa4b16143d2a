/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers near x with a q = b, by a lattice over some of the variables.
 *
 * LLL (Lenstra, Lenstra, Lovasz 1982) on the rows of [I | C a'], C large, gives taps - rows short
 * vectors with a v = 0 and `rows` short ones whose a u are a basis of all values that a takes on integers: the
 * extended gcd with small multipliers (Havas, Majewski, Matthews 1998) for several rows, in place of a
 * Hermite normal form and its transform. What is to be mended, written in that basis, gives one correction; Babai's
 * nearest plane (1986) brings it close to the target.
 */
#include <math.h>
#include <stdlib.h>

#include <flint/fmpz_lll.h>
#include <flint/fmpz_mat.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "round/part.h"

/* Variables moved beyond the rows: more come closer, and take longer to prepare. All are taken where there are few more. */
enum { MORE_TAPS = 160, FEW_MORE = 160, MOST_TAPS = 400 };

typedef struct place { double size; uint64_t tie; int entry; } place;

static int smaller_first(const void *left, const void *right) {
  const place *a = left, *b = right;
  return a->size != b->size ? (a->size > b->size) - (a->size < b->size) : (a->tie > b->tie) - (a->tie < b->tie);
}

/* All variables, those with small coefficients first, equals in no order. */
static place *sort_places(int rows, int count, const int64_t *a) {
  place *sorted = tare_alloc((size_t)count, sizeof *sorted);
  for (int i = 0; sorted && i < count; i++) sorted[i] = (place){.tie = tare_mix((uint64_t)i, 0), .entry = i};
  for (int row = 0; sorted && row < rows; row++) {
    double largest = 1;
    for (int i = 0; i < count; i++) largest = fmax(largest, fabs((double)a[row * count + i]));
    for (int i = 0; i < count; i++) sorted[i].size += fabs((double)a[row * count + i]) / largest;
  }
  if (sorted) qsort(sorted, (size_t)count, sizeof *sorted, smaller_first);
  return sorted;
}

/* Subtracts multiples of the rows of `h` (Hermite normal form) from row `at`; 1 if nothing is left: it was in their lattice. */
static int is_member(fmpz_mat_t h, slong at) {
  slong columns = fmpz_mat_ncols(h), column = 0;
  fmpz_t times;
  fmpz_init(times);
  for (slong row = 0; row < at; row++) {
    while (column < columns && fmpz_is_zero(fmpz_mat_entry(h, row, column))) column++;
    if (column == columns) break;
    fmpz_fdiv_q(times, fmpz_mat_entry(h, at, column), fmpz_mat_entry(h, row, column));
    for (slong i = column; i < columns; i++) fmpz_submul(fmpz_mat_entry(h, at, i), times, fmpz_mat_entry(h, row, i));
  }
  fmpz_clear(times);
  for (slong i = 0; i < columns; i++)
    if (!fmpz_is_zero(fmpz_mat_entry(h, at, i))) return 0;
  return 1;
}

/* First the variables whose columns enlarge the lattice of those before; the number of them. They leave `sorted`. */
static int choose_generators(int rows, int count, const int64_t *a, place *sorted, int *chosen) {
  fmpz_mat_t h;
  fmpz_mat_init(h, rows + 1, rows);
  int taken = 0;
  for (int k = 0; k < count; k++) {
    int entry = sorted[k].entry;
    for (int row = 0; row < rows; row++) fmpz_set_si(fmpz_mat_entry(h, rows, row), a[row * count + entry]);
    if (is_member(h, rows)) continue;
    fmpz_mat_hnf(h, h);
    chosen[taken++] = entry;
    sorted[k].entry = -1;
    if (taken == MOST_TAPS) break;
  }
  fmpz_mat_clear(h);
  return taken;
}

/* Then others, spread evenly over the sizes: vectors are short where sizes differ. */
static tare_status choose_places(tare_lattice *l, int count, const int64_t *a, tare_error *error) {
  int wanted = count <= l->rows + FEW_MORE ? count : l->rows + MORE_TAPS;
  place *sorted = sort_places(l->rows, count, a);
  l->place = tare_alloc((size_t)count, sizeof *l->place);
  if (!sorted || !l->place) {
    tare_free(sorted);
    return tare_fail_memory(error, (size_t)count * sizeof *sorted, "the choice of taps");
  }
  l->taps = l->rows < MOST_TAPS ? choose_generators(l->rows, count, a, sorted, l->place) : MOST_TAPS;
  int left = 0, room = wanted - l->taps;
  for (int i = 0; i < count; i++)
    if (sorted[i].entry >= 0) sorted[left++] = sorted[i];
  for (int64_t k = 0; k < room && left > 0; k++) l->place[l->taps++] = sorted[(k + 1) * left / room - 1].entry;
  tare_free(sorted);
  if (l->taps < MOST_TAPS) return TARE_OK;
  return tare_fail(error, TARE_E_UNSUPPORTED, "rounding: %d rows hang together, which takes a lattice of %d taps or more; at most %d are supported",
                   l->rows, l->taps > wanted ? l->taps : wanted, MOST_TAPS - 1);
}

static int columns_vanish(const fmpz_mat_t m, slong row, slong from) {
  for (slong i = from; i < fmpz_mat_ncols(m); i++)
    if (!fmpz_is_zero(fmpz_mat_entry(m, row, i))) return 0;
  return 1;
}

/* m = [vectors | C a vectors], reduced; C is made larger until the kernel comes out. 0 if it never does. */
static int reduce(const tare_lattice *l, int count, const int64_t *a, fmpz_mat_t m) {
  fmpz_lll_t options;
  fmpz_lll_context_init_default(options);
  slong rank = l->rank;
  for (ulong bits = 20; bits <= 1000; bits *= 2) {
    fmpz_mat_zero(m);
    for (slong i = 0; i < l->taps; i++) {
      fmpz_one(fmpz_mat_entry(m, i, i));
      for (slong row = 0; row < l->rows; row++) {
        fmpz *entry = fmpz_mat_entry(m, i, l->taps + row);
        fmpz_set_si(entry, a[row * count + l->place[i]]);
        fmpz_mul_2exp(entry, entry, bits);
      }
    }
    fmpz_lll(m, NULL, options);
    int done = 1;
    for (slong i = 0; i < rank; i++) done = done && columns_vanish(m, i, l->taps);
    if (!done) continue;
    for (slong i = rank; i < l->taps; i++)
      for (slong row = 0; row < l->rows; row++) {
        fmpz *entry = fmpz_mat_entry(m, i, l->taps + row);
        fmpz_fdiv_q_2exp(entry, entry, bits);
      }
    return 1;
  }
  return 0;
}

static int fits(const fmpz_mat_t m, slong columns) {
  for (slong i = 0; i < fmpz_mat_nrows(m); i++)
    for (slong j = 0; j < columns; j++)
      if (fmpz_bits(fmpz_mat_entry(m, i, j)) > TARE_COEFFICIENT_BITS) return 0;
  return 1;
}

/* The reduced matrix into integers; the inverse of the basis. */
static int take(tare_lattice *l, const fmpz_mat_t m) {
  if (!fits(m, l->taps)) return 0;
  for (int i = 0; i < l->taps; i++) {
    int64_t *vector = i < l->rank ? l->kernel + i * l->taps : l->unit + (i - l->rank) * l->taps;
    for (int j = 0; j < l->taps; j++) vector[j] = fmpz_get_si(fmpz_mat_entry(m, i, j));
  }
  fmpz_mat_t basis;
  fmpz_mat_init(basis, l->rows, l->rows); /* a column for each unit vector */
  for (int i = 0; i < l->rows; i++)
    for (int row = 0; row < l->rows; row++)
      fmpz_set(fmpz_mat_entry(basis, row, i), fmpz_mat_entry(m, l->rank + i, l->taps + row));
  int regular = fmpz_mat_inv(l->inverse, l->divisor, basis);
  fmpz_mat_clear(basis);
  return regular;
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Gram-Schmidt, twice for accuracy; then over the squared length, so that a dot product is a coefficient. */
static int orthogonalise(tare_lattice *l) {
  int k = l->taps;
  double *length = tare_alloc((size_t)l->rank, sizeof *length);
  if (!length) return 0;
  for (int row = 0; row < l->rank; row++) {
    double *v = l->ortho + row * k;
    for (int i = 0; i < k; i++) v[i] = (double)l->kernel[row * k + i] * l->root[i];
    for (int again = 0; again < 2; again++)
      for (int before = 0; before < row; before++) {
        double factor = dot(v, l->ortho + before * k, k) / length[before];
        for (int i = 0; i < k; i++) v[i] -= factor * l->ortho[before * k + i];
      }
    length[row] = dot(v, v, k);
  }
  for (int row = 0; row < l->rank; row++)
    for (int i = 0; i < k; i++) l->ortho[row * k + i] /= length[row];
  tare_free(length);
  return 1;
}

static tare_status build(tare_lattice *l, int count, const int64_t *a, const double *metric, tare_error *error) {
  tare_status status = choose_places(l, count, a, error);
  if (status) return status;
  l->rank = l->taps - l->rows;
  size_t k = (size_t)l->taps, rank = (size_t)l->rank;
  l->root = tare_alloc(k, sizeof *l->root);
  l->kernel = tare_alloc(rank * k, sizeof *l->kernel);
  l->ortho = tare_alloc(rank * k, sizeof *l->ortho);
  l->unit = tare_alloc((size_t)l->rows * k, sizeof *l->unit);
  if (!l->root || !l->kernel || !l->ortho || !l->unit) return tare_fail_memory(error, k * k * sizeof *l->kernel, "a lattice");
  for (int i = 0; i < l->taps; i++) l->root[i] = sqrt(metric[l->place[i]]);
  fmpz_mat_t m;
  fmpz_mat_init(m, l->taps, l->taps + l->rows);
  int done = reduce(l, count, a, m) && take(l, m);
  fmpz_mat_clear(m);
  if (!done) return tare_fail(error, TARE_E_UNSUPPORTED, "rounding: the rows' coefficients leave no short vectors");
  return orthogonalise(l) ? TARE_OK : tare_fail_memory(error, k * sizeof *l->ortho, "a lattice");
}

tare_status tare_lattice_create(int rows, int count, const int64_t *a, const double *metric, tare_lattice **out, tare_error *error) {
  tare_lattice *l = tare_alloc(1, sizeof *l);
  if (!l) return tare_fail_memory(error, sizeof *l, "a lattice");
  l->rows = rows;
  fmpz_mat_init(l->inverse, rows, rows);
  fmpz_init(l->divisor);
  tare_status status = build(l, count, a, metric, error);
  if (status) tare_lattice_free(l);
  else *out = l;
  return status;
}

void tare_lattice_free(tare_lattice *l) {
  if (!l) return;
  fmpz_mat_clear(l->inverse);
  fmpz_clear(l->divisor);
  tare_free(l->place);
  tare_free(l->root);
  tare_free(l->kernel);
  tare_free(l->ortho);
  tare_free(l->unit);
  tare_free(l);
}
