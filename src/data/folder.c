/* SPDX-License-Identifier: Apache-2.0 */
/* The source "folder": DIR/CLASS/images, or DIR/train/CLASS/images and DIR/test/CLASS/images. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/photos.h"

enum { SAMPLES = 1 << 28 }; /* values kept over all images; an image with more than its share keeps its middle */

/* The files, part after part and class after class; files of part p and class c end before end[p * classes + c]. */
typedef struct listing {
  tare_names classes, files;
  char *root[2]; /* where the class folders are, for training and for test */
  size_t *end;
} listing;

static void listing_free(listing *l) {
  tare_names_free(&l->classes);
  tare_names_free(&l->files);
  tare_free(l->root[0]);
  tare_free(l->root[1]);
  tare_free(l->end);
}

/* DIR/train and DIR/test if both are there; DIR/train alone is split as DIR would be. */
static tare_status find_roots(listing *l, const char *folder, int *own_split, tare_error *error) {
  l->root[TARE_TRAIN] = tare_path_join(folder, "train");
  l->root[TARE_TEST] = tare_path_join(folder, "test");
  if (!l->root[TARE_TRAIN] || !l->root[TARE_TEST]) return tare_fail_memory(error, strlen(folder), "a path");
  int train = tare_is_folder(l->root[TARE_TRAIN]);
  *own_split = train && tare_is_folder(l->root[TARE_TEST]);
  if (train) return TARE_OK;
  tare_free(l->root[TARE_TRAIN]);
  l->root[TARE_TRAIN] = tare_strdup(folder);
  return l->root[TARE_TRAIN] ? TARE_OK : tare_fail_memory(error, strlen(folder), "a path");
}

static int is_class(const tare_names *classes, const char *name) {
  for (size_t i = 0; i < classes->count; i++)
    if (strcmp(classes->names[i], name) == 0) return 1;
  return 0;
}

static tare_status find_classes(listing *l, int own_split, tare_error *error) {
  tare_names test = {0};
  tare_status status = tare_list_folders(l->root[TARE_TRAIN], &l->classes, error);
  if (!status && l->classes.count < 2)
    status = tare_fail(error, TARE_E_DATA, "%s: expected at least two subfolders, one a class, found %zu", l->root[TARE_TRAIN], l->classes.count);
  if (!status && own_split) status = tare_list_folders(l->root[TARE_TEST], &test, error);
  for (size_t i = 0; i < test.count && !status; i++)
    if (!is_class(&l->classes, test.names[i]))
      status = tare_fail(error, TARE_E_DATA, "%s/%s: there is no such class in %s", l->root[TARE_TEST], test.names[i], l->root[TARE_TRAIN]);
  tare_names_free(&test);
  return status;
}

static tare_status list_class(listing *l, int part, const char *name, tare_error *error) {
  char *path = tare_path_join(l->root[part], name);
  if (!path) return tare_fail_memory(error, strlen(name), "a path");
  tare_status status = part == TARE_TRAIN || tare_is_folder(path) ? tare_list_files(path, &l->files, error) : TARE_OK;
  tare_free(path);
  return status;
}

static tare_status list_all(listing *l, const char *folder, int *own_split, tare_error *error) {
  tare_status status = find_roots(l, folder, own_split, error);
  if (!status) status = find_classes(l, *own_split, error);
  if (!status && !(l->end = tare_alloc(2 * l->classes.count, sizeof *l->end))) status = tare_fail_memory(error, 0, "a list of classes");
  for (size_t k = 0; k < 2 * l->classes.count && !status; k++) {
    int part = k < l->classes.count ? TARE_TRAIN : TARE_TEST;
    if (part == TARE_TRAIN || *own_split) status = list_class(l, part, l->classes.names[k % l->classes.count], error);
    l->end[k] = l->files.count;
  }
  if (!status && l->files.count == 0) status = tare_fail(error, TARE_E_DATA, "%s: no files are in its class folders", folder);
  return status;
}

static tare_status make_items(tare_source *source, const listing *l, tare_error *error) {
  source->items = tare_alloc(l->files.count, sizeof *source->items);
  if (!source->items) return tare_fail_memory(error, l->files.count * sizeof *source->items, "a list of images");
  source->count = l->files.count;
  size_t k = 0;
  for (size_t i = 0; i < source->count; i++) {
    while (i >= l->end[k]) k++;
    source->items[i].label = (int)(k % l->classes.count);
    source->items[i].part = k < l->classes.count ? TARE_TRAIN : TARE_TEST;
  }
  return tare_source_set_classes(source, (const char *const *)l->classes.names, (int)l->classes.count, error);
}

tare_status tare_folder_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error) {
  listing l = {0};
  int patch = source->info.height = source->info.width = tare_source_patch(source);
  tare_status status = list_all(&l, folder, &source->own_split, error);
  if (!status) status = make_items(source, &l, error);
  if (!status) {
    tare_photo_want want = {.channels = source->info.channels, .bits = 16, .patch = patch, .samples = SAMPLES / source->count};
    status = tare_photos_read_all(source, l.files.names, &want, pool, error);
  }
  listing_free(&l);
  return status;
}
