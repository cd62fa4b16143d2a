/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense convolutions: the spectra of a chunk stand by frequency, [frequency][group][tile][re of all channels, im], so that each frequency is a
 * complex matrix product. Y = X conj(W), dX = dY W, dW = the sum over tiles of conj(dY) X.
 */
#include "conv/fft.h"

enum { FREQUENCIES = 16 }; /* of a job of products */

/* One stage of a chunk: transforms of the images (lanes are inputs) or of the outputs (lanes are outputs). */
typedef struct stage {
  const tare_fft_call *c;
  float *spectra, *y, *dy, *dx;
} stage;

static size_t padded(const tare_fft_shape *s, int blocks) { return (size_t)blocks * (size_t)s->lanes; }

/* Where a tile's lanes begin among the spectra of a frequency. */
static size_t place(const tare_fft_call *c, int group, int tile, int blocks, int block) {
  const tare_fft_shape *s = &c->fft->shape;
  return (size_t)(group * c->images * s->tiles + tile) * 2 * padded(s, blocks) + (size_t)(block * s->lanes);
}

typedef struct unit { int tile, image, group, block; } unit; /* tile: of the image */

/* Jobs over tiles x groups x blocks of lanes. */
static unit unit_of(const tare_fft_shape *s, int job, int blocks) {
  int tile = job / (s->groups * blocks);
  return (unit){tile % s->tiles, tile / s->tiles, job / blocks % s->groups, job % blocks};
}

static void image_to_spectrum(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  unit u = unit_of(&f->shape, job, f->shape.in_blocks);
  int tile = u.image * f->shape.tiles + u.tile;
  tare_tile_source from = tare_fft_image_tile(c, u.image, u.tile, u.group * f->shape.inputs + u.block * f->shape.lanes,
                                              tare_fft_lanes_of(f, f->shape.inputs, u.block));
  if (f->means)
    from.mean = c->means + (size_t)(tile * f->shape.groups + u.group) * padded(&f->shape, f->shape.in_blocks) + u.block * f->shape.lanes;
  f->kernels->forward(f->tile, &from, w->spectra + place(c, u.group, tile, f->shape.in_blocks, u.block), f->x_stride,
                      padded(&f->shape, f->shape.in_blocks), c->scratch + f->scratch * (size_t)worker);
}

static void gradient_to_spectrum(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  unit u = unit_of(&f->shape, job, f->shape.out_blocks);
  int tile = u.image * f->shape.tiles + u.tile;
  tare_tile_source from = tare_fft_gradient_tile(c, u.image, u.tile, u.group * f->shape.outputs + u.block * f->shape.lanes,
                                                 tare_fft_lanes_of(f, f->shape.outputs, u.block));
  f->kernels->forward(f->tile, &from, w->dy + place(c, u.group, tile, f->shape.out_blocks, u.block), f->y_stride,
                      padded(&f->shape, f->shape.out_blocks), c->scratch + f->scratch * (size_t)worker);
}

static void spectrum_to_output(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  unit u = unit_of(&f->shape, job, f->shape.out_blocks);
  int tile = u.image * f->shape.tiles + u.tile;
  tare_tile_target to = tare_fft_output_tile(c, u.image, u.tile, u.group * f->shape.outputs + u.block * f->shape.lanes,
                                             tare_fft_lanes_of(f, f->shape.outputs, u.block));
  f->kernels->inverse(f->tile, w->y + place(c, u.group, tile, f->shape.out_blocks, u.block), f->y_stride,
                      padded(&f->shape, f->shape.out_blocks), &to, c->scratch + f->scratch * (size_t)worker);
}

/* The tiles of an image overlap: one job does them all, one after the other. */
static void spectra_to_images(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  int block = job % f->shape.in_blocks, group = job / f->shape.in_blocks % f->shape.groups, image = job / f->shape.in_blocks / f->shape.groups;
  for (int tile = 0; tile < f->shape.tiles; tile++) {
    tare_tile_target to = tare_fft_input_tile(c, image, tile, group * f->shape.inputs + block * f->shape.lanes,
                                              tare_fft_lanes_of(f, f->shape.inputs, block));
    f->kernels->inverse(f->tile, w->dx + place(c, group, image * f->shape.tiles + tile, f->shape.in_blocks, block), f->x_stride,
                        padded(&f->shape, f->shape.in_blocks), &to, c->scratch + f->scratch * (size_t)worker);
  }
}

/* What every pixel of a tile's output gets is added to frequency 0: the bias, and the brightness taken off times the filter's sum. */
static void add_constants(const tare_fft_call *c, int group, float *y) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  size_t in = padded(s, s->in_blocks), out = padded(s, s->out_blocks);
  const float *bias = c->call->bias;
  const double *sums = (const double *)c->call->prepared + (tare_fft_sums_at(f) / 2) + (size_t)(group * s->inputs) * out;
  for (int tile = 0; tile < c->images * s->tiles; tile++, y += 2 * out) {
    const float *means = c->means + (size_t)(tile * s->groups + group) * in;
    for (int o = 0; o < s->outputs; o++) {
      double sum = bias ? (double)bias[group * s->outputs + o] : 0;
      for (int i = 0; f->means && i < s->inputs; i++) sum += (double)means[i] * sums[(size_t)i * out + (size_t)o];
      y[o] += (float)sum;
    }
  }
}

/* The gradient's part that brightness makes: the same for every tap, hence in frequency 0, T*T times. */
static void add_brightness(const tare_fft_call *c, int group, const float *dy, float *dw) {
  const tare_fft_shape *s = &c->fft->shape;
  size_t in = padded(s, s->in_blocks), out = padded(s, s->out_blocks);
  double scale = (double)s->size * s->size;
  for (int o = 0; o < s->outputs; o++, dw += 2 * in)
    for (int i = 0; i < s->inputs; i++) {
      double sum = 0;
      for (int tile = 0; tile < c->images * s->tiles; tile++)
        sum += (double)c->means[(size_t)(tile * s->groups + group) * in + (size_t)i] * (double)dy[(size_t)tile * 2 * out + (size_t)o];
      dw[i] += (float)(sum * scale);
    }
}

static void products_of(const stage *w, int frequency, int group) {
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int tiles = c->images * s->tiles, flags = c->ready->query.flags;
  ptrdiff_t in = (ptrdiff_t)padded(s, s->in_blocks), out = (ptrdiff_t)padded(s, s->out_blocks);
  size_t at = (size_t)frequency;
  int next = frequency + 1 < s->frequencies;
  size_t x_at = at * f->x_stride + place(c, group, 0, s->in_blocks, 0);
  const float *prepared = c->call->prepared;
  if (c->passes & TARE_FORWARD) {
    float *y = w->y + at * f->y_stride + place(c, group, 0, s->out_blocks, 0);
    tare_tile_product p = {.kind = TARE_A_CONJUGATE_B, .rows = tiles, .vectors = s->out_blocks, .terms = s->inputs, .a_row = 2 * in,
                           .a_term = 1, .a_imaginary = in, .b_term = 2 * out, .b_imaginary = out, .d_row = 2 * out, .d_imaginary = out};
    const float *filters = prepared + at * f->w_stride[0] + (ptrdiff_t)group * s->inputs * 2 * out;
    if (next) {
      p.ahead[0] = (tare_tile_ahead){w->spectra + x_at + f->x_stride, (size_t)(tiles * 2 * in)};
      p.ahead[1] = (tare_tile_ahead){filters + f->w_stride[0], (size_t)(s->inputs * 2 * out)};
    }
    f->kernels->matrix(&p, w->spectra + x_at, filters, y);
    if (frequency == 0 && (c->call->bias || f->means)) add_constants(c, group, y);
    return;
  }
  const float *dy = w->dy + at * f->y_stride + place(c, group, 0, s->out_blocks, 0);
  if (c->passes & TARE_BACKWARD_DATA) {
    tare_tile_product p = {.kind = TARE_A_B, .rows = tiles, .vectors = s->in_blocks, .terms = s->outputs, .a_row = 2 * out,
                           .a_term = 1, .a_imaginary = out, .b_term = 2 * in, .b_imaginary = in, .d_row = 2 * in, .d_imaginary = in};
    const float *filters = prepared + tare_fft_backward_at(f) + at * f->w_stride[1] + (ptrdiff_t)group * s->outputs * 2 * in;
    if (next) {
      p.ahead[0] = (tare_tile_ahead){dy + f->y_stride, (size_t)(tiles * 2 * out)};
      p.ahead[1] = (tare_tile_ahead){filters + f->w_stride[1], (size_t)(s->outputs * 2 * in)};
    }
    f->kernels->matrix(&p, dy, filters, w->dx + x_at);
  }
  if (c->passes & TARE_BACKWARD_WEIGHTS) {
    float *dw = (float *)c->call->partial + at * f->w_stride[1] + (ptrdiff_t)group * s->outputs * 2 * in;
    tare_tile_product p = {.kind = TARE_CONJUGATE_A_B, .rows = s->outputs, .vectors = s->in_blocks, .terms = tiles, .add = c->first > 0,
                           .a_row = 1, .a_term = 2 * out, .a_imaginary = out, .b_term = 2 * in, .b_imaginary = in, .d_row = 2 * in,
                           .d_imaginary = in};
    if (next) p.ahead[0] = (tare_tile_ahead){w->spectra + x_at + f->x_stride, (size_t)(tiles * 2 * in)};
    f->kernels->matrix(&p, dy, w->spectra + x_at, dw);
    if (frequency == 0 && f->means && !(flags & (TARE_CONV_MODULO_SLICE | TARE_CONV_MODULO_FILTER))) add_brightness(c, group, dy, dw);
  }
}

static void products(void *user, int job, int worker) {
  (void)worker;
  const stage *w = user;
  const tare_fft_shape *s = &w->c->fft->shape;
  for (int i = job * FREQUENCIES; i < (job + 1) * FREQUENCIES && i < s->frequencies; i++)
    for (int g = 0; g < s->groups; g++) products_of(w, i, g);
}

void tare_fft_dense(const tare_fft_call *c) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  tare_pool *pool = c->call->pool;
  int tiles = c->images * s->tiles * s->groups, forward = c->passes & TARE_FORWARD;
  stage w = {.c = c, .spectra = c->x, .y = c->work, .dy = c->work, .dx = c->work + f->y_chunk};
  if (c->passes != TARE_BACKWARD_DATA && (forward || !tare_fft_is_kept(c))) {
    if (f->means) tare_fft_find_means(c);
    tare_conv_each(pool, tiles * s->in_blocks, image_to_spectrum, &w);
  }
  if (!forward) tare_conv_each(pool, tiles * s->out_blocks, gradient_to_spectrum, &w);
  tare_conv_each(pool, (s->frequencies + FREQUENCIES - 1) / FREQUENCIES, products, &w);
  if (forward) tare_conv_each(pool, tiles * s->out_blocks, spectrum_to_output, &w);
  if (c->passes & TARE_BACKWARD_DATA) {
    tare_fft_clear_gradient(c);
    tare_conv_each(pool, c->images * s->groups * s->in_blocks, spectra_to_images, &w);
  }
}
