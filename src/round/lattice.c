/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last part of a correction where coefficients are large (0.299, 0.587,
 * 0.114 to six digits): a few taps are moved by a short integer vector.
 *
 * LLL (Lenstra, Lenstra, Lovasz 1982) on the rows of [I | C a], C large, gives
 * k-1 short vectors with a . v = 0 and one with a . u = 1 or -1 (the extended gcd
 * with small multipliers: Havas, Majewski, Matthews 1998). The correction
 * excess * u is then brought near the target by Babai's nearest plane (1986).
 */
#include <math.h>
#include <stdlib.h>

#include <flint/fmpz_lll.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/solver.h"

typedef struct place { int64_t size; int entry; } place;

static int smaller_first(const void *left, const void *right) {
  const place *a = left, *b = right;
  return a->size != b->size ? (a->size > b->size) - (a->size < b->size) : (a->entry > b->entry) - (a->entry < b->entry);
}

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/*
 * Taps whose coefficients have gcd 1 (those that lower it), then others spread
 * evenly over the sizes: vectors are short where sizes differ. Returns the gcd.
 */
static int64_t choose_taps(tare_lattice *l, place *sorted, int count) {
  int64_t divisor = 0;
  for (int i = 0; i < count && l->taps < TARE_LATTICE_TAPS; i++) {
    int64_t with = gcd(sorted[i].size, divisor);
    if (with == divisor) continue;
    divisor = with;
    l->place[l->taps++] = sorted[i].entry;
    sorted[i].entry = -1;
  }
  int room = TARE_LATTICE_TAPS - l->taps;
  for (int64_t k = 0; k < room; k++) {
    int i = room < count ? (int)((k + 1) * count / room) - 1 : (int)k;
    if (i < count && sorted[i].entry >= 0) l->place[l->taps++] = sorted[i].entry;
  }
  return divisor;
}

static void reduce(tare_lattice *l, const int64_t *a) {
  slong k = l->taps;
  fmpz_mat_t m;
  fmpz_mat_init(m, k, k + 1);
  for (slong i = 0; i < k; i++) {
    fmpz_one(fmpz_mat_entry(m, i, i));
    fmpz_set_si(fmpz_mat_entry(m, i, k), a[l->place[i]]);
    fmpz_mul_2exp(fmpz_mat_entry(m, i, k), fmpz_mat_entry(m, i, k), 2 * TARE_COEFFICIENT_BITS);
  }
  fmpz_lll_t options;
  fmpz_lll_context_init_default(options);
  fmpz_lll(m, NULL, options);
  int64_t sign = fmpz_sgn(fmpz_mat_entry(m, k - 1, k));
  for (slong i = 0; i < k; i++) {
    for (slong row = 0; row < k - 1; row++) l->kernel[row][i] = fmpz_get_si(fmpz_mat_entry(m, row, i));
    l->unit[i] = sign * fmpz_get_si(fmpz_mat_entry(m, k - 1, i));
  }
  fmpz_mat_clear(m);
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void orthogonalise(tare_lattice *l) {
  int k = l->taps;
  for (int row = 0; row < k - 1; row++) {
    double *v = l->ortho[row];
    for (int i = 0; i < k; i++) v[i] = (double)l->kernel[row][i];
    for (int before = 0; before < row; before++) {
      double factor = dot(v, l->ortho[before], k) / dot(l->ortho[before], l->ortho[before], k);
      for (int i = 0; i < k; i++) v[i] -= factor * l->ortho[before][i];
    }
  }
}

int tare_correct_lattice(const tare_lattice *l, const double *x, int64_t *entry, int64_t bound, int64_t excess) {
  int64_t step[TARE_LATTICE_TAPS];
  for (int i = 0; i < l->taps; i++) step[i] = -excess * l->unit[i];
  int changed = 1;
  for (int pass = 0; pass < 64 && changed; pass++) { /* more than one pass only while the numbers exceed a double's 53 bits */
    changed = 0;
    double distance[TARE_LATTICE_TAPS];
    for (int i = 0; i < l->taps; i++) distance[i] = (double)entry[l->place[i]] - x[l->place[i]] + (double)step[i];
    for (int row = l->taps - 2; row >= 0; row--) {
      double times = nearbyint(dot(distance, l->ortho[row], l->taps) / dot(l->ortho[row], l->ortho[row], l->taps));
      if (times == 0) continue;
      changed = 1;
      for (int i = 0; i < l->taps; i++) {
        step[i] -= (int64_t)times * l->kernel[row][i];
        distance[i] -= times * (double)l->kernel[row][i];
      }
    }
  }
  for (int i = 0; i < l->taps; i++) {
    int64_t *q = &entry[l->place[i]];
    *q += step[i];
    if (*q > bound || *q < -bound) return 0;
  }
  return 1;
}

tare_status tare_lattice_build(tare_lattice *l, const int64_t *a, int count, tare_error *error) {
  place *sorted = tare_alloc((size_t)count, sizeof *sorted);
  if (!sorted) return tare_fail_memory(error, (size_t)count * sizeof *sorted, "a lattice");
  for (int i = 0; i < count; i++) sorted[i] = (place){a[i] < 0 ? -a[i] : a[i], i};
  qsort(sorted, (size_t)count, sizeof *sorted, smaller_first);
  int64_t divisor = choose_taps(l, sorted, count);
  tare_free(sorted);
  if (divisor != 1)
    return tare_fail(error, TARE_E_UNSUPPORTED, "rounding: no %d coefficients of the row are without a common divisor", TARE_LATTICE_TAPS);
  reduce(l, a);
  orthogonalise(l);
  return TARE_OK;
}
