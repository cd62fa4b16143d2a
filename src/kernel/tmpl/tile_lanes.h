/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of which only some lanes are in memory, and the transposition of a square of them. */
#ifndef TARE_TILE_LANES_H
#define TARE_TILE_LANES_H

#include <string.h>

#include "kernel/tmpl/tile_body.h"

/* The parts of 8, 4, 2 and 1 lanes that a number of lanes below L consists of: copies of a constant size are single instructions. */
#define LANE_PARTS(lanes, PART) \
  do { \
    int at = 0; \
    if (L > 8 && (lanes) & 8) { PART(8); at += 8; } \
    if (L > 4 && (lanes) & 4) { PART(4); at += 4; } \
    if ((lanes) & 2) { PART(2); at += 2; } \
    if ((lanes) & 1) PART(1); \
  } while (0)

static inline V load_lanes(const float *from, int lanes) {
  if (lanes == L) return LOAD(from);
  float v[L] = {0};
#define PART(n) memcpy(v + at, from + at, n * sizeof(float))
  LANE_PARTS(lanes, PART);
#undef PART
  return LOAD(v);
}

static inline void store_lanes(float *to, int lanes, V value) {
  if (lanes == L) {
    STORE(to, value);
    return;
  }
  float v[L];
  STORE(v, value);
#define PART(n) memcpy(to + at, v + at, n * sizeof(float))
  LANE_PARTS(lanes, PART);
#undef PART
}

/* The first half of two vectors, element by element in turn, and the second half. */
#if LANES == 4
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#elif LANES == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif
#ifdef __clang__
#define INTERLEAVE(a, b, order) __builtin_shufflevector(a, b, order)
#else
typedef int lane_order __attribute__((vector_size(4 * LANES)));
#define INTERLEAVE(a, b, order) __builtin_shuffle(a, b, (lane_order){order})
#endif

/* Vector j of the result has element j of each row, less `mean`. A riffle of the rows, log2(L) times, is the transposition (perfect shuffles: Stone 1971). */
static inline void transpose_lanes(const float *const rows[L], ptrdiff_t at, V mean, float *to) {
  V a[L], b[L];
#pragma GCC unroll 16
  for (int l = 0; l < L; l++) a[l] = LOAD(rows[l] + at);
#pragma GCC unroll 4
  for (int step = 1; step < L; step *= 2) {
#pragma GCC unroll 8
    for (int l = 0; l < L / 2; l++) {
      b[2 * l] = INTERLEAVE(a[l], a[l + L / 2], LOW);
      b[2 * l + 1] = INTERLEAVE(a[l], a[l + L / 2], HIGH);
    }
#pragma GCC unroll 16
    for (int l = 0; l < L; l++) a[l] = b[l];
  }
#pragma GCC unroll 16
  for (int l = 0; l < L; l++) STORE(to + l * L, a[l] - mean);
}

#endif
