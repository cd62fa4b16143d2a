/* SPDX-License-Identifier: Apache-2.0 */
/* What the transforms cost, in vector operations: the sums of their codelets' (tmpl/tile_transform.c calls the same ones). */
#include "kernel/tile.h"
#include "kernel/tile_sizes.h"

static const short operations[TILE_FAMILIES][TILE_POINTS][TILE_POINTS] = {
#define CODELET_ENTRY(family, points, live, operations) [TILE_##family][points][live] = operations,
#include "codelet_table.inc"
#undef CODELET_ENTRY
};

/* The odd stage of a line that ends at `end`. */
static double odd_stage(const tare_tile *tile, tile_family family, int end) {
  double sum = 0;
  for (int n = 0; n < tile->even && n < end; n++) sum += operations[family][tile->odd][(end - n + tile->even - 1) / tile->even];
  return sum;
}

static double even_stage(const tare_tile *tile, tile_family family) { return operations[family][tile->even][tile->even]; }

static double forward_line(const tare_tile *tile, int real, int end) {
  return odd_stage(tile, real ? TILE_real_odd : TILE_complex_odd, end) + even_stage(tile, real ? TILE_real_even : TILE_complex_even) +
         (real ? tile->odd / 2 : tile->odd - 1) * even_stage(tile, TILE_complex_even_twiddled);
}

static double inverse_line(const tare_tile *tile, int real, int end) {
  return odd_stage(tile, real ? TILE_hermitian_odd_twiddled : TILE_complex_odd_twiddled, end) +
         (real ? even_stage(tile, TILE_hermitian_even) : 0) + (real ? tile->odd / 2 : tile->odd) * even_stage(tile, TILE_complex_even_inverse);
}

double tare_tile_forward_operations(const tare_tile *tile, int rows, int columns) {
  return rows * forward_line(tile, 1, columns) + 2 * forward_line(tile, 1, rows) + (tile->size / 2 - 1) * forward_line(tile, 0, rows);
}

double tare_tile_inverse_operations(const tare_tile *tile, int rows, int columns) {
  return rows * inverse_line(tile, 1, columns) + 2 * inverse_line(tile, 1, rows) + (tile->size / 2 - 1) * inverse_line(tile, 0, rows);
}
