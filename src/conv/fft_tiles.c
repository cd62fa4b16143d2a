/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tiles of images and outputs lie in memory, and the brightness of each. */
#include <string.h>

#include "conv/fft.h"

typedef struct place { tare_fft_span rows, columns; int row, column; } place; /* row, column: of the first output */

static place place_of(const tare_fft *f, int tile) {
  const tare_fft_axis *axes = f->shape.axes;
  int i = tile / axes[1].tiles, j = tile % axes[1].tiles;
  return (place){tare_fft_span_of(&axes[0], f->shape.size, i), tare_fft_span_of(&axes[1], f->shape.size, j), i * axes[0].step,
                 j * axes[1].step};
}

/* The pixel of the images where a tile's box begins. */
static size_t first_pixel(const tare_fft_call *c, int image, const place *at) {
  const tare_fft_axis *axes = c->fft->shape.axes;
  size_t row = (size_t)(at->row - axes[0].pad + at->rows.first), column = (size_t)(at->column - axes[1].pad + at->columns.first);
  return ((size_t)(c->first + image) * (size_t)axes[0].size + row) * (size_t)axes[1].size + column;
}

static size_t first_output(const tare_fft_call *c, int image, const place *at) {
  const tare_fft_axis *axes = c->fft->shape.axes;
  return ((size_t)(c->first + image) * (size_t)axes[0].out + (size_t)at->row) * (size_t)axes[1].out + (size_t)at->column;
}

tare_tile_source tare_fft_image_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes) {
  place at = place_of(c->fft, tile);
  ptrdiff_t channels = c->ready->query.problem.channels;
  return (tare_tile_source){
    .at = (const float *)c->call->x + first_pixel(c, image, &at) * (size_t)channels + channel, .row = c->fft->shape.axes[1].size * channels,
    .column = channels, .row0 = at.rows.first, .rows = at.rows.end - at.rows.first, .column0 = at.columns.first,
    .columns = at.columns.end - at.columns.first, .lanes = lanes};
}

tare_tile_target tare_fft_input_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes) {
  place at = place_of(c->fft, tile);
  ptrdiff_t channels = c->ready->query.problem.channels;
  return (tare_tile_target){
    .at = (float *)c->call->dx + first_pixel(c, image, &at) * (size_t)channels + channel, .row = c->fft->shape.axes[1].size * channels,
    .column = channels, .row0 = at.rows.first, .rows = at.rows.end - at.rows.first, .column0 = at.columns.first,
    .columns = at.columns.end - at.columns.first, .lanes = lanes, .add = c->fft->shape.tiles > 1};
}

tare_tile_source tare_fft_gradient_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes) {
  place at = place_of(c->fft, tile);
  ptrdiff_t outputs = c->ready->query.problem.outputs;
  return (tare_tile_source){.at = (const float *)c->call->dy + first_output(c, image, &at) * (size_t)outputs + channel,
                            .row = c->fft->shape.axes[1].out * outputs, .column = outputs, .rows = at.rows.outputs,
                            .columns = at.columns.outputs, .lanes = lanes};
}

tare_tile_target tare_fft_output_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes) {
  place at = place_of(c->fft, tile);
  ptrdiff_t outputs = c->ready->query.problem.outputs;
  return (tare_tile_target){.at = (float *)c->call->y + first_output(c, image, &at) * (size_t)outputs + channel,
                            .row = c->fft->shape.axes[1].out * outputs, .column = outputs, .rows = at.rows.outputs,
                            .columns = at.columns.outputs, .lanes = lanes};
}

/* Does every tap of every output of the tile lie on a pixel of the image? */
static int is_inside(const tare_fft *f, int tile) {
  place at = place_of(f, tile);
  const tare_fft_span *spans[2] = {&at.rows, &at.columns};
  for (int axis = 0; axis < 2; axis++)
    if (spans[axis]->first > 0 || spans[axis]->end < spans[axis]->outputs + f->shape.axes[axis].kernel - 1) return 0;
  return 1;
}

/* One mean for all channels of a group. */
static void level_channels(const tare_fft_shape *s, float *means) {
  float sum = 0;
  for (int i = 0; i < s->inputs; i++) sum += means[i];
  for (int i = 0; i < s->inputs; i++) means[i] = sum / (float)s->inputs;
}

static void find_mean(void *user, int job, int worker) {
  (void)worker;
  const tare_fft_call *c = user;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int image = job / s->tiles, tile = job % s->tiles, blocks = tare_fft_blocks(s, s->inputs);
  size_t padded = tare_fft_padded(s, s->inputs);
  float *means = c->means + (size_t)job * (size_t)s->groups * padded;
  memset(means, 0, (size_t)s->groups * padded * sizeof *means);
  if (!is_inside(f, tile)) return;
  for (int g = 0; g < s->groups; g++, means += padded) {
    for (int b = 0; b < blocks; b++) {
      tare_tile_source from =
        tare_fft_image_tile(c, image, tile, g * s->inputs + b * s->lanes, tare_fft_lanes_of(f, s->inputs, b));
      f->kernels->mean(&from, means + b * s->lanes);
    }
    if (c->ready->query.flags & TARE_CONV_MODULO_FILTER) level_channels(s, means);
  }
}

void tare_fft_find_means(const tare_fft_call *c) {
  tare_conv_each(c->call->pool, c->images * c->fft->shape.tiles, find_mean, (void *)(size_t)c);
}

static void clear_image(void *user, int job, int worker) {
  (void)worker;
  const tare_fft_call *c = user;
  size_t image = tare_conv_image_size(&c->ready->query.problem);
  memset((float *)c->call->dx + (size_t)(c->first + job) * image, 0, image * sizeof(float));
}

void tare_fft_clear_gradient(const tare_fft_call *c) {
  if (c->fft->shape.tiles > 1) tare_conv_each(c->call->pool, c->images, clear_image, (void *)(size_t)c);
}

int tare_fft_is_kept(const tare_fft_call *c) { return c->call->kept && c->ready->kept; }
