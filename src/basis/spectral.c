/* SPDX-License-Identifier: Apache-2.0 */
/* B = D S H: spectral (S from the 1/f^2 model of images), dct (S = 1), whitened (S measured). */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "basis/basis.h"

static const double ridge = 1e-4; /* of the largest variance: no coefficient counts as smaller, so that noise is not blown up */

/* R = A D S: each row of A, slice by slice, through the forward DCT, times S. */
static tare_status rows_in_coordinates(const tare_constraint *c, const tare_builder *b, const double *scale, double **out, tare_error *error) {
  int rows = tare_constraint_rows(c), taps = b->op.taps;
  size_t size = (size_t)(rows ? rows : 1) * (size_t)taps;
  double *a = tare_alloc(size, sizeof *a), *r = tare_alloc(size, sizeof *r);
  tare_run whole = {0, 0, taps};
  tare_operator op = b->op;
  op.run = &whole;
  op.runs = 1;
  op.coefficients = taps;
  op.scale = scale;
  if (!a || !r) {
    tare_free(a);
    tare_free(r);
    return tare_fail_memory(error, size * sizeof *a, "a rule's rows");
  }
  tare_constraint_matrix(c, a, NULL);
  tare_kernels_get(TARE_F64)->operator_transpose(&op, (size_t)rows, a, r);
  tare_free(a);
  *out = r;
  return TARE_OK;
}

/* scale: taps values, freed here. */
static tare_status scaled_dct(tare_basis *b, const tare_constraint *c, double *scale, tare_error *error) {
  tare_builder builder;
  double *r = NULL;
  tare_rowspace *space = NULL;
  tare_builder_init(&builder, c, 1);
  tare_status status = builder.failed || !scale ? tare_fail_memory(error, (size_t)b->taps * sizeof *scale, "a basis")
                                                : rows_in_coordinates(c, &builder, scale, &r, error);
  if (status == TARE_OK) status = tare_rowspace_create(tare_constraint_rows(c), b->taps, r, NULL, &space, error);
  if (status == TARE_OK) status = tare_reflect(&builder, space, error);
  if (status == TARE_OK) tare_builder_place(&builder);
  tare_rowspace_free(space);
  tare_free(r);
  if (status == TARE_OK) status = tare_basis_finish(b, &builder, scale, error);
  else tare_builder_free(&builder);
  tare_free(scale);
  return status;
}

/* |k|^power for each DCT coefficient of a unit; |k| counts as 1 at k = 0. */
static void frequencies(const tare_basis *b, double power, double *scale) {
  int slice = b->taps / b->slices;
  for (int i = 0; i < b->taps; i++) {
    double square = tare_frequency_squared(&b->shape, i % slice);
    scale[i] = square > 0 ? pow(square, power / 2) : 1;
  }
}

tare_status tare_basis_spectral(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error) {
  (void)m;
  double *scale = tare_alloc((size_t)b->taps, sizeof *scale);
  if (scale) frequencies(b, p, scale);
  return scaled_dct(b, c, scale, error);
}

tare_status tare_basis_whitened(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error) {
  (void)p;
  int slice = b->taps / b->slices;
  double *scale = tare_alloc((size_t)b->taps, sizeof *scale), most = 0;
  if (!scale) return tare_fail_memory(error, (size_t)b->taps * sizeof *scale, "a basis");
  tare_status status = tare_covariance_spectrum(m, scale, error);
  if (status) {
    tare_free(scale);
    return status;
  }
  for (int i = 1; i < slice; i++) most = fmax(most, scale[i]);
  if (!(most > 0)) most = 1; /* an input without any detail: nothing to scale by */
  for (int i = 1; i < slice; i++) b->ridged += scale[i] < ridge * most;
  for (int i = 0; i < slice; i++) scale[i] = 1 / sqrt(fmax(scale[i], ridge * most));
  for (int i = slice; i < b->taps; i++) scale[i] = scale[i % slice];
  return scaled_dct(b, c, scale, error);
}
