/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two-dimensional Fourier transforms of real tiles, `lanes` tiles at once: one lane of a vector register is one
 * channel (or one tile), so that no transform moves data between lanes. doc/engine.md derives the algorithm.
 *
 * A tile has T x T pixels, T = odd * even. Its spectrum has T*T/2 + 2 complex frequencies in an order of the
 * tile's own, the same for every transform of that T; frequency 0 is the sum of the pixels (DC). The
 * frequency f of a spectrum stands at spectrum + f * stride (real parts of all lanes) and at `imaginary` floats after it.
 * forward: X(k) = sum_n x(n) exp(-2 pi i k n / T) over both axes; inverse: its inverse times T*T (nothing is divided),
 * so that the inverse of X times the conjugate of W is T*T times the circular cross-correlation.
 */
#ifndef TARE_KERNEL_TILE_H
#define TARE_KERNEL_TILE_H

#include <stddef.h>
#include <tare/status.h>

#include "base/cpu.h"

typedef struct tare_tile {
  int size, odd, even, frequencies;
  const float *twiddles; /* of the kernels alone */
} tare_tile;

/* Sizes that can be had, ascending, 0 at the end. */
extern const int tare_tile_sizes[];
/* A tile of a size of the list without its tables, to ask what it costs. */
tare_tile tare_tile_describe(int size);
/* The tile of a size of the list, its tables included; freed with tare_free in one piece. */
tare_status tare_tile_create(int size, tare_tile **out, tare_error *error);

/* The columns of a half-transformed tile: T/2 + 1, in an order of the tile's own; two of them have T/2 + 1 frequencies, the others T. */
static inline int tile_column_frequencies(const tare_tile *tile, int column) {
  return column == 0 || column == tile->even / 2 ? tile->size / 2 + 1 : tile->size;
}

/* What a forward transform reads: a box of the tile; the rest of the tile is 0. Columns are `column` floats apart, lanes 1 float. */
typedef struct tare_tile_source {
  const float *at;        /* first lane of the pixel at (row0, column0) of the tile */
  ptrdiff_t row, column;  /* floats from a row to the next, from a column to the next */
  int row0, rows, column0, columns;
  int lanes;              /* lanes that are read; the others are 0 */
  const float *mean;      /* `lanes` of the kernels floats, subtracted inside the box; or NULL */
} tare_tile_source;

/* Where an inverse transform writes: a box of the tile, nothing outside of it. */
typedef struct tare_tile_target {
  float *at;
  ptrdiff_t row, column;
  int row0, rows, column0, columns;
  int lanes;              /* lanes that are written */
  int add;                /* added to what stands there */
} tare_tile_target;

/* d = a b, a conj(b) or conj(a) b, or d += it: `rows` x `terms` times `terms` x (`vectors` of lanes). Distances in floats. */
typedef enum tare_tile_product_kind { TARE_A_B, TARE_A_CONJUGATE_B, TARE_CONJUGATE_A_B } tare_tile_product_kind;
typedef struct tare_tile_product {
  tare_tile_product_kind kind;
  int rows, vectors, terms, add;
  ptrdiff_t a_row, a_term, a_imaginary, b_term, b_imaginary, d_row, d_imaginary;
} tare_tile_product;

/* The table of one vector width. `scratch`: tare_tile_scratch floats, 64-byte aligned, as are spectra, stride and imaginary (multiples of `lanes`). */
typedef struct tare_tile_kernels {
  int lanes;
#define TILE_KERNEL(name, type, arguments) type(*name) arguments;
#include "kernel/tiles.inc"
#undef TILE_KERNEL
} tare_tile_kernels;

/* baseline: 4 lanes; avx2: 8; avx512: 16, and 8 with the same instructions for layers of few channels. NULL if that level has no such width. */
const tare_tile_kernels *tare_tile_kernels_at(tare_level level, int lanes);
/* The widest of a level. */
int tare_tile_lanes(tare_level level);

size_t tare_tile_scratch(const tare_tile *tile, int lanes);
/* Vector operations (arithmetic, each of all lanes) of a forward transform of a box that ends at (rows, columns), or of an inverse one of such a box. */
double tare_tile_forward_operations(const tare_tile *tile, int rows, int columns);
double tare_tile_inverse_operations(const tare_tile *tile, int rows, int columns);

#endif
