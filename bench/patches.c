/* SPDX-License-Identifier: Apache-2.0 */
/* bench-patches SRC BATCHES SEED IMAGES.npy LABELS.npy: the race's batches (32 patches, brightness +-0.5) one after another, for trainings in other programs (keras_race.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tare/format.h>
#include <tare/train.h>

enum { BATCH = 32 };

static tare_status write(const char *path, const tare_source_info *info, size_t count, const float *values, int labels, tare_error *error) {
  tare_tensor t = {"array", TARE_DTYPE_F32, labels ? 1 : 4, {(int64_t)count, info->height, info->width, info->channels}, values};
  return tare_tensors_write(path, &t, 1, NULL, 0, error);
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "bench-patches SRC BATCHES SEED IMAGES.npy LABELS.npy\n"), 2;
  tare_source_options data;
  tare_source *source = NULL;
  tare_source_batches *batches = NULL;
  tare_source_info info;
  tare_error error = {0};
  tare_source_defaults(&data);
  data.brightness = 0.5;
  data.threads = 2;
  size_t count = strtoull(argv[2], NULL, 10);
  int failed = tare_source_open(argv[1], &data, &source, &error) ||
               tare_source_batches_create(source, TARE_TRAIN, strtoull(argv[3], NULL, 10), BATCH, &batches, &error);
  if (failed) return fprintf(stderr, "%s\n", error.message), 1;
  tare_source_get_info(source, &info);
  size_t size = (size_t)info.height * info.width * info.channels;
  float *images = malloc(count * BATCH * size * sizeof *images), *labels = malloc(count * BATCH * sizeof *labels);
  tare_batch batch;
  for (size_t i = 0; images && labels && i < count && !failed; i++) {
    failed = tare_source_batch(batches, i, &batch, &error);
    if (failed) break;
    memcpy(images + i * BATCH * size, batch.images, BATCH * size * sizeof *images);
    for (int k = 0; k < BATCH; k++) labels[i * BATCH + k] = (float)batch.labels[k];
  }
  failed = failed || write(argv[4], &info, count * BATCH, images, 0, &error) || write(argv[5], &info, count * BATCH, labels, 1, &error);
  if (failed) fprintf(stderr, "%s\n", error.message);
  free(images);
  free(labels);
  tare_source_batches_free(batches);
  tare_source_free(source);
  return failed;
}
