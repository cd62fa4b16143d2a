/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms of one row or column of a tile, and where the two-dimensional ones keep what stands between rows and columns. */
#ifndef TARE_TILE_TRANSFORM_H
#define TARE_TILE_TRANSFORM_H

#include "kernel/tmpl/tile_body.h"

/* Vectors re + j step and im + j step. Of a real line only re counts; im may be re. What is only read is const in effect. */
typedef struct tile_line { float *re, *im; ptrdiff_t step; } tile_line;

static inline tile_line tile_line_at(tile_line line, int j) { return (tile_line){line.re + j * line.step, line.im + j * line.step, line.step}; }

/* `end`: only so many points of the tile's side are not zero (forward), are wanted (inverse). buffer: 2 T vectors. */
void NAME(forward_real)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer);
void NAME(forward_complex)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer);
void NAME(inverse_real)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer);
void NAME(inverse_complex)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer);

/*
 * The scratch: the half-transformed tile by columns (T/2 + 1 of them; the pitch is an odd number of vector pairs, so that the columns of
 * a row fall into different sets of the cache), the buffer between the two stages, a row of pixels, and for each lane a row of its own.
 * far: the columns are not scratch but somewhere in memory.
 */
typedef struct tile_scratch { float *columns, *buffer, *row, *lanes; ptrdiff_t pitch; int far; } tile_scratch;
enum { AHEAD = 2 }; /* rows that are fetched ahead of that */

static inline tile_scratch tile_scratch_at(const tare_tile *tile, float *scratch) {
  const ptrdiff_t size = tile->size, pitch = (size + 1) * 2 * L;
  float *buffer = scratch + (size / 2 + 1) * pitch, *row = buffer + 2 * size * L;
  return (tile_scratch){scratch, buffer, row, row + (tile_padded(tile->size, L) + L) * L, pitch, 0};
}

static inline tile_line tile_row(tile_scratch s, int r) { return (tile_line){s.columns + r * 2 * L, s.columns + r * 2 * L + L, s.pitch}; }
static inline tile_line tile_column(tile_scratch s, int c) { return (tile_line){s.columns + c * s.pitch, s.columns + c * s.pitch + L, 2 * L}; }

/* `count` vectors that lie `step` floats apart: no hardware prefetcher follows such a stride, and a store too needs its line first. */
static inline void fetch_apart(const float *at, ptrdiff_t step, int count) {
  for (int j = 0; j < count; j++, at += step) __builtin_prefetch(at);
}

/* Row r of all columns, real and imaginary parts. */
static inline void fetch_pairs(const tare_tile *tile, tile_scratch s, int r) {
  const tile_line row = tile_row(s, r);
  fetch_apart(row.re, row.step, tile->size / 2 + 1);
  fetch_apart(row.im, row.step, tile->size / 2 + 1);
}

#endif
