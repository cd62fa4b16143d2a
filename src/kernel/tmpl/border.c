/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernel/border.h"
#include "kernel/tmpl/body.h"

/*
 * n elements without a call, for the short runs of patches: whole vectors, the
 * last one overlapping the one before.
 */
static inline void copy_run(REAL *restrict to, const REAL *restrict from, int n) {
  if (n < 4) {
    for (int i = 0; i < n; i++) to[i] = from[i];
    return;
  }
  int i = 0;
  for (; i + 16 <= n; i += 16) memcpy(to + i, from + i, 16 * sizeof(REAL));
  if (n - i >= 8) {
    memcpy(to + i, from + i, 8 * sizeof(REAL));
    i += 8;
  }
  if (n == i) return;
  if (n < 8) {
    memcpy(to, from, 4 * sizeof(REAL));
    memcpy(to + n - 4, from + n - 4, 4 * sizeof(REAL));
  } else memcpy(to + n - 8, from + n - 8, 8 * sizeof(REAL));
}

static inline void add_run(REAL *restrict to, const REAL *restrict from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* The k-th of the 2 pad columns outside an image row, left to right. */
static inline int outside(const tare_conv_problem *p, int k) { return k < p->pad[1] ? k - p->pad[1] : k - p->pad[1] + p->size[1]; }

/* One padded row from the image row `in`. */
static void pad_row(const tare_conv_problem *p, const REAL *in, REAL *out) {
  int c = p->channels, pad = p->pad[1];
  memcpy(out + (size_t)pad * c, in, (size_t)p->size[1] * c * sizeof(REAL));
  for (int k = 0; k < 2 * pad; k++) {
    int j = outside(p, k), column = tare_border_source(p->border, j, p->size[1]);
    if (column < 0) memset(out + (size_t)(j + pad) * c, 0, (size_t)c * sizeof(REAL));
    else copy_run(out + (size_t)(j + pad) * c, in + (size_t)column * c, c);
  }
}

/* Planes of an image; left 0 in a 2-D problem. */
static inline int planes(const tare_conv_problem *p) { return p->size[2] > 0 ? p->size[2] : 1; }

/* The row of all images that row i of plane z of image n stands for, each counted from inside the border; -1: zeros. */
static inline ptrdiff_t source_row(const tare_conv_problem *p, int n, int z, int i) {
  int plane = tare_border_source(p->border, z, planes(p)), row = tare_border_source(p->border, i, p->size[0]);
  return plane < 0 || row < 0 ? -1 : ((ptrdiff_t)n * planes(p) + plane) * p->size[0] + row;
}

void NAME(pad_images)(const tare_conv_problem *p, const void *x, void *padded) {
  size_t row = (size_t)p->size[1] * p->channels, padded_row = (size_t)(p->size[1] + 2 * p->pad[1]) * p->channels;
  REAL *out = padded;
  for (int n = 0; n < p->batch; n++)
    for (int z = -p->pad[2]; z < planes(p) + p->pad[2]; z++)
      for (int i = -p->pad[0]; i < p->size[0] + p->pad[0]; i++, out += padded_row) {
        ptrdiff_t from = source_row(p, n, z, i);
        if (from < 0) memset(out, 0, padded_row * sizeof(REAL));
        else pad_row(p, (const REAL *)x + (size_t)from * row, out);
      }
}

/* One padded row's gradients added to those of the image row `out`. */
static void fold_row(const tare_conv_problem *p, const REAL *in, REAL *out) {
  int c = p->channels, pad = p->pad[1];
  add_run(out, in + (size_t)pad * c, (size_t)p->size[1] * c);
  for (int k = 0; k < 2 * pad; k++) {
    int j = outside(p, k), column = tare_border_source(p->border, j, p->size[1]);
    if (column >= 0) add_run(out + (size_t)column * c, in + (size_t)(j + pad) * c, (size_t)c);
  }
}

void NAME(fold_images)(const tare_conv_problem *p, const void *dpadded, void *dx) {
  size_t row = (size_t)p->size[1] * p->channels, padded_row = (size_t)(p->size[1] + 2 * p->pad[1]) * p->channels;
  const REAL *in = dpadded;
  memset(dx, 0, (size_t)p->batch * planes(p) * p->size[0] * row * sizeof(REAL));
  for (int n = 0; n < p->batch; n++)
    for (int z = -p->pad[2]; z < planes(p) + p->pad[2]; z++)
      for (int i = -p->pad[0]; i < p->size[0] + p->pad[0]; i++, in += padded_row) {
        ptrdiff_t to = source_row(p, n, z, i);
        if (to >= 0) fold_row(p, in, (REAL *)dx + (size_t)to * row);
      }
}

/* The rows of one patch: `count` runs of n elements, `step` elements apart. */
static inline REAL *copy_runs(REAL *restrict to, const REAL *restrict from, int count, size_t step, int n) {
  for (; count > 0; count--, from += step, to += n) copy_run(to, from, n);
  return to;
}

void NAME(patches)(const tare_conv_problem *p, int first, int rows, int columns, const void *image, void *patches) {
  int kh = p->kernel[0], kw = p->kernel[1], c = p->channels;
  size_t row = (size_t)p->size[1] * c, down = row * p->dilation[0], right = (size_t)c * p->dilation[1];
  REAL *out = patches;
  for (int i = first; i < first + rows; i++) {
    const REAL *in = (const REAL *)image + (size_t)i * p->stride[0] * row;
    for (int j = 0; j < columns; j++, in += (size_t)p->stride[1] * c) {
      if (p->dilation[1] == 1) out = copy_runs(out, in, kh, down, kw * c); /* the taps of a filter row are neighbours */
      else
        for (int a = 0; a < kh; a++) out = copy_runs(out, in + a * down, kw, right, c);
    }
  }
}

#define INLINE static inline __attribute__((always_inline))
enum { QUAD = 4, STRIP = 4 * 64 / sizeof(REAL) }; /* elements of a vector; of four cache lines */
typedef REAL quad __attribute__((vector_size(QUAD * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* 4 x 4 elements whose rows begin `in_step` apart, transposed to rows `out_step` apart; `writes` of these, the others are left. */
INLINE void transpose_quad(const REAL *in, size_t in_step, REAL *out, size_t out_step, size_t writes) {
  quad a = *(const quad *)in, b = *(const quad *)(in + in_step);
  quad c = *(const quad *)(in + 2 * in_step), d = *(const quad *)(in + 3 * in_step);
  quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), AB = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(quad *)out = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  if (writes > 1) *(quad *)(out + out_step) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  if (writes > 2) *(quad *)(out + 2 * out_step) = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
  if (writes > 3) *(quad *)(out + 3 * out_step) = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

static void transpose_slowly(size_t first, size_t rows, size_t columns, const REAL *in, REAL *out) {
  for (size_t i = first; i < rows; i++)
    for (size_t j = 0; j < columns; j++) out[j * rows + i] = in[i * columns + j];
}

/* The quad at i of an axis of n, the last one overlapping the one before. */
INLINE size_t quad_at(size_t i, size_t n) { return i + QUAD <= n ? i : n - QUAD; }

/*
 * Four cache lines of the longer axis at a time, across the whole shorter one: what lies far apart (the planes of
 * nchw, often a power of two) is read or written in whole lines, a few at a time, so that lines which fall into one set of the cache do not
 * drive each other out; what lies close stays in the cache meanwhile.
 */
INLINE void transpose_lines(size_t rows, size_t columns, int tall, const REAL *in, REAL *out) {
  size_t length = tall ? rows : columns, across = tall ? columns : rows;
  for (size_t begin = 0; begin < length; begin += STRIP)
    for (size_t k = 0; k < across; k += QUAD)
      for (size_t l = begin; l < begin + STRIP && l < length; l += QUAD) {
        size_t i = tall ? quad_at(l, rows) : quad_at(k, rows), j = tall ? quad_at(k, columns) : quad_at(l, columns);
        transpose_quad(in + i * columns + j, columns, out + j * rows + i, rows, QUAD);
      }
}

/* Two or three columns: the quads read past their rows, but for the last ones. */
INLINE void transpose_few_columns(size_t rows, size_t columns, const REAL *in, REAL *out) {
  size_t i = 0;
  for (; i + 2 * QUAD <= rows; i += QUAD) transpose_quad(in + i * columns, columns, out + i, rows, columns);
  transpose_slowly(i, rows, columns, in, out);
}

/* Two or three rows: the quads write past their rows, where the next ones write again, but for the last ones. */
INLINE void transpose_few_rows(size_t rows, size_t columns, const REAL *in, REAL *out) {
  size_t j = 0;
  for (; j + 2 * QUAD <= columns; j += QUAD) {
    REAL lines[QUAD * QUAD];
    for (size_t i = 0; i < QUAD; i++) memcpy(lines + i * QUAD, in + (i < rows ? i : 0) * columns + j, sizeof lines / QUAD);
    transpose_quad(lines, QUAD, out + j * rows, rows, QUAD);
  }
  for (; j < columns; j++)
    for (size_t i = 0; i < rows; i++) out[j * rows + i] = in[i * columns + j];
}

static void transpose(size_t rows, size_t columns, const REAL *in, REAL *out) {
  if (rows == 1 || columns == 1) memcpy(out, in, rows * columns * sizeof(REAL));
  else if (rows < 2 * QUAD && columns < 2 * QUAD) transpose_slowly(0, rows, columns, in, out);
  else if (columns == 2) transpose_few_columns(rows, 2, in, out);
  else if (columns == 3) transpose_few_columns(rows, 3, in, out);
  else if (rows == 2) transpose_few_rows(2, columns, in, out);
  else if (rows == 3) transpose_few_rows(3, columns, in, out);
  else if (rows > columns) transpose_lines(rows, columns, 1, in, out);
  else transpose_lines(rows, columns, 0, in, out);
}

void NAME(transpose_blocks)(size_t blocks, size_t rows, size_t columns, const void *x, void *y) {
  for (size_t b = 0; b < blocks; b++) transpose(rows, columns, (const REAL *)x + b * rows * columns, (REAL *)y + b * rows * columns);
}
