/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense convolutions. Only half-transformed tiles (rows done) stand in memory, column by column. A job takes one column: it transforms
 * the column of all tiles and filters, multiplies, a complex matrix product a frequency, and transforms the column
 * back, all in its core's cache. Y = X conj(W), dX = dY W, dW = the sum over tiles of conj(dY) X.
 */
#include "conv/fft.h"

enum { LINE = 16 };  /* floats of a cache line */
enum { AHEAD = 1 };  /* tiles or filters that are fetched ahead of the one at hand */

/* A chunk's half-transformed images and outputs, or the outputs' gradients and, column by column in their place, the images'. */
typedef struct stage { const tare_fft_call *c; float *x, *y; } stage;

static int all_tiles(const tare_fft_call *c) { return c->images * c->fft->shape.tiles; }

/* Where a tile's block of lanes begins in a column: [group][tile][block][row][re, im][lane], `floats` a tile. */
static size_t place(const tare_fft_call *c, int group, int tile, size_t floats, int block, int rows) {
  return (size_t)(group * all_tiles(c) + tile) * floats + (size_t)block * (size_t)rows * 2 * (size_t)c->fft->shape.lanes;
}

static size_t place_x(const tare_fft_call *c, int group, int tile, int block) {
  return place(c, group, tile, c->fft->x_tile, block, c->fft->x_rows);
}
static size_t place_y(const tare_fft_call *c, int group, int tile, int block) {
  return place(c, group, tile, c->fft->y_tile, block, c->fft->y_rows);
}
static size_t place_dx(const tare_fft_call *c, int group, int tile, int block) {
  return place(c, group, tile, c->fft->y_tile, block, c->fft->x_rows);
}

/* A filter's: [group][outer channel][block of inner channels][row][re, im][lane]. */
static size_t place_w(const tare_fft *f, int group, int outers, int outer, int blocks, int block) {
  return ((size_t)(group * outers + outer) * (size_t)blocks + (size_t)block) * (size_t)f->shape.axes[0].kernel * 2 * (size_t)f->shape.lanes;
}

static tare_fft_span rows_of(const tare_fft *f, int tile) {
  return tare_fft_span_of(&f->shape.axes[0], f->shape.size, tile % f->shape.tiles / f->shape.axes[1].tiles);
}

/* Jobs over tiles x groups x blocks of lanes. */
typedef struct unit { int tile, image, of_image, group, block, channel, lanes; } unit;

static unit unit_of(const tare_fft *f, int job, int blocks, int channels) {
  const tare_fft_shape *s = &f->shape;
  unit u = {.tile = job / (s->groups * blocks), .group = job / blocks % s->groups, .block = job % blocks};
  u.image = u.tile / s->tiles;
  u.of_image = u.tile % s->tiles;
  u.channel = u.group * channels + u.block * s->lanes;
  u.lanes = tare_fft_lanes_of(f, channels, u.block);
  return u;
}

static float *scratch_of(const tare_fft_call *c, int worker) { return c->scratch + c->fft->scratch * (size_t)worker; }

static void image_rows(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  unit u = unit_of(f, job, f->shape.in_blocks, f->shape.inputs);
  tare_tile_source from = tare_fft_image_tile(c, u.image, u.of_image, u.channel, u.lanes);
  if (f->means)
    from.mean = c->means + (size_t)(u.tile * f->shape.groups + u.group) * tare_fft_padded(&f->shape, f->shape.inputs) + u.block * f->shape.lanes;
  f->kernels->forward_rows(f->tile, &from, w->x + place_x(c, u.group, u.tile, u.block), f->x_stride, scratch_of(c, worker));
}

static void gradient_rows(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  unit u = unit_of(f, job, f->shape.out_blocks, f->shape.outputs);
  tare_tile_source from = tare_fft_gradient_tile(c, u.image, u.of_image, u.channel, u.lanes);
  f->kernels->forward_rows(f->tile, &from, w->y + place_y(c, u.group, u.tile, u.block), f->y_stride, scratch_of(c, worker));
}

static void output_rows(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  unit u = unit_of(f, job, f->shape.out_blocks, f->shape.outputs);
  tare_tile_target to = tare_fft_output_tile(c, u.image, u.of_image, u.channel, u.lanes);
  f->kernels->inverse_rows(f->tile, w->y + place_y(c, u.group, u.tile, u.block), f->y_stride, &to, scratch_of(c, worker));
}

/* The tiles of an image overlap: one job does them all, one after the other. */
static void image_gradient_rows(void *user, int job, int worker) {
  const stage *w = user;
  const tare_fft_call *c = w->c;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int block = job % s->in_blocks, group = job / s->in_blocks % s->groups, image = job / s->in_blocks / s->groups;
  for (int i = 0; i < s->tiles; i++) {
    tare_tile_target to =
      tare_fft_input_tile(c, image, i, group * s->inputs + block * s->lanes, tare_fft_lanes_of(f, s->inputs, block));
    f->kernels->inverse_rows(f->tile, w->y + place_dx(c, group, image * s->tiles + i, block), f->y_stride, &to, scratch_of(c, worker));
  }
}

/* One column of the images, outputs or images' gradients: half-transformed in memory, and its spectra in a worker's. */
typedef struct side {
  float *half;      /* of the whole chunk */
  size_t tile;      /* floats from a tile to the next */
  int rows, blocks; /* of a tile: rows there is room for, vectors of channels */
  int image;        /* of an image, not of an output */
  float *spectra;   /* [frequency][tile][re of all lanes, im] */
  size_t pitch;     /* from a frequency to the next */
  size_t padded;    /* channels */
} side;

typedef struct column {
  const stage *w;
  int column, group, frequencies;
  int first, tiles; /* the batch of tiles at hand */
  side x, y, dx;
  size_t ws;        /* filters: from a frequency to the next */
  float *scratch, *filters, *gradients;
} column;

static side side_of(const tare_fft *f, int image, float *half, size_t tile, float *spectra) {
  const tare_fft_shape *s = &f->shape;
  side a = {.image = image, .half = half, .tile = tile, .rows = image ? f->x_rows : f->y_rows, .blocks = image ? s->in_blocks : s->out_blocks,
            .spectra = spectra};
  a.padded = tare_fft_padded(s, image ? s->inputs : s->outputs);
  a.pitch = tare_fft_pitch(2 * (size_t)f->batch * a.padded);
  return a;
}

static column column_of(const stage *w, int job, int worker) {
  const tare_fft *f = w->c->fft;
  const tare_fft_shape *s = &f->shape;
  column k = {.w = w, .column = job / s->groups, .group = job % s->groups, .scratch = scratch_of(w->c, worker)};
  size_t size = (size_t)s->size;
  int forward = w->c->passes & TARE_FORWARD;
  k.frequencies = tile_column_frequencies(f->tile, k.column);
  float *x = w->x ? w->x + (size_t)k.column * f->x_stride : NULL, *y = w->y + (size_t)k.column * f->y_stride;
  k.x = side_of(f, 1, x, f->x_tile, k.scratch + tare_fft_transform_scratch(f));
  k.y = side_of(f, 0, y, f->y_tile, k.x.spectra + size * k.x.pitch);
  k.dx = side_of(f, 1, y, f->y_tile, k.y.spectra + size * k.y.pitch);
  k.ws = tare_fft_pitch(2 * (size_t)(forward ? s->inputs : s->outputs) * (forward ? k.y.padded : k.x.padded));
  k.filters = k.dx.spectra + (forward ? 0 : size * k.dx.pitch);
  k.gradients = k.filters + size * k.ws;
  return k;
}

/* A half-transformed tile's column is read in strides, too fast for the hardware to guess: the next one is fetched meanwhile. */
static void fetch(const float *at, int rows, int lanes) {
  for (int i = 0; i < rows * 2 * lanes; i += LINE) __builtin_prefetch(at + i);
}

static void filters_column(const column *k, const float *half, size_t pitch, int outers, int blocks) {
  const tare_fft *f = k->w->c->fft;
  int rows = f->shape.axes[0].kernel, lanes = f->shape.lanes;
  size_t all = (size_t)(blocks * lanes);
  half += (size_t)k->column * pitch;
  for (int outer = 0; outer < outers; outer++)
    for (int b = 0; b < blocks; b++) {
      const float *from = half + place_w(f, k->group, outers, outer, blocks, b);
      fetch(from + (size_t)(AHEAD * rows * 2 * lanes), rows, lanes);
      f->kernels->forward_column(f->tile, k->column, from, rows, k->filters + (size_t)outer * 2 * all + (size_t)(b * lanes), k->ws, all,
                                 k->scratch);
    }
}

/* Every block of every tile of the batch: its half-transformed column, the rows of it that count, and where its spectrum stands. */
typedef void each_block(const column *k, const side *s, float *half, int end, float *spectrum);

static void each(const column *k, const side *s, each_block *run) {
  const tare_fft *f = k->w->c->fft;
  const size_t block = 2 * (size_t)s->rows * (size_t)f->shape.lanes;
  for (int t = 0; t < k->tiles; t++) {
    tare_fft_span span = rows_of(f, k->first + t);
    float *tile = s->half + place(k->w->c, k->group, k->first + t, s->tile, 0, s->rows);
    for (int b = 0; b < s->blocks; b++) {
      float *half = tile + (size_t)b * block;
      fetch(b + 1 < s->blocks ? half + block : tile + s->tile, s->rows, f->shape.lanes);
      run(k, s, half, s->image ? span.end : span.outputs, s->spectra + (size_t)t * 2 * s->padded + (size_t)(b * f->shape.lanes));
    }
  }
}

static void transform(const column *k, const side *s, float *half, int end, float *spectrum) {
  const tare_fft *f = k->w->c->fft;
  f->kernels->forward_column(f->tile, k->column, half, end, spectrum, s->pitch, s->padded, k->scratch);
}

static void transform_back(const column *k, const side *s, float *half, int end, float *spectrum) {
  const tare_fft *f = k->w->c->fft;
  f->kernels->inverse_column(f->tile, k->column, spectrum, s->pitch, s->padded, end, half, k->scratch);
}

/* The filters' gradients of the column: written, or added to those of the chunks before. */
static void filters_back(const column *k) {
  const tare_fft_call *c = k->w->c;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  int rows = s->axes[0].kernel;
  size_t size = (size_t)(rows * 2 * s->lanes);
  float *half = (float *)c->call->partial + (size_t)k->column * f->w_stride[1];
  for (int o = 0; o < s->outputs; o++)
    for (int b = 0; b < s->in_blocks; b++) {
      float *to = half + place_w(f, k->group, s->outputs, o, s->in_blocks, b), *at = c->first ? k->x.spectra : to;
      fetch(to + AHEAD * size, rows, s->lanes);
      f->kernels->inverse_column(f->tile, k->column, k->gradients + (size_t)o * 2 * k->x.padded + (size_t)(b * s->lanes), k->ws,
                                 k->x.padded, rows, at,
                                 k->scratch);
      if (c->first) c->ready->kernels->add(size, at, to);
    }
}

/* What every pixel of a tile's output gets is added to frequency 0: the bias, and the brightness taken off times the filter's sum. */
static void add_constants(const column *k) {
  const tare_fft_call *c = k->w->c;
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  const float *bias = c->call->bias;
  const double *sums = (const double *)c->call->prepared + tare_fft_sums_at(f) / 2 + (size_t)(k->group * s->inputs) * k->y.padded;
  for (int t = 0; t < k->tiles; t++) {
    const float *means = c->means + (size_t)((k->first + t) * s->groups + k->group) * k->x.padded;
    for (int o = 0; o < s->outputs; o++) {
      double sum = bias ? (double)bias[k->group * s->outputs + o] : 0;
      for (int i = 0; f->means && i < s->inputs; i++) sum += (double)means[i] * sums[(size_t)i * k->y.padded + (size_t)o];
      k->y.spectra[(size_t)t * 2 * k->y.padded + (size_t)o] += (float)sum;
    }
  }
}

/* The gradient's part that brightness makes: the same for every tap, hence in frequency 0, T*T times. */
static void add_brightness(const column *k) {
  const tare_fft_call *c = k->w->c;
  const tare_fft_shape *s = &c->fft->shape;
  double scale = (double)s->size * s->size;
  for (int o = 0; o < s->outputs; o++)
    for (int i = 0; i < s->inputs; i++) {
      double sum = 0;
      for (int t = 0; t < k->tiles; t++)
        sum += (double)c->means[(size_t)((k->first + t) * s->groups + k->group) * k->x.padded + (size_t)i] *
               (double)k->y.spectra[(size_t)t * 2 * k->y.padded + (size_t)o];
      k->gradients[(size_t)o * 2 * k->x.padded + (size_t)i] += (float)(sum * scale);
    }
}

static void forward_products(const column *k) {
  const tare_fft *f = k->w->c->fft;
  ptrdiff_t in = (ptrdiff_t)k->x.padded, out = (ptrdiff_t)k->y.padded;
  tare_tile_product p = {.kind = TARE_A_CONJUGATE_B, .rows = k->tiles, .vectors = f->shape.out_blocks, .terms = f->shape.inputs,
                         .a_row = 2 * in, .a_term = 1, .a_imaginary = in, .b_term = 2 * out, .b_imaginary = out, .d_row = 2 * out,
                         .d_imaginary = out};
  for (size_t i = 0; i < (size_t)k->frequencies; i++)
    f->kernels->matrix(&p, k->x.spectra + i * k->x.pitch, k->filters + i * k->ws, k->y.spectra + i * k->y.pitch);
  if (k->column == 0 && (k->w->c->call->bias || f->means)) add_constants(k);
}

static void data_products(const column *k) {
  const tare_fft *f = k->w->c->fft;
  ptrdiff_t in = (ptrdiff_t)k->x.padded, out = (ptrdiff_t)k->y.padded;
  tare_tile_product p = {.kind = TARE_A_B, .rows = k->tiles, .vectors = f->shape.in_blocks, .terms = f->shape.outputs, .a_row = 2 * out,
                         .a_term = 1, .a_imaginary = out, .b_term = 2 * in, .b_imaginary = in, .d_row = 2 * in, .d_imaginary = in};
  for (size_t i = 0; i < (size_t)k->frequencies; i++)
    f->kernels->matrix(&p, k->y.spectra + i * k->y.pitch, k->filters + i * k->ws, k->dx.spectra + i * k->dx.pitch);
}

static void weight_products(const column *k) {
  const tare_fft_call *c = k->w->c;
  const tare_fft *f = c->fft;
  ptrdiff_t in = (ptrdiff_t)k->x.padded, out = (ptrdiff_t)k->y.padded;
  tare_tile_product p = {.kind = TARE_CONJUGATE_A_B, .rows = f->shape.outputs, .vectors = f->shape.in_blocks, .terms = k->tiles,
                         .add = k->first > 0, .a_row = 1, .a_term = 2 * out, .a_imaginary = out, .b_term = 2 * in, .b_imaginary = in,
                         .d_row = 2 * in, .d_imaginary = in};
  for (size_t i = 0; i < (size_t)k->frequencies; i++)
    f->kernels->matrix(&p, k->y.spectra + i * k->y.pitch, k->x.spectra + i * k->x.pitch, k->gradients + i * k->ws);
  if (k->column == 0 && f->means && !(c->ready->query.flags & (TARE_CONV_MODULO_SLICE | TARE_CONV_MODULO_FILTER))) add_brightness(k);
}

/* The next batch of tiles; 0 when there is none. */
static int next_batch(column *k) {
  int all = all_tiles(k->w->c);
  k->first += k->tiles;
  k->tiles = all - k->first < k->w->c->fft->batch ? all - k->first : k->w->c->fft->batch;
  return k->tiles > 0;
}

static void forward_column(void *user, int job, int worker) {
  column k = column_of(user, job, worker);
  const tare_fft *f = k.w->c->fft;
  filters_column(&k, k.w->c->call->prepared, f->w_stride[0], f->shape.inputs, f->shape.out_blocks);
  while (next_batch(&k)) {
    each(&k, &k.x, transform);
    forward_products(&k);
    each(&k, &k.y, transform_back);
  }
}

static void backward_column(void *user, int job, int worker) {
  column k = column_of(user, job, worker);
  const tare_fft_call *c = k.w->c;
  const tare_fft *f = c->fft;
  int data = c->passes & TARE_BACKWARD_DATA, weights = c->passes & TARE_BACKWARD_WEIGHTS;
  if (data)
    filters_column(&k, (const float *)c->call->prepared + tare_fft_backward_at(f), f->w_stride[1], f->shape.outputs, f->shape.in_blocks);
  while (next_batch(&k)) {
    each(&k, &k.y, transform);
    if (weights) {
      each(&k, &k.x, transform);
      weight_products(&k);
    }
    if (data) {
      data_products(&k);
      each(&k, &k.dx, transform_back);
    }
  }
  if (weights) filters_back(&k);
}

void tare_fft_dense(const tare_fft_call *c) {
  const tare_fft *f = c->fft;
  const tare_fft_shape *s = &f->shape;
  tare_pool *pool = c->call->pool;
  int tiles = all_tiles(c) * s->groups, columns = (s->size / 2 + 1) * s->groups, forward = c->passes & TARE_FORWARD;
  stage w = {.c = c, .x = c->x, .y = c->work};
  if (c->passes != TARE_BACKWARD_DATA && (forward || !tare_fft_is_kept(c))) {
    if (f->means) tare_fft_find_means(c);
    tare_conv_each(pool, tiles * s->in_blocks, image_rows, &w);
  }
  if (!forward) tare_conv_each(pool, tiles * s->out_blocks, gradient_rows, &w);
  tare_conv_each(pool, columns, forward ? forward_column : backward_column, &w);
  if (forward) tare_conv_each(pool, tiles * s->out_blocks, output_rows, &w);
  if (c->passes & TARE_BACKWARD_DATA) {
    tare_fft_clear_gradient(c);
    tare_conv_each(pool, c->images * s->groups * s->in_blocks, image_gradient_rows, &w);
  }
}
