/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of convolutions share: random problems and an independent formula. */
#ifndef CONV_HELPERS_H
#define CONV_HELPERS_H

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "conv/candidate.h"
#include "onednn/onednn.h"

/* Whether the candidate can do anything: two of them cannot in a build without oneDNN. */
static inline int is_built(const tare_candidate *how) {
  return tare_onednn_lanes() || (how != &tare_candidate_onednn && how != &tare_candidate_im2col);
}

static inline size_t count_x(const tare_conv_problem *p) { return (size_t)p->batch * tare_conv_pixels(p) * p->channels; }
static inline size_t count_y(const tare_conv_problem *p) { return (size_t)p->batch * tare_conv_output_pixels(p) * p->outputs; }

static inline int draw(tare_rng *rng, int low, int high) { return low + (int)tare_rng_below(rng, (uint64_t)(high - low + 1)); }

/* One axis: sizes to `size`, at times one that the filter fills or outgrows; the problem's border must be set. */
static inline void random_axis(tare_rng *rng, tare_conv_problem *p, int axis, int size) {
  p->size[axis] = draw(rng, 1, draw(rng, 0, 1) ? size : (size + 3) / 4);
  p->kernel[axis] = draw(rng, 1, draw(rng, 0, 3) ? 5 : 19);
  p->stride[axis] = draw(rng, 0, 1) ? 1 : draw(rng, 1, 3);
  p->dilation[axis] = draw(rng, 0, 2) ? 1 : draw(rng, 1, 3);
  p->pad[axis] = p->border == TARE_BORDER_VALID ? 0 : draw(rng, 0, p->kernel[axis] * p->dilation[axis]);
}

/*
 * Any problem that passes the check and takes under `most` multiplications: all borders and kinds of groups, channels
 * with tails, images to 70 pixels, filters larger than the image; one in eight has one axis, one has three.
 */
static inline tare_conv_problem random_problem(tare_rng *rng, double most) {
  static const int channels[] = {1, 2, 3, 7, 8, 13, 16, 17, 33}, batches[] = {1, 2, 3, 5, 7, 8, 11};
  for (;;) {
    tare_conv_problem p = {.groups = 1, .border = (tare_border)draw(rng, 0, 3)};
    p.batch = batches[draw(rng, 0, draw(rng, 0, 2) ? 2 : 6)];
    p.channels = channels[draw(rng, 0, 8)];
    p.outputs = channels[draw(rng, 0, 8)];
    int kind = draw(rng, 0, 5), axes = draw(rng, 0, 7);
    if (kind == 0) { /* depthwise with a multiplier */
      p.groups = p.channels;
      p.outputs = p.channels * draw(rng, 1, 3);
    }
    if (kind == 1) {
      p.groups = draw(rng, 2, 3);
      p.outputs *= p.groups;
      p.channels *= p.groups;
    }
    p.size[0] = p.kernel[0] = p.stride[0] = p.dilation[0] = 1;
    p.size[2] = p.kernel[2] = p.stride[2] = p.dilation[2] = 1;
    if (axes != 0) random_axis(rng, &p, 0, 70);
    random_axis(rng, &p, 1, 70);
    if (axes == 1) random_axis(rng, &p, 2, 12);
    if (tare_conv_problem_check(&p, NULL) == TARE_OK && tare_conv_flops(&p) < 2 * most) return p;
  }
}

/* The index that position i of an axis of n stands for, walked step by step; -1 for a zero. */
static inline int walk_border(tare_border border, int i, int n) {
  int at = i < 0 ? 0 : i >= n ? n - 1 : i, left = i < 0 ? -i : i - at, toward = i < 0 ? 1 : -1;
  if (left && (border == TARE_BORDER_ZERO || border == TARE_BORDER_VALID)) return -1;
  for (; border == TARE_BORDER_REFLECT && left; left--) at += toward;
  return at;
}

/*
 * The three passes by the formula, one product at a time, with the sums of magnitudes that errors are
 * measured by. Any output may be NULL.
 */
typedef struct naive { double *y, *dx, *dw, *y_size, *dx_size, *dw_size; } naive;

static inline void add_product(double *sum, double *size, size_t at, double product) {
  sum[at] += product;
  size[at] += fabs(product);
}

/* The index in an image (in pixels) that tap (kz, a, b) reads for output (z, i, j); -1: a zero. */
static inline long naive_source(const tare_conv_problem *p, const int output[3], const int tap[3]) {
  int at[3];
  for (int axis = 0; axis < 3; axis++) {
    at[axis] = walk_border(p->border, output[axis] * p->stride[axis] - p->pad[axis] + tap[axis] * p->dilation[axis], p->size[axis]);
    if (at[axis] < 0) return -1;
  }
  return ((long)at[2] * p->size[0] + at[0]) * p->size[1] + at[1];
}

/* Output pixel and tap as rows, columns, planes. */
static inline void naive_unravel(size_t index, int rows, int columns, int out[3]) {
  out[1] = (int)(index % (size_t)columns);
  out[0] = (int)(index / (size_t)columns % (size_t)rows);
  out[2] = (int)(index / (size_t)columns / (size_t)rows);
}

static inline void naive_passes(const tare_conv_problem *p, const double *x, const double *w, const double *dy, naive *out) {
  size_t inputs = (size_t)(p->channels / p->groups), outputs = (size_t)(p->outputs / p->groups), o_all = (size_t)p->outputs;
  size_t taps = (size_t)p->kernel[0] * (size_t)p->kernel[1] * (size_t)p->kernel[2], pixels = tare_conv_output_pixels(p);
  for (size_t n = 0; n < (size_t)p->batch; n++)
    for (size_t pixel = 0; pixel < pixels; pixel++)
      for (size_t t = 0; t < taps; t++) {
        int at[3], tap[3];
        naive_unravel(pixel, tare_conv_output_size(p, 0), tare_conv_output_size(p, 1), at);
        naive_unravel(t, p->kernel[0], p->kernel[1], tap);
        long from = naive_source(p, at, tap);
        if (from < 0) continue;
        for (size_t o = 0; o < o_all; o++)
          for (size_t c = 0; c < inputs; c++) {
            size_t y_at = (n * pixels + pixel) * o_all + o, w_at = (o * inputs + c) * taps + t;
            size_t x_at = (n * tare_conv_pixels(p) + (size_t)from) * (size_t)p->channels + o / outputs * inputs + c;
            add_product(out->y, out->y_size, y_at, x[x_at] * w[w_at]);
            add_product(out->dx, out->dx_size, x_at, dy[y_at] * w[w_at]);
            add_product(out->dw, out->dw_size, w_at, dy[y_at] * x[x_at]);
          }
      }
}

static inline double *random_doubles(tare_rng *rng, size_t n) {
  double *values = tare_alloc(n, sizeof *values);
  for (size_t i = 0; i < n; i++) values[i] = (double)(float)tare_rng_range(rng, -1, 1); /* the same in both precisions */
  return values;
}

#endif
