/* SPDX-License-Identifier: Apache-2.0 */
/* What every body of the tile transforms includes first. The build defines VARIANT and LANES. */
#ifndef TARE_TILE_BODY_H
#define TARE_TILE_BODY_H

#include <stddef.h>

#include "kernel/tile.h"

#define JOIN_(a, b, c) a##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define NAME(name) JOIN(tare_, VARIANT, name)

enum { L = LANES };
/* Images are aligned to floats only; what is aligned better is not slower for it. */
typedef float V __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define LOAD(p) (*(const V *)(p))
#define LOAD_ONCE(p) (*(const volatile V *)(p)) /* GCC likes to read a value again for each of its uses */
#define STORE(p, v) (*(V *)(p) = (v))

#include "kernel/tmpl/tile_codelet.h"

#define TILE_KERNEL(name, type, arguments) type NAME(name) arguments;
#include "kernel/tiles.inc"
#undef TILE_KERNEL

#endif
