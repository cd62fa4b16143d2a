/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source mnist: the first byte of an input says which of the four files it is, the rest is that file; the others are sound: four images of
 * 2x3 for training and two for test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/data.h>
#include <unistd.h>

#include "fuzz.h"

static const char *const names[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
static const char *const sound[4] = {
  "\0\0\10\3\0\0\0\4\0\0\0\2\0\0\0\3" "abcdefghijklmnopqrstuvwx", "\0\0\10\1\0\0\0\4\0\1\1\0",
  "\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3" "ABCDEFGHIJKL", "\0\0\10\1\0\0\0\2\1\0",
};
static const size_t sizes[4] = {16 + 24, 8 + 4, 16 + 12, 8 + 2};

/* A folder whose files are links to the files in memory. */
static const char *folder(void) {
  static char path[] = P_tmpdir "/tare-fuzz-XXXXXX", link[80];
  static int made; /* the name itself does not tell: it may have an X of its own */
  if (made) return path;
  must(mkdtemp(path));
  made = 1;
  for (int i = 0; i < 4; i++) {
    snprintf(link, sizeof link, "%s/%s", path, names[i]);
    must(symlink(fuzz_file(i, "", 0), link) == 0);
  }
  return path;
}

static void remove_folder(void) {
  char link[80];
  for (int i = 0; i < 4; i++) {
    snprintf(link, sizeof link, "%s/%s", folder(), names[i]);
    unlink(link);
  }
  rmdir(folder());
}

static void draw(const tare_source *source) {
  tare_source_info info;
  tare_source_get_info(source, &info);
  size_t pixels = (size_t)info.height * (size_t)info.width;
  must(info.classes >= 2 && info.images[0] > 0 && info.images[1] > 0 && pixels > 0);
  if (pixels > 1 << 20) return;
  float *images = malloc(4 * pixels * sizeof *images);
  int32_t labels[4];
  must(images && tare_source_train_batch(source, 1, 0, 4, images, labels, NULL, NULL) == TARE_OK);
  for (int i = 0; i < 4; i++) must(labels[i] >= 0 && labels[i] < info.classes);
  must(tare_source_test_batch(source, 1, 0, 1, images, labels, NULL, NULL) == TARE_OK);
  free(images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int cleans;
  char spec[64];
  tare_source *source = NULL;
  tare_error error = {0};
  tare_source_options options;
  snprintf(spec, sizeof spec, "mnist:%s", folder());
  if (!cleans++) atexit(remove_folder);
  if (size == 0) return 0;
  for (int i = 0; i < 4; i++) {
    int this = i == data[0] % 4;
    fuzz_file(i, this ? (const void *)(data + 1) : sound[i], this ? size - 1 : sizes[i]);
  }
  tare_source_defaults(&options);
  tare_status status = tare_source_open(spec, &options, &source, &error);
  must(status == TARE_OK || status == TARE_E_DATA || status == TARE_E_MEMORY);
  if (!status) draw(source);
  tare_source_free(source);
  return 0;
}
