/* SPDX-License-Identifier: Apache-2.0 */
/* Putting an operator together in double, and copying it into a precision. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "basis/basis.h"

void tare_dct_matrix(int n, double *matrix) {
  for (int k = 0; k < n; k++)
    for (int i = 0; i < n; i++) /* the angle is reduced exactly, in integers: symmetry then holds to the last bit */
      matrix[k * n + i] = sqrt((k ? 2.0 : 1.0) / n) * cos(3.14159265358979323846 * (double)((2L * i + 1) * k % (4L * n)) / (2.0 * n));
}

double tare_frequency_squared(const tare_filter_shape *shape, int at) {
  double square = 0;
  for (int d = shape->dims - 1; d >= 0; at /= shape->size[d--]) square += (double)(at % shape->size[d]) * (at % shape->size[d]);
  return square;
}

static void *copy_of(const void *data, size_t bytes, int *failed) {
  void *copy = tare_alloc(bytes ? bytes : 1, 1);
  if (!copy) *failed = 1;
  else if (data) memcpy(copy, data, bytes);
  return copy;
}

static void add_axis(tare_axis *axis, int size, int *failed) {
  int half = (size + 1) / 2, pad = (half + TARE_AXIS_GRAIN - 1) / TARE_AXIS_GRAIN * TARE_AXIS_GRAIN;
  double *all = tare_alloc((size_t)size * (size_t)size, sizeof *all), *table[4];
  for (int i = 0; i < 4; i++) table[i] = tare_alloc((size_t)half * (size_t)pad, sizeof **table);
  *axis = (tare_axis){.size = size, .half = half, .pad = pad, .even = table[0], .odd = table[1], .even_t = table[2], .odd_t = table[3]};
  if (!all || !table[0] || !table[1] || !table[2] || !table[3]) {
    tare_free(all);
    *failed = 1;
    return;
  }
  tare_dct_matrix(size, all);
  for (int k = 0; k < size; k++)
    for (int i = 0; i < half; i++) {
      table[k & 1][k / 2 * pad + i] = all[k * size + i];
      table[2 + (k & 1)][i * pad + k / 2] = all[k * size + i];
    }
  tare_free(all);
}

void tare_builder_init(tare_builder *b, const tare_constraint *constraint, int transform) {
  const tare_filter_shape *shape = tare_constraint_shape(constraint);
  memset(b, 0, sizeof *b);
  b->op.taps = tare_constraint_taps(constraint);
  b->op.slices = tare_constraint_is_filter(constraint) ? shape->channels : 1;
  b->op.dims = shape->dims;
  b->op.transform = transform;
  for (int d = 0; d < shape->dims; d++) {
    b->op.axis[d].size = shape->size[d];
    if (transform) add_axis(&b->op.axis[d], shape->size[d], &b->failed);
  }
  b->dropped = copy_of(NULL, (size_t)b->op.taps, &b->failed);
}

static void drop(const void *pointer) { tare_free((void *)(size_t)pointer); }

static void clear(tare_operator *op) {
  for (int i = 0; i < op->blocks; i++) drop(op->block[i].index), drop(op->block[i].left), drop(op->block[i].right);
  for (int i = 0; i < op->denses; i++) drop(op->dense[i].index), drop(op->dense[i].coefficient), drop(op->dense[i].matrix);
  for (int d = 0; d < 3; d++) {
    const tare_axis *a = &op->axis[d];
    drop(a->even), drop(a->odd), drop(a->even_t), drop(a->odd_t);
  }
  drop(op->run), drop(op->block), drop(op->dense), drop(op->scale), drop(op->offset);
  memset(op, 0, sizeof *op);
}

void tare_builder_free(tare_builder *b) {
  clear(&b->op);
  tare_free(b->dropped);
  b->dropped = NULL;
}

void tare_operator_free(tare_operator *op) {
  if (!op) return;
  clear(op);
  tare_free(op);
}

/* An array with room for one more element of `size` bytes. */
static void *grown(const void *array, int count, size_t size, int *failed) {
  void *more = copy_of(NULL, (size_t)(count + 1) * size, failed);
  if (more && array) memcpy(more, array, (size_t)count * size);
  if (more) drop(array);
  return more;
}

void tare_builder_block(tare_builder *b, int size, int rank, const int *index, const double *left, const double *right) {
  tare_block *more = grown(b->op.block, b->op.blocks, sizeof *more, &b->failed);
  if (!more) return;
  size_t bytes = (size_t)size * (size_t)rank * sizeof(double);
  more[b->op.blocks++] = (tare_block){size, rank, copy_of(index, (size_t)size * sizeof *index, &b->failed), copy_of(left, bytes, &b->failed),
                                      copy_of(right, bytes, &b->failed)};
  b->op.block = more;
}

void tare_builder_dense(tare_builder *b, int size, int columns, const int *index, const double *matrix) {
  tare_dense *more = grown(b->op.dense, b->op.denses, sizeof *more, &b->failed);
  if (!more) return;
  more[b->op.denses++] = (tare_dense){size, columns, copy_of(index, (size_t)size * sizeof *index, &b->failed),
                                      copy_of(NULL, (size_t)columns * sizeof(int), &b->failed),
                                      copy_of(matrix, (size_t)size * (size_t)columns * sizeof(double), &b->failed)};
  b->op.dense = more;
}

void tare_builder_place(tare_builder *b) {
  tare_run *runs = copy_of(NULL, ((size_t)b->op.taps + 1) / 2 * sizeof *runs + sizeof *runs, &b->failed);
  if (b->failed) {
    tare_free(runs);
    return;
  }
  int next = 0, count = 0;
  for (int i = 0; i < b->op.taps; i++) {
    if (b->dropped[i]) continue;
    if (count && runs[count - 1].coordinate + runs[count - 1].length == i) runs[count - 1].length++;
    else runs[count++] = (tare_run){next, i, 1};
    next++;
  }
  for (int d = 0; d < b->op.denses; d++)
    for (int c = 0; c < b->op.dense[d].columns; c++) ((int *)(size_t)b->op.dense[d].coefficient)[c] = next++;
  b->op.run = runs;
  b->op.runs = count;
  b->op.coefficients = next;
}

/* count doubles as REALs. */
static const void *converted(const void *data, size_t count, tare_precision precision, int *failed) {
  if (!data) return NULL;
  if (precision == TARE_F64) return copy_of(data, count * sizeof(double), failed);
  float *copy = copy_of(NULL, count * sizeof *copy, failed);
  for (size_t i = 0; copy && i < count; i++) copy[i] = (float)((const double *)data)[i];
  return copy;
}

static void convert_axis(tare_axis *to, const tare_axis *from, tare_precision precision, int *failed) {
  size_t table = (size_t)from->half * (size_t)from->pad;
  to->even = converted(from->even, table, precision, failed);
  to->odd = converted(from->odd, table, precision, failed);
  to->even_t = converted(from->even_t, table, precision, failed);
  to->odd_t = converted(from->odd_t, table, precision, failed);
}

tare_operator *tare_operator_copy(const tare_operator *op, tare_precision precision) {
  int failed = 0;
  tare_operator *copy = copy_of(op, sizeof *op, &failed);
  if (!copy) return NULL;
  tare_block *block = copy_of(op->block, (size_t)op->blocks * sizeof *block, &failed);
  tare_dense *dense = copy_of(op->dense, (size_t)op->denses * sizeof *dense, &failed);
  copy->block = block;
  copy->dense = dense;
  if (!block) copy->blocks = 0;
  if (!dense) copy->denses = 0;
  copy->run = copy_of(op->run, (size_t)op->runs * sizeof *op->run, &failed);
  copy->scale = converted(op->scale, (size_t)op->taps, precision, &failed);
  copy->offset = converted(op->offset, (size_t)op->taps, precision, &failed);
  for (int d = 0; d < 3; d++) convert_axis(&copy->axis[d], &op->axis[d], precision, &failed);
  for (int i = 0; i < copy->blocks; i++) {
    size_t count = (size_t)block[i].size * (size_t)block[i].rank;
    block[i].index = copy_of(op->block[i].index, (size_t)block[i].size * sizeof(int), &failed);
    block[i].left = converted(op->block[i].left, count, precision, &failed);
    block[i].right = converted(op->block[i].right, count, precision, &failed);
  }
  for (int i = 0; i < copy->denses; i++) {
    dense[i].index = copy_of(op->dense[i].index, (size_t)dense[i].size * sizeof(int), &failed);
    dense[i].coefficient = copy_of(op->dense[i].coefficient, (size_t)dense[i].columns * sizeof(int), &failed);
    dense[i].matrix = converted(op->dense[i].matrix, (size_t)dense[i].size * (size_t)dense[i].columns, precision, &failed);
  }
  if (failed) {
    tare_operator_free(copy);
    return NULL;
  }
  return copy;
}
