/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operators of the bases, LANES units at a time: element l of a vector belongs to unit l. Every step is then
 * plain vector arithmetic, whatever the rule couples and whatever the shape, and a unit's
 * bits do not depend on its neighbours. Units are transposed on the way in and out.
 */
#include "kernel/tmpl/body.h"

#if defined(__AVX512F__)
enum { BYTES = 64, LINES = 4 };
#elif defined(__AVX__)
enum { BYTES = 32, LINES = 3 };
#else
enum { BYTES = 16, LINES = 2 };
#endif
enum { LANES = BYTES / sizeof(REAL), OUTPUTS = TARE_AXIS_GRAIN };
typedef REAL vec __attribute__((vector_size(BYTES), may_alias));
typedef REAL loose __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias)); /* in the caller's arrays */
#define INLINE static inline __attribute__((always_inline))

/* LOW(a, b) = a0 b0 a1 b1 ... of the first halves, HIGH of the second. */
#define ZIP_2(from) from, from + 2
#define ZIP_4(from) from, from + 4, from + 1, from + 5
#define ZIP_8(from) from, from + 8, from + 1, from + 9, from + 2, from + 10, from + 3, from + 11
#define ZIP_16(from)                                                                                                                  \
  from, from + 16, from + 1, from + 17, from + 2, from + 18, from + 3, from + 19, from + 4, from + 20, from + 5, from + 21, from + 6, \
    from + 22, from + 7, from + 23
#if defined(__AVX512F__)
#define ZIP ZIP_16
#elif defined(__AVX__)
#define ZIP ZIP_8
#elif defined(TARE_KERNEL_DOUBLE)
#define ZIP ZIP_2
#else
#define ZIP ZIP_4
#endif

/* A LANES x LANES block transposed: log2 LANES perfect shuffles of its rows and columns. */
INLINE void flip(vec *a) {
#pragma GCC unroll 4
  for (int step = 1; step < LANES; step *= 2) {
    vec b[LANES];
#pragma GCC unroll 8
    for (int i = 0; i < LANES / 2; i++) {
      b[2 * i] = __builtin_shufflevector(a[i], a[i + LANES / 2], ZIP(0));
      b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + LANES / 2], ZIP(LANES / 2));
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) a[i] = b[i];
  }
}

/* A run of `lanes` units, `stride` apart, to vectors; lanes that are missing repeat the last unit. The last block of a run overlaps the one before. */
static void pack(const tare_run *run, const REAL *from, size_t stride, int lanes, vec *x) {
  const REAL *row[LANES];
  for (int l = 0; l < LANES; l++) row[l] = from + (size_t)(l < lanes ? l : lanes - 1) * stride + run->coefficient;
  x += run->coordinate;
  for (int j = 0; j < run->length && run->length >= LANES; j += LANES) {
    int at = j + LANES <= run->length ? j : run->length - LANES;
    vec a[LANES];
    for (int l = 0; l < LANES; l++) a[l] = *(const loose *)(row[l] + at);
    flip(a);
    for (int l = 0; l < LANES; l++) x[at + l] = a[l];
  }
  for (int j = 0; j < run->length && run->length < LANES; j++)
    for (int l = 0; l < LANES; l++) x[j][l] = row[l][j];
}

/* The way back, with `offset` (or NULL) added. */
static void unpack(const tare_run *run, const vec *x, const REAL *offset, int lanes, REAL *to, size_t stride) {
  to += run->coefficient;
  x += run->coordinate;
  for (int j = 0; j < run->length && run->length >= LANES; j += LANES) {
    int at = j + LANES <= run->length ? j : run->length - LANES;
    vec a[LANES], add = {0};
    if (offset) add = *(const loose *)(offset + at);
    for (int l = 0; l < LANES; l++) a[l] = x[at + l];
    flip(a);
    if (lanes == LANES)
      for (int l = 0; l < LANES; l++) *(loose *)(to + (size_t)l * stride + at) = a[l] + add;
    else
      for (int l = 0; l < lanes; l++) *(loose *)(to + (size_t)l * stride + at) = a[l] + add;
  }
  for (int j = 0; j < run->length && run->length < LANES; j++)
    for (int l = 0; l < lanes; l++) to[(size_t)l * stride + j] = x[j][l] + (offset ? offset[j] : 0);
}

/* acc[r][c] = sum over a < count of table[a * pad + r] * in[a * lines + c]. */
INLINE void multiply(int lines, int count, const REAL *table, int pad, const vec *in, vec acc[OUTPUTS][LINES]) {
  for (int r = 0; r < OUTPUTS; r++)
    for (int c = 0; c < lines; c++) acc[r][c] = (vec){0};
  for (int a = 0; a < count; a++, table += pad, in += lines)
#pragma GCC unroll 8
    for (int r = 0; r < OUTPUTS; r++)
#pragma GCC unroll 8
      for (int c = 0; c < lines; c++) acc[r][c] += table[r] * in[c];
}

/*
 * `lines` lines of an axis, `gap` apart, elements `step` apart, in place. D[k][n-1-i] = (-1)^k D[k][i]: even k
 * need the sums of mirrored taps, odd k the differences, half the multiplications (doc/maths.md).
 */
INLINE void forward(int lines, const tare_axis *axis, vec *x, int step, int gap) {
  int n = axis->size, half = axis->half, odds = n - half;
  vec even[half * lines], odd[half * lines], acc[OUTPUTS][LINES];
  for (int i = 0; i < odds; i++)
    for (int c = 0; c < lines; c++) {
      vec first = x[i * step + c * gap], last = x[(n - 1 - i) * step + c * gap];
      even[i * lines + c] = first + last;
      odd[i * lines + c] = first - last;
    }
  for (int c = 0; c < lines && odds < half; c++) even[odds * lines + c] = x[odds * step + c * gap];
  for (int k = 0; k < half; k += OUTPUTS) {
    multiply(lines, half, (const REAL *)axis->even_t + k, axis->pad, even, acc);
    for (int r = 0; r < OUTPUTS && k + r < half; r++)
      for (int c = 0; c < lines; c++) x[2 * (k + r) * step + c * gap] = acc[r][c];
    multiply(lines, odds, (const REAL *)axis->odd_t + k, axis->pad, odd, acc);
    for (int r = 0; r < OUTPUTS && k + r < odds; r++)
      for (int c = 0; c < lines; c++) x[(2 * (k + r) + 1) * step + c * gap] = acc[r][c];
  }
}

INLINE void inverse(int lines, const tare_axis *axis, vec *x, int step, int gap) {
  int n = axis->size, half = axis->half, odds = n - half;
  vec even[half * lines], odd[half * lines], sum[OUTPUTS][LINES], other[OUTPUTS][LINES];
  for (int k = 0; k < n; k++)
    for (int c = 0; c < lines; c++) (k & 1 ? odd : even)[k / 2 * lines + c] = x[k * step + c * gap];
  for (int i = 0; i < half; i += OUTPUTS) {
    multiply(lines, half, (const REAL *)axis->even + i, axis->pad, even, sum);
    multiply(lines, odds, (const REAL *)axis->odd + i, axis->pad, odd, other);
    for (int r = 0; r < OUTPUTS && i + r < half; r++)
      for (int c = 0; c < lines; c++) {
        x[(n - 1 - i - r) * step + c * gap] = sum[r][c] - other[r][c];
        x[(i + r) * step + c * gap] = sum[r][c] + other[r][c]; /* the middle of an odd n: other is 0 */
      }
  }
}

static void forward_lines(const tare_axis *axis, int lines, vec *x, int step, int gap) {
  int line = 0;
  for (; line + LINES <= lines; line += LINES) forward(LINES, axis, x + line * gap, step, gap);
  for (; line < lines; line++) forward(1, axis, x + line * gap, step, gap);
}

static void inverse_lines(const tare_axis *axis, int lines, vec *x, int step, int gap) {
  int line = 0;
  for (; line + LINES <= lines; line += LINES) inverse(LINES, axis, x + line * gap, step, gap);
  for (; line < lines; line++) inverse(1, axis, x + line * gap, step, gap);
}

/* Every slice, one axis at a time. Lines of the last axis follow each other; those of another lie side by side, in `n / (size * inner)` blocks. */
static void transform(const tare_operator *op, void (*lines)(const tare_axis *, int, vec *, int, int), vec *x) {
  for (int d = op->dims - 1, inner = 1; d >= 0; inner *= op->axis[d].size, d--) {
    const tare_axis *axis = &op->axis[d];
    if (inner == 1) lines(axis, op->taps / axis->size, x, 1, axis->size);
    else
      for (int at = 0; at < op->taps; at += axis->size * inner) lines(axis, inner, x + at, inner, 1);
  }
}

/* amount[r] = row r of R' . x, for `rows` rows, a constant. */
INLINE void dot(int rows, const tare_block *b, const REAL *right, const vec *x, vec *amount) {
  vec acc[6] = {{0}};
  for (int i = 0; i < b->size; i++) {
    vec v = x[b->index[i]];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) acc[r] += right[r * b->size + i] * v;
  }
  for (int r = 0; r < rows; r++) amount[r] = acc[r];
}

/* x -= the sum of amount[r] times column r of L. */
INLINE void take(int rows, const tare_block *b, const REAL *left, const vec *amount, vec *x) {
  for (int i = 0; i < b->size; i++) {
    vec v = x[b->index[i]];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) v -= left[r * b->size + i] * amount[r];
    x[b->index[i]] = v;
  }
}

/* x[index] -= L (R' x[index]): up to 6 rows a pass over x (order=1, 2, 4 have 3, 6, 15). */
static void update(const tare_block *b, const REAL *left, const REAL *right, vec *x) {
  vec amount[b->rank];
  int q = 0, size = b->size, rank = b->rank;
  for (; q + 6 <= rank; q += 6) dot(6, b, right + q * size, x, amount + q);
  for (; q + 3 <= rank; q += 3) dot(3, b, right + q * size, x, amount + q);
  for (; q < rank; q++) dot(1, b, right + q * size, x, amount + q);
  for (q = 0; q + 6 <= rank; q += 6) take(6, b, left + q * size, amount + q, x);
  for (; q + 3 <= rank; q += 3) take(3, b, left + q * size, amount + q, x);
  for (; q < rank; q++) take(1, b, left + q * size, amount + q, x);
}

/* x[index] += G t[coefficient]; and its adjoint into t, unit by unit `stride` apart. */
static void dense_compose(const tare_dense *g, const REAL *t, size_t stride, int lanes, vec *x) {
  const REAL *matrix = g->matrix;
  for (int c = 0; c < g->columns; c++) {
    vec v = {0};
    for (int l = 0; l < lanes; l++) v[l] = t[(size_t)l * stride + g->coefficient[c]];
    for (int i = 0; i < g->size; i++) x[g->index[i]] += matrix[i * g->columns + c] * v;
  }
}

static void dense_transpose(const tare_dense *g, const vec *x, int lanes, REAL *t, size_t stride) {
  const REAL *matrix = g->matrix;
  for (int c = 0; c < g->columns; c++) {
    vec v = {0};
    for (int i = 0; i < g->size; i++) v += matrix[i * g->columns + c] * x[g->index[i]];
    for (int l = 0; l < lanes; l++) t[(size_t)l * stride + g->coefficient[c]] = v[l];
  }
}

/* Coefficients to their coordinates, zeros between. */
static void place(const tare_operator *op, const REAL *t, int lanes, vec *x) {
  int next = 0;
  for (int r = 0; r < op->runs; next = op->run[r].coordinate + op->run[r].length, r++) {
    for (; next < op->run[r].coordinate; next++) x[next] = (vec){0};
    pack(&op->run[r], t, op->coefficients, lanes, x);
  }
  for (; next < op->taps; next++) x[next] = (vec){0};
}

static void stretch(const tare_operator *op, vec *x) {
  const REAL *scale = op->scale;
  for (int i = 0; scale && i < op->taps; i++) x[i] *= scale[i];
}

void NAME(operator_compose)(const tare_operator *op, size_t units, const void *t, void *w) {
  const REAL *from = t;
  REAL *to = w;
  tare_run whole = {0, 0, op->taps};
  vec x[op->taps];
  for (size_t done = 0; done < units; done += LANES, from += (size_t)LANES * op->coefficients, to += (size_t)LANES * op->taps) {
    int lanes = units - done < LANES ? (int)(units - done) : LANES;
    place(op, from, lanes, x);
    for (int d = 0; d < op->denses; d++) dense_compose(&op->dense[d], from, op->coefficients, lanes, x);
    for (int b = 0; b < op->blocks; b++) update(&op->block[b], op->block[b].left, op->block[b].right, x);
    stretch(op, x);
    if (op->transform) transform(op, inverse_lines, x);
    unpack(&whole, x, op->offset, lanes, to, op->taps);
  }
}

void NAME(operator_transpose)(const tare_operator *op, size_t units, const void *dw, void *g) {
  const REAL *from = dw;
  REAL *to = g;
  tare_run whole = {0, 0, op->taps};
  vec x[op->taps];
  for (size_t done = 0; done < units; done += LANES, from += (size_t)LANES * op->taps, to += (size_t)LANES * op->coefficients) {
    int lanes = units - done < LANES ? (int)(units - done) : LANES;
    pack(&whole, from, op->taps, lanes, x);
    if (op->transform) transform(op, forward_lines, x);
    stretch(op, x);
    for (int b = op->blocks - 1; b >= 0; b--) update(&op->block[b], op->block[b].right, op->block[b].left, x);
    for (int r = 0; r < op->runs; r++) unpack(&op->run[r], x, NULL, lanes, to, op->coefficients);
    for (int d = 0; d < op->denses; d++) dense_transpose(&op->dense[d], x, lanes, to, op->coefficients);
  }
}
