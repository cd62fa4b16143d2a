/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-dimensional transforms of length T = odd * even, in two stages (doc/engine.md, "Tile transforms"): n = even n1 + n2, k = k1 + odd k2.
 * Between the stages stands the buffer: element (k1, n2), real and imaginary part side by side.
 */
#include "kernel/tmpl/tile_transform.h"

/* How many of the points n2, n2 + even, ... stand before `end`: `more` for the first `split` n2, one fewer for the rest. */
typedef struct share { int more, split; } share;

static share share_of(int end, int even) {
  int more = (end + even - 1) / even;
  return (share){more, end - (more - 1) * even};
}

static const float *twiddles_inverse(const tare_tile *tile) { return tile->twiddles + 2 * (tile->odd - 1) * (tile->even - 1); }

/* The odd stage of a forward transform for all n2. */
static void odd_forward(const tare_tile *tile, tile_family family, tile_line in, int end, float *buffer) {
  const int even = tile->even;
  const share live = share_of(end, even);
  for (int part = 0; part < 2; part++) {
    const int first = part ? live.split : 0, count = (part ? even : live.split) - first;
    tile_codelet *run = NAME(codelets)[family][tile->odd][live.more > part ? live.more - part : 0];
    if (count)
      run(in.re + first * in.step, in.im + first * in.step, buffer + first * 2 * L, buffer + L, tile->twiddles,
          even * in.step, even * 2 * L, in.step, 2 * L, 0, count);
  }
}

/* The even stage for k1 = 0, from the buffer, and for `rows` further k1, each `next` floats on in the buffer. */
static void even_forward(const tare_tile *tile, int real, int rows, const float *buffer, ptrdiff_t next, tile_line out) {
  const int even = tile->even;
  const tile_line rest = tile_line_at(out, real ? even / 2 + 1 : even);
  NAME(codelets)[real ? TILE_real_even : TILE_complex_even][even][even](buffer, buffer, out.re, out.im, tile->twiddles, 2 * L, out.step, 0, 0, 0, 1);
  NAME(codelets)[TILE_complex_even_twiddled][even][even](buffer + next, buffer, rest.re, rest.im, tile->twiddles, 2 * L, out.step, next,
                                                         even * out.step, 2 * (even - 1), rows);
}

/* The first `end` points into the buffer, zeros after them up to `even`. Of a real line im is 0. */
static void fill_buffer(const tare_tile *tile, int real, tile_line in, int end, float *buffer) {
  for (int n = 0; n < tile->even; n++, buffer += 2 * L) {
    STORE(buffer, n < end ? LOAD(in.re + n * in.step) : (V){0});
    STORE(buffer + L, n < end && !real ? LOAD(in.im + n * in.step) : (V){0});
  }
}

/* Of a line of up to `even` points the odd stage has one input each, and all k1 the same points: they are put into the buffer once. */
void NAME(forward_real)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer) {
  if (end <= tile->even) {
    fill_buffer(tile, 1, in, end, buffer);
    even_forward(tile, 1, tile->odd / 2, buffer, 0, out);
  } else {
    odd_forward(tile, TILE_real_odd, in, end, buffer);
    even_forward(tile, 1, tile->odd / 2, buffer, tile->even * 2 * L, out);
  }
}

void NAME(forward_complex)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer) {
  if (end <= tile->even) {
    fill_buffer(tile, 0, in, end, buffer);
    even_forward(tile, 0, tile->odd - 1, buffer, 0, out);
  } else {
    odd_forward(tile, TILE_complex_odd, in, end, buffer);
    even_forward(tile, 0, tile->odd - 1, buffer, tile->even * 2 * L, out);
  }
}

static void even_inverse(const tare_tile *tile, int rows, tile_line in, float *buffer) {
  const int even = tile->even;
  NAME(codelets)[TILE_complex_even_inverse][even][even](in.re, in.im, buffer, buffer + L, tile->twiddles, in.step, 2 * L, even * in.step,
                                                        even * 2 * L, 0, rows);
}

static void odd_inverse(const tare_tile *tile, tile_family family, const float *buffer, int end, tile_line out) {
  const int even = tile->even;
  const share live = share_of(end, even);
  for (int part = 0; part < 2; part++) {
    const int first = part ? live.split : 0, count = (part ? even : live.split) - first;
    if (count && live.more > part)
      NAME(codelets)[family][tile->odd][live.more - part](buffer + first * 2 * L, buffer, out.re + first * out.step, out.im + first * out.step,
        twiddles_inverse(tile) + first * 2 * (tile->odd - 1), even * 2 * L, even * out.step, 2 * L, out.step, 2 * (tile->odd - 1), count);
  }
}

void NAME(inverse_real)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer) {
  const int even = tile->even;
  NAME(codelets)[TILE_hermitian_even][even][even](in.re, in.im, buffer, buffer + L, tile->twiddles, in.step, 2 * L, 0, 0, 0, 1);
  even_inverse(tile, tile->odd / 2, tile_line_at(in, even / 2 + 1), buffer + even * 2 * L);
  odd_inverse(tile, TILE_hermitian_odd_twiddled, buffer, end, out);
}

void NAME(inverse_complex)(const tare_tile *tile, tile_line in, int end, tile_line out, float *buffer) {
  even_inverse(tile, tile->odd, in, buffer);
  odd_inverse(tile, TILE_complex_odd_twiddled, buffer, end, out);
}
