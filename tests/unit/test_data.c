/* SPDX-License-Identifier: Apache-2.0 */
/* Sources, splits, draws, the loader, PNG. */
#include "sources.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <zlib.h>

#include <tare/image.h>

#include "base/rng.h"
#include "data/source.h"

/* A small leaves source shared by the tests that only look. */
static tare_source *leaves(double brightness) {
  tare_source_options options = defaults();
  options.images = 12;
  options.brightness = brightness;
  return open_source("leaves", options);
}

/* ---- splits and draws ---- */

static void leaves_are_balanced_and_split_by_image(void **state) {
  (void)state;
  tare_source *source = leaves(0);
  tare_source_info info;
  tare_source_get_info(source, &info);
  assert_int_equal(info.classes, 6);
  assert_string_equal(info.class_names[0], "untouched");
  assert_string_equal(info.class_names[5], "jpeg 70");
  assert_int_equal(info.images[0] + info.images[1], 12);
  assert_true(info.images[0] >= 1 && info.images[1] >= 1 && info.patches[TARE_TEST] >= 600 && info.patches[TARE_TRAIN] == 8000);
  enum { N = 60 };
  float *x = calloc((size_t)N * 48 * 48, sizeof *x);
  int32_t y[N], id[N];
  char side[12] = {0};
  for (uint64_t batch = 0; batch < 20; batch++) {
    int counts[6] = {0};
    assert_int_equal(tare_source_train_batch(source, 3, batch, N, x, y, id, NULL), TARE_OK);
    for (int i = 0; i < N; i++) {
      counts[y[i]]++;
      side[id[i]] |= 1;
    }
    for (int c = 0; c < 6; c++) assert_int_equal(counts[c], N / 6);
  }
  int counts[6] = {0};
  for (size_t first = 0; first < info.patches[TARE_TEST]; first += 12) {
    assert_int_equal(tare_source_test_batch(source, 3, first, 12, x, y, id, NULL), TARE_OK);
    for (int i = 0; i < 12; i++) {
      counts[y[i]]++;
      side[id[i]] |= 2;
    }
  }
  for (int c = 0; c < 6; c++) assert_int_equal(counts[c], info.patches[TARE_TEST] / 6);
  for (int i = 0; i < 12; i++) assert_true(side[i] == 1 || side[i] == 2); /* seen, and in one part only */
  free(x);
  tare_source_free(source);
}

static void draws_are_pure_functions(void **state) {
  (void)state;
  tare_source *a = leaves(0.5), *b = leaves(0.5);
  enum { N = 7, SIZE = N * 48 * 48 };
  float *x = malloc(SIZE * sizeof *x), *z = malloc(SIZE * sizeof *z);
  int32_t y[N], t[N];
  for (uint64_t i = 0; i < 3; i++) {
    memset(x, 0xff, SIZE * sizeof *x); /* NaN */
    assert_int_equal(tare_source_train_batch(a, 5, 2 - i, N, x, y, NULL, NULL), TARE_OK);
    assert_int_equal(tare_source_train_batch(b, 5, 2 - i, N, z, t, NULL, NULL), TARE_OK);
    assert_memory_equal(x, z, SIZE * sizeof *x);
    assert_memory_equal(y, t, sizeof y);
    assert_int_equal(tare_source_train_batch(b, 6, 2 - i, N, z, t, NULL, NULL), TARE_OK);
    assert_true(memcmp(x, z, SIZE * sizeof *x) != 0);
  }
  /* Test patches do not depend on how they are asked for; the seed moves their brightness alone. */
  assert_int_equal(tare_source_test_batch(a, 5, 10, N, x, y, NULL, NULL), TARE_OK);
  assert_int_equal(tare_source_test_batch(b, 5, 12, N - 2, z, t, NULL, NULL), TARE_OK);
  assert_memory_equal(x + 2 * 48 * 48, z, (SIZE - 2 * 48 * 48) * sizeof *x);
  assert_int_equal(tare_source_test_batch(b, 8, 10, N, z, t, NULL, NULL), TARE_OK);
  assert_memory_equal(y, t, sizeof y);
  for (int i = 0; i < N; i++) {
    double shift = (double)z[i * 2304] - (double)x[i * 2304];
    assert_true(shift != 0 && fabs(shift) < 1);
    for (int k = 0; k < 2304; k++) assert_true(fabs((double)z[i * 2304 + k] - (double)x[i * 2304 + k] - shift) < 1e-6);
  }
  free(x);
  free(z);
  tare_source_free(a);
  tare_source_free(b);
}

static void pixels_are_256ths_and_brightness_is_not_clipped(void **state) {
  (void)state;
  tare_source *plain = leaves(0), *bright = leaves(3);
  enum { N = 64, SIZE = 48 * 48 };
  float *x = malloc((size_t)N * SIZE * sizeof *x), lowest = 0, highest = 0;
  int32_t y[N];
  assert_int_equal(tare_source_train_batch(plain, 1, 0, N, x, y, NULL, NULL), TARE_OK);
  for (int i = 0; i < N * SIZE; i++) assert_true(x[i] >= 0 && x[i] <= 255 / 256.0f && x[i] * 256 == floorf(x[i] * 256));
  double sum = 0, squares = 0;
  for (uint64_t batch = 0; batch < 16; batch++) {
    assert_int_equal(tare_source_train_batch(bright, 1, batch, N, x, y, NULL, NULL), TARE_OK);
    for (int i = 0; i < N; i++) {
      double mean = 0;
      for (int k = 0; k < SIZE; k++) {
        mean += (double)x[i * SIZE + k] / SIZE;
        lowest = fminf(lowest, x[i * SIZE + k]);
        highest = fmaxf(highest, x[i * SIZE + k]);
      }
      sum += mean;
      squares += mean * mean;
    }
  }
  double n = 16 * N, mean = sum / n;
  assert_true(lowest < -2.5f && lowest >= -3 && highest > 3.5f && highest < 4);
  assert_true(fabs(mean - 0.5) < 0.2);
  assert_true(fabs(squares / n - mean * mean - 3) < 0.4); /* D^2 / 3, and a little from the images */
  free(x);
  tare_source_free(plain);
  tare_source_free(bright);
}

static void trained_images_are_left_out(void **state) {
  (void)state;
  tare_source *source = leaves(0);
  tare_source_info before, after;
  uint64_t hashes[12];
  size_t left_out = 99, count = tare_source_train_hashes(source, hashes, 12);
  tare_source_get_info(source, &before);
  assert_int_equal(count, before.images[TARE_TRAIN]);
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < i; j++) assert_true(hashes[i] != hashes[j]);
  /* Trained on three of them: all the others become test images. */
  assert_int_equal(tare_source_exclude(source, hashes, 3, &left_out, NULL), TARE_OK);
  tare_source_get_info(source, &after);
  assert_int_equal(left_out, 3);
  assert_int_equal(after.images[TARE_TEST], 9);
  assert_int_equal(after.images[TARE_TRAIN], 3);
  assert_int_equal(after.patches[TARE_TEST] % 54, 0);
  /* The same images from another list that knows them all. */
  uint64_t all[12 + 1] = {42};
  for (size_t i = 0; i < 12; i++) all[i + 1] = source->items[i].hash;
  tare_error error;
  assert_int_equal(tare_source_exclude(source, all, 13, &left_out, &error), TARE_E_DATA);
  assert_non_null(strstr(error.message, "none of its images is left"));
  assert_int_equal(tare_source_exclude(source, NULL, 0, &left_out, NULL), TARE_OK);
  assert_int_equal(left_out, 0);
  float x[48 * 48];
  int32_t y;
  assert_int_equal(tare_source_train_batch(source, 1, 0, 1, x, &y, NULL, &error), TARE_E_DATA);
  tare_source_free(source);
}

static void a_permutation_meets_every_number_once(void **state) {
  (void)state;
  uint64_t moved = 0;
  for (uint64_t count = 1; count < 300; count += 7) {
    char seen[300] = {0};
    for (uint64_t i = 0; i < count; i++) {
      uint64_t j = tare_permute(count * 77, count, i);
      assert_true(j < count && !seen[j]);
      seen[j] = 1;
      moved += i != j;
    }
  }
  assert_true(moved > 5000);
}

/* Each test image's patches are in one part only, whatever the number of images. */
static void both_parts_have_an_image(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 6; seed++) {
    tare_source_options options = defaults();
    options.images = 2;
    options.seed = seed;
    tare_source *source = open_source("leaves", options);
    tare_source_info info;
    tare_source_get_info(source, &info);
    assert_true(info.images[0] == 1 && info.images[1] == 1);
    tare_source_free(source);
  }
}

static void wrong_use_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *spec;
    int patch, rgb, images, threads;
    double brightness;
    tare_status status;
    const char *words;
  } cases[] = {
    {"leavs", 0, 0, 0, 1, 0, TARE_E_ARGUMENT, "expected leaves, photos:DIR, mnist:DIR or folder:DIR"},
    {"", 0, 0, 0, 1, 0, TARE_E_ARGUMENT, "expected leaves"},
    {"leaves:x", 0, 0, 0, 1, 0, TARE_E_ARGUMENT, "takes no folder"},
    {"mnist", 0, 0, 0, 1, 0, TARE_E_ARGUMENT, "mnist:DIR"},
    {"photos:", 0, 0, 0, 1, 0, TARE_E_ARGUMENT, "photos:DIR"},
    {"leaves", 513, 0, 0, 1, 0, TARE_E_ARGUMENT, "larger than the images"},
    {"leaves", -1, 0, 0, 1, 0, TARE_E_ARGUMENT, "patch"},
    {"leaves", 0, 1, 0, 1, 0, TARE_E_UNSUPPORTED, "luma"},
    {"mnist:/nowhere", 0, 1, 0, 1, 0, TARE_E_UNSUPPORTED, "luma"},
    {"leaves", 0, 0, 1, 1, 0, TARE_E_ARGUMENT, "images must be"},
    {"leaves", 0, 0, 0, 0, 0, TARE_E_ARGUMENT, "threads"},
    {"leaves", 0, 0, 0, 1, -1, TARE_E_ARGUMENT, "brightness"},
    {"leaves", 0, 0, 0, 1, NAN, TARE_E_ARGUMENT, "brightness"},
    {"mnist:/nowhere", 0, 0, 0, 1, 0, TARE_E_DATA, "/nowhere: cannot be opened"},
    {"mnist:/dev/null", 0, 0, 0, 1, 0, TARE_E_DATA, "expected a folder"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_source_options options = {.patch = cases[i].patch, .rgb = cases[i].rgb, .images = cases[i].images, .threads = cases[i].threads,
                                   .brightness = cases[i].brightness};
    tare_source *source = NULL;
    tare_error error = {0};
    assert_int_equal(tare_source_open(cases[i].spec, &options, &source, &error), cases[i].status);
    if (!strstr(error.message, cases[i].words)) fail_msg("'%s' does not say '%s'", error.message, cases[i].words);
    assert_null(strchr(error.message, '\n'));
    assert_null(source);
  }
  tare_source *source = leaves(0);
  float x[48 * 48];
  int32_t y;
  assert_int_equal(tare_source_train_batch(source, 1, 0, 0, x, &y, NULL, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_source_test_batch(source, 1, source->info.patches[TARE_TEST], 1, x, &y, NULL, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_source_test_batch(source, 1, SIZE_MAX, 1, x, &y, NULL, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_source_preview(source, 1, 0, "/dev/null", NULL), TARE_E_ARGUMENT);
  tare_source_free(source);
}

/* ---- the loader ---- */

static void the_loader_gives_the_batches_in_order(void **state) {
  (void)state;
  tare_source *source = leaves(1);
  enum { N = 5, SIZE = N * 48 * 48 };
  float *x = malloc(SIZE * sizeof *x);
  int32_t y[N];
  tare_loader *loader;
  for (int taken = 0; taken < 12; taken++) { /* freed at any time */
    assert_int_equal(tare_loader_create(source, 9, 100, N, &loader, NULL), TARE_OK);
    const float *images = NULL, *before = NULL;
    const int32_t *labels;
    for (int i = 0; i < taken; i++) {
      assert_int_equal(tare_loader_next(loader, &images, &labels, NULL), TARE_OK);
      assert_true(images != before);
      if (i % 3 == 2) usleep(300); /* the thread runs ahead, and must not write over what the caller has */
      assert_int_equal(tare_source_train_batch(source, 9, 100 + (uint64_t)i, N, x, y, NULL, NULL), TARE_OK);
      assert_memory_equal(images, x, SIZE * sizeof *x);
      assert_memory_equal(labels, y, sizeof y);
      before = images;
    }
    tare_loader_free(loader);
  }
  free(x);
  uint64_t none = 0;
  size_t left_out;
  assert_int_equal(tare_source_exclude(source, &none, 1, &left_out, NULL), TARE_OK); /* no training images */
  const float *images;
  const int32_t *labels;
  tare_error error = {0};
  assert_int_equal(tare_loader_create(source, 9, 0, N, &loader, NULL), TARE_OK);
  assert_int_equal(tare_loader_next(loader, &images, &labels, &error), TARE_E_DATA);
  assert_non_null(strstr(error.message, "training"));
  tare_loader_free(loader);
  assert_int_equal(tare_loader_create(source, 9, 0, 0, &loader, NULL), TARE_E_ARGUMENT);
  tare_source_free(source);
}

/* ---- pictures ---- */

static void a_png_holds_the_pixels(void **state) {
  (void)state;
  char path[100];
  snprintf(path, sizeof path, "%s/x.png", folder);
  uint8_t pixels[5 * 7 * 3];
  for (int channels = 1; channels <= 3; channels += 2) {
    size_t row = 7 * (size_t)channels;
    for (size_t i = 0; i < 5 * row; i++) pixels[i] = (uint8_t)(i * 37);
    assert_int_equal(tare_png_write(path, pixels, 7, 5, channels, NULL), TARE_OK);
    unsigned char file[1000], raw[200];
    FILE *in = fopen(path, "rb");
    size_t size = fread(file, 1, sizeof file, in), packed = (size_t)file[35] << 8 | file[36];
    fclose(in);
    assert_memory_equal(file, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\7\0\0\0\5\10", 25);
    assert_int_equal(file[25], channels == 1 ? 0 : 2);
    uLongf length = sizeof raw;
    assert_memory_equal(file + 37, "IDAT", 4);
    assert_int_equal(uncompress(raw, &length, file + 41, packed), Z_OK);
    assert_int_equal(length, 5 * (row + 1));
    for (size_t y = 0; y < 5; y++) {
      assert_int_equal(raw[y * (row + 1)], 0);
      assert_memory_equal(raw + y * (row + 1) + 1, pixels + y * row, row);
    }
    assert_int_equal(size, 41 + packed + 4 + 12);
    assert_memory_equal(file + size - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
    uLong crc = crc32(0, file + 37, (uInt)packed + 4);
    assert_int_equal(file[41 + packed + 3], crc & 255);
  }
  assert_int_equal(tare_png_write(path, pixels, 7, 5, 2, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_png_write(path, pixels, 0, 5, 1, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_png_write("/nowhere/x.png", pixels, 7, 5, 1, NULL), TARE_E_IO);
}

static void a_preview_has_a_row_a_class(void **state) {
  (void)state;
  char path[100];
  unsigned char head[26];
  snprintf(path, sizeof path, "%s/sheet.png", folder);
  tare_source *source = leaves(0.5);
  assert_int_equal(tare_source_preview(source, 1, 3, path, NULL), TARE_OK);
  FILE *in = fopen(path, "rb");
  assert_int_equal(fread(head, 1, sizeof head, in), sizeof head);
  fclose(in);
  assert_int_equal(head[18] << 8 | head[19], 3 * (2 * 48 + 2) + 2);
  assert_int_equal(head[22] << 8 | head[23], 6 * (2 * 48 + 2) + 2);
  assert_int_equal(tare_source_preview(source, 1, 3, "/nowhere/sheet.png", NULL), TARE_E_IO);
  tare_source_free(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(leaves_are_balanced_and_split_by_image),
    cmocka_unit_test(draws_are_pure_functions),
    cmocka_unit_test(pixels_are_256ths_and_brightness_is_not_clipped),
    cmocka_unit_test(trained_images_are_left_out),
    cmocka_unit_test(a_permutation_meets_every_number_once),
    cmocka_unit_test(both_parts_have_an_image),
    cmocka_unit_test(wrong_use_is_refused),
    cmocka_unit_test(the_loader_gives_the_batches_in_order),
    cmocka_unit_test(a_png_holds_the_pixels),
    cmocka_unit_test(a_preview_has_a_row_a_class),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
