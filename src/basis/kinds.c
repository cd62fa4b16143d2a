/* SPDX-License-Identifier: Apache-2.0 */
/* The bases that need no transform: centred, orthonormal, pivot; and the dense one, whitened-full. */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "basis/basis.h"

tare_status tare_basis_finish(tare_basis *b, tare_builder *builder, const double *scale, tare_error *error) {
  int taps = b->taps;
  tare_operator op = builder->op;
  double *inverse = scale ? tare_alloc((size_t)taps, sizeof *inverse) : NULL;
  if (!builder->failed && (inverse || !scale)) {
    for (int i = 0; inverse && i < taps; i++) inverse[i] = 1 / scale[i];
    op.scale = scale;
    op.offset = b->space->least;
    b->f64 = tare_operator_copy(&op, TARE_F64);
    op.scale = inverse;
    op.offset = NULL;
    if (!b->inverse) b->inverse = tare_operator_copy(&op, TARE_F64);
  }
  tare_free(inverse);
  tare_builder_free(builder);
  return b->f64 && b->inverse ? TARE_OK : tare_fail_memory(error, (size_t)taps * sizeof(double), "a basis");
}

/* w0 + (I - Z Z') t */
tare_status tare_basis_centred(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error) {
  (void)m, (void)p;
  tare_builder builder;
  tare_builder_init(&builder, c, 0);
  for (int i = 0; i < b->space->count; i++) {
    const tare_component *part = &b->space->component[i];
    tare_builder_block(&builder, part->size, part->rank, part->index, part->space, part->space);
  }
  if (!builder.failed) tare_builder_place(&builder);
  b->redundant = 1;
  return tare_basis_finish(b, &builder, NULL, error);
}

tare_status tare_basis_orthonormal(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error) {
  (void)m, (void)p;
  tare_builder builder;
  tare_builder_init(&builder, c, 0);
  tare_status status = builder.failed ? TARE_OK : tare_reflect(&builder, b->space, error);
  if (status == TARE_OK && !builder.failed) tare_builder_place(&builder);
  if (status == TARE_OK) return tare_basis_finish(b, &builder, NULL, error);
  tare_builder_free(&builder);
  return status;
}

/* Squared distance of a tap from its filter's centre, in quarter units (exact for even sizes too). */
static long distance(const tare_filter_shape *shape, int tap) {
  long sum = 0;
  for (int d = shape->dims - 1; d >= 0; d--) {
    long offset = 2L * (tap % shape->size[d]) - (shape->size[d] - 1);
    tap /= shape->size[d];
    sum += offset * offset;
  }
  return sum;
}

/* The `rank` taps of a piece nearest the centre whose columns of Z' are independent: Gram-Schmidt on the columns in that order. */
static int nearest(const tare_filter_shape *shape, const tare_component *part, int *pivot, double *columns) {
  int size = part->size, rank = part->rank, found = 0, slice = 1;
  for (int d = 0; d < shape->dims; d++) slice *= shape->size[d];
  char *seen = tare_alloc((size_t)size, 1);
  if (!seen) return -1;
  for (int step = 0; step < size && found < rank; step++) {
    int best = -1;
    for (int i = 0; i < size; i++)
      if (!seen[i] && (best < 0 || distance(shape, part->index[i] % slice) < distance(shape, part->index[best] % slice))) best = i;
    seen[best] = 1;
    double *column = columns + (size_t)found * (size_t)rank;
    for (int q = 0; q < rank; q++) column[q] = part->space[(size_t)q * (size_t)size + (size_t)best];
    double before = cblas_dnrm2(rank, column, 1);
    for (int pass = 0; pass < 2; pass++)
      for (int k = 0; k < found; k++)
        cblas_daxpy(rank, -cblas_ddot(rank, columns + (size_t)k * (size_t)rank, 1, column, 1), columns + (size_t)k * (size_t)rank, 1, column, 1);
    double after = cblas_dnrm2(rank, column, 1);
    if (after <= 1e-7 * before) continue;
    cblas_dscal(rank, 1 / after, column, 1);
    pivot[found++] = best;
  }
  tare_free(seen);
  return found == rank ? 0 : -1;
}

/* The eliminated taps are minus Zp'^-1 Zf' times the free ones: a low-rank update that writes the pivots alone. */
static int eliminate(tare_builder *builder, const tare_filter_shape *shape, const tare_component *part) {
  size_t size = (size_t)part->size, rank = (size_t)part->rank;
  double *work = tare_alloc(2 * rank * rank + 2 * rank * size, sizeof *work);
  int *pivot = tare_alloc(2 * rank, sizeof *pivot), failed = !work || !pivot;
  double *square = work + rank * rank, *left = square + rank * rank, *right = left + rank * size;
  failed = failed || nearest(shape, part, pivot, work);
  if (!failed) {
    memcpy(right, part->space, rank * size * sizeof *right);
    for (size_t q = 0; q < rank; q++) {
      left[q * size + (size_t)pivot[q]] = 1;
      builder->dropped[part->index[pivot[q]]] = 1;
      for (size_t r = 0; r < rank; r++) square[r * rank + q] = part->space[r * size + (size_t)pivot[q]];
    }
    failed = LAPACKE_dgesv(LAPACK_ROW_MAJOR, part->rank, part->size, square, part->rank, pivot + rank, right, part->size);
    for (size_t q = 0; q < rank; q++)
      for (size_t r = 0; r < rank; r++) right[r * size + (size_t)pivot[q]] = 0;
  }
  if (!failed) tare_builder_block(builder, part->size, part->rank, part->index, left, right);
  tare_free(work);
  tare_free(pivot);
  return failed;
}

tare_status tare_basis_pivot(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error) {
  (void)m, (void)p;
  tare_builder builder, plain;
  tare_builder_init(&builder, c, 0);
  tare_builder_init(&plain, c, 0);
  int failed = builder.failed || plain.failed;
  for (int i = 0; i < b->space->count && !failed; i++) failed = eliminate(&builder, &b->shape, &b->space->component[i]);
  if (!failed) { /* solving: the free taps are the coefficients */
    memcpy(plain.dropped, builder.dropped, (size_t)b->taps);
    tare_builder_place(&builder);
    tare_builder_place(&plain);
    b->inverse = tare_operator_copy(&plain.op, TARE_F64);
    failed = plain.failed || !b->inverse;
  }
  tare_builder_free(&plain);
  builder.failed |= failed;
  return tare_basis_finish(b, &builder, NULL, error);
}

enum { MOST_FULL = 256 };

/* N (N' C N)^power by eigenvectors: N = H of the taps, n x f row-major. */
static int rooted(const double *n, int taps, int f, const double *c, int slices, double power, double *out) {
  size_t nf = (size_t)taps * (size_t)f, ff = (size_t)f * (size_t)f;
  int slice = taps / slices, failed;
  double *cn = tare_alloc(2 * nf + 2 * ff + (size_t)f, sizeof *cn);
  if (!cn) return -1;
  double *nv = cn + nf, *inner = nv + nf, *values = inner + 2 * ff;
  for (int s = 0; s < slices; s++)
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, slice, f, slice, 1, c, slice, n + (size_t)s * (size_t)slice * (size_t)f, f, 0,
                cn + (size_t)s * (size_t)slice * (size_t)f, f);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, f, f, taps, 1, n, f, cn, f, 0, inner, f);
  failed = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', f, inner, f, values);
  double floor = values[f - 1] > 0 ? 1e-12 * values[f - 1] : 1; /* 1: an input without any detail */
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, taps, f, f, 1, n, f, inner, f, 0, nv, f);
  for (int j = 0; j < f; j++) cblas_dscal(taps, pow(fmax(values[j], floor), power), nv + j, f);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, taps, f, f, 1, nv, f, inner, f, 0, out, f);
  tare_free(cn);
  return failed;
}

tare_status tare_basis_full(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error) {
  if (b->taps > MOST_FULL)
    return tare_fail(error, TARE_E_UNSUPPORTED, "whitened-full needs at most %d taps, found %d: use whitened", MOST_FULL, b->taps);
  tare_status status = tare_basis_orthonormal(b, c, m, p, error);
  if (status) return status;
  int taps = b->taps, f = b->f64->coefficients, failed = 0;
  size_t nf = (size_t)taps * (size_t)f;
  double *n = tare_alloc(3 * nf, sizeof *n), *half = n + nf, *other = half + nf;
  int *all = tare_alloc((size_t)taps, sizeof *all);
  if (!n || !all) failed = 1;
  else {
    for (int i = 0; i < taps; i++) all[i] = i;
    b->coefficients = f;
    tare_basis_matrix(b, n);
    failed = rooted(n, taps, f, tare_covariance_matrix(m), b->slices, -0.5, half) || rooted(n, taps, f, tare_covariance_matrix(m), b->slices, 0.5, other);
  }
  tare_operator_free(b->f64);
  tare_operator_free(b->inverse);
  b->f64 = b->inverse = NULL;
  tare_builder builder;
  for (int inverse = 1; inverse >= 0 && !failed; inverse--) {
    tare_builder_init(&builder, c, 0);
    if (!builder.failed) memset(builder.dropped, 1, (size_t)taps);
    tare_builder_dense(&builder, taps, f, all, inverse ? other : half);
    tare_builder_place(&builder);
    if (inverse) {
      b->inverse = tare_operator_copy(&builder.op, TARE_F64);
      failed = builder.failed || !b->inverse;
      tare_builder_free(&builder);
    } else status = tare_basis_finish(b, &builder, NULL, error);
  }
  tare_free(n);
  tare_free(all);
  return failed ? tare_fail_memory(error, nf * sizeof *n, "a basis") : status;
}
