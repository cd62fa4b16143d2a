/* SPDX-License-Identifier: Apache-2.0 */
/* Which tiles, which lanes, which mode: every combination's cycles are estimated, and the cheapest is taken. */
#include "conv/fft.h"

/*
 * Cycles of a unit of each kind of work on each kind of core; of the vectors read and written, of each of their lanes. Least-squares fits to the
 * times of 3,600 passes with 16 and 8 lanes, and of 1,400 with 8 (doc/conv.md): errors of 14 %.
 */
typedef struct cost { tare_fft_work work; double halves; } cost; /* halves: vectors of half a cache line that lie apart, in units of those beyond */
static const cost costs[TARE_CORES] = {
  [TARE_CORE_AVX512] = {{.transforms = 0.5, .products = 0.59, .near = 0.082, .far = 0.105, .beyond = 0.42, .spectra = 0.18, .pixels = 0.25,
                         .ragged = 5.2, .filters = 1.48, .tiles = 720}, 1},
  [TARE_CORE_OLDER] = {{.transforms = 0.7, .products = 0.67, .near = 0.108, .far = 0.136, .beyond = 0.615, .spectra = 0.238, .pixels = 0.326,
                        .ragged = 6.8, .filters = 1.96, .tiles = 880}, 3},
};
enum { FEW_CHANNELS = 4, L2_FLOATS = 1 << 17, LINE = 16 }; /* floats of a cache, of a line of it */

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }
static int ceiling(int a, int b) { return (a + b - 1) / b; }

/*
 * One tile for the whole axis if its pixels and the border before them fit: what wraps around then reads the zeros of that border.
 * Else each tile makes the outputs whose taps all lie inside of it.
 */
static int make_axis(const tare_conv_problem *p, int i, int size, tare_fft_axis *a) {
  *a = (tare_fft_axis){.size = p->size[i], .pad = p->pad[i], .kernel = p->kernel[i], .out = tare_conv_output_size(p, i)};
  int whole = size >= a->size + a->pad && size >= a->out;
  a->step = whole ? a->out : size - a->kernel + 1;
  if (size < a->kernel || a->step < 1) return 0;
  a->tiles = ceiling(a->out, a->step);
  return 1;
}

tare_fft_span tare_fft_span_of(const tare_fft_axis *a, int size, int tile) {
  tare_fft_span span = {.outputs = smaller(a->step, a->out - tile * a->step)};
  int image = a->size + a->pad - tile * a->step; /* where it ends */
  span.first = smaller(larger(a->pad - tile * a->step, 0), size);
  span.end = smaller(smaller(image, size), span.outputs + a->kernel - 1);
  if (a->tiles == 1) span.end = image; /* all of it: the border may be wider than the filter */
  if (span.end < span.first) span.end = span.first;
  return span;
}

int tare_fft_shape_of(const tare_conv_problem *p, tare_fft_mode mode, int lanes, int size, tare_fft_shape *s) {
  *s = (tare_fft_shape){.mode = mode, .lanes = lanes, .size = size, .frequencies = size * size / 2 + 2, .groups = p->groups,
                        .inputs = p->channels / p->groups, .outputs = p->outputs / p->groups};
  int depthwise = p->groups > 1 && s->inputs == 1 && s->outputs == 1;
  if (mode == TARE_FFT_FEW && (p->groups > 1 || s->inputs > FEW_CHANNELS)) return 0;
  if (mode == TARE_FFT_DEPTHWISE && !depthwise) return 0;
  if (mode == TARE_FFT_DEPTHWISE) {
    s->groups = 1;
    s->inputs = s->outputs = p->channels;
  }
  s->in_blocks = mode == TARE_FFT_FEW ? s->inputs : ceiling(s->inputs, lanes);
  s->out_blocks = ceiling(s->outputs, lanes);
  for (int i = 0; i < 2; i++)
    if (!make_axis(p, i, size, &s->axes[i])) return 0;
  s->tiles = s->axes[0].tiles * s->axes[1].tiles;
  return 1;
}

/* Pixels of the images along an axis that the largest tile reads, and where they end. */
static int reach(const tare_fft_shape *s, int i) { return smaller(s->size, s->axes[i].step + s->axes[i].kernel - 1); }
static int pixels(const tare_fft_shape *s, int i) { return smaller(s->axes[i].size, reach(s, i)); }
static int end_of(const tare_fft_shape *s, int i) {
  return s->axes[i].tiles == 1 ? s->axes[i].size + s->axes[i].pad : reach(s, i);
}

/* `count` transforms of boxes of rows x columns that end at (row_end, column_end). */
typedef struct box { int inverse, rows, columns, row_end, column_end; } box;

static void add_transforms(const tare_fft_shape *s, tare_fft_work *w, double count, box b) {
  tare_tile tile = tare_tile_describe(s->size);
  double operations = b.inverse ? tare_tile_inverse_operations(&tile, b.row_end, b.column_end)
                                : tare_tile_forward_operations(&tile, b.row_end, b.column_end);
  double spectrum = 2.0 * s->frequencies, half = ((double)s->size + 2) * b.rows;
  w->transforms += count * operations;
  w->pixels += count * b.rows * b.columns;
  w->tiles += count;
  if (s->mode == TARE_FFT_DENSE) w->far += count * 2 * half;
  if (s->mode == TARE_FFT_DENSE || spectrum * 2 * s->lanes < L2_FLOATS) w->near += count * spectrum;
  else w->far += count * spectrum;
}

static box image_box(const tare_fft_shape *s, int inverse) { return (box){inverse, pixels(s, 0), pixels(s, 1), end_of(s, 0), end_of(s, 1)}; }
static box output_box(const tare_fft_shape *s, int inverse) { return (box){inverse, s->axes[0].step, s->axes[1].step, s->axes[0].step, s->axes[1].step}; }
static box filter_box(const tare_fft_shape *s, int inverse) {
  return (box){inverse, s->axes[0].kernel, s->axes[1].kernel, s->axes[0].kernel, s->axes[1].kernel};
}

/* Of a dense convolution: taps are gathered from filters that lie far from each other, or scattered; their spectra are read and written once more. */
static void add_filters(const tare_fft_shape *s, tare_fft_work *w, double count, int inverse) {
  add_transforms(s, w, count, filter_box(s, inverse));
  w->filters += count * s->axes[0].kernel * s->axes[1].kernel;
  w->spectra += count * 2 * s->frequencies;
}

static void add_matrices(const tare_fft_shape *s, tare_fft_work *w, double rows, double vectors, double terms) {
  w->products += s->frequencies * 4 * rows * vectors * terms;
  w->near += s->frequencies * 2 * (rows * vectors + terms * vectors);
}

static void add_dense(const tare_fft_shape *s, const tare_query *q, tare_fft_work *w) {
  double tiles = (double)q->problem.batch * s->tiles, g = s->groups, in = g * s->in_blocks, out = g * s->out_blocks;
  if (q->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS)) add_transforms(s, w, tiles * in, image_box(s, 0));
  if (q->passes & (TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS)) add_transforms(s, w, tiles * out, output_box(s, 0));
  if (q->passes & TARE_FORWARD) {
    add_transforms(s, w, tiles * out, output_box(s, 1));
    add_filters(s, w, g * s->inputs * s->out_blocks, 0);
    add_matrices(s, w, tiles * g, s->out_blocks, s->inputs);
  }
  if (q->passes & TARE_BACKWARD_DATA) {
    add_transforms(s, w, tiles * in, image_box(s, 1));
    add_filters(s, w, g * s->outputs * s->in_blocks, 0);
    add_matrices(s, w, tiles * g, s->in_blocks, s->outputs);
  }
  if (q->passes & TARE_BACKWARD_WEIGHTS) {
    add_filters(s, w, g * s->outputs * s->in_blocks, 1);
    add_matrices(s, w, s->outputs * g, s->in_blocks, tiles);
  }
}

/* Vectors that pointwise products read and write, `streams` a vector of the spectrum. */
static void add_points(const tare_fft_shape *s, tare_fft_work *w, double count, int streams) {
  double vectors = count * streams * 2 * s->frequencies;
  w->products += count * 4 * s->frequencies;
  *(4.0 * s->frequencies * s->lanes < L2_FLOATS ? &w->near : &w->far) += vectors;
}

static void add_point(const tare_fft_shape *s, const tare_query *q, tare_fft_work *w) {
  int depthwise = s->mode == TARE_FFT_DEPTHWISE;
  double tiles = (double)q->problem.batch * s->tiles, filters = (double)s->out_blocks * (depthwise ? 1 : s->inputs);
  double inputs = depthwise ? tiles * s->in_blocks : (double)ceiling((int)tiles, s->lanes) * s->inputs, outputs = tiles * s->out_blocks;
  if (q->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS)) add_transforms(s, w, inputs, image_box(s, 0));
  if (q->passes & (TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS)) add_transforms(s, w, outputs, output_box(s, 0));
  if (q->passes & (TARE_FORWARD | TARE_BACKWARD_DATA)) add_transforms(s, w, filters, filter_box(s, 0));
  if (q->passes & TARE_FORWARD) add_transforms(s, w, outputs, output_box(s, 1));
  if (q->passes & TARE_BACKWARD_DATA) add_transforms(s, w, inputs, image_box(s, 1));
  if (q->passes & TARE_BACKWARD_WEIGHTS) add_transforms(s, w, filters, filter_box(s, 1));
  if (q->passes & TARE_FORWARD && q->passes & TARE_BACKWARD_WEIGHTS) w->far += inputs * 4 * s->frequencies; /* kept, and read again */
  if (q->passes & TARE_FORWARD) add_points(s, w, tiles * filters, 3);
  if (q->passes & TARE_BACKWARD_DATA) add_points(s, w, tiles * filters, 3);
  if (q->passes & TARE_BACKWARD_WEIGHTS) add_points(s, w, tiles * filters, 7);
}

/* Floats of the images and outputs, and dense also of their half-transformed tiles; several passes read half of the spectra again. */
static double footprint(const tare_fft_shape *s, const tare_query *q) {
  double images = (double)s->axes[0].size * s->axes[1].size * q->problem.channels, outputs = (double)s->axes[0].out * s->axes[1].out * q->problem.outputs;
  double half = ((double)s->size + 2) * s->tiles * s->lanes * s->groups;
  if (s->mode == TARE_FFT_DENSE) images += half * pixels(s, 0) * s->in_blocks, outputs += half * s->axes[0].step * s->out_blocks;
  int several = (q->passes & (q->passes - 1)) != 0 && s->mode != TARE_FFT_FEW;
  double spectra = several ? (double)s->tiles * s->groups * (s->in_blocks + s->out_blocks) * s->frequencies * s->lanes : 0;
  return q->problem.batch * (images + outputs + spectra);
}

tare_fft_work tare_fft_work_of(const tare_fft_shape *s, const tare_query *q) {
  tare_fft_work w = {0};
  if (s->mode == TARE_FFT_DENSE) add_dense(s, q, &w);
  else add_point(s, q, &w);
  int apart = q->problem.channels > s->lanes; /* a vector of channels is a part of a pixel: no two neighbours in memory */
  double share = tare_conv_beyond(sizeof(float) * footprint(s, q));
  double lines = s->mode == TARE_FFT_FEW && s->outputs > s->lanes && s->lanes < LINE ? costs[tare_conv_core()].halves : apart ? 3 : 1;
  w.beyond = share * (w.far + w.pixels * lines);
  w.far *= 1 - share;
  if (apart && q->problem.channels % s->lanes) w.ragged = w.pixels;
  w.pixels *= 1 - share;
  w.spectra *= tare_conv_beyond(sizeof(float) * s->lanes * w.spectra);
  return w;
}

static double cycles_of(const tare_fft_shape *s, const tare_query *q) {
  if (s->mode == TARE_FFT_FEW && q->passes & TARE_BACKWARD_DATA) return -1;
  const tare_fft_work w = tare_fft_work_of(s, q), *c = &costs[tare_conv_core()].work;
  double lanes = w.near * c->near + w.far * c->far + w.beyond * c->beyond + w.spectra * c->spectra + w.pixels * c->pixels + w.filters * c->filters;
  return w.transforms * c->transforms + w.products * c->products + s->lanes * lanes + w.ragged * c->ragged + w.tiles * c->tiles;
}

double tare_fft_choose(const tare_query *q, tare_fft_shape *out) {
  double best = -1;
  int widest = tare_tile_lanes(tare_cpu());
  for (int lanes = widest; lanes >= widest / 2; lanes /= 2) {
    if (!tare_tile_kernels_at(tare_cpu(), lanes)) continue;
    for (int mode = 0; mode < TARE_FFT_MODES; mode++)
      for (const int *size = tare_tile_sizes; *size; size++) {
        tare_fft_shape s;
        if (!tare_fft_shape_of(&q->problem, (tare_fft_mode)mode, lanes, *size, &s)) continue;
        double cycles = cycles_of(&s, q);
        if (cycles < 0 || (best >= 0 && cycles >= best)) continue;
        best = cycles;
        *out = s;
      }
  }
  return best;
}
