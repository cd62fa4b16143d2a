/* SPDX-License-Identifier: Apache-2.0 */
#include "data/manipulate.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

static int clamp(int value, int below) { return value < 0 ? 0 : value < below ? value : below - 1; }

/* A manipulation of one channel: from (width x height) to `to`, whose size the caller has chosen. */
typedef tare_status (*plane_fn)(const uint8_t *from, int width, int height, uint8_t *to, tare_error *error);

/* Runs `run` on each channel; the result is out_width x out_height. */
static tare_status by_plane(const tare_picture *image, plane_fn run, int out_width, int out_height, tare_picture *out, tare_error *error) {
  size_t in = (size_t)image->width * (size_t)image->height, result = (size_t)out_width * (size_t)out_height;
  size_t channels = (size_t)image->channels;
  tare_status status = tare_picture_create(out_width, out_height, image->channels, 8, out, error);
  if (status) return status;
  if (channels == 1) status = run(image->pixels, image->width, image->height, out->pixels, error);
  else {
    uint8_t *plane = tare_alloc(in + result, 1), *to = plane + in, *pixels = out->pixels;
    const uint8_t *from = image->pixels;
    if (!plane) status = tare_fail_memory(error, in + result, "a colour plane");
    for (size_t c = 0; c < channels && !status; c++) {
      for (size_t i = 0; i < in; i++) plane[i] = from[i * channels + c];
      status = run(plane, image->width, image->height, to, error);
      for (size_t i = 0; i < result; i++) pixels[i * channels + c] = to[i];
    }
    tare_free(plane);
  }
  if (status) tare_picture_free(out);
  return status;
}

static tare_status untouched(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error) {
  (void)rng;
  tare_status status = tare_picture_create(image->width, image->height, image->channels, 8, out, error);
  if (!status) memcpy(out->pixels, image->pixels, (size_t)image->height * tare_picture_row_bytes(image));
  return status;
}

static tare_status median_plane(const uint8_t *from, int width, int height, uint8_t *to, tare_error *error) {
  (void)error;
  tare_median5(from, width, height, to);
  return TARE_OK;
}

static tare_status median(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error) {
  (void)rng;
  return by_plane(image, median_plane, image->width, image->height, out, error);
}

enum { REACH = 4, TAPS = 2 * REACH + 1 }; /* 3.6 sigma: what is cut off is 3e-4 of the weight */

static void gaussian_taps(float taps[TAPS]) {
  const double sigma = 1.1;
  double sum = 0;
  for (int i = -REACH; i <= REACH; i++) sum += exp(-i * i / (2 * sigma * sigma));
  for (int i = -REACH; i <= REACH; i++) taps[i + REACH] = (float)(exp(-i * i / (2 * sigma * sigma)) / sum);
}

/* One row down the columns: `row` has REACH more on each side, filled with the edge's value. */
static void blur_down(const uint8_t *from, int width, int height, int y, const float taps[TAPS], float *restrict row) {
  float *middle = row + REACH;
  memset(row, 0, (size_t)(width + 2 * REACH) * sizeof *row);
  for (int k = 0; k < TAPS; k++) {
    const uint8_t *line = from + (size_t)clamp(y + k - REACH, height) * (size_t)width;
    for (int x = 0; x < width; x++) middle[x] += taps[k] * (float)line[x];
  }
  for (int k = 0; k < REACH; k++) {
    row[k] = middle[0];
    middle[width + k] = middle[width - 1];
  }
}

static void blur_across(const float *row, int width, const float taps[TAPS], uint8_t *restrict to) {
  for (int x = 0; x < width; x++) {
    float sum = 0.5f; /* to the nearest whole number; the sum of weights is 1, so that it stays in 0..255 */
    for (int k = 0; k < TAPS; k++) sum += taps[k] * row[x + k];
    to[x] = (uint8_t)(int)sum;
  }
}

static tare_status gaussian_plane(const uint8_t *from, int width, int height, uint8_t *to, tare_error *error) {
  float taps[TAPS], *row = tare_alloc((size_t)width + 2 * REACH, sizeof *row);
  if (!row) return tare_fail_memory(error, (size_t)width * sizeof *row, "a row");
  gaussian_taps(taps);
  for (int y = 0; y < height; y++) {
    blur_down(from, width, height, y, taps, row);
    blur_across(row, width, taps, to + (size_t)y * (size_t)width);
  }
  tare_free(row);
  return TARE_OK;
}

static tare_status gaussian(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error) {
  (void)rng;
  return by_plane(image, gaussian_plane, image->width, image->height, out, error);
}

void tare_noise_init(tare_noise *noise, double deviation) {
  enum { SIZE = 1 << 16 };
  int at = 0;
  for (int n = -127; at < SIZE && n < 128; n++) {
    double below = 0.5 * erfc(-(n + 0.5) / (deviation * sqrt(2))); /* P(round(x) <= n) */
    int end = n == 127 ? SIZE : (int)lrint(below * SIZE);
    memset(noise->step + at, n, (size_t)(end - at));
    at = end;
  }
}

void tare_noise_add(const tare_noise *noise, tare_rng *rng, const uint8_t *from, size_t count, uint8_t *to) {
  for (size_t i = 0; i < count; i += 4) {
    uint64_t bits = tare_rng_u64(rng);
    for (size_t k = i; k < count && k < i + 4; k++, bits >>= 16) {
      int value = from[k] + noise->step[bits & 0xffff];
      to[k] = (uint8_t)clamp(value, 256);
    }
  }
}

static tare_status noisy(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error) {
  tare_noise noise;
  tare_status status = tare_picture_create(image->width, image->height, image->channels, 8, out, error);
  if (status) return status;
  tare_noise_init(&noise, 2);
  tare_noise_add(&noise, rng, image->pixels, (size_t)image->height * tare_picture_row_bytes(image), out->pixels);
  return TARE_OK;
}

/*
 * Bilinear, 3 pixels from 2, centres of the first and last pixel's halves kept: output x reads input (x + 1/2) 2/3 - 1/2 = (4x - 1)/6.
 * Every weight is a sixth, so that a value is a whole number of 36ths and is rounded exactly.
 */
static void sixths(int x, int size, int *low, int *high, int *weight) {
  int place = 4 * x - 1 + 6; /* one pixel on, so that / and % see no negative number */
  *low = clamp(place / 6 - 1, size);
  *high = clamp(place / 6, size);
  *weight = place % 6;       /* of `high`, of 6 */
}

static tare_status larger_plane(const uint8_t *from, int width, int height, uint8_t *to, tare_error *error) {
  int out_width = width * 3 / 2, out_height = height * 3 / 2, low, high, weight;
  uint16_t *row = tare_alloc((size_t)width, sizeof *row);
  if (!row) return tare_fail_memory(error, (size_t)width * sizeof *row, "a row");
  for (int y = 0; y < out_height; y++) {
    sixths(y, height, &low, &high, &weight);
    const uint8_t *above = from + (size_t)low * (size_t)width, *below = from + (size_t)high * (size_t)width;
    for (int x = 0; x < width; x++) row[x] = (uint16_t)((6 - weight) * above[x] + weight * below[x]);
    for (int x = 0; x < out_width; x++) {
      sixths(x, width, &low, &high, &weight);
      to[(size_t)y * (size_t)out_width + (size_t)x] = (uint8_t)(((6 - weight) * row[low] + weight * row[high] + 18) / 36);
    }
  }
  tare_free(row);
  return TARE_OK;
}

static tare_status resampled(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error) {
  (void)rng;
  return by_plane(image, larger_plane, image->width * 3 / 2, image->height * 3 / 2, out, error);
}

static tare_status jpeg(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error) {
  (void)rng;
  return tare_jpeg_pass(image, 70, out, error);
}

const tare_manipulation tare_manipulations[TARE_MANIPULATIONS] = {
  {"untouched", untouched}, {"median 5x5", median}, {"gaussian 1.1", gaussian},
  {"noise 2", noisy}, {"resampled 1.5", resampled}, {"jpeg 70", jpeg},
};

tare_status tare_manipulate(const tare_picture *image, uint64_t seed, tare_picture *versions, tare_error *error) {
  tare_status status = TARE_OK;
  for (int c = 0; c < TARE_MANIPULATIONS && !status; c++) {
    tare_rng rng;
    tare_rng_init(&rng, seed, (uint64_t)c);
    status = tare_manipulations[c].run(image, &rng, &versions[c], error);
  }
  for (int c = 0; status && c < TARE_MANIPULATIONS; c++) tare_picture_free(&versions[c]);
  return status;
}
