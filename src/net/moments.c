/* SPDX-License-Identifier: Apache-2.0 */
#include "net/moments.h"

#include <string.h>

enum { LANES = 64 }; /* floats: four of the widest registers */

size_t tare_period(int channels) { return (size_t)channels * (channels < LANES ? (LANES + channels - 1) / channels : 1); }

static void *at(const tare_kernels *kernels, const void *array, size_t elements) { return (char *)array + elements * kernels->real; }

void tare_spread(const tare_kernels *kernels, int channels, const double *values, void *vector) {
  for (size_t i = 0, period = tare_period(channels); i < period; i += (size_t)channels)
    kernels->narrow((size_t)channels, values, at(kernels, vector, i));
}

void tare_gather(const tare_kernels *kernels, int channels, const void *vector, double *values) {
  memset(values, 0, sizeof *values * (size_t)channels);
  for (size_t i = 0, period = tare_period(channels); i < period; i++) {
    double value;
    kernels->widen(1, at(kernels, vector, i), &value);
    values[i % (size_t)channels] += value;
  }
}

void tare_fold(const tare_kernels *kernels, int channels, const void *vector, void *sums) {
  memcpy(sums, vector, (size_t)channels * kernels->real);
  for (size_t i = (size_t)channels, period = tare_period(channels); i < period; i += (size_t)channels)
    kernels->add((size_t)channels, at(kernels, vector, i), sums);
}

/* Sums are taken of x less the first pixel, so that a mean far from 0 costs no digits. */
void tare_moments_take(const tare_kernels *kernels, size_t positions, int channels, const void *x, void *scratch, tare_moments *out) {
  size_t period = tare_period(channels);
  void *shift = scratch, *sums = at(kernels, scratch, period);
  for (size_t i = 0; i < period; i += (size_t)channels) memcpy(at(kernels, shift, i), x, (size_t)channels * kernels->real);
  kernels->bn_sums(positions * (size_t)channels, period, x, shift, sums);
  tare_gather(kernels, channels, sums, out->mean);
  tare_gather(kernels, channels, at(kernels, sums, period), out->squares);
  out->count = (double)positions;
  for (int c = 0; c < channels; c++) {
    double first, sum = out->mean[c], squares = out->squares[c] - sum * sum / out->count;
    kernels->widen(1, at(kernels, x, (size_t)c), &first);
    out->mean[c] = first + sum / out->count;
    out->squares[c] = squares > 0 ? squares : squares <= 0 ? 0 : squares; /* a NaN stays one */
  }
}

void tare_moments_merge(int channels, tare_moments *into, const tare_moments *other) {
  double count = into->count + other->count, weight = other->count / count;
  for (int c = 0; c < channels; c++) {
    double distance = other->mean[c] - into->mean[c];
    into->mean[c] += distance * weight;
    into->squares[c] += other->squares[c] + distance * distance * into->count * weight;
  }
  into->count = count;
}

void tare_rows_tree(double *first, size_t count, int rows) {
  for (int step = 1; step < rows; step *= 2)
    for (int i = 0; i + step < rows; i += 2 * step)
      for (size_t k = 0; k < count; k++) first[(size_t)i * count + k] += first[(size_t)(i + step) * count + k];
}

void tare_moments_tree(int channels, tare_moments *list, int count) {
  for (int step = 1; step < count; step *= 2)
    for (int i = 0; i + step < count; i += 2 * step) tare_moments_merge(channels, &list[i], &list[i + step]);
}
