/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operators of the bases, unit by unit, so that a unit stays in the L1 cache.
 * The 2-D DCT is two small matrix products that use D[k][n-1-i] = (-1)^k D[k][i]:
 * even and odd k apart, over half the taps: half the multiplications (doc/maths.md).
 */
#include <string.h>

#include "kernel/tmpl/body.h"

enum { LANES = 8, FAST = 64 }; /* the fast DCT does 2-D slices up to FAST x FAST */
typedef REAL vec __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* acc[r][0..1] = sum over a < count of x[r * xr + a * xa] * y[a * ya .. +15]: `rows` at a time, a constant. */
static inline __attribute__((always_inline)) void multiply(int rows, int count, const REAL *x, int xr, int xa, const REAL *y, int ya, vec acc[][2]) {
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = (vec){0};
  for (int a = 0; a < count; a++, y += ya) {
    vec y0 = *(const vec *)y, y1 = *(const vec *)(y + LANES);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
      REAL s = x[r * xr + a * xa];
      acc[r][0] += s * y0;
      acc[r][1] += s * y1;
    }
  }
}

/* z[r * zr .. ] (columns a multiple of 16) = sum_a x[r * xr + a * xa] y[a * ya ..], for r < rows. */
static void product(int rows, int count, int columns, const REAL *x, int xr, int xa, const REAL *y, int ya, REAL *z, int zr) {
  vec acc[4][2];
  for (int c = 0; c < columns; c += 2 * LANES) {
    int r = 0;
    for (; r + 4 <= rows; r += 4) {
      multiply(4, count, x + r * xr, xr, xa, y + c, ya, acc);
      for (int i = 0; i < 4; i++)
        for (int h = 0; h < 2; h++) *(vec *)(z + (r + i) * zr + c + h * LANES) = acc[i][h];
    }
    for (; r < rows; r++) {
      multiply(1, count, x + r * xr, xr, xa, y + c, ya, acc);
      for (int h = 0; h < 2; h++) *(vec *)(z + r * zr + c + h * LANES) = acc[0][h];
    }
  }
}

static int padded(int n) { return (n + 2 * LANES - 1) / (2 * LANES) * (2 * LANES); }

/* Coefficients u (k0 x k1) to taps, in place: first along rows (columns axis), then down columns. */
static void dct_inverse(const tare_axis *rows, const tare_axis *columns, REAL *u) {
  int n0 = rows->size, n1 = columns->size, width = padded(n1), odd1 = n1 - columns->half, odd0 = n0 - rows->half;
  REAL e[FAST * FAST], o[FAST * FAST], y[FAST * FAST];
  product(n0, columns->half, columns->pad, u, n1, 2, columns->even, columns->pad, e, columns->pad);
  product(n0, odd1, columns->pad, u + 1, n1, 2, columns->odd, columns->pad, o, columns->pad);
  for (int r = 0; r < n0; r++) {
    const REAL *er = e + r * columns->pad, *or = o + r * columns->pad;
    REAL *yr = y + r * width;
    for (int j = 0; j < columns->half; j++) yr[j] = er[j] + or[j];
    for (int j = columns->half; j < n1; j++) yr[j] = er[n1 - 1 - j] - or[n1 - 1 - j];
    for (int j = n1; j < width; j++) yr[j] = 0;
  }
  product(rows->half, rows->half, width, rows->even, 1, rows->pad, y, 2 * width, e, width);
  product(rows->half, odd0, width, rows->odd, 1, rows->pad, y + width, 2 * width, o, width);
  for (int i = 0; i < rows->half; i++) {
    const REAL *ei = e + i * width, *oi = o + i * width;
    REAL *top = u + i * n1, *bottom = u + (n0 - 1 - i) * n1;
    for (int j = 0; j < n1; j++) {
      REAL sum = ei[j] + oi[j], difference = ei[j] - oi[j];
      if (bottom != top) bottom[j] = difference;
      top[j] = sum;
    }
  }
}

/* Its adjoint, taps to coefficients, in place. */
static void dct_forward(const tare_axis *rows, const tare_axis *columns, REAL *u) {
  int n0 = rows->size, n1 = columns->size, width = padded(n1), odd1 = n1 - columns->half, odd0 = n0 - rows->half;
  REAL e[FAST * FAST], o[FAST * FAST], y[FAST * FAST];
  for (int i = 0; i < rows->half; i++) {
    const REAL *top = u + i * n1, *bottom = u + (n0 - 1 - i) * n1;
    REAL *ei = e + i * width, *oi = o + i * width;
    int middle = bottom == top;
    for (int j = 0; j < n1; j++) {
      ei[j] = middle ? top[j] : top[j] + bottom[j];
      oi[j] = middle ? 0 : top[j] - bottom[j];
    }
    for (int j = n1; j < width; j++) ei[j] = oi[j] = 0;
  }
  product(rows->half, rows->half, width, rows->even_t, 1, rows->pad, e, width, y, 2 * width);
  product(odd0, odd0, width, rows->odd_t, 1, rows->pad, o, width, y + width, 2 * width);
  for (int r = 0; r < n0; r++) { /* fold the columns: e, o become n0 x pad */
    const REAL *yr = y + r * width;
    REAL *er = e + r * columns->pad, *or = o + r * columns->pad;
    for (int j = 0; j < odd1; j++) {
      er[j] = yr[j] + yr[n1 - 1 - j];
      or[j] = yr[j] - yr[n1 - 1 - j];
    }
    if (odd1 < columns->half) er[odd1] = yr[odd1];
  }
  product(n0, columns->half, columns->pad, e, columns->pad, 1, columns->even_t, columns->pad, y, columns->pad);
  for (int r = 0; r < n0; r++)
    for (int k = 0; k < columns->half; k++) u[r * n1 + 2 * k] = y[r * columns->pad + k];
  product(n0, odd1, columns->pad, o, columns->pad, 1, columns->odd_t, columns->pad, y, columns->pad);
  for (int r = 0; r < n0; r++)
    for (int k = 0; k < odd1; k++) u[r * n1 + 2 * k + 1] = y[r * columns->pad + k];
}

/* Any number of axes of any size: one axis at a time. inverse: coefficients to taps. */
static void dct_any(const tare_operator *op, int inverse, REAL *u) {
  int n = 1, inner = 1;
  for (int d = 0; d < op->dims; d++) n *= op->axis[d].size;
  REAL line[n];
  for (int d = op->dims - 1; d >= 0; inner *= op->axis[d].size, d--) {
    int size = op->axis[d].size;
    const REAL *m = op->axis[d].matrix;
    int step_k = inverse ? size : 1, step_i = inverse ? 1 : size;
    for (int at = 0; at < n; at += size * inner)
      for (int in = 0; in < inner; in++) {
        for (int i = 0; i < size; i++) {
          REAL sum = 0;
          for (int k = 0; k < size; k++) sum += m[k * step_k + i * step_i] * u[at + k * inner + in];
          line[i] = sum;
        }
        for (int i = 0; i < size; i++) u[at + i * inner + in] = line[i];
      }
  }
}

static void transform(const tare_operator *op, int inverse, REAL *u) {
  int n = op->taps / op->slices;
  int fast = op->dims == 2 && op->axis[0].size <= FAST && op->axis[1].size <= FAST && op->axis[0].size > 1 && op->axis[1].size > 1;
  for (int s = 0; s < op->slices; s++, u += n) {
    if (!fast) dct_any(op, inverse, u);
    else if (inverse) dct_inverse(&op->axis[0], &op->axis[1], u);
    else dct_forward(&op->axis[0], &op->axis[1], u);
  }
}

/* u[index] -= a' b: a_q = right_q . u, then left_q a_q taken off. */
static void update(const tare_block *b, const REAL *left, const REAL *right, REAL *u) {
  REAL part[b->size], amount[b->rank];
  for (int i = 0; i < b->size; i++) part[i] = u[b->index[i]];
  for (int q = 0; q < b->rank; q++) {
    const REAL *row = right + q * b->size;
    vec sums = {0};
    int i = 0;
    for (; i + LANES <= b->size; i += LANES) sums += *(const vec *)(row + i) * *(const vec *)(part + i);
    REAL sum = 0;
    for (int l = 0; l < LANES; l++) sum += sums[l];
    for (; i < b->size; i++) sum += row[i] * part[i];
    amount[q] = sum;
  }
  for (int q = 0; q < b->rank; q++)
    for (int i = 0; i < b->size; i++) part[i] -= amount[q] * left[q * b->size + i];
  for (int i = 0; i < b->size; i++) u[b->index[i]] = part[i];
}

void NAME(operator_compose)(const tare_operator *op, size_t units, const void *t, void *w) {
  const REAL *from = t, *scale = op->scale, *offset = op->offset;
  REAL *u = w;
  for (size_t unit = 0; unit < units; unit++, from += op->coefficients, u += op->taps) {
    memset(u, 0, (size_t)op->taps * sizeof(REAL));
    for (int r = 0; r < op->runs; r++)
      memcpy(u + op->run[r].coordinate, from + op->run[r].coefficient, (size_t)op->run[r].length * sizeof(REAL));
    for (int d = 0; d < op->denses; d++) {
      const tare_dense *g = &op->dense[d];
      for (int i = 0; i < g->size; i++) {
        REAL sum = 0;
        for (int c = 0; c < g->columns; c++) sum += ((const REAL *)g->matrix)[i * g->columns + c] * from[g->coefficient[c]];
        u[g->index[i]] += sum;
      }
    }
    for (int b = 0; b < op->blocks; b++) update(&op->block[b], op->block[b].left, op->block[b].right, u);
    if (scale)
      for (int i = 0; i < op->taps; i++) u[i] *= scale[i];
    if (op->transform) transform(op, 1, u);
    if (offset)
      for (int i = 0; i < op->taps; i++) u[i] += offset[i];
  }
}

void NAME(operator_transpose)(const tare_operator *op, size_t units, const void *dw, void *g) {
  const REAL *from = dw, *scale = op->scale;
  REAL *to = g, u[op->taps];
  for (size_t unit = 0; unit < units; unit++, from += op->taps, to += op->coefficients) {
    memcpy(u, from, (size_t)op->taps * sizeof(REAL));
    if (op->transform) transform(op, 0, u);
    if (scale)
      for (int i = 0; i < op->taps; i++) u[i] *= scale[i];
    for (int b = op->blocks - 1; b >= 0; b--) update(&op->block[b], op->block[b].right, op->block[b].left, u);
    for (int r = 0; r < op->runs; r++)
      memcpy(to + op->run[r].coefficient, u + op->run[r].coordinate, (size_t)op->run[r].length * sizeof(REAL));
    for (int d = 0; d < op->denses; d++) {
      const tare_dense *m = &op->dense[d];
      for (int c = 0; c < m->columns; c++) {
        REAL sum = 0;
        for (int i = 0; i < m->size; i++) sum += ((const REAL *)m->matrix)[i * m->columns + c] * u[m->index[i]];
        to[m->coefficient[c]] = sum;
      }
    }
  }
}
