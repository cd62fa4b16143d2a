/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch normalisation (Ioffe & Szegedy 2015) and normalisation of weights. Sums run over four rows
 * of `period` elements at once: fewer loads of the accumulators, and shorter chains of rounding.
 */
#include <math.h>
#include <string.h>

#include "kernel/tmpl/body.h"

static void sum_rows(size_t length, size_t rows, size_t period, const REAL *restrict x, REAL *restrict sums) {
  if (rows == 4)
    for (size_t j = 0; j < length; j++) sums[j] += (x[j] + x[period + j]) + (x[2 * period + j] + x[3 * period + j]);
  else
    for (size_t j = 0; j < length; j++) sums[j] += x[j];
}

void NAME(column_sums)(size_t n, size_t period, const void *x, void *sums) {
  const REAL *in = x;
  memset(sums, 0, period * sizeof(REAL));
  for (; n >= 4 * period; n -= 4 * period, in += 4 * period) sum_rows(period, 4, period, in, sums);
  for (; n > 0; n -= n < period ? n : period, in += period) sum_rows(n < period ? n : period, 1, period, in, sums);
}

static void moment_rows(size_t length, size_t rows, size_t period, const REAL *restrict x, const REAL *restrict shift,
                        REAL *restrict sums) {
  REAL *restrict squares = sums + period;
  if (rows == 4)
    for (size_t j = 0; j < length; j++) {
      REAL a = x[j] - shift[j], b = x[period + j] - shift[j], c = x[2 * period + j] - shift[j], d = x[3 * period + j] - shift[j];
      sums[j] += (a + b) + (c + d);
      squares[j] += (a * a + b * b) + (c * c + d * d);
    }
  else
    for (size_t j = 0; j < length; j++) {
      REAL a = x[j] - shift[j];
      sums[j] += a;
      squares[j] += a * a;
    }
}

void NAME(bn_sums)(size_t n, size_t period, const void *x, const void *shift, void *sums) {
  const REAL *in = x;
  memset(sums, 0, 2 * period * sizeof(REAL));
  for (; n >= 4 * period; n -= 4 * period, in += 4 * period) moment_rows(period, 4, period, in, shift, sums);
  for (; n > 0; n -= n < period ? n : period, in += period) moment_rows(n < period ? n : period, 1, period, in, shift, sums);
}

/* One formula for forward and for the mask that backward makes again: both must agree on which side of 0 a value lies. */
static inline REAL normalised(REAL x, REAL mean, REAL a, REAL b) { return (x - mean) * a + b; }

static void forward_row(size_t length, size_t period, int relu, const REAL *vectors, const REAL *x, REAL *y) {
  const REAL *mean = vectors, *a = vectors + period, *b = vectors + 2 * period;
  if (relu) {
INDEPENDENT
    for (size_t j = 0; j < length; j++) {
      REAL value = normalised(x[j], mean[j], a[j], b[j]);
      y[j] = value < 0 ? 0 : value;
    }
  } else {
INDEPENDENT
    for (size_t j = 0; j < length; j++) y[j] = normalised(x[j], mean[j], a[j], b[j]);
  }
}

void NAME(bn_forward)(size_t n, size_t period, int relu, const void *vectors, const void *x, void *y) {
  for (size_t i = 0; i < n; i += period)
    forward_row(n - i < period ? n - i : period, period, relu, vectors, (const REAL *)x + i, (REAL *)y + i);
}

static inline REAL passed(int relu, REAL x, REAL dy, REAL mean, REAL a, REAL b) {
  return !relu || normalised(x, mean, a, b) > 0 ? dy : 0;
}

static inline void backward_sum_rows(size_t length, size_t rows, size_t period, int relu, const REAL *restrict vectors,
                                     const REAL *restrict x, const REAL *restrict dy, REAL *restrict sums) {
  const REAL *mean = vectors, *a = vectors + period, *b = vectors + 2 * period;
  REAL *products = sums + period;
INDEPENDENT
  for (size_t j = 0; j < length; j++) {
    REAL sum = 0, product = 0;
    for (size_t i = 0; i < rows; i++) {
      REAL value = x[i * period + j], g = passed(relu, value, dy[i * period + j], mean[j], a[j], b[j]);
      sum += g;
      product += g * (value - mean[j]);
    }
    sums[j] += sum;
    products[j] += product;
  }
}

static inline void backward_sums(size_t n, size_t period, int relu, const REAL *vectors, const REAL *x, const REAL *dy, REAL *sums) {
  memset(sums, 0, 2 * period * sizeof(REAL));
  for (; n >= 4 * period; n -= 4 * period, x += 4 * period, dy += 4 * period)
    backward_sum_rows(period, 4, period, relu, vectors, x, dy, sums);
  for (; n > 0; n -= n < period ? n : period, x += period, dy += period)
    backward_sum_rows(n < period ? n : period, 1, period, relu, vectors, x, dy, sums);
}

void NAME(bn_backward_sums)(size_t n, size_t period, int relu, const void *vectors, const void *x, const void *dy, void *sums) {
  if (relu) backward_sums(n, period, 1, vectors, x, dy, sums);
  else backward_sums(n, period, 0, vectors, x, dy, sums);
}

static inline void backward_row(size_t length, size_t period, int relu, const REAL *vectors, const REAL *x, const REAL *dy, REAL *dx) {
  const REAL *mean = vectors, *a = vectors + period, *b = vectors + 2 * period;
  const REAL *p = vectors + 3 * period, *q = vectors + 4 * period, *r = vectors + 5 * period;
INDEPENDENT
  for (size_t j = 0; j < length; j++) {
    REAL g = passed(relu, x[j], dy[j], mean[j], a[j], b[j]);
    dx[j] = p[j] * g + (q[j] * (x[j] - mean[j]) + r[j]);
  }
}

void NAME(bn_backward)(size_t n, size_t period, int relu, const void *vectors, const void *x, const void *dy, void *dx) {
  for (size_t i = 0; i < n; i += period) {
    size_t length = n - i < period ? n - i : period;
    if (relu) backward_row(length, period, 1, vectors, (const REAL *)x + i, (const REAL *)dy + i, (REAL *)dx + i);
    else backward_row(length, period, 0, vectors, (const REAL *)x + i, (const REAL *)dy + i, (REAL *)dx + i);
  }
}

static double row_mean(size_t n, const REAL *x) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)x[i];
  return sum / (double)n;
}

void NAME(centre_rows)(size_t rows, size_t n, const void *x, void *y) {
  for (size_t row = 0; row < rows; row++) {
    const REAL *in = (const REAL *)x + row * n;
    REAL *out = (REAL *)y + row * n;
    double mean = row_mean(n, in);
    for (size_t i = 0; i < n; i++) out[i] = (REAL)((double)in[i] - mean);
  }
}

/* 1 / (sqrt(n) std) = 1 / |x - mean|; a constant row has no direction and becomes 0. */
static double inverse_norm(size_t n, const REAL *x, double mean) {
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
  return squares > 0 ? 1 / sqrt(squares) : 0;
}

/* Weight standardization (Qiao et al. 2019, eq. 7) with the variance 1/n instead of 1: the response keeps the size of a usual start. */
void NAME(standardize_rows)(size_t rows, size_t n, const void *x, void *y) {
  for (size_t row = 0; row < rows; row++) {
    const REAL *in = (const REAL *)x + row * n;
    REAL *out = (REAL *)y + row * n;
    double mean = row_mean(n, in), inverse = inverse_norm(n, in, mean);
    for (size_t i = 0; i < n; i++) out[i] = (REAL)(((double)in[i] - mean) * inverse);
  }
}

/* y = u / |u|, u = x - mean: dx = (P dy - y (y' dy)) / |u| with P = I - 1 1' / n, and P y = y. */
void NAME(standardize_rows_backward)(size_t rows, size_t n, const void *x, const void *dy, void *dx) {
  for (size_t row = 0; row < rows; row++) {
    const REAL *in = (const REAL *)x + row * n, *gradient = (const REAL *)dy + row * n;
    REAL *out = (REAL *)dx + row * n;
    double mean = row_mean(n, in), inverse = inverse_norm(n, in, mean), gradient_mean = row_mean(n, gradient), along = 0;
    for (size_t i = 0; i < n; i++) along += ((double)in[i] - mean) * inverse * (double)gradient[i];
    for (size_t i = 0; i < n; i++)
      out[i] = (REAL)(((double)gradient[i] - gradient_mean - ((double)in[i] - mean) * inverse * along) * inverse);
  }
}
