/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of the direct kernels, and what the registers hold: UNITS * UNIT accumulators; sliding: WINDOW of them beside
 * WINDOW_TAPS weights, or all of them beside WINDOW_DY vectors of dy.
 */
#ifndef TARE_KERNEL_TMPL_DIRECT_H
#define TARE_KERNEL_TMPL_DIRECT_H

#include <string.h>

#include "kernel/tmpl/body.h"

#if defined __AVX512F__
enum { VECTOR_BYTES = 64, UNITS = 12, WINDOW = 16, WINDOW_TAPS = 8, WINDOW_DY = 4 };
#elif defined __AVX2__
enum { VECTOR_BYTES = 32, UNITS = 6, WINDOW = 8, WINDOW_TAPS = 5, WINDOW_DY = 2 };
#else
enum { VECTOR_BYTES = 16, UNITS = 6, WINDOW = 8, WINDOW_TAPS = 5, WINDOW_DY = 2 };
#endif
enum { LANES = VECTOR_BYTES / (int)sizeof(REAL) };
enum { UNIT = 2 }; /* accumulators */

typedef REAL vector __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias)); /* anywhere in memory */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* The first of the equal parts that n is cut into, none larger than `most`. */
static inline int part_of(int n, int most) {
  int parts = (n + most - 1) / most;
  return (n + parts - 1) / parts;
}

ALWAYS_INLINE vector load(const REAL *from) { return *(const loose *)from; }
ALWAYS_INLINE void store(REAL *to, vector v) { *(loose *)to = v; }

/*
 * Addresses x + step * j, j < 8, from four registers: x86 scales an index by 1, 2, 4 or 8. The
 * compiler left alone would keep each multiple, most of them on the stack.
 */
typedef struct multiples { ptrdiff_t three, five, seven; } multiples;

ALWAYS_INLINE multiples multiples_of(ptrdiff_t step) {
  multiples m = {3 * step, 5 * step, 7 * step};
  __asm__("" : "+r"(m.three), "+r"(m.five), "+r"(m.seven)); /* hides how they are related */
  return m;
}

ALWAYS_INLINE const REAL *multiple(const REAL *x, ptrdiff_t step, multiples m, int j) {
  switch (j) {
  case 3: return x + m.three;
  case 5: return x + m.five;
  case 6: return x + 2 * m.three;
  case 7: return x + m.seven;
  default: return x + j * step;
  }
}

#endif
