/* SPDX-License-Identifier: Apache-2.0 */
/* Which tiles, which lanes, which mode: every combination's cycles are estimated, and the cheapest is taken. */
#include "conv/fft.h"

/*
 * Measured on AVX-512 and AVX2 (doc/engine.md): vector operations a cycle of transforms and of products; cycles a vector of a spectrum
 * that is written to or read from memory beyond the L2 cache, and within it; cycles of a call and of a job.
 */
static const double transform_rate = 1.5, product_rate = 1.7, far = 4, near = 1, call_cycles = 2000, tile_cycles = 200;
enum { FEW_CHANNELS = 4, L2_FLOATS = 1 << 17 };

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

/* Cycles of `count` transforms of tiles that end at (rows, columns), inverse or not, whose spectra lie `distance` cycles a vector away. */
static double transforms(const tare_fft_shape *s, double count, int inverse, int rows, int columns, double distance) {
  tare_tile tile = tare_tile_describe(s->size);
  double operations =
    inverse ? tare_tile_inverse_operations(&tile, rows, columns) : tare_tile_forward_operations(&tile, rows, columns);
  return count * (operations / transform_rate + 2.0 * s->frequencies * distance + tile_cycles);
}

static double product(const tare_fft_shape *s, double rows, double vectors, double terms, double distance) {
  return s->frequencies * (4 * rows * vectors * terms / product_rate + 2 * (rows * vectors + terms * vectors) * distance);
}

/* Pixels of the first tile of an axis: the largest. */
static int reach(const tare_fft_shape *s, int i) { return smaller(s->size, s->axes[i].step + s->axes[i].kernel - 1); }

static double dense_cycles(const tare_fft_shape *s, const tare_query *q) {
  double tiles = (double)q->problem.batch * s->tiles, g = s->groups, in = g * s->in_blocks, out = g * s->out_blocks, sum = 0;
  int *k = (int[]){s->axes[0].kernel, s->axes[1].kernel}, *m = (int[]){s->axes[0].step, s->axes[1].step};
  if (q->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS)) sum += transforms(s, tiles * in, 0, reach(s, 0), reach(s, 1), far);
  if (q->passes & (TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS)) sum += transforms(s, tiles * out, 0, m[0], m[1], far);
  if (q->passes & TARE_FORWARD)
    sum += transforms(s, tiles * out, 1, m[0], m[1], far) + transforms(s, g * s->inputs * s->out_blocks, 0, k[0], k[1], far) +
           product(s, tiles * g, s->out_blocks, s->inputs, near);
  if (q->passes & TARE_BACKWARD_DATA)
    sum += transforms(s, tiles * in, 1, reach(s, 0), reach(s, 1), far) + transforms(s, g * s->outputs * s->in_blocks, 0, k[0], k[1], far) +
           product(s, tiles * g, s->in_blocks, s->outputs, near);
  if (q->passes & TARE_BACKWARD_WEIGHTS)
    sum += transforms(s, g * s->outputs * s->in_blocks, 1, k[0], k[1], far) + product(s, s->outputs * g, s->in_blocks, tiles, near);
  return sum;
}

static double point_cycles(const tare_fft_shape *s, const tare_query *q) {
  int depthwise = s->mode == TARE_FFT_DEPTHWISE;
  double tiles = (double)q->problem.batch * s->tiles, filters = (double)s->out_blocks * (depthwise ? 1 : s->inputs), sum = 0;
  double inputs = depthwise ? tiles * s->in_blocks : (double)ceiling((int)tiles, s->lanes) * s->inputs, outputs = tiles * s->out_blocks;
  double products = tiles * filters, spectrum = 2.0 * s->frequencies, distance = spectrum * 2 * s->lanes > L2_FLOATS ? far : near;
  int *k = (int[]){s->axes[0].kernel, s->axes[1].kernel}, *m = (int[]){s->axes[0].step, s->axes[1].step};
  if (q->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS)) sum += transforms(s, inputs, 0, reach(s, 0), reach(s, 1), distance);
  if (q->passes & (TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS)) sum += transforms(s, outputs, 0, m[0], m[1], distance);
  if (q->passes & (TARE_FORWARD | TARE_BACKWARD_DATA)) sum += transforms(s, filters, 0, k[0], k[1], distance);
  if (q->passes & TARE_FORWARD) sum += transforms(s, outputs, 1, m[0], m[1], distance) + products * spectrum * 3 * distance;
  if (q->passes & TARE_BACKWARD_DATA)
    sum += transforms(s, inputs, 1, reach(s, 0), reach(s, 1), distance) + products * spectrum * 3 * distance;
  if (q->passes & TARE_BACKWARD_WEIGHTS) sum += transforms(s, filters, 1, k[0], k[1], distance) + products * spectrum * 4 * distance;
  return sum;
}

static double cycles_of(const tare_fft_shape *s, const tare_query *q) {
  if (s->mode == TARE_FFT_FEW && q->passes & TARE_BACKWARD_DATA) return -1;
  return call_cycles + (s->mode == TARE_FFT_DENSE ? dense_cycles(s, q) : point_cycles(s, q));
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
