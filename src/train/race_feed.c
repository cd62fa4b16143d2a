/* SPDX-License-Identifier: Apache-2.0 */
/* Where the race's batches come from: batch i is a pure function of (seed, i), so every method sees the same ones. */
#include "train/race.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

static size_t image_size(const race_context *race) {
  return (size_t)race->info.height * (size_t)race->info.width * (size_t)race->info.channels;
}

tare_status tare_race_feed_create(const race_context *race, uint64_t seed, race_feed *f, tare_error *error) {
  size_t batch = (size_t)race->options->batch;
  *f = (race_feed){.race = race, .seed = seed};
  f->images = tare_alloc(batch * image_size(race), sizeof *f->images);
  f->labels = tare_alloc(batch, sizeof *f->labels);
  if (f->images && f->labels) return TARE_OK;
  return tare_fail_memory(error, batch * image_size(race) * sizeof(float), "a batch");
}

void tare_race_feed_free(race_feed *f) {
  tare_free(f->images);
  tare_free(f->labels);
}

/* Drawn in the run's own thread. */
tare_status tare_race_train_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  race_feed *f = user;
  *batch = (tare_batch){.count = f->race->options->batch, .images = f->images, .labels = f->labels};
  return tare_source_train_batch(f->race->source, f->seed, index, batch->count, f->images, f->labels, NULL, error);
}

/* Brightness of the test set comes from the race's seed: the same patches for every run. */
tare_status tare_race_test_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  race_feed *f = user;
  size_t first = (size_t)index * (size_t)f->race->options->batch, left = f->race->tests.patches - first;
  int count = left < (size_t)f->race->options->batch ? (int)left : f->race->options->batch;
  *batch = (tare_batch){.count = count, .images = f->images, .labels = f->labels};
  return tare_source_test_batch(f->race->source, f->race->options->seed, first, count, f->images, f->labels, NULL, error);
}

uint64_t tare_race_test_batches(const race_context *race) {
  size_t batch = (size_t)race->options->batch;
  return (race->tests.patches + batch - 1) / batch;
}

/* Image numbers as the source gives them become 0, 1, ... */
static int by_number(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

static void renumber(race_tests *tests, int32_t *sorted) {
  memcpy(sorted, tests->image, tests->patches * sizeof *sorted);
  qsort(sorted, tests->patches, sizeof *sorted, by_number);
  tests->images = 0;
  for (size_t i = 0; i < tests->patches; i++)
    if (i == 0 || sorted[i] != sorted[tests->images - 1]) sorted[tests->images++] = sorted[i];
  for (size_t p = 0; p < tests->patches; p++) {
    int32_t *found = bsearch(&tests->image[p], sorted, tests->images, sizeof *sorted, by_number);
    tests->image[p] = (int32_t)(found - sorted);
  }
}

tare_status tare_race_find_tests(race_context *race, tare_error *error) {
  size_t patches = race->info.patches[TARE_TEST], batch = (size_t)race->options->batch;
  int32_t *sorted = tare_alloc(patches, sizeof *sorted);
  race_feed f;
  tare_status status = tare_race_feed_create(race, race->options->seed, &f, error);
  race->tests = (race_tests){.patches = patches, .image = tare_alloc(patches, sizeof *race->tests.image)};
  if (!status && (!sorted || !race->tests.image)) status = tare_fail_memory(error, patches * sizeof *sorted, "the test set");
  for (size_t first = 0; first < patches && !status; first += batch) {
    int count = patches - first < batch ? (int)(patches - first) : (int)batch;
    status = tare_source_test_batch(race->source, race->options->seed, first, count, f.images, f.labels, race->tests.image + first, error);
  }
  if (!status) renumber(&race->tests, sorted);
  tare_free(sorted);
  tare_race_feed_free(&f);
  return status;
}
