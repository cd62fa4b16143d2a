/* SPDX-License-Identifier: Apache-2.0 */
/* Covariances of image patches, the model's and measured ones; and what a basis makes of them: response and condition. */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "basis/basis.h"

enum { MOST_PATCHES = 1 << 15, CHUNK = 256, MOST_TAPS = 4096 };

struct tare_covariance { tare_filter_shape shape; int taps; double *matrix; };

int tare_covariance_taps(const tare_covariance *c) { return c->taps; }
const double *tare_covariance_matrix(const tare_covariance *c) { return c ? c->matrix : NULL; }

void tare_covariance_free(tare_covariance *c) {
  if (!c) return;
  tare_free(c->matrix);
  tare_free(c);
}

static tare_status blank(const tare_filter_shape *shape, tare_covariance **out, tare_error *error) {
  if (!shape || !out || shape->dims < 1 || shape->dims > TARE_MAX_DIMS)
    return tare_fail(error, TARE_E_ARGUMENT, "a covariance needs a filter shape of 1 to 3 axes and a place to go");
  long taps = 1;
  for (int d = 0; d < shape->dims; d++) {
    if (shape->size[d] < 1 || shape->size[d] > MOST_TAPS || (taps *= shape->size[d]) > MOST_TAPS)
      return tare_fail(error, TARE_E_UNSUPPORTED, "a covariance is of 1 to %d taps, found %ld or more", MOST_TAPS, taps);
  }
  tare_covariance *c = tare_alloc(1, sizeof *c);
  if (!c) return tare_fail_memory(error, sizeof *c, "a covariance");
  c->shape = *shape;
  c->taps = (int)taps;
  c->matrix = tare_alloc((size_t)taps * (size_t)taps, sizeof *c->matrix);
  if (!c->matrix) {
    tare_covariance_free(c);
    return tare_fail_memory(error, (size_t)taps * (size_t)taps * sizeof(double), "a covariance");
  }
  *out = c;
  return TARE_OK;
}

/* The whole DCT of a slice as a taps x taps matrix, row k: a product of the axes' matrices. */
static tare_status whole_dct(const tare_filter_shape *shape, int taps, double **out, tare_error *error) {
  size_t n = (size_t)taps;
  double *d = tare_alloc(n * n, sizeof *d), *axis = tare_alloc(n * n, sizeof *axis);
  if (!d || !axis) {
    tare_free(d);
    tare_free(axis);
    return tare_fail_memory(error, n * n * sizeof *d, "a transform");
  }
  for (size_t i = 0; i < n * n; i++) d[i] = 1;
  int inner = 1;
  for (int a = shape->dims - 1; a >= 0; inner *= shape->size[a--]) {
    int size = shape->size[a];
    tare_dct_matrix(size, axis);
    for (int k = 0; k < taps; k++)
      for (int i = 0; i < taps; i++) d[(size_t)k * n + (size_t)i] *= axis[k / inner % size * size + i / inner % size];
  }
  tare_free(axis);
  *out = d;
  return TARE_OK;
}

static const char no_place[] = "a covariance needs the shape of a filter and a place to go; one is NULL";

static double model_variance(const tare_filter_shape *shape, int k, double dc) {
  double square = tare_frequency_squared(shape, k);
  return square > 0 ? 1 / square : dc;
}

tare_status tare_covariance_model(const tare_filter_shape *shape, double dc_variance, tare_covariance **out, tare_error *error) {
  if (!shape || !out) return tare_fail(error, TARE_E_ARGUMENT, no_place);
  if (!(dc_variance >= 0) || !isfinite(dc_variance)) return tare_fail(error, TARE_E_ARGUMENT, "the variance of the mean must be 0 or more, found %g", dc_variance);
  tare_covariance *c = NULL;
  tare_status status = blank(shape, &c, error);
  if (status) return status;
  double *d, n = c->taps;
  status = whole_dct(shape, c->taps, &d, error);
  if (status) {
    tare_covariance_free(c);
    return status;
  }
  double *scaled = tare_alloc((size_t)c->taps * (size_t)c->taps, sizeof *scaled);
  if (!scaled) status = tare_fail_memory(error, (size_t)(n * n) * sizeof *scaled, "a covariance");
  for (int k = 0; k < c->taps && scaled; k++)
    for (int i = 0; i < c->taps; i++) {
      size_t at = (size_t)k * (size_t)c->taps + (size_t)i;
      scaled[at] = model_variance(shape, k, dc_variance) * d[at];
    }
  if (scaled)
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, c->taps, c->taps, c->taps, 1, d, c->taps, scaled, c->taps, 0, c->matrix, c->taps);
  tare_free(scaled);
  tare_free(d);
  if (status) tare_covariance_free(c);
  else *out = c;
  return status;
}

/* A value that is not finite would make every basis of it so. */
static tare_status hand_over(tare_covariance *c, tare_covariance **out, tare_error *error) {
  for (size_t i = 0; i < (size_t)c->taps * (size_t)c->taps; i++)
    if (!isfinite(c->matrix[i])) {
      tare_covariance_free(c);
      return tare_fail(error, TARE_E_DATA, "a covariance whose entry %zu is not a finite number: the values it is of are not, or are too large", i);
    }
  *out = c;
  return TARE_OK;
}

tare_status tare_covariance_from_matrix(const tare_filter_shape *shape, const double *matrix, tare_covariance **out, tare_error *error) {
  if (!shape || !out) return tare_fail(error, TARE_E_ARGUMENT, no_place);
  if (!matrix) return tare_fail(error, TARE_E_ARGUMENT, "a covariance needs a matrix, found NULL");
  tare_covariance *c = NULL;
  tare_status status = blank(shape, &c, error);
  if (status) return status;
  memcpy(c->matrix, matrix, (size_t)c->taps * (size_t)c->taps * sizeof *matrix);
  return hand_over(c, out, error);
}

/* The places of all patches, counted image by image, row by row, channel by channel. */
struct places { int height, width, channels, rows, columns, step[2]; };

static void read_patch(const tare_filter_shape *shape, const struct places *p, const float *images, size_t place, double *patch) {
  int channel = (int)(place % (size_t)p->channels), column, row;
  place /= (size_t)p->channels;
  column = (int)(place % (size_t)p->columns);
  place /= (size_t)p->columns;
  row = (int)(place % (size_t)p->rows);
  const float *image = images + place / (size_t)p->rows * (size_t)p->height * (size_t)p->width * (size_t)p->channels;
  for (int a = 0; a < shape->size[0]; a++)
    for (int b = 0; b < shape->size[1]; b++)
      *patch++ = (double)image[((size_t)(row + a * p->step[0]) * (size_t)p->width + (size_t)(column + b * p->step[1])) * (size_t)p->channels + (size_t)channel];
}

/* Every patch, or where there are very many MOST_PATCHES of them, evenly spread. */
static tare_status accumulate(tare_covariance *c, const float *images, size_t count, const struct places *p, tare_error *error) {
  size_t all = count * (size_t)p->rows * (size_t)p->columns * (size_t)p->channels, used = all < MOST_PATCHES ? all : MOST_PATCHES;
  double *chunk = tare_alloc((size_t)CHUNK * (size_t)c->taps, sizeof *chunk);
  if (!chunk) return tare_fail_memory(error, (size_t)CHUNK * (size_t)c->taps * sizeof *chunk, "patches");
  for (size_t first = 0; first < used; first += CHUNK) {
    int rows = (int)(used - first < CHUNK ? used - first : CHUNK);
    for (int i = 0; i < rows; i++) {
      size_t place = (size_t)((double)all / (double)used * ((double)(first + (size_t)i) + 0.5));
      read_patch(&c->shape, p, images, place, chunk + (size_t)i * (size_t)c->taps);
    }
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, c->taps, rows, 1 / (double)used, chunk, c->taps, first ? 1 : 0, c->matrix, c->taps);
  }
  tare_free(chunk);
  for (int i = 0; i < c->taps; i++)
    for (int j = 0; j < i; j++) c->matrix[(size_t)i * (size_t)c->taps + (size_t)j] = c->matrix[(size_t)j * (size_t)c->taps + (size_t)i];
  return TARE_OK;
}

tare_status tare_covariance_measure(const tare_filter_shape *shape, const float *images, size_t count, int height, int width, int channels,
                                    const int *dilation, double brightness, tare_covariance **out, tare_error *error) {
  if (!shape || !out) return tare_fail(error, TARE_E_ARGUMENT, no_place);
  if (!images || count < 1 || channels < 1 || shape->dims != 2 || !(brightness >= 0) || (dilation && (dilation[0] < 1 || dilation[1] < 1)))
    return tare_fail(error, TARE_E_ARGUMENT, "measuring a covariance needs images, a 2-D filter shape, taps 1 or more apart and a brightness of 0 or more");
  struct places p = {height, width, channels, 0, 0, {dilation ? dilation[0] : 1, dilation ? dilation[1] : 1}};
  p.rows = height - (shape->size[0] - 1) * p.step[0];
  p.columns = width - (shape->size[1] - 1) * p.step[1];
  if (p.rows < 1 || p.columns < 1)
    return tare_fail(error, TARE_E_SHAPE, "images of %d x %d pixels are smaller than the filter of %d x %d taps", height, width, shape->size[0], shape->size[1]);
  tare_covariance *c = NULL;
  tare_status status = blank(shape, &c, error);
  if (status) return status;
  status = accumulate(c, images, count, &p, error);
  for (size_t i = 0; i < (size_t)c->taps * (size_t)c->taps; i++) c->matrix[i] += brightness * brightness / 3;
  if (!status) return hand_over(c, out, error);
  tare_covariance_free(c);
  return status;
}

tare_status tare_covariance_spectrum(const tare_covariance *c, double *variance, tare_error *error) {
  double *d, *dc = NULL;
  tare_status status = whole_dct(&c->shape, c->taps, &d, error);
  if (status) return status;
  dc = tare_alloc((size_t)c->taps * (size_t)c->taps, sizeof *dc);
  if (!dc) status = tare_fail_memory(error, (size_t)c->taps * (size_t)c->taps * sizeof *dc, "a spectrum");
  else {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->taps, c->taps, c->taps, 1, d, c->taps, c->matrix, c->taps, 0, dc, c->taps);
    for (int k = 0; k < c->taps; k++) variance[k] = cblas_ddot(c->taps, d + (size_t)k * (size_t)c->taps, 1, dc + (size_t)k * (size_t)c->taps, 1);
  }
  tare_free(dc);
  tare_free(d);
  return status;
}

/* C B, slice by slice, and B itself: taps x coefficients each, b then cb in one array; NULL when out of memory. */
static double *products(const tare_basis *b, const tare_covariance *c) {
  size_t size = (size_t)b->taps * (size_t)b->coefficients;
  double *matrix = tare_alloc(2 * size, sizeof *matrix);
  if (!matrix) return NULL;
  tare_basis_matrix(b, matrix);
  for (int s = 0; s < b->slices; s++) {
    size_t at = (size_t)s * (size_t)c->taps * (size_t)b->coefficients;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->taps, b->coefficients, c->taps, 1, c->matrix, c->taps, matrix + at, b->coefficients, 0,
                matrix + size + at, b->coefficients);
  }
  return matrix;
}

double tare_basis_response(const tare_basis *b, const tare_covariance *c) {
  if (!b || !c) return NAN;
  size_t size = (size_t)b->taps * (size_t)b->coefficients;
  double *matrix = b->taps == b->slices * c->taps ? products(b, c) : NULL, sum = 0;
  if (!matrix) return NAN;
  for (size_t i = 0; i < size; i++) sum += matrix[i] * matrix[size + i];
  tare_free(matrix);
  return sum;
}

tare_status tare_basis_condition(const tare_basis *b, const tare_covariance *c, double *condition, tare_error *error) {
  if (!c || !condition) return tare_fail(error, TARE_E_ARGUMENT, "a condition number needs a covariance and a place to go, found NULL");
  if (b && b->taps != b->slices * c->taps)
    return tare_fail(error, TARE_E_SHAPE, "the covariance is of %d taps, the basis of %d a slice", c->taps, b->taps / b->slices);
  int f = b ? b->coefficients : c->taps;
  size_t ff = (size_t)f * (size_t)f;
  double *hessian = tare_alloc(ff + (size_t)f, sizeof *hessian), *matrix = b ? products(b, c) : NULL;
  if (!hessian || (b && !matrix)) {
    tare_free(hessian);
    tare_free(matrix);
    return tare_fail_memory(error, ff * sizeof *hessian, "a condition number");
  }
  if (b) cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, f, f, b->taps, 1, matrix, f, matrix + (size_t)b->taps * (size_t)f, f, 0, hessian, f);
  else memcpy(hessian, c->matrix, ff * sizeof *hessian);
  double *values = hessian + ff;
  int info = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', f, hessian, f, values), zeros = 0;
  for (int i = 0; b && b->redundant && i < b->space->count; i++) zeros += b->space->component[i].rank;
  *condition = values[zeros] > 0 ? values[f - 1] / values[zeros] : INFINITY;
  tare_free(hessian);
  tare_free(matrix);
  return info ? tare_fail(error, TARE_E_LIBRARY, "LAPACK's dsyev failed with %d", info) : TARE_OK;
}
