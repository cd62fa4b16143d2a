/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of convolutions share: random problems and an independent formula. */
#ifndef CONV_HELPERS_H
#define CONV_HELPERS_H

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "conv/candidate.h"

static inline size_t count_x(const tare_conv_problem *p) { return (size_t)p->batch * p->size[0] * p->size[1] * p->channels; }
static inline size_t count_y(const tare_conv_problem *p) {
  return (size_t)p->batch * tare_conv_output_size(p, 0) * tare_conv_output_size(p, 1) * p->outputs;
}

static inline int draw(tare_rng *rng, int low, int high) { return low + (int)tare_rng_below(rng, (uint64_t)(high - low + 1)); }

/* Any problem that passes the check and takes under `most` multiplications. */
static inline tare_conv_problem random_problem(tare_rng *rng, double most) {
  static const int channels[] = {1, 2, 3, 7, 8, 13, 16, 33};
  for (;;) {
    tare_conv_problem p = {.groups = 1, .batch = draw(rng, 1, 3), .border = (tare_border)draw(rng, 0, 3)};
    p.channels = channels[draw(rng, 0, 7)];
    p.outputs = channels[draw(rng, 0, 7)];
    int kind = draw(rng, 0, 5);
    if (kind == 0) { /* depthwise with a multiplier */
      p.groups = p.channels;
      p.outputs = p.channels * draw(rng, 1, 3);
    }
    if (kind == 1) {
      p.groups = draw(rng, 2, 3);
      p.outputs *= p.groups;
      p.channels *= p.groups;
    }
    for (int i = 0; i < 2; i++) {
      p.size[i] = draw(rng, 1, 30);
      p.kernel[i] = draw(rng, 1, draw(rng, 0, 3) ? 5 : 19);
      p.stride[i] = draw(rng, 0, 1) ? 1 : draw(rng, 1, 3);
      p.dilation[i] = draw(rng, 0, 2) ? 1 : draw(rng, 1, 3);
      p.pad[i] = p.border == TARE_BORDER_VALID ? 0 : draw(rng, 0, p.kernel[i] * p.dilation[i]);
    }
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

static inline void naive_passes(const tare_conv_problem *p, const double *x, const double *w, const double *dy, naive *out) {
  int inputs = p->channels / p->groups, outputs = p->outputs / p->groups, kh = p->kernel[0], kw = p->kernel[1];
  size_t y_at = 0;
  for (int n = 0; n < p->batch; n++)
    for (int i = 0; i < tare_conv_output_size(p, 0); i++)
      for (int j = 0; j < tare_conv_output_size(p, 1); j++)
        for (int o = 0; o < p->outputs; o++, y_at++)
          for (int a = 0; a < kh; a++)
            for (int b = 0; b < kw; b++)
              for (int c = 0; c < inputs; c++) {
                int row = walk_border(p->border, i * p->stride[0] - p->pad[0] + a * p->dilation[0], p->size[0]);
                int column = walk_border(p->border, j * p->stride[1] - p->pad[1] + b * p->dilation[1], p->size[1]);
                if (row < 0 || column < 0) continue;
                size_t x_at = (((size_t)n * p->size[0] + row) * p->size[1] + column) * p->channels + o / outputs * inputs + c;
                size_t w_at = (((size_t)o * inputs + c) * kh + a) * kw + b;
                add_product(out->y, out->y_size, y_at, x[x_at] * w[w_at]);
                add_product(out->dx, out->dx_size, x_at, dy[y_at] * w[w_at]);
                add_product(out->dw, out->dw_size, w_at, dy[y_at] * x[x_at]);
              }
}

static inline double *random_doubles(tare_rng *rng, size_t n) {
  double *values = tare_alloc(n, sizeof *values);
  for (size_t i = 0; i < n; i++) values[i] = (double)(float)tare_rng_range(rng, -1, 1); /* the same in both precisions */
  return values;
}

#endif
