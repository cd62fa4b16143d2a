/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing patches: pure functions of the source, a seed and an index, so that any thread can draw any batch and a run can resume. */
#include "base/error.h"
#include "base/rng.h"
#include "data/source.h"

/* Streams of random numbers: one kind of draw each, so that none repeats another's numbers. */
enum { STREAM_LABELS = 1, STREAM_PATCH, STREAM_TEST, STREAM_BRIGHTNESS, STREAM_EPOCH, STREAM_EXAMPLE };

static tare_rng stream(int kind, uint64_t seed, uint64_t index) {
  tare_rng rng;
  tare_rng_init(&rng, tare_mix(seed, (uint64_t)kind), index);
  return rng;
}

/*
 * A Feistel network of four rounds on pairs of half-words permutes 0 .. 4^h - 1, the least such
 * power that holds `count`; a number that lands outside 0 .. count-1 is
 * permuted again until it lands inside (Black & Rogaway 2002, "cycle walking").
 */
uint64_t tare_permute(uint64_t key, uint64_t count, uint64_t i) {
  int half = 1;
  while (half < 32 && (uint64_t)1 << (2 * half) < count) half++;
  uint64_t mask = ((uint64_t)1 << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint64_t round = 0; round < 4; round++) {
      uint64_t next = left ^ (tare_mix(key + round, right) & mask);
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= count);
  return i;
}

/* Where a patch begins along an axis with this much room, for a place from 0 to 1. */
static int offset(double place, int room) { return (int)(place * (room + 1)); }

/* A patch of an image: of a tile and a place that rng gives, or from the middle of the first tile. */
static void cut(const tare_source *source, const tare_item *item, int version, tare_rng *rng, float brightness, float *out) {
  int tile = rng ? (int)tare_rng_below(rng, (uint64_t)item->tiles) : 0, height = source->info.height, width = source->info.width;
  const tare_picture *picture = &item->pictures[tile * source->versions + version];
  double y = rng ? tare_rng_unit(rng) : 0.5, x = rng ? tare_rng_unit(rng) : 0.5;
  tare_picture_crop(picture, offset(y, picture->height - height), offset(x, picture->width - width), height, width, brightness, out);
}

static float draw_brightness(const tare_source *source, tare_rng *rng) {
  double d = source->options.brightness;
  return d > 0 ? (float)tare_rng_range(rng, -d, d) : 0;
}

/* Every class as often as the others, give or take one, in random order. */
static void draw_labels(int classes, uint64_t seed, uint64_t index, int count, int32_t *labels) {
  tare_rng rng = stream(STREAM_LABELS, seed, index);
  uint64_t first = tare_rng_below(&rng, (uint64_t)classes);
  for (int i = 0; i < count; i++) {
    uint64_t j = tare_rng_below(&rng, (uint64_t)i + 1); /* the shuffle of Fisher and Yates, from the inside out */
    if (j < (uint64_t)i) labels[i] = labels[j];
    labels[j] = (int32_t)((first + (uint64_t)i) % (uint64_t)classes);
  }
}

/* The item that comes at `place` of the endless series of shuffled epochs. */
static int32_t in_epoch(const tare_source *source, uint64_t seed, uint64_t place) {
  uint64_t count = source->info.images[TARE_TRAIN], key = tare_mix(tare_mix(seed, STREAM_EPOCH), place / count);
  return source->order[TARE_TRAIN][tare_permute(key, count, place % count)];
}

static tare_status check(const tare_source *source, int part, int count, const float *images, const int32_t *labels, tare_error *error) {
  if (!source || count < 1 || !images || !labels)
    return tare_fail(error, TARE_E_ARGUMENT, "a batch needs a source, room for images and labels, and a count of at least 1, not %d",
                     count);
  if (source->info.images[part] == 0)
    return tare_fail(error, TARE_E_DATA, "%s: no %s images are left", source->info.spec, part == TARE_TRAIN ? "training" : "test");
  return TARE_OK;
}

static size_t patch_size(const tare_source *source) {
  return (size_t)source->info.height * (size_t)source->info.width * (size_t)source->info.channels;
}

tare_status tare_source_train_share(const tare_source *source, uint64_t seed, uint64_t index, int count, int from, int shared,
                                    float *images, int32_t *labels, int32_t *image_ids, tare_error *error) {
  tare_status status = check(source, TARE_TRAIN, count, images, labels, error);
  if (!status && (from < 0 || shared < 1 || shared > count - from))
    status = tare_fail(error, TARE_E_ARGUMENT, "a share of a batch of %d: images %d to %d asked for", count, from, from + shared - 1);
  if (status) return status;
  int by_version = source->versions > 1;
  if (by_version) draw_labels(source->versions, seed, index, count, labels);
  for (int i = 0; i < shared; i++) {
    uint64_t place = index * (uint64_t)count + (uint64_t)(from + i);
    tare_rng rng = stream(STREAM_PATCH, seed, place);
    int32_t id = by_version ? source->order[TARE_TRAIN][tare_rng_below(&rng, source->info.images[TARE_TRAIN])]
                            : in_epoch(source, seed, place);
    const tare_item *item = &source->items[id];
    labels[i] = by_version ? labels[from + i] : item->label;
    float brightness = draw_brightness(source, &rng);
    cut(source, item, by_version ? labels[i] : 0, &rng, brightness, images + (size_t)i * patch_size(source));
    if (image_ids) image_ids[i] = id;
  }
  return TARE_OK;
}

tare_status tare_source_train_batch(const tare_source *source, uint64_t seed, uint64_t index, int count,
                                    float *images, int32_t *labels, int32_t *image_ids, tare_error *error) {
  return tare_source_train_share(source, seed, index, count, 0, count, images, labels, image_ids, error);
}

tare_status tare_source_test_batch(const tare_source *source, uint64_t seed, size_t first, int count,
                                   float *images, int32_t *labels, int32_t *image_ids, tare_error *error) {
  tare_status status = check(source, TARE_TEST, count, images, labels, error);
  if (status) return status;
  size_t patches = source->info.patches[TARE_TEST], versions = (size_t)source->versions;
  if (first > patches || (size_t)count > patches - first)
    return tare_fail(error, TARE_E_ARGUMENT, "test patches %zu to %zu asked for, there are %zu", first, first + (size_t)count - 1, patches);
  for (size_t i = 0; i < (size_t)count; i++) {
    size_t place = first + i, version = place % versions, turn = place / versions;
    int32_t id = source->order[TARE_TEST][turn % source->info.images[TARE_TEST]];
    const tare_item *item = &source->items[id];
    labels[i] = versions > 1 ? (int32_t)version : item->label;
    tare_rng light = stream(STREAM_BRIGHTNESS, seed, place);
    tare_rng rng = stream(STREAM_TEST, item->hash, turn / source->info.images[TARE_TEST] * versions + version);
    cut(source, item, (int)version, versions > 1 ? &rng : NULL, draw_brightness(source, &light), images + i * patch_size(source));
    if (image_ids) image_ids[i] = id;
  }
  return TARE_OK;
}

int tare_draw_example(const tare_source *source, uint64_t seed, uint64_t k, int label, float *patch) {
  enum { TRIES = 100000 }; /* images looked at for one of the class */
  uint64_t count = source->info.images[TARE_TRAIN];
  tare_rng rng = stream(STREAM_EXAMPLE, seed, k);
  for (int i = 0; count && i < TRIES; i++) {
    const tare_item *item = &source->items[source->order[TARE_TRAIN][tare_rng_below(&rng, count)]];
    if (source->versions == 1 && item->label != label) continue;
    float brightness = draw_brightness(source, &rng);
    cut(source, item, source->versions > 1 ? label : 0, &rng, brightness, patch);
    return 1;
  }
  return 0;
}
