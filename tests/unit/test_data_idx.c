/* SPDX-License-Identifier: Apache-2.0 */
/* The source mnist: idx files, plain and compressed, right and damaged. */
#include "sources.h"

#include <stdint.h>
#include <sys/stat.h>
#include <zlib.h>

#include "data/source.h"

static const char *const idx_names[2][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
                                            {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}};

typedef struct idx_case {
  const char *words;       /* of the message; NULL: it opens */
  int part, is_labels;     /* the file that is wrong */
  long set_at;             /* its byte at this place ... */
  int set_to;              /* ... becomes this; -1: none */
  long size;               /* cut or grown to this; 0: as it is; -1: missing */
  int patch;
} idx_case;

static size_t idx_bytes(int part, int is_labels, int height, int width, unsigned char *bytes) {
  size_t count = part ? 20 : 50, size = (size_t)height * (size_t)width, head = is_labels ? 8 : 16, each = is_labels ? 1 : size;
  memset(bytes, 0, head);
  bytes[2] = 8;
  bytes[3] = is_labels ? 1 : 3;
  bytes[7] = (unsigned char)count;
  bytes[11] = (unsigned char)height;
  bytes[15] = (unsigned char)width;
  for (size_t i = 0; i < count * each; i++) {
    size_t value = is_labels ? i % 4 : i * 7 + i / each * 31 + (size_t)part * 5;
    bytes[head + i] = (unsigned char)(value & 255);
  }
  return head + count * each;
}

static void write_bytes(const char *path, const unsigned char *bytes, size_t size, int zipped) {
  char name[200];
  snprintf(name, sizeof name, "%s%s", path, zipped ? ".gz" : "");
  if (zipped) {
    gzFile file = gzopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), (int)size);
    gzclose(file);
  } else {
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
  }
}

static void write_idx(const char *where, const idx_case *wrong, int zipped) {
  static unsigned char bytes[50000];
  for (int part = 0; part < 2; part++)
    for (int is_labels = 0; is_labels < 2; is_labels++) {
      char path[150];
      size_t size = idx_bytes(part, is_labels, 11, 9, bytes);
      snprintf(path, sizeof path, "%s/%s", where, idx_names[part][is_labels]);
      unlink(path);
      if (wrong && wrong->part == part && wrong->is_labels == is_labels) {
        if (wrong->set_to >= 0) bytes[wrong->set_at] = (unsigned char)wrong->set_to;
        if (wrong->size < 0) continue;
        if (wrong->size > 0) size = (size_t)wrong->size;
      }
      write_bytes(path, bytes, size, zipped);
    }
}

static void idx_files_are_read(void **state) {
  (void)state;
  char spec[100];
  for (int zipped = 0; zipped < 2; zipped++) {
    char where[80];
    snprintf(where, sizeof where, "%s/idx%d", folder, zipped);
    mkdir(where, 0777);
    write_idx(where, NULL, zipped);
    snprintf(spec, sizeof spec, "mnist:%s", where);
    tare_source *source = open_source(spec, defaults());
    tare_source_info info;
    tare_source_get_info(source, &info);
    assert_true(info.height == 11 && info.width == 9 && info.channels == 1 && info.classes == 4);
    assert_true(info.images[0] == 50 && info.images[1] == 20 && info.patches[0] == 50 && info.patches[1] == 20);
    assert_string_equal(info.class_names[3], "3");
    unsigned char bytes[50000];
    float x[10 * 99];
    int32_t y[10], id[10];
    idx_bytes(1, 0, 11, 9, bytes);
    assert_int_equal(tare_source_test_batch(source, 1, 10, 10, x, y, id, NULL), TARE_OK);
    for (int i = 0; i < 10; i++) {
      assert_int_equal(y[i], (10 + i) % 4);
      assert_int_equal(id[i], 60 + i);
      for (int k = 0; k < 99; k++) assert_true(x[i * 99 + k] == (float)bytes[16 + (10 + i) * 99 + k] / 256);
    }
    /* Every training image comes once an epoch, in another order each time. */
    int32_t order[2][50];
    for (uint64_t batch = 0; batch < 10; batch++)
      assert_int_equal(tare_source_train_batch(source, 4, batch, 10, x, y, order[batch / 5] + batch % 5 * 10, NULL), TARE_OK);
    for (int epoch = 0; epoch < 2; epoch++) {
      int seen[50] = {0};
      for (int i = 0; i < 50; i++) seen[order[epoch][i]]++;
      for (int i = 0; i < 50; i++) assert_int_equal(seen[i], 1);
    }
    assert_true(memcmp(order[0], order[1], sizeof order[0]) != 0);
    /* What it was trained on is left out; its own test images stay. */
    uint64_t hashes[50];
    size_t left_out;
    assert_int_equal(tare_source_train_hashes(source, hashes, 50), 50);
    assert_int_equal(tare_source_exclude(source, hashes, 50, &left_out, NULL), TARE_OK);
    tare_source_get_info(source, &info);
    assert_true(left_out == 50 && info.images[1] == 20);
    assert_int_equal(tare_source_exclude(source, hashes, 10, &left_out, NULL), TARE_OK);
    tare_source_get_info(source, &info);
    assert_true(left_out == 10 && info.images[1] == 20);
    tare_source_free(source);
  }
}

static void damaged_idx_files_are_refused(void **state) {
  (void)state;
  static const idx_case cases[] = {
    {NULL, 0, 0, 0, -1, 0, 0},
    {NULL, 0, 0, 16, 200, 0, 0},
    {"not an idx file of images: it begins with 0x00000801", 0, 0, 3, 1, 0, 0},
    {"not an idx file of labels", 1, 1, 2, 9, 0, 0},
    {"51 images, but there are 50 labels", 0, 0, 7, 51, 0, 0},
    {"50 images, but there are 49 labels", 0, 1, 7, 49, 0, 0},
    {"images are whole", 0, 0, 0, -1, 16 + 99 * 49 + 98, 0},
    {"12 of 16 bytes of its header", 1, 0, 0, -1, 12, 0},
    {"longer than its header says", 1, 0, 0, -1, 16 + 99 * 20 + 1, 0},
    {"longer than its header says", 0, 1, 0, -1, 8 + 51, 0},
    {"30 of 50 labels", 0, 1, 0, -1, 8 + 30, 0},
    {"label 9, but those for training go up to 3", 1, 1, 10, 9, 0, 0},
    {"images of 0x9", 0, 0, 11, 0, 0, 0},
    {"images of 11x10, but those for training are 11x9", 1, 0, 15, 10, 0, 0},
    {"1677721650 images", 0, 0, 4, 100, 0, 0},
    {"1677721650 labels", 0, 1, 4, 100, 0, 0},
    {"50331659x9", 0, 0, 8, 3, 0, 0},
    {"neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz is there", 1, 1, 0, -1, -1, 0},
    {"11x9 are smaller than the patch of 10", 0, 0, 0, -1, 0, 10},
    {"used whole", 0, 0, 0, -1, 0, 8},
  };
  char spec[100], where[80];
  snprintf(where, sizeof where, "%s/bad", folder);
  mkdir(where, 0777);
  snprintf(spec, sizeof spec, "mnist:%s", where);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_idx(where, &cases[i], 0);
    tare_source *source = NULL;
    tare_source_options options = defaults();
    tare_error error = {0};
    options.patch = cases[i].patch;
    tare_status status = tare_source_open(spec, &options, &source, &error);
    if (cases[i].words && !strstr(error.message, cases[i].words))
      fail_msg("case %zu: '%s' does not say '%s'", i, error.message, cases[i].words);
    if (!cases[i].words) assert_int_equal(status, TARE_OK);
    else assert_int_equal(status, cases[i].patch == 8 ? TARE_E_ARGUMENT : TARE_E_DATA);
    tare_source_free(source);
  }
}

static void expect_refused(const char *spec, const char *words) {
  tare_source *source = NULL;
  tare_source_options options = defaults();
  tare_error error = {0};
  assert_int_equal(tare_source_open(spec, &options, &source, &error), TARE_E_DATA);
  if (!strstr(error.message, words)) fail_msg("'%s' does not say '%s'", error.message, words);
}

static void idx_files_of_one_class_or_none_are_refused(void **state) {
  (void)state;
  static unsigned char bytes[50000];
  char spec[100], where[80], path[150];
  snprintf(where, sizeof where, "%s/one", folder);
  mkdir(where, 0777);
  snprintf(spec, sizeof spec, "mnist:%s", where);
  write_idx(where, NULL, 0);
  for (int part = 0; part < 2; part++) {
    size_t size = idx_bytes(part, 1, 11, 9, bytes);
    memset(bytes + 8, 0, size - 8);
    snprintf(path, sizeof path, "%s/%s", where, idx_names[part][1]);
    write_bytes(path, bytes, size, 0);
  }
  expect_refused(spec, "every label is 0, expected at least two classes");
  unlink(path);
  mkdir(path, 0777);
  expect_refused(spec, "expected a file, found something else");
}

static void damaged_gz_files_are_refused(void **state) {
  (void)state;
  char spec[100], where[80], path[150];
  snprintf(where, sizeof where, "%s/gz", folder);
  mkdir(where, 0777);
  snprintf(spec, sizeof spec, "mnist:%s", where);
  snprintf(path, sizeof path, "%s/%s.gz", where, idx_names[0][0]);
  tare_source_options options = defaults();
  for (int change = 0; change < 4; change++) {
    write_idx(where, NULL, 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    if (change == 0) assert_int_equal(ftruncate(fileno(file), info.st_size / 2), 0);
    if (change == 1) assert_int_equal(ftruncate(fileno(file), info.st_size - 4), 0);            /* its length is gone */
    if (change == 2) assert_true(fseek(file, info.st_size - 7, SEEK_SET) == 0 && fputc('x', file) == 'x'); /* its checksum is wrong */
    if (change == 3) assert_true(ftruncate(fileno(file), 0) == 0 && fputs("nonsense", file) >= 0);
    fclose(file);
    tare_source *source = NULL;
    tare_error error = {0};
    assert_int_equal(tare_source_open(spec, &options, &source, &error), TARE_E_DATA);
    assert_non_null(strstr(error.message, idx_names[0][0]));
  }
}

static void a_test_image_that_was_trained_on_is_no_test(void **state) {
  (void)state;
  char spec[100], where[80], path[150];
  unsigned char bytes[50000], train[50000];
  snprintf(where, sizeof where, "%s/leak", folder);
  mkdir(where, 0777);
  write_idx(where, NULL, 0);
  idx_bytes(0, 0, 11, 9, train);
  size_t size = idx_bytes(1, 0, 11, 9, bytes);
  memcpy(bytes + 16 + 99 * 4, train + 16 + 99 * 30, 99);
  snprintf(path, sizeof path, "%s/%s", where, idx_names[1][0]);
  write_bytes(path, bytes, size, 0);
  snprintf(spec, sizeof spec, "mnist:%s", where);
  tare_source *source = open_source(spec, defaults());
  assert_int_equal(source->info.images[TARE_TEST], 19);
  tare_source_free(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(idx_files_are_read),
    cmocka_unit_test(damaged_idx_files_are_refused),
    cmocka_unit_test(idx_files_of_one_class_or_none_are_refused),
    cmocka_unit_test(damaged_gz_files_are_refused),
    cmocka_unit_test(a_test_image_that_was_trained_on_is_no_test),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
