/* SPDX-License-Identifier: Apache-2.0 */
/* Brightness of nhwc images: sums of their channels, and a value a channel added. Few channels do not fill a vector: several pixels side by side do. */
#include <string.h>

#include "kernel/tmpl/body.h"

enum { WIDE = 64 }; /* elements that are added side by side, at most */

static int pixels_side_by_side(int channels) { return channels < WIDE ? WIDE / channels : 1; }

static void add_row(size_t n, const REAL *restrict x, double *restrict sums) {
  for (size_t i = 0; i < n; i++) sums[i] += (double)x[i];
}

void NAME(channel_sums)(size_t pixels, int channels, const void *x, double *sums) {
  double wide[WIDE] = {0};
  const REAL *in = x;
  size_t c = (size_t)channels, fold = (size_t)pixels_side_by_side(channels), i = 0;
  memset(sums, 0, c * sizeof *sums);
  for (; fold > 1 && i + fold <= pixels; i += fold) add_row(fold * c, in + i * c, wide);
  for (; i < pixels; i++) add_row(c, in + i * c, sums);
  for (size_t j = 0; fold > 1 && j < fold; j++)
    for (size_t ch = 0; ch < c; ch++) sums[ch] += wide[j * c + ch];
}

static void add_values(size_t n, const REAL *x, const REAL *values, REAL *y) {
INDEPENDENT
  for (size_t i = 0; i < n; i++) y[i] = x[i] + values[i];
}

void NAME(add_channels)(size_t pixels, int channels, const void *values, const void *x, void *y) {
  REAL wide[WIDE];
  const REAL *in = x;
  REAL *out = y;
  size_t c = (size_t)channels, fold = (size_t)pixels_side_by_side(channels), i = 0;
  for (size_t j = 0; fold > 1 && j < fold; j++) memcpy(wide + j * c, values, c * sizeof(REAL));
  for (; fold > 1 && i + fold <= pixels; i += fold) add_values(fold * c, in + i * c, wide, out + i * c);
  for (; i < pixels; i++) add_values(c, in + i * c, values, out + i * c);
}
