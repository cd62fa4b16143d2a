/* SPDX-License-Identifier: Apache-2.0 */
/* Images with their borders: padded copies and their adjoint, patch matrices, and the reference convolution. nhwc throughout. */
#include <string.h>

#include "kernel/tmpl/body.h"

/* The index in 0..n-1 that position i of a border stands for; -1: a zero. Reflection does not repeat the edge. */
static int source(tare_border border, int i, int n) {
  if (i >= 0 && i < n) return i;
  if (border == TARE_BORDER_EDGE) return i < 0 ? 0 : n - 1;
  if (border == TARE_BORDER_REFLECT) return i < 0 ? -i : 2 * (n - 1) - i;
  return -1;
}

/* Output rows (axis 0) or columns (axis 1). */
static int extent(const tare_conv_problem *p, int axis) {
  return (p->size[axis] + 2 * p->pad[axis] - (p->kernel[axis] - 1) * p->dilation[axis] - 1) / p->stride[axis] + 1;
}

void NAME(pad_image)(const tare_conv_problem *p, const void *x, void *padded) {
  const REAL *in = x;
  REAL *out = padded;
  int h = p->size[0], w = p->size[1], c = p->channels, ph = p->pad[0], pw = p->pad[1];
  size_t channels = (size_t)c * sizeof(REAL);
  for (int n = 0; n < p->batch; n++, in += (size_t)h * (size_t)w * (size_t)c)
    for (int i = -ph; i < h + ph; i++) {
      int row = source(p->border, i, h);
      for (int j = -pw; j < w + pw; j++, out += c) {
        int column = source(p->border, j, w);
        if (row < 0 || column < 0) memset(out, 0, channels);
        else if (column == j && j == 0) { /* the whole inside of the row at once */
          memcpy(out, in + (size_t)row * (size_t)w * (size_t)c, channels * (size_t)w);
          out += (size_t)(w - 1) * (size_t)c;
          j = w - 1;
        } else memcpy(out, in + ((size_t)row * (size_t)w + (size_t)column) * (size_t)c, channels);
      }
    }
}

void NAME(fold_image)(const tare_conv_problem *p, const void *dpadded, void *dx) {
  const REAL *in = dpadded;
  REAL *out = dx;
  int h = p->size[0], w = p->size[1], c = p->channels, ph = p->pad[0], pw = p->pad[1];
  size_t image = (size_t)h * (size_t)w * (size_t)c;
  memset(out, 0, (size_t)p->batch * image * sizeof(REAL));
  for (int n = 0; n < p->batch; n++, out += image)
    for (int i = -ph; i < h + ph; i++)
      for (int j = -pw; j < w + pw; j++, in += c) {
        int row = source(p->border, i, h), column = source(p->border, j, w);
        if (row < 0 || column < 0) continue;
        REAL *to = out + ((size_t)row * (size_t)w + (size_t)column) * (size_t)c;
        for (int k = 0; k < c; k++) to[k] += in[k];
      }
}

/* Patches of output rows first .. first+rows-1 of one image, a row a pixel, columns (kh, kw, c). Valid borders. */
void NAME(im2col)(const tare_conv_problem *p, const void *x, int image, int first, int rows, void *patches) {
  int h = p->size[0], w = p->size[1], c = p->channels, kh = p->kernel[0], kw = p->kernel[1];
  int width = extent(p, 1), run = p->dilation[1] == 1 ? kw * c : c, runs = p->dilation[1] == 1 ? 1 : kw;
  const REAL *in = (const REAL *)x + (size_t)image * (size_t)h * (size_t)w * (size_t)c;
  REAL *restrict out = patches;
  for (int i = first; i < first + rows; i++)
    for (int j = 0; j < width; j++)
      for (int a = 0; a < kh; a++)
        for (int b = 0; b < runs; b++) {
          size_t at = (size_t)(i * p->stride[0] + a * p->dilation[0]) * (size_t)w + (size_t)(j * p->stride[1] + b * p->dilation[1]);
          const REAL *from = in + at * (size_t)c;
          for (int k = 0; k < run; k++) *out++ = from[k];
        }
}

/* Each of `blocks` rows x columns matrices transposed. */
void NAME(transpose_blocks)(size_t blocks, size_t rows, size_t columns, const void *x, void *y) {
  const REAL *in = x;
  REAL *restrict out = y;
  for (size_t b = 0; b < blocks; b++, in += rows * columns, out += rows * columns)
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++) out[j * rows + i] = in[i * columns + j];
}

void NAME(fill_rows)(size_t rows, size_t n, const void *row, void *y) {
  REAL *out = y;
  for (size_t i = 0; i < rows; i++) memcpy(out + i * n, row, n * sizeof(REAL));
}

/*
 * The reference convolution: the definition, with sums in double even where
 * REAL is float. Weights [o][c/g][kh][kw].
 */
struct spot { size_t pixel, output; }; /* where the image is read, where the output stands */

/* The image position that tap (a, b) of output (oy, ox) reads; 0 if it is a zero outside. */
static int reads(const tare_conv_problem *p, int n, int oy, int ox, int a, int b, struct spot *spot) {
  int row = source(p->border, oy * p->stride[0] - p->pad[0] + a * p->dilation[0], p->size[0]);
  int column = source(p->border, ox * p->stride[1] - p->pad[1] + b * p->dilation[1], p->size[1]);
  if (row < 0 || column < 0) return 0;
  spot->pixel = (((size_t)n * (size_t)p->size[0] + (size_t)row) * (size_t)p->size[1] + (size_t)column) * (size_t)p->channels;
  spot->output = (((size_t)n * (size_t)extent(p, 0) + (size_t)oy) * (size_t)extent(p, 1) + (size_t)ox) * (size_t)p->outputs;
  return 1;
}

void NAME(conv_forward)(const tare_conv_problem *p, const void *x, const void *w, const void *bias, void *y) {
  const REAL *image = x, *weights = w, *shift = bias;
  REAL *out = y;
  int inputs = p->channels / p->groups, per = p->outputs / p->groups, taps = p->kernel[0] * p->kernel[1];
  for (int n = 0; n < p->batch; n++)
    for (int oy = 0; oy < extent(p, 0); oy++)
      for (int ox = 0; ox < extent(p, 1); ox++)
        for (int o = 0; o < p->outputs; o++) {
          const REAL *filter = weights + (size_t)o * (size_t)inputs * (size_t)taps;
          double sum = shift ? (double)shift[o] : 0;
          struct spot spot;
          for (int t = 0; t < taps; t++)
            if (reads(p, n, oy, ox, t / p->kernel[1], t % p->kernel[1], &spot))
              for (int c = 0; c < inputs; c++) sum += (double)image[spot.pixel + (size_t)(o / per * inputs + c)] * (double)filter[c * taps + t];
          *out++ = (REAL)sum;
        }
}

void NAME(conv_backward_data)(const tare_conv_problem *p, const void *dy, const void *w, void *dx, double *sums) {
  const REAL *output = dy, *weights = w;
  int inputs = p->channels / p->groups, per = p->outputs / p->groups, taps = p->kernel[0] * p->kernel[1];
  size_t size = (size_t)p->batch * (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels;
  memset(sums, 0, size * sizeof *sums);
  for (int n = 0; n < p->batch; n++)
    for (int oy = 0; oy < extent(p, 0); oy++)
      for (int ox = 0; ox < extent(p, 1); ox++)
        for (int t = 0; t < taps; t++) {
          struct spot spot;
          if (!reads(p, n, oy, ox, t / p->kernel[1], t % p->kernel[1], &spot)) continue;
          for (int o = 0; o < p->outputs; o++)
            for (int c = 0; c < inputs; c++)
              sums[spot.pixel + (size_t)(o / per * inputs + c)] +=
                (double)output[spot.output + (size_t)o] * (double)weights[((size_t)o * (size_t)inputs + (size_t)c) * (size_t)taps + (size_t)t];
        }
  for (size_t i = 0; i < size; i++) ((REAL *)dx)[i] = (REAL)sums[i];
}

void NAME(conv_backward_weights)(const tare_conv_problem *p, const void *x, const void *dy, void *dw, double *sums) {
  const REAL *image = x, *output = dy;
  int inputs = p->channels / p->groups, per = p->outputs / p->groups, taps = p->kernel[0] * p->kernel[1];
  size_t size = (size_t)p->outputs * (size_t)inputs * (size_t)taps;
  memset(sums, 0, size * sizeof *sums);
  for (int n = 0; n < p->batch; n++)
    for (int oy = 0; oy < extent(p, 0); oy++)
      for (int ox = 0; ox < extent(p, 1); ox++)
        for (int t = 0; t < taps; t++) {
          struct spot spot;
          if (!reads(p, n, oy, ox, t / p->kernel[1], t % p->kernel[1], &spot)) continue;
          for (int o = 0; o < p->outputs; o++)
            for (int c = 0; c < inputs; c++)
              sums[((size_t)o * (size_t)inputs + (size_t)c) * (size_t)taps + (size_t)t] +=
                (double)output[spot.output + (size_t)o] * (double)image[spot.pixel + (size_t)(o / per * inputs + c)];
        }
  for (size_t i = 0; i < size; i++) ((REAL *)dw)[i] = (REAL)sums[i];
}
