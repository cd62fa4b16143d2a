/* SPDX-License-Identifier: Apache-2.0 */
/* Backward weights of direct convolutions (kernel/direct.h): sums of a few taps stay in registers while pixels pass. */
#include "kernel/tmpl/direct.h"

enum { MOST = UNITS * UNIT };             /* accumulators */
enum { MOST_ROWS = 4, MOST_TAPS = MOST / 3 }; /* of a block */

typedef struct chain {
  const tare_direct *d;
  const tare_direct_chain *c;
  REAL *sums;
} chain;

/*
 * The chain's part of a sum, a few hundred terms, to the sum over all images: with the
 * rounding error of each addition carried along (Kahan 1965), so that millions of pixels cost no accuracy.
 */
static void add_chain(const chain *k, int row, int rows, int tap, int taps, int first, int vectors, const vector *part) {
  const tare_direct *d = k->d;
  size_t width = (size_t)d->vectors * LANES, errors = (size_t)k->c->filter_rows * (size_t)d->taps * width;
  for (int a = 0; a < rows; a++)
    for (int b = 0; b < taps; b++)
      for (int v = 0; v < vectors; v++) {
        REAL *at = k->sums + ((size_t)(row + a) * (size_t)d->taps + (size_t)(tap + b)) * width + (size_t)(first + v) * LANES;
        vector sum = load(at), term = *part++ - load(at + errors), next = sum + term;
        store(at + errors, next - sum - term);
        store(at, next);
      }
}

static int all_outside(const void *const *x, int rows, const void *outside) {
  while (rows && x[rows - 1] == outside) rows--;
  return rows == 0;
}

/* What a row of outputs adds. */
ALWAYS_INLINE void fixed(const chain *k, int depthwise, int rows, int taps, int vectors, const REAL **x, const REAL *dy, vector *sums) {
  const ptrdiff_t step = k->d->step, tap = depthwise ? k->d->tap : 1;
  const multiples m = multiples_of(tap);
  for (int g = 0; g < k->c->groups; g++, dy += k->d->out) {
    vector out[2];
    for (int v = 0; v < vectors; v++) out[v] = load(dy + v * LANES);
#pragma GCC unroll 24
    for (int i = 0; i < rows * taps; i++) {
      const REAL *at = multiple(x[i / taps], tap, m, i % taps);
      if (depthwise) sums[i] += load(at) * out[0];
      else
        for (int v = 0; v < vectors; v++) sums[i * vectors + v] += *at * out[v];
    }
    for (int a = 0; a < rows; a++) x[a] += step;
  }
}

/* The same, each vector of x read once for WINDOW_DY groups; missing ones are zeros. */
ALWAYS_INLINE void sliding(const chain *k, int rows, int taps, const REAL **x, const REAL *dy, vector *sums) {
  for (int left = k->c->groups; left > 0; left -= WINDOW_DY) {
    vector out[WINDOW_DY];
#pragma GCC unroll 4
    for (int j = 0; j < WINDOW_DY; j++, dy += k->d->out) {
      __builtin_prefetch(dy + (ptrdiff_t)k->d->groups * k->d->out); /* the next row */
      out[j] = j < left ? load(dy) : (vector){0};
    }
#pragma GCC unroll 12
    for (int i = 0; i < WINDOW_DY + taps - 1; i++)
#pragma GCC unroll 4
      for (int a = 0; a < rows; a++) {
        vector at = load(x[a] + i * LANES);
#pragma GCC unroll 8
        for (int t = 0; t < taps; t++)
          if (i - t >= 0 && i - t < WINDOW_DY) sums[a * taps + t] += at * out[i - t];
      }
    for (int a = 0; a < rows; a++) x[a] += WINDOW_DY * LANES;
  }
}

/* `taps` taps from `tap` on of `rows` filter rows from `row` on, outputs of `vectors` vectors from the first on. */
ALWAYS_INLINE void block(const chain *k, tare_direct_kind kind, int rows, int taps, int vectors, int row, int tap, int first) {
  const tare_direct *d = k->d;
  const tare_direct_chain *c = k->c;
  vector sums[MOST], part[MOST];
#pragma GCC unroll 24
  for (int i = 0; i < rows * taps * vectors; i++) sums[i] = (vector){0};
  for (int r = 0; r < c->rows; r++) {
    const void *const *from = c->x + r * c->down + row;
    if (all_outside(from, rows, c->outside)) continue;
    const REAL *dy = (const REAL *)c->dy[r] + (ptrdiff_t)c->first * d->out + (ptrdiff_t)first * LANES, *x[MOST_ROWS];
    for (int a = 0; a < rows; a++) x[a] = (const REAL *)from[a] + (ptrdiff_t)c->first * d->step + (ptrdiff_t)tap * d->tap;
    if (kind == TARE_DIRECT_SLIDING) sliding(k, rows, taps, x, dy, sums);
    else fixed(k, kind == TARE_DIRECT_DEPTHWISE, rows, taps, vectors, x, dy, sums);
  }
#pragma GCC unroll 24
  for (int i = 0; i < rows * taps * vectors; i++) part[i] = sums[i];
  add_chain(k, row, rows, tap, taps, first, vectors, part);
}

/* The block with constant sizes. Those that the registers cannot hold are never asked for. */
ALWAYS_INLINE void sized_block(const chain *k, tare_direct_kind kind, int rows, int taps, int vectors, int row, int tap, int first) {
  switch (rows * 16 + taps) {
#define SIZE(a, b) case a * 16 + b: if (a * b * vectors <= MOST) block(k, kind, a, b, vectors, row, tap, first); break;
#define SIZES(b) SIZE(1, b) SIZE(2, b) SIZE(3, b) SIZE(4, b)
  SIZES(1) SIZES(2) SIZES(3) SIZES(4)
#if defined __AVX512F__
  SIZES(5) SIZES(6) SIZES(7) SIZES(8)
#endif
#undef SIZES
#undef SIZE
  }
}

/* All taps of all filter rows. */
ALWAYS_INLINE void blocks(const chain *k, tare_direct_kind kind, int vectors, int first) {
  const int most_taps = MOST_TAPS / vectors, all_taps = k->d->taps, all_rows = k->c->filter_rows;
  for (int tap = 0, taps; tap < all_taps; tap += taps) {
    taps = part_of(all_taps - tap, most_taps);
    int most_rows = MOST / (taps * vectors) < MOST_ROWS ? MOST / (taps * vectors) : MOST_ROWS;
    for (int row = 0, rows; row < all_rows; row += rows) {
      rows = part_of(all_rows - row, most_rows);
      sized_block(k, kind, rows, taps, vectors, row, tap, first);
    }
  }
}

void NAME(direct_weights)(const tare_direct *d, const tare_direct_chain *c, void *sums) {
  chain k = {d, c, sums};
  for (int v = 0; v < d->vectors; v++)
    if (d->kind == TARE_DIRECT_SLIDING) blocks(&k, TARE_DIRECT_SLIDING, 1, v);
    else if (d->kind == TARE_DIRECT_DEPTHWISE) blocks(&k, TARE_DIRECT_DEPTHWISE, 1, v);
    else if (v + 1 < d->vectors) blocks(&k, TARE_DIRECT_DENSE, 2, v++);
    else blocks(&k, TARE_DIRECT_DENSE, 1, v);
}
