/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of spectra. Pointwise ones for depthwise convolutions and for those of few input channels; for dense ones a
 * complex matrix product a frequency. A block of rows x vectors of the result stays in
 * registers while all terms are added, in their order: the sums do not depend on how the caller cuts rows or terms.
 */
#include "kernel/tmpl/tile_body.h"

#ifdef __AVX512VL__
enum { ROWS = 6, VECTORS = 2 }; /* 24 of 32 registers hold sums */
#else
enum { ROWS = 5, VECTORS = 1 }; /* 10 of 16 */
#endif

#define INLINE static inline __attribute__((always_inline))

/* A complex number in each lane. */
typedef struct pair { V re, im; } pair;

INLINE pair load(const float *p) { return (pair){LOAD(p), LOAD(p + L)}; }
INLINE void store(float *p, pair v) { STORE(p, v.re), STORE(p + L, v.im); }
INLINE pair spread_out(const float *p) { return (pair){p[0] - (V){0}, p[L] - (V){0}}; }

/* sum + a conj(b) */
INLINE pair add_conjugate(pair sum, pair a, pair b) {
  sum.re += a.re * b.re;
  sum.im += a.im * b.re;
  sum.re += a.im * b.im;
  sum.im -= a.re * b.im;
  return sum;
}

void NAME(multiply)(size_t n, int conjugate, const float *a, const float *b, float *y) {
  for (size_t i = 0; i < n; i++, a += 2 * L, b += 2 * L, y += 2 * L) {
    pair x = load(a), w = load(b);
    if (!conjugate) w.im = -w.im;
    store(y, add_conjugate((pair){{0}, {0}}, x, w));
  }
}

void NAME(multiply_add)(size_t n, const float *a, const float *b, float *y) {
  for (size_t i = 0; i < n; i++, a += 2 * L, b += 2 * L, y += 2 * L) store(y, add_conjugate(load(y), load(a), load(b)));
}

void NAME(spread)(size_t n, int channels, const float *a, size_t a_channel, const float *b, size_t b_channel, float *y) {
  for (size_t i = 0; i < n; i++, a += 2 * L, b += 2 * L, y += 2 * L) {
    pair sum = {{0}, {0}};
    for (int c = 0; c < channels; c++) sum = add_conjugate(sum, spread_out(a + (size_t)c * a_channel), load(b + (size_t)c * b_channel));
    store(y, sum);
  }
}

void NAME(spread_add)(size_t n, const float *a, const float *b, float *y) {
  for (size_t i = 0; i < n; i++, a += 2 * L, b += 2 * L, y += 2 * L) store(y, add_conjugate(load(y), spread_out(a), load(b)));
}

/* One term of a block: a scalar of each row times the vectors of the term. The signs are constants of the kind. */
INLINE void add_term(int rows, int vectors, tare_tile_product_kind kind, const tare_tile_product *p, const float *a, const float *b,
                     V (*re)[VECTORS], V (*im)[VECTORS]) {
  V wr[VECTORS], wi[VECTORS];
  for (int j = 0; j < vectors; j++) {
    wr[j] = LOAD(b + j * L);
    wi[j] = LOAD(b + j * L + p->b_imaginary);
  }
  for (int i = 0; i < rows; i++) {
    V xr = a[i * p->a_row] - (V){0}, xi = a[i * p->a_row + p->a_imaginary] - (V){0};
    for (int j = 0; j < vectors; j++) {
      re[i][j] += xr * wr[j];
      if (kind == TARE_A_CONJUGATE_B) {
        im[i][j] += xi * wr[j];
        re[i][j] += xi * wi[j];
        im[i][j] -= xr * wi[j];
      } else if (kind == TARE_CONJUGATE_A_B) {
        im[i][j] += xr * wi[j];
        re[i][j] += xi * wi[j];
        im[i][j] -= xi * wr[j];
      } else {
        im[i][j] += xr * wi[j];
        re[i][j] -= xi * wi[j];
        im[i][j] += xi * wr[j];
      }
    }
  }
}

INLINE void block(int rows, int vectors, tare_tile_product_kind kind, const tare_tile_product *p, const float *a, const float *b, float *d) {
  V re[ROWS][VECTORS] = {0}, im[ROWS][VECTORS] = {0};
  for (int i = 0; i < rows && p->add; i++)
    for (int j = 0; j < vectors; j++) {
      re[i][j] = LOAD(d + i * p->d_row + j * L);
      im[i][j] = LOAD(d + i * p->d_row + j * L + p->d_imaginary);
    }
  for (int k = 0; k < p->terms; k++, a += p->a_term, b += p->b_term) add_term(rows, vectors, kind, p, a, b, re, im);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) {
      STORE(d + i * p->d_row + j * L, re[i][j]);
      STORE(d + i * p->d_row + j * L + p->d_imaginary, im[i][j]);
    }
}

/* All rows of one or two vectors of columns, in blocks of nearly equal size: in a small one every term waits for the one before it. */
INLINE void rows_of(int vectors, tare_tile_product_kind kind, const tare_tile_product *p, const float *a, const float *b, float *d) {
  for (int row = 0, blocks = (p->rows + ROWS - 1) / ROWS; blocks > 0; blocks--) {
    const int rows = (p->rows - row + blocks - 1) / blocks;
    const float *from = a + row * p->a_row;
    float *to = d + row * p->d_row;
    switch (rows) {
#if defined(__AVX512VL__)
    case 6: block(6, vectors, kind, p, from, b, to); break;
#endif
    case 5: block(5, vectors, kind, p, from, b, to); break;
    case 4: block(4, vectors, kind, p, from, b, to); break;
    case 3: block(3, vectors, kind, p, from, b, to); break;
    case 2: block(2, vectors, kind, p, from, b, to); break;
    default: block(1, vectors, kind, p, from, b, to); break;
    }
    row += rows;
  }
}

INLINE void columns_of(tare_tile_product_kind kind, const tare_tile_product *p, const float *a, const float *b, float *d) {
  int j = 0;
  for (; j + VECTORS <= p->vectors; j += VECTORS) rows_of(VECTORS, kind, p, a, b + j * L, d + j * L);
  for (; j < p->vectors; j++) rows_of(1, kind, p, a, b + j * L, d + j * L);
}

void NAME(matrix)(const tare_tile_product *p, const float *a, const float *b, float *d) {
  switch (p->kind) {
  case TARE_A_CONJUGATE_B: columns_of(TARE_A_CONJUGATE_B, p, a, b, d); break;
  case TARE_CONJUGATE_A_B: columns_of(TARE_CONJUGATE_A_B, p, a, b, d); break;
  default: columns_of(TARE_A_B, p, a, b, d); break;
  }
}

void NAME(mean)(const tare_tile_source *from, float *mean) {
  float sums[L] = {0};
  const float *row = from->at;
  for (int i = 0; i < from->rows; i++, row += from->row) {
    const float *p = row;
    if (from->lanes == L) {
      V sum = LOAD(sums);
      for (int j = 0; j < from->columns; j++, p += from->column) sum += LOAD(p);
      STORE(sums, sum);
    } else
      for (int j = 0; j < from->columns; j++, p += from->column)
        for (int l = 0; l < from->lanes; l++) sums[l] += p[l];
  }
  float count = (float)from->rows * (float)from->columns;
  for (int l = 0; l < L; l++) mean[l] = sums[l] / count;
}
