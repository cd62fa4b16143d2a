/* SPDX-License-Identifier: Apache-2.0 */
/* The manipulations against slow references, and the statistics of dead leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/leaves.h"
#include "data/manipulate.h"

enum { UNTOUCHED, MEDIAN, GAUSSIAN, NOISE, RESAMPLED, JPEG };

/* Noise on ramps: flat parts, ties and the full range. */
static tare_picture test_image(int width, int height, int channels, uint64_t seed) {
  tare_picture image;
  tare_rng rng;
  tare_rng_init(&rng, seed, 7);
  assert_int_equal(tare_picture_create(width, height, channels, 8, &image, NULL), TARE_OK);
  uint8_t *pixels = image.pixels;
  for (int y = 0; y < height; y++)
    for (int i = 0; i < width * channels; i++) {
      int value = (int)tare_rng_below(&rng, 3) == 0 ? (int)tare_rng_below(&rng, 256) : (3 * y + 5 * i) % 256;
      *pixels++ = (uint8_t)value;
    }
  return image;
}

static tare_picture manipulated(const tare_picture *image, int which, uint64_t seed) {
  tare_picture out;
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  assert_int_equal(tare_manipulations[which].run(image, &rng, &out, NULL), TARE_OK);
  assert_int_equal(out.channels, image->channels);
  assert_int_equal(out.bits, 8);
  return out;
}

/* The pixel there, the edges repeated. */
static int at(const tare_picture *image, int y, int x, int c) {
  y = y < 0 ? 0 : y >= image->height ? image->height - 1 : y;
  x = x < 0 ? 0 : x >= image->width ? image->width - 1 : x;
  return ((const uint8_t *)image->pixels)[(y * image->width + x) * image->channels + c];
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static double reference_median(const tare_picture *image, int y, int x, int c) {
  int square[25];
  for (int k = 0; k < 25; k++) square[k] = at(image, y + k / 5 - 2, x + k % 5 - 2, c);
  qsort(square, 25, sizeof *square, compare);
  return square[12];
}

static double reference_gaussian(const tare_picture *image, int y, int x, int c) {
  double sum = 0, weights = 0;
  for (int j = -4; j <= 4; j++)
    for (int i = -4; i <= 4; i++) {
      double weight = exp(-(i * i + j * j) / (2 * 1.1 * 1.1));
      sum += weight * at(image, y + j, x + i, c);
      weights += weight;
    }
  return sum / weights;
}

static double reference_resampled(const tare_picture *image, int y, int x, int c) {
  double v = (y + 0.5) / 1.5 - 0.5, u = (x + 0.5) / 1.5 - 0.5, dv = v - floor(v), du = u - floor(u);
  int j = (int)floor(v), i = (int)floor(u);
  return (1 - dv) * ((1 - du) * at(image, j, i, c) + du * at(image, j, i + 1, c)) +
         dv * ((1 - du) * at(image, j + 1, i, c) + du * at(image, j + 1, i + 1, c));
}

/* Within half a grey level, and a trifle for float arithmetic. */
static void matches(int which, double (*reference)(const tare_picture *, int, int, int), double tolerance) {
  static const int sizes[][3] = {{1, 1, 1}, {3, 2, 1}, {13, 40, 1}, {61, 7, 3}, {100, 33, 1}, {130, 64, 3}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    tare_picture image = test_image(sizes[k][0], sizes[k][1], sizes[k][2], k), out = manipulated(&image, which, 1);
    for (int y = 0; y < out.height; y++)
      for (int x = 0; x < out.width; x++)
        for (int c = 0; c < out.channels; c++) {
          double want = reference(&image, y, x, c), got = at(&out, y, x, c);
          if (!(fabs(want - got) <= tolerance))
            fail_msg("%s, %dx%d: (%d,%d,%d) is %g, expected %g", tare_manipulations[which].name, image.width, image.height, y, x, c, got,
                     want);
        }
    tare_picture_free(&image);
    tare_picture_free(&out);
  }
}

static void the_median_is_the_thirteenth(void **state) {
  (void)state;
  matches(MEDIAN, reference_median, 0);
}

static void the_gaussian_is_within_rounding(void **state) {
  (void)state;
  matches(GAUSSIAN, reference_gaussian, 0.5 + 1e-3);
}

static void resampling_is_within_rounding(void **state) {
  (void)state;
  matches(RESAMPLED, reference_resampled, 0.5 + 1e-9);
  tare_picture image = test_image(31, 20, 1, 1), out = manipulated(&image, RESAMPLED, 1);
  assert_true(out.width == 46 && out.height == 30);
  tare_picture_free(&image);
  tare_picture_free(&out);
}

static void untouched_is_a_copy(void **state) {
  (void)state;
  tare_picture image = test_image(33, 20, 3, 1), out = manipulated(&image, UNTOUCHED, 1);
  assert_memory_equal(image.pixels, out.pixels, 33 * 20 * 3);
  tare_picture_free(&image);
  tare_picture_free(&out);
}

/* On a mid-grey image the difference is round(2 g): mean 0, variance 4 + 1/12, and the frequency of each value is the normal law's. */
static void the_noise_is_normal(void **state) {
  (void)state;
  enum { SIDE = 500, N = SIDE * SIDE };
  tare_picture image, out;
  assert_int_equal(tare_picture_create(SIDE, SIDE, 1, 8, &image, NULL), TARE_OK);
  memset(image.pixels, 128, N);
  out = manipulated(&image, NOISE, 1);
  double counts[256] = {0}, mean = 0, variance = 0, chi2 = 0;
  const uint8_t *pixels = out.pixels;
  for (int i = 0; i < N; i++) counts[pixels[i]]++;
  for (int v = 0; v < 256; v++) mean += counts[v] * (v - 128) / N;
  for (int v = 0; v < 256; v++) variance += counts[v] * (v - 128) * (v - 128) / N;
  assert_true(fabs(mean) < 0.02);
  assert_true(fabs(variance - 4 - 1.0 / 12) < 0.06);
  for (int n = -5; n <= 5; n++) {
    double expected = N * 0.5 * (erf((n + 0.5) / sqrt(8)) - erf((n - 0.5) / sqrt(8)));
    chi2 += pow(counts[128 + n] - expected, 2) / expected;
  }
  assert_true(chi2 < 40); /* 11 terms: a chance of 1e-5 */
  tare_picture other = manipulated(&image, NOISE, 2), again = manipulated(&image, NOISE, 1);
  assert_memory_equal(out.pixels, again.pixels, N);
  assert_true(memcmp(out.pixels, other.pixels, N) != 0);
  /* Clipped at the ends, not wrapped. */
  memset(image.pixels, 255, N);
  tare_picture_free(&other);
  other = manipulated(&image, NOISE, 1);
  for (int i = 0; i < N; i++) assert_true(((uint8_t *)other.pixels)[i] > 200);
  tare_picture_free(&image);
  tare_picture_free(&out);
  tare_picture_free(&other);
  tare_picture_free(&again);
}

/* The first rows of the luminance table of JPEG (ITU-T T.81, table K.1); quality 70 takes 60 % of it. */
static const int table_k1[4][4] = {{16, 11, 10, 16}, {12, 12, 14, 19}, {14, 13, 16, 24}, {14, 17, 22, 29}};

static double dct8(const tare_picture *image, int top, int left, int v, int u) {
  double sum = 0, scale = (v ? 1 : sqrt(0.5)) * (u ? 1 : sqrt(0.5)) / 4;
  for (int y = 0; y < 8; y++)
    for (int x = 0; x < 8; x++)
      sum += (at(image, top + y, left + x, 0) - 128) * cos((2 * y + 1) * v * acos(-1) / 16) * cos((2 * x + 1) * u * acos(-1) / 16);
  return scale * sum;
}

/* Decoded pixels give DCT coefficients that are multiples of the quantiser, but for the rounding of the pixels. */
static void jpeg_is_quantised_at_70(void **state) {
  (void)state;
  tare_picture image, out;
  assert_int_equal(tare_leaves_image(3, 1, &image, NULL), TARE_OK);
  uint8_t *pixels = image.pixels;
  for (int i = 0; i < 512 * 512; i++) pixels[i] = (uint8_t)(96 + pixels[i] / 4); /* away from 0 and 255: no clipping */
  out = manipulated(&image, JPEG, 1);
  int far = 0, total = 0;
  double error = 0;
  for (int block = 0; block < 200; block++)
    for (int v = 0; v < 4; v++)
      for (int u = 0; u < 4; u++) {
        int q = (table_k1[v][u] * 60 + 50) / 100, top = block / 20 * 24, left = block % 20 * 24;
        double c = dct8(&out, top, left, v, u);
        far += fabs(c - q * rint(c / q)) > 1.2;
        total++;
      }
  for (int i = 0; i < 512 * 512; i++) error += pow(((uint8_t *)out.pixels)[i] - pixels[i], 2) / (512 * 512);
  assert_true(far < total / 100);
  assert_true(error > 0.5 && error < 60);
  tare_picture_free(&image);
  tare_picture_free(&out);
  image = test_image(37, 21, 3, 1); /* colour, sizes that are not multiples of 8 */
  out = manipulated(&image, JPEG, 1);
  assert_true(out.width == 37 && out.height == 21 && memcmp(out.pixels, image.pixels, 37 * 21 * 3) != 0);
  tare_picture_free(&image);
  tare_picture_free(&out);
}

static void all_versions_are_made_and_differ(void **state) {
  (void)state;
  tare_picture image = test_image(64, 48, 1, 5), versions[TARE_MANIPULATIONS];
  assert_int_equal(tare_manipulate(&image, 1, versions, NULL), TARE_OK);
  for (int i = 0; i < TARE_MANIPULATIONS; i++)
    for (int j = 0; j < i; j++) assert_true(tare_picture_hash(&versions[i]) != tare_picture_hash(&versions[j]));
  assert_true(tare_picture_hash(&versions[0]) == tare_picture_hash(&image));
  for (int i = 0; i < TARE_MANIPULATIONS; i++) tare_picture_free(&versions[i]);
  tare_picture_free(&image);
}

static void every_pixel_counts_in_the_hash(void **state) {
  (void)state;
  tare_picture image = test_image(13, 3, 1, 5);
  uint64_t hash = tare_picture_hash(&image);
  for (int i = 0; i < 13 * 3; i++) {
    ((uint8_t *)image.pixels)[i] ^= 1;
    assert_true(tare_picture_hash(&image) != hash);
    ((uint8_t *)image.pixels)[i] ^= 1;
  }
  assert_true(tare_picture_hash(&image) == hash);
  image.width = 3, image.height = 13; /* the same bytes, another shape */
  assert_true(tare_picture_hash(&image) != hash);
  image.width = 13, image.height = 3;
  tare_picture_free(&image);
}

static void sixteen_bits_are_65536ths(void **state) {
  (void)state;
  tare_picture image;
  float out[4];
  assert_int_equal(tare_picture_create(3, 3, 1, 16, &image, NULL), TARE_OK);
  for (int i = 0; i < 9; i++) ((uint16_t *)image.pixels)[i] = (uint16_t)(i * 8000 + 1);
  tare_picture_crop(&image, 1, 1, 2, 2, 0.25f, out);
  static const int from[4] = {4, 5, 7, 8};
  for (int i = 0; i < 4; i++) assert_true(out[i] == (float)(from[i] * 8000 + 1) / 65536 + 0.25f);
  tare_picture_free(&image);
}

/* ---- dead leaves ---- */

enum { SIDE = 64 };

/* The power of a 64x64 square under a Hann window, at the frequency (v, u)/64. */
static double power_at(const double *window, int v, int u) {
  double re = 0, im = 0, turn = 2 * acos(-1) / SIDE;
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      re += window[y * SIDE + x] * cos(turn * (v * y + u * x));
      im += window[y * SIDE + x] * sin(turn * (v * y + u * x));
    }
  return re * re + im * im;
}

static void take_window(const tare_picture *image, int top, int left, double *window) {
  double mean = 0;
  for (int i = 0; i < SIDE * SIDE; i++) mean += at(image, top + i / SIDE, left + i % SIDE, 0) / (double)(SIDE * SIDE);
  for (int i = 0; i < SIDE * SIDE; i++) {
    double fall = pow(sin(acos(-1) * (i / SIDE + 0.5) / SIDE) * sin(acos(-1) * (i % SIDE + 0.5) / SIDE), 2);
    window[i] = fall * (at(image, top + i / SIDE, left + i % SIDE, 0) - mean);
  }
}

/* log power falls with log frequency at a slope between -2 (Field 1987; Ruderman 1997: -1.8 to -2.3) and that of the photos in doc/data.md, -3.1 to -3.4. */
static void leaves_have_the_spectrum_of_photos(void **state) {
  (void)state;
  static const int frequencies[] = {3, 4, 6, 8, 11, 16}; /* of 64: 1/21 to 1/4 of a cycle a pixel */
  enum { F = sizeof frequencies / sizeof *frequencies };
  double power[F] = {0}, window[SIDE * SIDE], sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (uint64_t number = 0; number < 3; number++) {
    tare_picture image;
    assert_int_equal(tare_leaves_image(1, number, &image, NULL), TARE_OK);
    for (int k = 0; k < 36; k++) {
      take_window(&image, k / 6 * 85, k % 6 * 85, window);
      for (int i = 0; i < F; i++) power[i] += power_at(window, frequencies[i], 0) + power_at(window, 0, frequencies[i]);
    }
    tare_picture_free(&image);
  }
  for (int i = 0; i < F; i++) {
    double x = log(frequencies[i]), y = log(power[i]);
    sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  double slope = (F * sxy - sx * sy) / (F * sxx - sx * sx);
  if (!(slope < -2.3 && slope > -3)) fail_msg("the slope of the spectrum is %g", slope);
}

static void leaves_are_seeded(void **state) {
  (void)state;
  tare_picture a, b, c, d;
  assert_int_equal(tare_leaves_image(7, 5, &a, NULL), TARE_OK);
  assert_int_equal(tare_leaves_image(7, 5, &b, NULL), TARE_OK);
  assert_int_equal(tare_leaves_image(7, 6, &c, NULL), TARE_OK);
  assert_int_equal(tare_leaves_image(8, 5, &d, NULL), TARE_OK);
  assert_memory_equal(a.pixels, b.pixels, 512 * 512);
  assert_true(tare_picture_hash(&a) != tare_picture_hash(&c) && tare_picture_hash(&a) != tare_picture_hash(&d));
  tare_picture_free(&a);
  tare_picture_free(&b);
  tare_picture_free(&c);
  tare_picture_free(&d);
}

static int grey_levels_of(uint64_t number) { /* those that more than 20 pixels have */
  tare_picture image;
  int counts[256] = {0}, used = 0;
  assert_int_equal(tare_leaves_image(7, number, &image, NULL), TARE_OK);
  for (int i = 0; i < 512 * 512; i++) counts[((uint8_t *)image.pixels)[i]]++;
  for (int v = 0; v < 256; v++) used += counts[v] > 20;
  assert_true(counts[0] < 512 * 5); /* no hole was left */
  tare_picture_free(&image);
  return used;
}

/* Among 24 pictures are some of nearly the full range and some of a tenth of it or less. */
static void leaves_differ_in_contrast(void **state) {
  (void)state;
  int most = 0, least = 256;
  for (uint64_t number = 0; number < 24; number++) {
    int used = grey_levels_of(number);
    most = used > most ? used : most;
    least = used < least ? used : least;
  }
  if (!(most > 190 && least < 26)) fail_msg("from %d to %d grey levels", least, most);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_median_is_the_thirteenth),
    cmocka_unit_test(the_gaussian_is_within_rounding),
    cmocka_unit_test(resampling_is_within_rounding),
    cmocka_unit_test(untouched_is_a_copy),
    cmocka_unit_test(the_noise_is_normal),
    cmocka_unit_test(jpeg_is_quantised_at_70),
    cmocka_unit_test(all_versions_are_made_and_differ),
    cmocka_unit_test(every_pixel_counts_in_the_hash),
    cmocka_unit_test(sixteen_bits_are_65536ths),
    cmocka_unit_test(leaves_have_the_spectrum_of_photos),
    cmocka_unit_test(leaves_are_seeded),
    cmocka_unit_test(leaves_differ_in_contrast),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
