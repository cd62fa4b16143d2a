/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of a data source: training ones made ahead by a loader, test ones on demand, the last one shorter. */
#include "base/alloc.h"
#include "base/error.h"
#include <tare/train.h>

struct tare_source_batches {
  const tare_source *source;
  tare_part part;
  uint64_t seed;
  int size, from, shared; /* images of a batch; those that this rank takes */
  size_t patches;
  tare_loader *loader;   /* training: NULL before the first batch */
  uint64_t next;         /* which batch the loader gives next */
  const float *images;   /* of batch next - 1, the loader's; test: own */
  const int32_t *labels;
  float *own_images;
  int32_t *own_labels;
};

static tare_status make_arrays(tare_source_batches *b, const tare_source_info *info, tare_error *error) {
  size_t pixels = (size_t)info->height * (size_t)info->width * (size_t)info->channels, count = (size_t)b->size;
  b->own_images = tare_alloc(count, pixels * sizeof *b->own_images);
  b->own_labels = tare_alloc(count, sizeof *b->own_labels);
  return b->own_images && b->own_labels ? TARE_OK : tare_fail_memory(error, count * pixels * sizeof *b->own_images, "a batch");
}

tare_status tare_source_batches_create(const tare_source *source, tare_part part, uint64_t seed, int batch, tare_source_batches **out,
                                       tare_error *error) {
  if (!source || !out || batch < 1 || (part != TARE_TRAIN && part != TARE_TEST))
    return tare_fail(error, TARE_E_ARGUMENT, "batches of a source need a source, a part of it and at least 1 image, not %d", batch);
  tare_source_info info;
  tare_source_get_info(source, &info);
  tare_source_batches *b = tare_alloc(1, sizeof *b);
  if (!b) return tare_fail_memory(error, sizeof *b, "batches");
  b->source = source;
  b->part = part;
  b->seed = seed;
  b->size = b->shared = batch;
  b->patches = info.patches[part];
  tare_status status = part == TARE_TEST ? make_arrays(b, &info, error) : TARE_OK;
  if (status) tare_source_batches_free(b);
  else *out = b;
  return status;
}

tare_status tare_source_batches_share(tare_source_batches *b, int rank, int ranks, tare_error *error) {
  if (!b || b->part != TARE_TRAIN || b->loader || rank < 0 || ranks < 1 || rank >= ranks || b->size % ranks)
    return tare_fail(error, TARE_E_ARGUMENT, "rank %d of %d: expected training batches not yet drawn from, and a batch that %d divides", rank, ranks, ranks);
  b->shared = b->size / ranks;
  b->from = rank * b->shared;
  return TARE_OK;
}

void tare_source_batches_free(tare_source_batches *b) {
  if (!b) return;
  tare_loader_free(b->loader);
  tare_free(b->own_images);
  tare_free(b->own_labels);
  tare_free(b);
}

uint64_t tare_source_batches_count(const tare_source_batches *b) { return !b ? 0 : (b->patches + (size_t)b->size - 1) / (size_t)b->size; }

static tare_status restart_loader(tare_source_batches *b, uint64_t index, tare_error *error) {
  tare_loader_free(b->loader);
  b->loader = NULL;
  b->next = index;
  return tare_loader_create_share(b->source, b->seed, index, b->size, b->from, b->shared, &b->loader, error);
}

/* In order it only waits for the loader; the same batch again costs nothing; another one starts a loader there. */
static tare_status train_batch(tare_source_batches *b, uint64_t index, tare_batch *batch, tare_error *error) {
  tare_status status = TARE_OK;
  if (!b->loader || (index != b->next && index + 1 != b->next)) status = restart_loader(b, index, error);
  if (!status && index == b->next) {
    status = tare_loader_next(b->loader, &b->images, &b->labels, error);
    b->next++;
  }
  if (status) {
    tare_loader_free(b->loader);
    b->loader = NULL;
    return status;
  }
  *batch = (tare_batch){.count = b->shared, .images = b->images, .labels = b->labels};
  return TARE_OK;
}

static tare_status test_batch(tare_source_batches *b, uint64_t index, tare_batch *batch, tare_error *error) {
  uint64_t batches = tare_source_batches_count(b);
  if (index >= batches)
    return tare_fail(error, TARE_E_ARGUMENT, "no test batch %llu, there are %llu", (unsigned long long)index, (unsigned long long)batches);
  size_t first = (size_t)index * (size_t)b->size, left = b->patches - first;
  int count = left < (size_t)b->size ? (int)left : b->size;
  tare_status status = tare_source_test_batch(b->source, b->seed, first, count, b->own_images, b->own_labels, NULL, error);
  if (!status) *batch = (tare_batch){.count = count, .images = b->own_images, .labels = b->own_labels};
  return status;
}

tare_status tare_source_batch(void *source_batches, uint64_t index, tare_batch *batch, tare_error *error) {
  tare_source_batches *b = source_batches;
  if (!b || !batch) return tare_fail(error, TARE_E_ARGUMENT, "a batch needs a source's batches and a place for it; one is NULL");
  return b->part == TARE_TRAIN ? train_batch(b, index, batch, error) : test_batch(b, index, batch, error);
}
