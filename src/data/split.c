/* SPDX-License-Identifier: Apache-2.0 */
/* Which image is a training image and which a test image: by a hash of its pixels, so that no seed, name or order can move one across. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/source.h"

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* The hashes of a part in order of size; NULL when out of memory. */
static uint64_t *sorted_hashes(const tare_source *source, int part, size_t *count) {
  uint64_t *hashes = tare_alloc(source->count, sizeof *hashes);
  *count = 0;
  for (size_t i = 0; hashes && i < source->count; i++)
    if (source->items[i].part == part) hashes[(*count)++] = source->items[i].hash;
  if (hashes) qsort(hashes, *count, sizeof *hashes, compare);
  return hashes;
}

static int contains(const uint64_t *sorted, size_t count, uint64_t hash) {
  return count > 0 && bsearch(&hash, sorted, count, sizeof hash, compare) != NULL;
}

/* What the hashes alone make of the images of one class (or of all, where the class is the manipulation). */
typedef struct tally { size_t parts[2]; uint64_t least, most; } tally;

/*
 * About 1 in 4 is a test image. Copies of one image have one hash, hence one
 * part. At least one image of each class in each part: with few, chance can leave one empty.
 */
static tare_status split_by_hash(tare_source *source, tare_error *error) {
  size_t groups = source->versions > 1 ? 1 : (size_t)source->info.classes;
  tally *tallies = tare_alloc(groups, sizeof *tallies);
  if (!tallies) return tare_fail_memory(error, groups * sizeof *tallies, "a split");
  for (size_t i = 0; i < source->count; i++) {
    tare_item *item = &source->items[i];
    tally *t = &tallies[groups == 1 ? 0 : item->label];
    item->part = item->hash >> 62 == 0 ? TARE_TEST : TARE_TRAIN;
    if (t->parts[0] + t->parts[1] == 0 || item->hash < t->least) t->least = item->hash;
    if (item->hash > t->most) t->most = item->hash;
    t->parts[item->part]++;
  }
  for (size_t i = 0; i < source->count; i++) {
    tare_item *item = &source->items[i];
    const tally *t = &tallies[groups == 1 ? 0 : item->label];
    if (t->least == t->most) continue; /* one image cannot be in both */
    if (t->parts[TARE_TEST] == 0 && item->hash == t->least) item->part = TARE_TEST;
    if (t->parts[TARE_TRAIN] == 0 && item->hash == t->most) item->part = TARE_TRAIN;
  }
  tare_free(tallies);
  return TARE_OK;
}

/* Files may say otherwise, and a copy may lie in two classes: what is a training image is no test. */
static tare_status drop_test_copies(tare_source *source, tare_error *error) {
  size_t count, copies = 0;
  uint64_t *train = sorted_hashes(source, TARE_TRAIN, &count);
  if (!train) return tare_fail_memory(error, source->count * sizeof *train, "the images' hashes");
  for (size_t i = 0; i < source->count; i++) {
    if (source->items[i].part != TARE_TEST || !contains(train, count, source->items[i].hash)) continue;
    source->items[i].part = TARE_UNUSED;
    copies++;
  }
  tare_free(train);
  if (copies) tare_source_warn(source, "%s: %zu test images left out: they are training images too", source->info.spec, copies);
  return TARE_OK;
}

tare_status tare_split_count(tare_source *source, tare_error *error) {
  int balanced = source->versions > 1;
  for (int part = 0; part < 2; part++) {
    if (!source->order[part] && !(source->order[part] = tare_alloc(source->count, sizeof(int32_t))))
      return tare_fail_memory(error, source->count * sizeof(int32_t), "a list of images");
    size_t images = 0;
    for (size_t i = 0; i < source->count; i++)
      if (source->items[i].part == part) source->order[part][images++] = (int32_t)i;
    source->info.images[part] = images;
    source->info.patches[part] = images;
  }
  if (!balanced) return TARE_OK;
  /* Every test image in every class equally often. */
  size_t round = source->info.images[TARE_TEST] * (size_t)source->versions, rounds = round ? (TARE_TEST_PATCHES + round - 1) / round : 0;
  source->info.patches[TARE_TEST] = round * rounds;
  source->info.patches[TARE_TRAIN] = source->info.images[TARE_TRAIN] ? TARE_EPOCH : 0;
  return TARE_OK;
}

tare_status tare_split(tare_source *source, tare_error *error) {
  tare_status status = source->own_split ? TARE_OK : split_by_hash(source, error);
  if (!status) status = drop_test_copies(source, error);
  if (!status) status = tare_split_count(source, error);
  if (!status && (source->info.images[TARE_TRAIN] == 0 || source->info.images[TARE_TEST] == 0))
    status = tare_fail(error, TARE_E_DATA,
                       "%s: %zu training and %zu test images: expected at least two different images, one for each part",
                       source->info.spec, source->info.images[TARE_TRAIN], source->info.images[TARE_TEST]);
  return status;
}

size_t tare_source_train_hashes(const tare_source *source, uint64_t *hashes, size_t size) {
  if (!source) return 0;
  size_t count = source->info.images[TARE_TRAIN];
  for (size_t i = 0; hashes && i < count && i < size; i++) hashes[i] = source->items[source->order[TARE_TRAIN][i]].hash;
  return count;
}

/* Images in the list become training images; the others become test images, unless the files say otherwise. */
static size_t apply_list(tare_source *source, const uint64_t *sorted, size_t count) {
  size_t found = 0;
  for (size_t i = 0; i < source->count; i++) {
    tare_item *item = &source->items[i];
    int listed = contains(sorted, count, item->hash);
    if (listed) item->part = TARE_TRAIN;
    else if (!source->own_split) item->part = TARE_TEST;
    else if (item->part == TARE_TRAIN) item->part = TARE_UNUSED;
    found += (size_t)listed;
  }
  return found;
}

tare_status tare_source_exclude(tare_source *source, const uint64_t *hashes, size_t count, size_t *left_out, tare_error *error) {
  if (!source || (!hashes && count)) return tare_fail(error, TARE_E_ARGUMENT, "tare_source_exclude: a source and a list must be given");
  uint64_t *sorted = tare_alloc(count, sizeof *sorted);
  if (!sorted) return tare_fail_memory(error, count * sizeof *sorted, "a list of hashes");
  for (size_t i = 0; i < count; i++) sorted[i] = hashes[i];
  qsort(sorted, count, sizeof *sorted, compare);
  size_t found = apply_list(source, sorted, count);
  tare_free(sorted);
  tare_status status = tare_split_count(source, error);
  if (status) return status;
  if (left_out) *left_out = found;
  if (source->info.images[TARE_TEST] == 0)
    return tare_fail(error, TARE_E_DATA, "%s: none of its images is left to test on: all %zu were trained on", source->info.spec, found);
  return TARE_OK;
}
