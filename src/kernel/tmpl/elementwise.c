/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "kernel/tmpl/body.h"

/* Arrays may be the same one: ivdep (no dependence between iterations) where restrict would be wrong. */

void NAME(relu_forward)(size_t n, const void *x, void *y) {
  const REAL *in = x;
  REAL *out = y;
INDEPENDENT
  for (size_t i = 0; i < n; i++) out[i] = in[i] < 0 ? 0 : in[i];
}

void NAME(relu_backward)(size_t n, const void *y, const void *dy, void *dx) {
  const REAL *out = y, *gradient = dy;
  REAL *result = dx;
INDEPENDENT
  for (size_t i = 0; i < n; i++) result[i] = out[i] > 0 ? gradient[i] : 0;
}

void NAME(multiply)(size_t n, const void *x, const void *factors, void *y) {
  const REAL *in = x, *factor = factors;
  REAL *out = y;
INDEPENDENT
  for (size_t i = 0; i < n; i++) out[i] = in[i] * factor[i];
}

void NAME(add)(size_t n, const void *x, void *y) {
  const REAL *in = x;
  REAL *out = y;
INDEPENDENT
  for (size_t i = 0; i < n; i++) out[i] += in[i];
}

void NAME(sort_forward)(size_t rows, size_t half, const void *x, void *y) {
  for (size_t row = 0; row < rows; row++) {
    const REAL *restrict in = (const REAL *)x + row * 2 * half;
    REAL *restrict out = (REAL *)y + row * 2 * half;
    for (size_t i = 0; i < half; i++) {
      REAL a = in[i], b = in[half + i];
      out[i] = a < b ? b : a;
      out[half + i] = a < b ? a : b;
    }
  }
}

void NAME(sort_backward)(size_t rows, size_t half, const void *x, const void *dy, void *dx) {
  for (size_t row = 0; row < rows; row++) {
    const REAL *restrict in = (const REAL *)x + row * 2 * half, *restrict gradient = (const REAL *)dy + row * 2 * half;
    REAL *restrict result = (REAL *)dx + row * 2 * half;
    for (size_t i = 0; i < half; i++) {
      REAL larger = gradient[i], smaller = gradient[half + i];
      int swapped = in[i] < in[half + i];
      result[i] = swapped ? smaller : larger;
      result[half + i] = swapped ? larger : smaller;
    }
  }
}

void NAME(widen)(size_t n, const void *x, double *y) {
  const REAL *in = x;
  for (size_t i = 0; i < n; i++) y[i] = (double)in[i];
}

void NAME(narrow)(size_t n, const double *x, void *y) {
  REAL *out = y;
  for (size_t i = 0; i < n; i++) out[i] = (REAL)x[i];
}

static double row_residual(int taps, const double *a, double b, const REAL *w) {
  double sum = -b;
  for (int i = 0; i < taps; i++) sum += a[i] * (double)w[i];
  return sum;
}

double NAME(penalty)(size_t units, int taps, int rows, const double *a, const double *b, double strength, const void *w, void *g) {
  double total = 0;
  for (size_t unit = 0; unit < units; unit++)
    for (int row = 0; row < rows; row++) {
      const double *line = a + (size_t)row * taps;
      double residual = row_residual(taps, line, b[row], (const REAL *)w + unit * taps);
      total += fabs(residual);
      if (!g || residual == 0) continue;
      double slope = residual > 0 ? strength : -strength;
      REAL *gradient = (REAL *)g + unit * taps;
      for (int i = 0; i < taps; i++) gradient[i] += (REAL)(slope * line[i]);
    }
  return strength * total;
}
