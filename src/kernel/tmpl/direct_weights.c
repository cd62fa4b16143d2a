/* SPDX-License-Identifier: Apache-2.0 */
/* Backward weights of direct convolutions (kernel/direct.h): the sums of a few taps of a few filter rows stay in registers while pixels pass by. */
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

/* `taps` taps from `tap` on of `rows` filter rows from `row` on, outputs of `vectors` vectors from the first on. */
ALWAYS_INLINE void block(const chain *k, int depthwise, int rows, int taps, int vectors, int row, int tap, int first) {
  const tare_direct *d = k->d;
  const tare_direct_chain *c = k->c;
  vector sums[MOST];
#pragma GCC unroll 24
  for (int i = 0; i < rows * taps * vectors; i++) sums[i] = (vector){0};
  const ptrdiff_t step = d->step, right = depthwise ? d->tap : 1;
  const multiples m = multiples_of(right);
  for (int r = 0; r < c->rows; r++) {
    const void *const *from = c->x + r * c->down + row;
    if (all_outside(from, rows, c->outside)) continue;
    const REAL *dy = (const REAL *)c->dy[r] + (ptrdiff_t)c->first * d->out + (ptrdiff_t)first * LANES;
    const REAL *x[MOST_ROWS];
    for (int a = 0; a < rows; a++) x[a] = (const REAL *)from[a] + c->first * step + tap * right;
    for (int g = 0; g < c->groups; g++, dy += d->out) {
      vector out[2];
      for (int v = 0; v < vectors; v++) out[v] = load(dy + v * LANES);
#pragma GCC unroll 24
      for (int i = 0; i < rows * taps; i++) {
        const REAL *at = multiple(x[i / taps], right, m, i % taps);
        if (depthwise) sums[i] += load(at) * out[0];
        else
          for (int v = 0; v < vectors; v++) sums[i * vectors + v] += *at * out[v];
      }
      for (int a = 0; a < rows; a++) x[a] += step;
    }
  }
  vector part[MOST];
#pragma GCC unroll 24
  for (int i = 0; i < rows * taps * vectors; i++) part[i] = sums[i];
  add_chain(k, row, rows, tap, taps, first, vectors, part);
}

/* The block with constant sizes. Those that the registers cannot hold are never asked for. */
ALWAYS_INLINE void sized_block(const chain *k, int depthwise, int rows, int taps, int vectors, int row, int tap, int first) {
  switch (rows * 16 + taps) {
#define SIZE(a, b) case a * 16 + b: if (a * b * vectors <= MOST) block(k, depthwise, a, b, vectors, row, tap, first); break;
#define SIZES(b) SIZE(1, b) SIZE(2, b) SIZE(3, b) SIZE(4, b)
  SIZES(1) SIZES(2) SIZES(3) SIZES(4)
#if defined __AVX512F__
  SIZES(5) SIZES(6) SIZES(7) SIZES(8)
#endif
#undef SIZES
#undef SIZE
  }
}

static inline int part_of(int n, int most) { return (n + (n + most - 1) / most - 1) / ((n + most - 1) / most); } /* equal parts of n */

/* All taps of all filter rows. */
ALWAYS_INLINE void blocks(const chain *k, int depthwise, int vectors, int first) {
  const int most_taps = MOST_TAPS / vectors, all_taps = k->d->taps, all_rows = k->c->filter_rows;
  for (int tap = 0, taps; tap < all_taps; tap += taps) {
    taps = part_of(all_taps - tap, most_taps);
    int most_rows = MOST / (taps * vectors) < MOST_ROWS ? MOST / (taps * vectors) : MOST_ROWS;
    for (int row = 0, rows; row < all_rows; row += rows) {
      rows = part_of(all_rows - row, most_rows);
      sized_block(k, depthwise, rows, taps, vectors, row, tap, first);
    }
  }
}

void NAME(direct_weights)(const tare_direct *d, const tare_direct_chain *c, void *sums) {
  chain k = {d, c, sums};
  for (int v = 0; v < d->vectors; v++)
    if (d->depthwise) blocks(&k, 1, 1, v);
    else if (v + 1 < d->vectors) blocks(&k, 0, 2, v++);
    else blocks(&k, 0, 1, v);
}
