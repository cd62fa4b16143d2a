/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/tile.h"

#include <math.h>

#include "base/alloc.h"
#include "base/error.h"
#include "kernel/tile_sizes.h"

/* Each size and how it is split. */
static const struct { int size, odd, even; } splits[] = {
#define SIZE(odd, even) {(odd) * (even), odd, even},
#include "kernel/tile_sizes.inc"
#undef SIZE
};

const int tare_tile_sizes[] = {
#define SIZE(odd, even) (odd) * (even),
#include "kernel/tile_sizes.inc"
#undef SIZE
  0};

static int lookup(int size) {
  for (int i = 0; tare_tile_sizes[i]; i++)
    if (tare_tile_sizes[i] == size) return i;
  return -1;
}

/* cos and sin of 2 pi n2 k1 / T: for each k1 >= 1 those of all n2 >= 1 (forward), and after them the other way round (inverse). */
static void fill_twiddles(const tare_tile *tile, float *at) {
  const int rows = tile->odd - 1, columns = tile->even - 1;
  float *inverse = at + 2 * rows * columns;
  for (int k = 0; k < rows; k++)
    for (int n = 0; n < columns; n++) {
      const double angle = 6.283185307179586476925286766559 * ((k + 1) * (n + 1)) / tile->size;
      at[2 * (k * columns + n)] = inverse[2 * ((n + 1) * rows + k)] = (float)cos(angle);
      at[2 * (k * columns + n) + 1] = inverse[2 * ((n + 1) * rows + k) + 1] = (float)sin(angle);
    }
  for (int k = 0; k < rows; k++) inverse[2 * k] = 1, inverse[2 * k + 1] = 0;
}

tare_tile tare_tile_describe(int size) {
  const int i = lookup(size);
  return (tare_tile){.size = size, .odd = splits[i].odd, .even = splits[i].even, .frequencies = size * size / 2 + 2};
}

tare_status tare_tile_create(int size, tare_tile **out, tare_error *error) {
  const int found = lookup(size);
  if (found < 0) return tare_fail(error, TARE_E_ARGUMENT, "a tile has one of the sizes of tare_tile_sizes, not %d", size);
  const int odd = splits[found].odd, even = splits[found].even;
  const size_t head = 64, count = 2 * (size_t)(odd - 1) * (size_t)(even - 1 + even);
  char *piece = tare_alloc(1, head + count * sizeof(float));
  if (!piece) return tare_fail_memory(error, head + count * sizeof(float), "the tables of a tile");
  float *twiddles = (float *)(void *)(piece + head);
  tare_tile *tile = (tare_tile *)(void *)piece;
  *tile = (tare_tile){.size = size, .odd = odd, .even = even, .frequencies = size * size / 2 + 2, .twiddles = twiddles};
  fill_twiddles(tile, twiddles);
  *out = tile;
  return TARE_OK;
}

extern const tare_tile_kernels tare_tile_baseline_4_kernels;
#ifdef TARE_KERNEL_X86
extern const tare_tile_kernels tare_tile_avx2_8_kernels, tare_tile_avx512_16_kernels, tare_tile_avx512_8_kernels;
#endif

/* Of a level the widest first. */
static const struct { tare_level level; const tare_tile_kernels *kernels; } tables[] = {
  {TARE_LEVEL_BASELINE, &tare_tile_baseline_4_kernels},
#ifdef TARE_KERNEL_X86
  {TARE_LEVEL_AVX2, &tare_tile_avx2_8_kernels},
  {TARE_LEVEL_AVX512, &tare_tile_avx512_16_kernels},
  {TARE_LEVEL_AVX512, &tare_tile_avx512_8_kernels},
#endif
};
enum { TABLES = sizeof(tables) / sizeof(*tables) };

/* Levels that were not compiled in are lowered, as tare_kernels_at does. */
static tare_level lowered(tare_level level) { return TABLES == 1 ? TARE_LEVEL_BASELINE : level; }

const tare_tile_kernels *tare_tile_kernels_at(tare_level level, int lanes) {
  for (int i = 0; i < TABLES; i++)
    if (tables[i].level == lowered(level) && tables[i].kernels->lanes == lanes) return tables[i].kernels;
  return NULL;
}

int tare_tile_lanes(tare_level level) {
  for (int i = 0; i < TABLES; i++)
    if (tables[i].level == lowered(level)) return tables[i].kernels->lanes;
  return 0;
}

size_t tare_tile_scratch(const tare_tile *tile, int lanes) {
  const size_t size = (size_t)tile->size, columns = (size / 2 + 1) * (size + 1) * 2;
  return (columns + 2 * size + 2 * (size_t)(tile_padded(tile->size, lanes) + lanes)) * (size_t)lanes;
}
