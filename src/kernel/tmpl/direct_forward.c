/* SPDX-License-Identifier: Apache-2.0 */
/* Forward rows of direct convolutions (kernel/direct.h). */
#include "kernel/tmpl/direct.h"

/* The first n lanes, if there are any. */
static __attribute__((noinline)) void store_some(REAL *to, vector v, int n, int add) {
  REAL lanes[LANES];
  memcpy(lanes, &v, sizeof v);
  const REAL *from = lanes;
  for (int i = 0; add && i < n; i++) lanes[i] += to[i];
  for (int piece = LANES / 2; piece && n > 0; piece /= 2) {
    if (!(n & piece)) continue;
    for (int i = 0; i < piece; i++) to[i] = from[i];
    to += piece;
    from += piece;
  }
}

enum { TERMS = 256 }; /* added one by one: longer sums in parts, for accuracy */

typedef struct row {
  const tare_direct *d;
  int rows;
  const REAL *const *x;
  const REAL *weights, *bias; /* of the block's first vector */
  int add; /* to y */
  REAL *y;
} row;

/* The outputs of `count` groups from `first` on, `vectors` vectors of each; n: lanes of the last of them, in a group and in the row's last group. */
ALWAYS_INLINE void block(const row *r, int depthwise, int count, int vectors, int first, int real, const int n[2]) {
  const tare_direct *d = r->d;
  vector sums[24];
#pragma GCC unroll 24
  for (int i = 0; i < count * vectors; i++) sums[i] = r->bias ? load(r->bias + i % vectors * LANES) : (vector){0};
  const REAL *w = r->weights;
  const ptrdiff_t step = d->step, tap = d->tap, width = (ptrdiff_t)d->vectors * LANES;
  const multiples m = multiples_of(step);
  for (int a = 0; a < r->rows; a++) {
    const REAL *x = r->x[a] + first * step, *x1 = x + 8 * step, *x2 = x1 + 8 * step;
    __asm__("" : "+r"(x), "+r"(x1), "+r"(x2));
    for (int t = 0; t < d->taps; t++, x += tap, x1 += tap, x2 += tap, w += width) {
      vector weights[2];
      for (int v = 0; v < vectors; v++) weights[v] = load(w + v * LANES);
#pragma GCC unroll 24
      for (int j = 0; j < count; j++) {
        const REAL *at = multiple(j < 8 ? x : j < 16 ? x1 : x2, step, m, j % 8);
        if (depthwise) sums[j] += load(at) * weights[0];
        else
          for (int v = 0; v < vectors; v++) sums[j * vectors + v] += *at * weights[v];
      }
    }
  }
#pragma GCC unroll 24
  for (int j = 0; j < count; j++) {
    if (j >= real) break;
    REAL *y = r->y + (ptrdiff_t)(first + j) * d->out;
    int some = n[first + j == d->groups - 1];
    for (int v = 0; v < vectors; v++) {
      int left = some - v * LANES;
      vector sum = sums[j * vectors + v];
      if (left < LANES) store_some(y + v * LANES, sum, left, r->add);
      else store(y + v * LANES, r->add ? load(y + v * LANES) + sum : sum);
    }
  }
}

/* All groups of a row, for one block of vectors. */
ALWAYS_INLINE void blocks(const row *r, int depthwise, int vectors, const int n_lanes[2]) {
  const int unit = UNIT / vectors, most = UNITS * unit, groups = r->d->groups;
  int parts = (groups + most - 1) / most, each = (groups + parts - 1) / parts;
  each = (each + unit - 1) / unit * unit;
  for (int first = 0; first < groups; first += each) {
    int real = groups - first < each ? groups - first : each;
    switch ((real + unit - 1) / unit) {
#define COUNT(n) case n: block(r, depthwise, n * UNIT / vectors, vectors, first, real, n_lanes); break;
    COUNT(1) COUNT(2) COUNT(3) COUNT(4) COUNT(5) COUNT(6)
#if defined __AVX512F__
    COUNT(7) COUNT(8) COUNT(9) COUNT(10) COUNT(11) COUNT(12)
#endif
#undef COUNT
    }
  }
}

/* All outputs of a row. */
static void whole_row(row r) {
  const tare_direct *d = r.d;
  for (int v = 0, two; v < d->vectors; v += 1 + two) {
    const int n[2] = {d->lanes - v * LANES, d->last - v * LANES};
    two = !d->depthwise && v + 1 < d->vectors;
    if (d->depthwise) blocks(&r, 1, 1, n);
    else if (two) blocks(&r, 0, 2, n);
    else blocks(&r, 0, 1, n);
    r.weights += (1 + two) * LANES;
    if (r.bias) r.bias += (1 + two) * LANES;
    r.y += (1 + two) * LANES;
  }
}

void NAME(direct_forward)(const tare_direct *d, int rows, const void *const *x, const void *weights, const void *bias, void *y) {
  row r = {d, rows, (const REAL *const *)x, weights, bias, 0, y};
  const int part = d->taps < TERMS ? TERMS / d->taps : 1;
  for (int a = 0; a == 0 || a < rows; a += part) {
    r.rows = rows - a < part ? rows - a : part;
    whole_row(r);
    r.x += part;
    r.weights += (ptrdiff_t)part * d->taps * d->vectors * LANES;
    r.bias = NULL;
    r.add = 1;
  }
}

int NAME(direct_lanes)(void) { return LANES; }

void NAME(direct_gather)(int pixels, int n, const void *from, size_t stride, void *to) {
  const REAL *in = from;
  REAL *out = to;
  for (int i = 0; i < pixels; i++, in += stride, out += LANES)
    if (n == LANES) store(out, load(in));
    else
      for (int lane = 0; lane < LANES; lane++) out[lane] = lane < n ? in[lane] : 0;
}
