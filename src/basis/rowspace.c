/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The row space of a rule, in pieces: coordinates that no common row couples are
 * independent, and most rules fall apart into small pieces (symmetric: pairs of
 * taps; a sum in DCT coordinates: one). A piece is cut further along its projector Z Z'.
 */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "basis/basis.h"

static const double tiny = 1e-11; /* relative: what rounding leaves of an exact zero */
enum { REFINE = 2048 };           /* pieces up to this size are cut along their projector */

static int find(int *parent, int i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

static void join(int *parent, int i, int j) { parent[find(parent, i)] = find(parent, j); }

static double largest(const double *row, int n) {
  double most = 0;
  for (int i = 0; i < n; i++) most = fmax(most, fabs(row[i]));
  return most;
}

static tare_component *add(tare_rowspace *s, int size, int rank) {
  tare_component *c = &s->component[s->count++];
  c->size = size;
  c->rank = rank;
  c->index = tare_alloc((size_t)size, sizeof(int));
  c->space = tare_alloc((size_t)size * (size_t)rank, sizeof(double));
  return c->index && c->space ? c : NULL;
}

/* Orthonormal rows spanning the `rank` dimensions of the projector block P (size x size): pivoted Gram-Schmidt, done twice. */
static void span(const double *p, int stride, const int *local, int size, int rank, double *out) {
  for (int q = 0; q < rank; q++) {
    double *best = out + (size_t)q * (size_t)size, most = -1;
    int pick = 0;
    for (int i = 0; i < size; i++) { /* the diagonal of what is left of P is the squared length of its column */
      double left = p[(size_t)local[i] * (size_t)stride + (size_t)local[i]];
      for (int k = 0; k < q; k++) left -= out[(size_t)k * (size_t)size + (size_t)i] * out[(size_t)k * (size_t)size + (size_t)i];
      if (left > most) most = left, pick = i;
    }
    for (int i = 0; i < size; i++) best[i] = p[(size_t)local[pick] * (size_t)stride + (size_t)local[i]];
    for (int pass = 0; pass < 2; pass++)
      for (int k = 0; k < q; k++)
        cblas_daxpy(size, -cblas_ddot(size, out + (size_t)k * (size_t)size, 1, best, 1), out + (size_t)k * (size_t)size, 1, best, 1);
    cblas_dscal(size, 1 / cblas_dnrm2(size, best, 1), best, 1);
  }
}

/* Cuts a piece (index, z: rank rows of size) along its projector and adds the parts. */
static int refine(tare_rowspace *s, int size, int rank, const int *index, const double *z) {
  double *p = tare_alloc((size_t)size * (size_t)size, sizeof *p);
  int *parent = tare_alloc((size_t)size * 2, sizeof *parent), *local = parent ? parent + size : NULL;
  if (!p || !parent) return tare_free(p), tare_free(parent), -1;
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size, size, rank, 1, z, size, z, size, 0, p, size);
  for (int i = 0; i < size; i++) parent[i] = i;
  for (int i = 0; i < size; i++)
    for (int j = 0; j < i; j++)
      if (fabs(p[(size_t)i * (size_t)size + (size_t)j]) > tiny) join(parent, i, j);
  int failed = 0;
  for (int root = 0; root < size && !failed; root++) {
    if (find(parent, root) != root) continue;
    int count = 0;
    double trace = 0;
    for (int i = 0; i < size; i++)
      if (find(parent, i) == root) local[count++] = i, trace += p[(size_t)i * (size_t)size + (size_t)i];
    int part = (int)lround(trace);
    if (part == 0) continue;
    tare_component *c = add(s, count, part);
    if (!c) failed = -1;
    else {
      for (int i = 0; i < count; i++) c->index[i] = index[local[i]];
      span(p, size, local, count, part, c->space);
    }
  }
  tare_free(p);
  tare_free(parent);
  return failed;
}

/* One piece of R: its rows, orthonormalised by QR (of R', columns scaled), and its share of the least-norm solution. */
static int piece(tare_rowspace *s, int rows, const int *row, int size, const int *index, const double *r, const double *b) {
  double *q = tare_alloc((size_t)rows * (size_t)size, sizeof *q), *tau = tare_alloc((size_t)rows * 2, sizeof *tau), *y = tau ? tau + rows : NULL;
  double *t = tare_alloc((size_t)rows * (size_t)rows, sizeof *t);
  int failed = !q || !tau || !t || rows > size;
  for (int i = 0; i < rows && !failed; i++) { /* column-major size x rows: a column is a row of R, scaled to length 1 */
    double length = 0;
    for (int j = 0; j < size; j++) length = hypot(length, q[(size_t)i * (size_t)size + (size_t)j] = r[(size_t)row[i] * (size_t)s->taps + (size_t)index[j]]);
    cblas_dscal(size, 1 / length, q + (size_t)i * (size_t)size, 1);
    y[i] = b ? b[row[i]] / length : 0;
  }
  failed = failed || LAPACKE_dgeqrf(LAPACK_COL_MAJOR, size, rows, q, size, tau);
  for (int i = 0; i < rows && !failed; i++) memcpy(t + (size_t)i * (size_t)rows, q + (size_t)i * (size_t)size, (size_t)(i + 1) * sizeof *t);
  failed = failed || LAPACKE_dorgqr(LAPACK_COL_MAJOR, size, rows, rows, q, size, tau);
  if (!failed && b) { /* R = T' Q': y = T'^-1 b, w = Q y */
    cblas_dtrsv(CblasColMajor, CblasUpper, CblasTrans, CblasNonUnit, rows, t, rows, y, 1);
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < size; j++) s->least[index[j]] += y[i] * q[(size_t)i * (size_t)size + (size_t)j];
  }
  if (!failed && rows < size && rows > 1 && size <= REFINE) failed = refine(s, size, rows, index, q);
  else if (!failed) {
    tare_component *c = add(s, size, rows);
    if (!c) failed = -1;
    else {
      memcpy(c->index, index, (size_t)size * sizeof *index);
      memcpy(c->space, q, (size_t)rows * (size_t)size * sizeof *q);
    }
  }
  tare_free(q);
  tare_free(tau);
  tare_free(t);
  return failed;
}

/* Splits R into pieces by its own zeros. */
static int pieces(tare_rowspace *s, int rows, const double *r, const double *b) {
  int taps = s->taps, failed = 0;
  int *parent = tare_alloc((size_t)taps + (size_t)rows, sizeof *parent), *list = tare_alloc((size_t)taps + (size_t)rows, sizeof *list);
  if (!parent || !list) failed = -1;
  for (int i = 0; i < taps + rows && !failed; i++) parent[i] = i;
  for (int i = 0; i < rows && !failed; i++) {
    double limit = tiny * largest(r + (size_t)i * (size_t)taps, taps);
    for (int j = 0; j < taps; j++)
      if (fabs(r[(size_t)i * (size_t)taps + (size_t)j]) > limit) join(parent, j, taps + i);
  }
  for (int root = 0; root < taps + rows && !failed; root++) {
    if (find(parent, root) != root) continue;
    int size = 0, count = 0;
    for (int j = 0; j < taps; j++)
      if (find(parent, j) == root) list[size++] = j;
    for (int i = 0; i < rows; i++)
      if (find(parent, taps + i) == root) list[size + count++] = i;
    if (count) failed = piece(s, count, list + size, size, list, r, b);
  }
  tare_free(parent);
  tare_free(list);
  return failed;
}

tare_status tare_rowspace_create(int rows, int taps, const double *r, const double *b, tare_rowspace **out, tare_error *error) {
  tare_rowspace *s = tare_alloc(1, sizeof *s);
  if (!s) return tare_fail_memory(error, sizeof *s, "a row space");
  s->taps = taps;
  s->component = tare_alloc((size_t)rows + 1, sizeof *s->component);
  s->least = tare_alloc((size_t)taps, sizeof *s->least);
  if (!s->component || !s->least || (rows && pieces(s, rows, r, b))) {
    tare_rowspace_free(s);
    return tare_fail_memory(error, (size_t)rows * (size_t)taps * sizeof(double), "the row space of a rule");
  }
  *out = s;
  return TARE_OK;
}

void tare_rowspace_free(tare_rowspace *s) {
  if (!s) return;
  for (int i = 0; s->component && i < s->count; i++) {
    tare_free(s->component[i].index);
    tare_free(s->component[i].space);
  }
  tare_free(s->component);
  tare_free(s->least);
  tare_free(s);
}
