/* SPDX-License-Identifier: Apache-2.0 */
/* Forward rows of direct convolutions (kernel/direct.h). */
#include "kernel/tmpl/direct.h"

/* The first n lanes, if there are any. */
static __attribute__((noinline)) void store_some(REAL *to, vector v, int n) {
  REAL lanes[LANES];
  memcpy(lanes, &v, sizeof v);
  const REAL *from = lanes;
  for (int piece = LANES / 2; piece && n > 0; piece /= 2) {
    if (!(n & piece)) continue;
    for (int i = 0; i < piece; i++) to[i] = from[i];
    to += piece;
    from += piece;
  }
}

enum { TERMS = TARE_DIRECT_TERMS, PARTS = TARE_DIRECT_PARTS };

typedef struct row {
  const tare_direct *d;
  int rows;
  const REAL *const *x;
  const REAL *weights, *bias; /* of the block's first vector */
  REAL *y;
} row;

/* Groups whose outputs are held together. */
typedef struct block {
  int first, real;  /* `real` of them, from the first on */
  int lanes, last;  /* from the block's first vector on, in a group and in the row's last group */
  int whole;        /* vectors that all groups have whole */
} block;

ALWAYS_INLINE void begin(const row *r, int count, int vectors, vector *sums) {
#pragma GCC unroll 24
  for (int i = 0; i < count * vectors; i++) sums[i] = r->bias ? load(r->bias + i % vectors * LANES) : (vector){0};
}

ALWAYS_INLINE void end(const row *r, const block *b, int count, int vectors, const vector *sums) {
  if (b->whole >= vectors && b->real == count) {
    REAL *y = r->y + (ptrdiff_t)b->first * r->d->out;
#pragma GCC unroll 24
    for (int j = 0; j < count; j++, y += r->d->out)
      for (int v = 0; v < vectors; v++) store(y + v * LANES, sums[j * vectors + v]);
    return;
  }
#pragma GCC unroll 24
  for (int j = 0; j < count; j++) {
    if (j >= b->real) break;
    REAL *y = r->y + (ptrdiff_t)(b->first + j) * r->d->out;
    int lanes = b->first + j == r->d->groups - 1 ? b->last : b->lanes;
    for (int v = 0; v < vectors; v++, y += LANES, lanes -= LANES) {
      vector sum = sums[j * vectors + v];
      if (lanes < LANES) store_some(y, sum, lanes);
      else store(y, sum);
    }
  }
}

/* Sums of up to PARTS parts, and of all before these; and the part that is to be added, or the sum of all. */
typedef struct parts { int count; vector near[UNITS * UNIT], far[UNITS * UNIT], last[UNITS * UNIT]; } parts;

/* Not inlined: a rare case, which every size of block would have to compile. */
static __attribute__((noinline, cold)) void add_last(parts *p, int n) {
  if (p->count % PARTS == 0)
    for (int i = 0; i < n; i++) {
      p->far[i] = p->count ? p->far[i] + p->near[i] : (vector){0};
      p->near[i] = (vector){0};
    }
  for (int i = 0; i < n; i++) p->near[i] += p->last[i];
  p->count++;
}

static __attribute__((noinline, cold)) void add_all(parts *p, int n) {
  for (int i = 0; i < n; i++) p->last[i] += p->near[i] + p->far[i];
}

/* The sums become a part, and 0. */
ALWAYS_INLINE void put_aside(parts *p, int n, vector *sums) {
#pragma GCC unroll 24
  for (int i = 0; i < n; i++) p->last[i] = sums[i];
  add_last(p, n);
#pragma GCC unroll 24
  for (int i = 0; i < n; i++) sums[i] = (vector){0};
}

/* All parts are added to the sums. */
ALWAYS_INLINE void take_back(parts *p, int n, vector *sums) {
#pragma GCC unroll 24
  for (int i = 0; i < n; i++) p->last[i] = sums[i];
  add_all(p, n);
#pragma GCC unroll 24
  for (int i = 0; i < n; i++) sums[i] = p->last[i];
}

/*
 * The lines that the next block of groups writes are asked for while this one is summed. Two vectors of a pixel's channels at a time are written in strides, which
 * no prefetcher follows.
 */
ALWAYS_INLINE void fetch_outputs(const row *r, const block *b, int count, int vectors) {
  const REAL *y = r->y + (ptrdiff_t)(b->first + count) * r->d->out;
#pragma GCC unroll 24
  for (int j = 0; j < count; j++, y += r->d->out)
    for (int v = 0; v < vectors * LANES; v += 64 / (int)sizeof(REAL)) __builtin_prefetch(y + v, 1);
}

typedef struct strides { ptrdiff_t step, tap, width; multiples m; } strides;

/* `taps` taps of a filter row. */
ALWAYS_INLINE void pass(int depthwise, int count, int vectors, int taps, const strides *s, const REAL *x, const REAL *w, vector *sums) {
  const REAL *x1 = x + 8 * s->step, *x2 = x1 + 8 * s->step;
  __asm__("" : "+r"(x), "+r"(x1), "+r"(x2));
  for (int t = 0; t < taps; t++, x += s->tap, x1 += s->tap, x2 += s->tap, w += s->width) {
    vector weights[2];
    for (int v = 0; v < vectors; v++) weights[v] = load(w + v * LANES);
#pragma GCC unroll 24
    for (int j = 0; j < count; j++) {
      const REAL *at = multiple(j < 8 ? x : j < 16 ? x1 : x2, s->step, s->m, j % 8);
      if (depthwise) sums[j] += load(at) * weights[0];
      else
        for (int v = 0; v < vectors; v++) sums[j * vectors + v] += *at * weights[v];
    }
  }
}

ALWAYS_INLINE void fixed(const row *r, const block *b, int depthwise, int count, int vectors) {
  const tare_direct *d = r->d;
  const strides s = {d->step, depthwise ? d->tap : 1, (ptrdiff_t)d->vectors * LANES, multiples_of(d->step)};
  const REAL *w = r->weights;
  vector sums[UNITS * UNIT];
  parts aside;
  aside.count = 0;
  begin(r, count, vectors, sums);
  if (!depthwise) fetch_outputs(r, b, count, vectors);
  for (int a = 0, terms = 0; a < r->rows; a++) {
    const REAL *x = r->x[a] + b->first * s.step;
    for (int left = d->taps, taps; left; left -= taps, x += taps * s.tap, w += taps * s.width) {
      taps = part_of(left, TERMS);
      if (terms + taps > TERMS && terms) put_aside(&aside, count * vectors, sums), terms = 0;
      terms += taps;
      pass(depthwise, count, vectors, taps, &s, x, w, sums);
    }
  }
  if (aside.count) take_back(&aside, count * vectors, sums);
  end(r, b, count, vectors, sums);
}

/* `taps` taps of a filter row: each vector of x is read once. */
ALWAYS_INLINE void slide(int count, int taps, const REAL *x, const REAL *w, vector *sums) {
  vector weights[WINDOW_TAPS];
#pragma GCC unroll 8
  for (int t = 0; t < taps; t++) weights[t] = load(w + t * LANES);
#pragma GCC unroll 24
  for (int i = 0; i < count + taps - 1; i++) {
    vector at = load(x + i * LANES);
#pragma GCC unroll 8
    for (int t = 0; t < taps; t++)
      if (i - t >= 0 && i - t < count) sums[i - t] += at * weights[t];
  }
}

ALWAYS_INLINE void sliding(const row *r, const block *b, int count) {
  const REAL *w = r->weights;
  vector sums[WINDOW];
  begin(r, count, 1, sums);
  for (int a = 0; a < r->rows; a++) {
    const REAL *x = r->x[a] + b->first * LANES;
    for (int left = r->d->taps, taps; left; left -= taps, x += taps * LANES, w += taps * LANES) {
      taps = part_of(left, WINDOW_TAPS);
      switch (taps) {
#define TAPS(n) case n: slide(count, n, x, w, sums); break;
      TAPS(1) TAPS(2) TAPS(3) TAPS(4) TAPS(5)
#if defined __AVX512F__
      TAPS(6) TAPS(7) TAPS(8)
#endif
#undef TAPS
      }
    }
  }
  end(r, b, count, 1, sums);
}

/* More than the registers hold is never asked for. */
ALWAYS_INLINE void held(const row *r, const block *b, tare_direct_kind kind, int count, int vectors) {
  if (kind != TARE_DIRECT_SLIDING) fixed(r, b, kind == TARE_DIRECT_DEPTHWISE, count, vectors);
  else if (count <= WINDOW) sliding(r, b, count);
}

/* All groups of a row, for one or two vectors. */
ALWAYS_INLINE void blocks(const row *r, tare_direct_kind kind, int vectors, int lanes, int last) {
  const int slides = kind == TARE_DIRECT_SLIDING, unit = slides ? 4 : UNIT / vectors, most = slides ? WINDOW : UNITS * unit;
  int groups = r->d->groups, each = (part_of(groups, most) + unit - 1) / unit * unit;
  block b = {0, 0, lanes, last, (lanes < last ? lanes : last) / LANES};
  for (; b.first < groups; b.first += each) {
    b.real = groups - b.first < each ? groups - b.first : each;
    switch ((b.real + unit - 1) / unit) {
#define COUNT(n) case n: held(r, &b, kind, n * unit, vectors); break;
    COUNT(1) COUNT(2) COUNT(3) COUNT(4) COUNT(5) COUNT(6)
#if defined __AVX512F__
    COUNT(7) COUNT(8) COUNT(9) COUNT(10) COUNT(11) COUNT(12)
#endif
#undef COUNT
    }
  }
}

void NAME(direct_forward)(const tare_direct *d, int rows, const void *const *x, const void *weights, const void *bias, void *y) {
  row r = {d, rows, (const REAL *const *)x, weights, bias, y};
  for (int v = 0, two; v < d->vectors; v += 1 + two) {
    int lanes = d->lanes - v * LANES, last = d->last - v * LANES;
    two = d->kind == TARE_DIRECT_DENSE && v + 1 < d->vectors;
    if (d->kind == TARE_DIRECT_SLIDING) blocks(&r, TARE_DIRECT_SLIDING, 1, lanes, last);
    else if (d->kind == TARE_DIRECT_DEPTHWISE) blocks(&r, TARE_DIRECT_DEPTHWISE, 1, lanes, last);
    else if (two) blocks(&r, TARE_DIRECT_DENSE, 2, lanes, last);
    else blocks(&r, TARE_DIRECT_DENSE, 1, lanes, last);
    r.weights += (1 + two) * LANES;
    if (r.bias) r.bias += (1 + two) * LANES;
    r.y += (1 + two) * LANES;
  }
}

int NAME(direct_lanes)(void) { return LANES; }

void NAME(direct_gather)(int pixels, int n, const void *from, size_t stride, void *to) {
  const size_t next_row = (size_t)pixels * stride;
  const REAL *in = from;
  REAL *out = to;
  for (int i = 0; i < pixels; i++, in += stride, out += LANES) {
    __builtin_prefetch(in + next_row);
    if (n == LANES) store(out, load(in));
    else
      for (int lane = 0; lane < LANES; lane++) out[lane] = lane < n ? in[lane] : 0;
  }
}
