/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/tmpl/tile_body.h"

#define CODELET_ENTRY(family, points, live, operations) tile_codelet NAME(family##_##points##_##live);
#include "codelet_table.inc"
#undef CODELET_ENTRY

tile_codelet *const NAME(codelets)[TILE_FAMILIES][TILE_POINTS][TILE_POINTS] = {
#define CODELET_ENTRY(family, points, live, operations) [TILE_##family][points][live] = NAME(family##_##points##_##live),
#include "codelet_table.inc"
#undef CODELET_ENTRY
};

extern const tare_tile_kernels NAME(kernels);
const tare_tile_kernels NAME(kernels) = {
  .lanes = L,
#define TILE_KERNEL(name, type, arguments) .name = NAME(name),
#include "kernel/tiles.inc"
#undef TILE_KERNEL
};
