/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolutions, and those of few input channels: a tile's spectrum is made, multiplied and transformed back while it is in the
 * cache. Of few channels the images' spectra come first, tiles side by side in the lanes: one lane of them multiplies
 * all outputs' lanes of the filters.
 */
#include <string.h>

#include "conv/fft.h"

/* A worker's memory: for the transforms, then three spectra. */
typedef struct room { float *transform, *a, *b, *c; } room;

static room room_of(const tare_fft_call *c, int worker) {
  const tare_fft *f = c->fft;
  float *scratch = c->scratch + f->scratch * (size_t)worker, *a = scratch + tare_fft_transform_scratch(f);
  return (room){scratch, a, a + f->x_stride, a + 2 * f->x_stride};
}

static int is_few(const tare_fft *f) { return f->shape.mode == TARE_FFT_FEW; }
static size_t lanes_of(const tare_fft *f) { return (size_t)f->shape.lanes; }

/* Vectors of tiles that the images' spectra of a chunk fill. */
static size_t tile_groups(const tare_fft_call *c) {
  return (size_t)tare_fft_blocks(&c->fft->shape, c->images * c->fft->shape.tiles);
}

/* The padded channels whose means are kept for a tile. */
static size_t mean_channels(const tare_fft *f) {
  return tare_fft_padded(&f->shape, f->shape.inputs);
}

/* Few channels: one channel of a vector of tiles. */
static void spread_images(void *user, int job, int worker) {
  const tare_fft_call *c = user;
  const tare_fft *f = c->fft;
  int groups = (int)tile_groups(c), channel = job / groups, first = job % groups * f->shape.lanes, all = c->images * f->shape.tiles;
  tare_tile_source from[16] = {{0}};
  for (int l = 0; l < f->shape.lanes && first + l < all; l++) {
    int tile = first + l;
    from[l] = tare_fft_image_tile(c, tile / f->shape.tiles, tile % f->shape.tiles, channel, 1);
    if (f->means) from[l].mean = c->means + (size_t)tile * mean_channels(f) + (size_t)channel;
  }
  f->kernels->forward_each(f->tile, from, c->x + (size_t)job * f->x_stride, 2 * lanes_of(f), lanes_of(f), room_of(c, worker).transform);
}

/* One lane of the images' spectra: a tile's, of channel 0. */
static const float *spread_at(const tare_fft_call *c, int tile) {
  size_t lanes = lanes_of(c->fft);
  return c->x + (size_t)tile / lanes * c->fft->x_stride + (size_t)tile % lanes;
}

static const float *filter_at(const tare_fft *f, const void *spectra, int block) {
  return (const float *)spectra + (size_t)block * (size_t)tare_fft_slices(&f->shape) * f->x_stride;
}

/* Depthwise: the spectrum of a block of channels of a tile, from what is kept, or made there or at `own`. */
static const float *image_spectrum(const tare_fft_call *c, int tile, int block, float *own, float *scratch, int is_there) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  float *spectrum = c->x ? c->x + (size_t)(tile * s->in_blocks + block) * f->x_stride : own;
  if (is_there) return spectrum;
  tare_tile_source from =
    tare_fft_image_tile(c, tile / s->tiles, tile % s->tiles, block * s->lanes, tare_fft_lanes_of(f, s->inputs, block));
  if (f->means) from.mean = c->means + (size_t)tile * mean_channels(f) + (size_t)(block * s->lanes);
  f->kernels->forward(f->tile, &from, spectrum, 2 * lanes_of(f), lanes_of(f), scratch);
  return spectrum;
}

/* The bias, and the brightness taken off times the filters' sums, into frequency 0 of a tile's output. */
static void add_constants(const tare_fft_call *c, int tile, int block, float *y) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  const float *bias = c->call->bias, *means = c->means + (size_t)tile * mean_channels(f);
  const double *sums = (const double *)c->call->prepared + tare_fft_sums_at(f) / 2;
  int first = block * s->lanes, lanes = tare_fft_lanes_of(f, s->outputs, block);
  for (int l = 0; l < lanes; l++) {
    double sum = bias ? (double)bias[first + l] : 0;
    if (f->means && !is_few(f)) sum += (double)means[first + l] * sums[first + l];
    for (int i = 0; f->means && is_few(f) && i < s->inputs; i++)
      sum += (double)means[i] * sums[(size_t)i * (size_t)(s->out_blocks * s->lanes) + (size_t)(first + l)];
    y[l] += (float)sum;
  }
}

/* One block of channels of one tile's output. */
static void output(void *user, int job, int worker) {
  const tare_fft_call *c = user;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int all = c->images * s->tiles, block = job / all, tile = job % all;
  room r = room_of(c, worker);
  const float *w = filter_at(f, c->call->prepared, block);
  if (is_few(f)) f->kernels->spread((size_t)s->frequencies, s->inputs, spread_at(c, tile), tile_groups(c) * f->x_stride, w, f->x_stride, r.b);
  else f->kernels->multiply((size_t)s->frequencies, 1, image_spectrum(c, tile, block, r.a, r.transform, 0), w, r.b);
  if (c->call->bias || f->means) add_constants(c, tile, block, r.b);
  tare_tile_target to =
    tare_fft_output_tile(c, tile / s->tiles, tile % s->tiles, block * s->lanes, tare_fft_lanes_of(f, s->outputs, block));
  f->kernels->inverse(f->tile, r.b, 2 * lanes_of(f), lanes_of(f), &to, r.transform);
}

/* The gradient's part that brightness makes, in frequency 0. */
static void add_brightness(const tare_fft_call *c, int tile, int block, const float *dy, float *sums) {
  const tare_fft *f = c->fft;
  const float *means = c->means + (size_t)tile * mean_channels(f);
  float scale = (float)(f->shape.size * f->shape.size);
  for (int i = 0; i < tare_fft_slices(&f->shape); i++, sums += f->x_stride)
    for (int l = 0; l < f->shape.lanes; l++) sums[l] += means[is_few(f) ? i : block * f->shape.lanes + l] * dy[l] * scale;
}

static void add_weights(const tare_fft_call *c, int tile, int block, const room *r, float *sums) {
  const tare_fft *f = c->fft;
  size_t n = (size_t)f->shape.frequencies;
  if (is_few(f))
    for (int i = 0; i < f->shape.inputs; i++)
      f->kernels->spread_add(n, spread_at(c, tile) + (size_t)i * tile_groups(c) * f->x_stride, r->a, sums + (size_t)i * f->x_stride);
  else f->kernels->multiply_add(n, image_spectrum(c, tile, block, r->b, r->transform, tare_fft_is_kept(c)), r->a, sums);
  if (f->means && !(c->ready->query.flags & (TARE_CONV_MODULO_SLICE | TARE_CONV_MODULO_FILTER))) add_brightness(c, tile, block, r->a, sums);
}

/* Backward of one tile and block: the gradient's spectrum, then what is wanted of it. */
static void backward_tile(const tare_fft_call *c, int tile, int block, const room *r, float *sums) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int image = tile / s->tiles, of_image = tile % s->tiles, lanes = tare_fft_lanes_of(f, s->outputs, block);
  tare_tile_source from = tare_fft_gradient_tile(c, image, of_image, block * s->lanes, lanes);
  f->kernels->forward(f->tile, &from, r->a, 2 * lanes_of(f), lanes_of(f), r->transform);
  if (sums) add_weights(c, tile, block, r, sums);
  if (!(c->passes & TARE_BACKWARD_DATA)) return;
  f->kernels->multiply((size_t)s->frequencies, 0, r->a, filter_at(f, c->call->prepared, block), r->c);
  tare_tile_target to = tare_fft_input_tile(c, image, of_image, block * s->lanes, lanes);
  f->kernels->inverse(f->tile, r->c, 2 * lanes_of(f), lanes_of(f), &to, r->transform);
}

/* A segment of the batch's tiles (whole images but for few channels) and a block: tiles in order, those of this chunk. */
static void backward_segment(void *user, int job, int worker) {
  const tare_fft_call *c = user;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int block = job % s->out_blocks, segment = job / s->out_blocks, unit = is_few(f) ? 1 : s->tiles, segments = f->segments;
  int64_t units = (int64_t)c->ready->query.problem.batch * s->tiles / unit, first = units * segment / segments * unit,
          end = units * (segment + 1) / segments * unit, chunk = (int64_t)c->first * s->tiles;
  float *sums = NULL;
  if (c->passes & TARE_BACKWARD_WEIGHTS) {
    sums = c->sums + (size_t)segment * f->w_size[0] + (size_t)(filter_at(f, c->sums, block) - c->sums);
    if (c->first == 0) memset(sums, 0, (size_t)tare_fft_slices(s) * f->x_stride * sizeof *sums);
  }
  room r = room_of(c, worker);
  if (first < chunk) first = chunk;
  if (end > chunk + (int64_t)c->images * s->tiles) end = chunk + (int64_t)c->images * s->tiles;
  for (int64_t tile = first; tile < end; tile++) backward_tile(c, (int)(tile - chunk), block, &r, sums);
}

/* The segments' sums of one filter block, in order. */
static void add_segments(void *user, int job, int worker) {
  (void)worker;
  const tare_fft_call *c = user;
  const tare_fft *f = c->fft;
  const tare_kernels *k = c->ready->kernels;
  float *to = (float *)c->call->partial + (size_t)job * f->x_stride;
  const float *from = c->sums + (size_t)job * f->x_stride;
  memcpy(to, from, f->x_stride * sizeof *to);
  for (int i = 1; i < f->segments; i++) k->add(f->x_stride, from + (size_t)i * f->w_size[0], to);
}

void tare_fft_point(const tare_fft_call *c) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  tare_pool *pool = c->call->pool;
  void *user = (void *)(size_t)c;
  int forward = c->passes & TARE_FORWARD, weights = c->passes & TARE_BACKWARD_WEIGHTS;
  if (forward || (weights && !tare_fft_is_kept(c))) {
    if (f->means) tare_fft_find_means(c);
    if (is_few(f)) tare_conv_each(pool, s->inputs * (int)tile_groups(c), spread_images, user);
  }
  if (forward) {
    tare_conv_each(pool, s->out_blocks * c->images * s->tiles, output, user);
    return;
  }
  if (c->passes & TARE_BACKWARD_DATA) tare_fft_clear_gradient(c);
  tare_conv_each(pool, f->segments * s->out_blocks, backward_segment, user);
  if (weights && c->first + c->images == c->ready->query.problem.batch)
    tare_conv_each(pool, (int)(f->w_size[0] / f->x_stride), add_segments, user);
}
