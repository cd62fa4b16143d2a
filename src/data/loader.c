/* SPDX-License-Identifier: Apache-2.0 */
/* Batches made ahead of use by a thread of its own: a ring of buffers, one of which the caller is looking at. */
#include <pthread.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/source.h"

enum { BUFFERS = 3 };

typedef struct buffer { float *images; int32_t *labels; tare_status status; tare_error error; } buffer;

struct tare_loader {
  const tare_source *source;
  uint64_t seed, first;
  int count, from, shared, started; /* images of a batch; those that are wanted */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint64_t made, taken; /* batches since `first`; buffer of batch i: i % BUFFERS */
  int stop;
  buffer buffers[BUFFERS];
};

/* Waits until a buffer is free: not the BUFFERS - 1 that are made and not taken, nor the one last taken. 0: stop. */
static int wait_for_room(tare_loader *loader) {
  pthread_mutex_lock(&loader->lock);
  while (!loader->stop && loader->made + 1 >= loader->taken + BUFFERS) pthread_cond_wait(&loader->changed, &loader->lock);
  int stop = loader->stop;
  pthread_mutex_unlock(&loader->lock);
  return !stop;
}

static void *make_batches(void *user) {
  tare_loader *loader = user;
  for (uint64_t i = 0; wait_for_room(loader); i++) {
    buffer *b = &loader->buffers[i % BUFFERS];
    b->status = tare_source_train_share(loader->source, loader->seed, loader->first + i, loader->count, loader->from, loader->shared,
                                        b->images, b->labels, NULL, &b->error);
    pthread_mutex_lock(&loader->lock);
    loader->made = i + 1;
    pthread_cond_signal(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
  }
  return NULL;
}

static tare_status make_buffers(tare_loader *loader, tare_error *error) {
  const tare_source_info *info = &loader->source->info;
  size_t patch = (size_t)info->height * (size_t)info->width * (size_t)info->channels, count = (size_t)loader->count;
  for (int i = 0; i < BUFFERS; i++) {
    loader->buffers[i].images = tare_alloc((size_t)loader->shared, patch * sizeof(float));
    loader->buffers[i].labels = tare_alloc(count, sizeof(int32_t));
    if (!loader->buffers[i].images || !loader->buffers[i].labels) return tare_fail_memory(error, count * patch * sizeof(float), "a batch");
  }
  return TARE_OK;
}

tare_status tare_loader_create(const tare_source *source, uint64_t seed, uint64_t first, int count, tare_loader **out, tare_error *error) {
  return tare_loader_create_share(source, seed, first, count, 0, count, out, error);
}

tare_status tare_loader_create_share(const tare_source *source, uint64_t seed, uint64_t first, int count, int from, int images,
                                     tare_loader **out, tare_error *error) {
  if (!source || !out || count < 1 || from < 0 || images < 1 || images > count - from)
    return tare_fail(error, TARE_E_ARGUMENT, "a loader needs a source and a count of at least 1, not %d (of %d)", images, count);
  tare_loader *loader = tare_alloc(1, sizeof *loader);
  if (!loader) return tare_fail_memory(error, sizeof *loader, "a loader");
  loader->source = source;
  loader->seed = seed;
  loader->first = first;
  loader->count = count;
  loader->from = from;
  loader->shared = images;
  pthread_mutex_init(&loader->lock, NULL);
  pthread_cond_init(&loader->changed, NULL);
  tare_status status = make_buffers(loader, error);
  if (!status && pthread_create(&loader->thread, NULL, make_batches, loader))
    status = tare_fail(error, TARE_E_LIBRARY, "the thread that prepares batches could not be started");
  loader->started = status == TARE_OK;
  if (status) tare_loader_free(loader);
  else *out = loader;
  return status;
}

tare_status tare_loader_next(tare_loader *loader, const float **images, const int32_t **labels, tare_error *error) {
  if (!loader || !images || !labels)
    return tare_fail(error, TARE_E_ARGUMENT, "tare_loader_next: a loader, images and labels must be given");
  pthread_mutex_lock(&loader->lock);
  while (loader->made == loader->taken) pthread_cond_wait(&loader->changed, &loader->lock);
  buffer *b = &loader->buffers[loader->taken % BUFFERS];
  loader->taken++;
  pthread_cond_signal(&loader->changed);
  pthread_mutex_unlock(&loader->lock);
  if (b->status) {
    if (error) *error = b->error;
    return b->status;
  }
  *images = b->images;
  *labels = b->labels;
  return TARE_OK;
}

void tare_loader_free(tare_loader *loader) {
  if (!loader) return;
  pthread_mutex_lock(&loader->lock);
  loader->stop = 1;
  pthread_cond_signal(&loader->changed);
  pthread_mutex_unlock(&loader->lock);
  if (loader->started) pthread_join(loader->thread, NULL);
  for (int i = 0; i < BUFFERS; i++) {
    tare_free(loader->buffers[i].images);
    tare_free(loader->buffers[i].labels);
  }
  pthread_cond_destroy(&loader->changed);
  pthread_mutex_destroy(&loader->lock);
  tare_free(loader);
}
