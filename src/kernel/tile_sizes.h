/* SPDX-License-Identifier: Apache-2.0 */
/* What tile.c and the bodies share: the families of codelets, and sizes. */
#ifndef TARE_TILE_SIZES_H
#define TARE_TILE_SIZES_H

typedef enum tile_family {
#define FAMILY(name, points, pruned, transform, direction, twiddled) TILE_##name,
#include "kernel/codelets/families.inc"
#undef FAMILY
  TILE_FAMILIES
} tile_family;

enum { TILE_POINTS = 32 };

/* Pixels of a row, up to a multiple of the lanes. */
static inline int tile_padded(int size, int lanes) { return (size + lanes - 1) / lanes * lanes; }

#endif
