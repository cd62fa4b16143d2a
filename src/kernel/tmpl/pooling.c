/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernel/tmpl/body.h"

static int outputs(int size, int k, int stride) { return (size - k) / stride + 1; }

/* One output pixel: c maxima over the window that begins at x. A NaN is larger than anything: a divergence must show. */
static void window_max(int w, int c, int k, const REAL *restrict x, REAL *restrict y, uint16_t *restrict winners) {
  for (int ch = 0; ch < c; ch++) {
    y[ch] = x[ch];
    winners[ch] = 0;
  }
  for (int at = 1; at < k * k; at++) {
    const REAL *in = x + ((size_t)(at / k) * w + at % k) * c;
    for (int ch = 0; ch < c; ch++) {
      int larger = in[ch] > y[ch] || in[ch] != in[ch];
      y[ch] = larger ? in[ch] : y[ch];
      winners[ch] = larger ? (uint16_t)at : winners[ch];
    }
  }
}

void NAME(maxpool_forward)(int images, int h, int w, int c, int k, int stride, const void *x, void *y, uint16_t *winners) {
  int oh = outputs(h, k, stride), ow = outputs(w, k, stride);
  for (int i = 0; i < images * oh; i++)
    for (int j = 0; j < ow; j++) {
      size_t from = (((size_t)(i / oh) * h + (i % oh) * stride) * w + j * stride) * c, to = ((size_t)i * ow + j) * c;
      window_max(w, c, k, (const REAL *)x + from, (REAL *)y + to, winners + to);
    }
}

void NAME(maxpool_backward)(int images, int h, int w, int c, int k, int stride, const uint16_t *winners, const void *dy, void *dx) {
  int oh = outputs(h, k, stride), ow = outputs(w, k, stride);
  memset(dx, 0, sizeof(REAL) * (size_t)images * h * w * c);
  for (int i = 0; i < images * oh; i++)
    for (int j = 0; j < ow; j++) {
      size_t corner = (((size_t)(i / oh) * h + (i % oh) * stride) * w + j * stride) * c, from = ((size_t)i * ow + j) * c;
      for (int ch = 0; ch < c; ch++) {
        int at = winners[from + ch];
        ((REAL *)dx)[corner + ((size_t)(at / k) * w + at % k) * c + ch] += ((const REAL *)dy)[from + ch];
      }
    }
}

void NAME(avgpool_forward)(int images, int h, int w, int c, int k, int stride, const void *x, void *y) {
  int oh = outputs(h, k, stride), ow = outputs(w, k, stride);
  REAL part = (REAL)1 / (REAL)(k * k);
  memset(y, 0, sizeof(REAL) * (size_t)images * oh * ow * c);
  for (int i = 0; i < images * oh; i++)
    for (int j = 0; j < ow; j++) {
      const REAL *restrict in = (const REAL *)x + (((size_t)(i / oh) * h + (i % oh) * stride) * w + j * stride) * c;
      REAL *restrict out = (REAL *)y + ((size_t)i * ow + j) * c;
      for (int at = 0; at < k * k; at++)
        for (int ch = 0; ch < c; ch++) out[ch] += in[((size_t)(at / k) * w + at % k) * c + ch];
      for (int ch = 0; ch < c; ch++) out[ch] *= part;
    }
}

void NAME(avgpool_backward)(int images, int h, int w, int c, int k, int stride, const void *dy, void *dx) {
  int oh = outputs(h, k, stride), ow = outputs(w, k, stride);
  REAL part = (REAL)1 / (REAL)(k * k);
  memset(dx, 0, sizeof(REAL) * (size_t)images * h * w * c);
  for (int i = 0; i < images * oh; i++)
    for (int j = 0; j < ow; j++) {
      REAL *restrict out = (REAL *)dx + (((size_t)(i / oh) * h + (i % oh) * stride) * w + j * stride) * c;
      const REAL *restrict in = (const REAL *)dy + ((size_t)i * ow + j) * c;
      for (int at = 0; at < k * k; at++)
        for (int ch = 0; ch < c; ch++) out[((size_t)(at / k) * w + at % k) * c + ch] += in[ch] * part;
    }
}

enum { LANES = 64 };

/* Few channels do not fill a vector: sums of LANES / c pixels side by side, then put together. */
static void means_of(int positions, int c, const REAL *restrict x, REAL *restrict means) {
  REAL sums[LANES] = {0};
  int fold = c < LANES ? LANES / c : 0, wide = fold ? positions / fold * fold : 0;
  for (int i = 0; i < wide; i += fold)
    for (int j = 0; j < fold * c; j++) sums[j] += x[(size_t)i * c + j];
  memset(means, 0, sizeof(REAL) * (size_t)c);
  for (int i = 0; i < fold; i++)
    for (int ch = 0; ch < c; ch++) means[ch] += sums[i * c + ch];
  for (int i = wide; i < positions; i++)
    for (int ch = 0; ch < c; ch++) means[ch] += x[(size_t)i * c + ch];
  for (int ch = 0; ch < c; ch++) means[ch] /= (REAL)positions;
}

void NAME(gap_forward)(int images, int positions, int c, const void *x, void *y) {
  for (int i = 0; i < images; i++) means_of(positions, c, (const REAL *)x + (size_t)i * positions * c, (REAL *)y + (size_t)i * c);
}

void NAME(gap_backward)(int images, int positions, int c, const void *dy, void *dx) {
  REAL part = (REAL)1 / (REAL)positions;
  for (int i = 0; i < images; i++) {
    const REAL *restrict in = (const REAL *)dy + (size_t)i * c;
    REAL *restrict out = (REAL *)dx + (size_t)i * positions * c;
    for (int p = 0; p < positions; p++)
      for (int ch = 0; ch < c; ch++) out[(size_t)p * c + ch] = in[ch] * part;
  }
}

static void subtract(int positions, int c, const REAL *x, const REAL *mean, REAL *y) {
  REAL wide[LANES];
  int fold = c < LANES ? LANES / c : 0, i = 0;
  for (int j = 0; j < fold * c; j++) wide[j] = mean[j % c];
  for (; fold && i + fold <= positions; i += fold) {
INDEPENDENT
    for (int j = 0; j < fold * c; j++) y[(size_t)i * c + j] = x[(size_t)i * c + j] - wide[j];
  }
  for (; i < positions; i++)
    for (int ch = 0; ch < c; ch++) y[(size_t)i * c + ch] = x[(size_t)i * c + ch] - mean[ch];
}

void NAME(image_mean)(int images, int positions, int c, const void *x, void *y, void *means) {
  for (int i = 0; i < images; i++) {
    const REAL *in = (const REAL *)x + (size_t)i * positions * c;
    means_of(positions, c, in, means);
    subtract(positions, c, in, means, (REAL *)y + (size_t)i * positions * c);
  }
}
