/* SPDX-License-Identifier: Apache-2.0 */
/* The source "photos", and reading many image files at once. */
#include "data/photos.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "data/manipulate.h"

/* Values kept over all photos, before the manipulations make 7.25 of each: 64 Mi take 490 MB. */
enum { SAMPLES = 1 << 26, TILE_SAMPLES = 512 * 512 };

typedef struct work {
  tare_source *source;
  const tare_photos_module *module;
  const tare_photo_want *want;
  char *const *paths;
  tare_status *status; /* of each file */
  char **reason;       /* why a file is skipped; owned */
} work;

/* Each tile in all its versions. */
static tare_status manipulate_tiles(tare_item *item, uint64_t seed, tare_error *error) {
  tare_picture *versions = tare_alloc((size_t)item->tiles * TARE_MANIPULATIONS, sizeof *versions);
  if (!versions) return tare_fail_memory(error, 0, "an image's versions");
  tare_item made = {.pictures = versions};
  tare_status status = TARE_OK;
  for (; made.tiles < item->tiles && !status; made.tiles += status == TARE_OK)
    status = tare_manipulate(&item->pictures[made.tiles], tare_mix(tare_mix(seed, item->hash), (uint64_t)made.tiles),
                             versions + made.tiles * TARE_MANIPULATIONS, error);
  if (status) tare_item_free(&made, TARE_MANIPULATIONS);
  tare_item_free(item, 1);
  item->pictures = made.pictures;
  item->tiles = made.tiles;
  return status;
}

static void read_one(void *user, int number, int worker) {
  (void)worker;
  work *w = user;
  tare_item *item = &w->source->items[number];
  tare_error error;
  tare_status status = tare_photo_read(w->module, w->paths[number], w->want, item, &error);
  if (!status && w->source->versions > 1) status = manipulate_tiles(item, w->source->options.seed, &error);
  if (status == TARE_E_DATA) w->reason[number] = tare_strdup(error.message);
  w->status[number] = status;
  w->module->thread_end();
}

/* Items that could be read move up; the others are named and counted. */
static tare_status sort_out(work *w, tare_error *error) {
  tare_source *source = w->source;
  size_t kept = 0, count = source->count, first = count;
  tare_status status = TARE_OK;
  for (size_t i = 0; i < count; i++) {
    if (w->status[i] == TARE_OK) {
      tare_item item = source->items[i];
      source->items[i].pictures = NULL;
      source->items[i].tiles = 0;
      source->items[kept++] = item;
      continue;
    }
    if (w->status[i] != TARE_E_DATA && !status)
      status = tare_fail(error, w->status[i], "%s: %s", w->paths[i], tare_status_name(w->status[i]));
    if (first == count) first = i;
    tare_source_warn(source, "%s: skipped: %s", w->paths[i], w->reason[i] ? w->reason[i] : tare_status_name(w->status[i]));
  }
  source->info.skipped += count - kept;
  if (!status && kept == 0)
    status = tare_fail(error, TARE_E_DATA, "%s: none of its %zu files can be used: %s: %s", source->info.spec, count, w->paths[first],
                       w->reason[first] ? w->reason[first] : tare_status_name(w->status[first]));
  source->count = kept;
  return status;
}

tare_status tare_photos_read_all(tare_source *source, char *const *paths, const tare_photo_want *want, tare_pool *pool, tare_error *error) {
  size_t count = source->count;
  work w = {source, NULL, want, paths, tare_alloc(count, sizeof *w.status), tare_alloc(count, sizeof *w.reason)};
  tare_status status = tare_photos_load(&w.module, error);
  if (!status && (!w.status || !w.reason)) status = tare_fail_memory(error, count * sizeof *w.reason, "a list of files");
  if (!status) {
    tare_pool_run(pool, (int)count, read_one, &w);
    status = sort_out(&w, error);
  }
  for (size_t i = 0; w.reason && i < count; i++) tare_free(w.reason[i]);
  tare_free(w.reason);
  tare_free(w.status);
  return status;
}

/* At most `most` files, spread evenly over the list; the others' names are freed. */
static void thin_out(tare_names *files, size_t most) {
  if (files->count <= most) return;
  size_t next = 0;
  for (size_t i = 0; i < files->count; i++) {
    if (next < most && i == (2 * next + 1) * files->count / (2 * most)) files->names[next++] = files->names[i];
    else tare_free(files->names[i]);
  }
  files->count = most;
}

tare_status tare_photos_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error) {
  tare_names files = {0};
  size_t channels = (size_t)source->info.channels;
  size_t most = source->options.images ? (size_t)source->options.images : SAMPLES / TILE_SAMPLES / channels;
  source->info.height = source->info.width = tare_source_patch(source);
  tare_status status = tare_list_files(folder, &files, error);
  if (!status && files.count == 0) status = tare_fail(error, TARE_E_DATA, "%s: no files are in this folder", folder);
  if (status) {
    tare_names_free(&files);
    return status;
  }
  if (files.count > most)
    tare_source_warn(source, "%s: %zu of its %zu files are read, spread evenly over their names (to read more, ask for more images)",
                     source->info.spec, most, files.count);
  thin_out(&files, most);
  tare_photo_want want = {.channels = (int)channels, .bits = 8, .patch = source->info.height, .tiled = 1, .samples = SAMPLES / files.count};
  status = tare_source_set_manipulations(source, files.count, error);
  for (size_t i = 0; i < source->count; i++) source->items[i].label = -1;
  if (!status) status = tare_photos_read_all(source, files.names, &want, pool, error);
  tare_names_free(&files);
  return status;
}
