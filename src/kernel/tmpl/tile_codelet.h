/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a codelet is called: `count` transforms, of which point j is read at ri + j is (real parts) and ii + j is, and written at
 * ro + j os and io + j os; the next transform's points stand *_step further, its twiddles (cos, sin of the points 1, 2, ...) w_step further.
 * Of a line in the buffer (families.inc) only ri or ro count, and the stride of an even length is known.
 */
#ifndef TARE_TILE_CODELET_H
#define TARE_TILE_CODELET_H

#include "kernel/tile_sizes.h"
#include "kernel/tmpl/tile_body.h"

#define UNUSED __attribute__((unused)) /* by codelets without live inputs, imaginary parts or twiddles */
#define CODELET_ARGUMENTS \
  (UNUSED const float *restrict ri, UNUSED const float *restrict ii, float *restrict ro, UNUSED float *restrict io, \
   UNUSED const float *restrict w, UNUSED ptrdiff_t is, UNUSED ptrdiff_t os, ptrdiff_t in_step, ptrdiff_t out_step, ptrdiff_t w_step, int count)
#define CODELET(name) \
  void NAME(name) CODELET_ARGUMENTS; \
  void NAME(name) CODELET_ARGUMENTS
#define NEXT ri += in_step, ii += in_step, ro += out_step, io += out_step, w += w_step

typedef void tile_codelet CODELET_ARGUMENTS;
/* [family][points][live], NULL where there is none */
extern tile_codelet *const NAME(codelets)[TILE_FAMILIES][TILE_POINTS][TILE_POINTS];

#endif
