/* SPDX-License-Identifier: Apache-2.0 */
/* Sources from open to free: the table of kinds, and what is asked of all of them. */
#include "data/source.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "data/manipulate.h"

static const tare_source_kind kinds[] = {
  {"leaves", 0, 0, tare_leaves_open},
  {"photos", 1, 1, tare_photos_open},
  {"mnist", 1, 0, tare_mnist_open},
  {"folder", 1, 1, tare_folder_open},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

void tare_source_defaults(tare_source_options *options) {
  if (options) *options = (tare_source_options){.seed = 1, .threads = 1};
}

/* "leaves, photos:DIR, mnist:DIR or folder:DIR" */
static tare_status unknown_kind(const char *spec, tare_error *error) {
  tare_text list = {0};
  for (int i = 0; i < KINDS; i++)
    tare_text_add(&list, "%s%s%s", i == 0 ? "" : i == KINDS - 1 ? " or " : ", ", kinds[i].name, kinds[i].takes_folder ? ":DIR" : "");
  char *names = tare_text_take(&list);
  tare_status status = tare_fail(error, TARE_E_ARGUMENT, "'%s' is not a data source: expected %s", spec, names ? names : kinds[0].name);
  tare_free(names);
  return status;
}

static tare_status find_kind(const char *spec, const tare_source_kind **kind, const char **folder, tare_error *error) {
  size_t length = strcspn(spec, ":");
  for (int i = 0; i < KINDS; i++) {
    if (strlen(kinds[i].name) != length || memcmp(kinds[i].name, spec, length) != 0) continue;
    const char *rest = spec + length;
    if (!kinds[i].takes_folder && *rest) return tare_fail(error, TARE_E_ARGUMENT, "'%s': %s takes no folder", spec, kinds[i].name);
    if (kinds[i].takes_folder && strlen(rest) < 2)
      return tare_fail(error, TARE_E_ARGUMENT, "'%s': expected a folder, as in %s:DIR", spec, kinds[i].name);
    *kind = &kinds[i];
    *folder = *rest ? rest + 1 : rest;
    return TARE_OK;
  }
  return unknown_kind(spec, error);
}

static tare_status check_options(const tare_source_kind *kind, const tare_source_options *o, tare_error *error) {
  if (o->patch < 0 || o->patch > TARE_PATCH_MAX)
    return tare_fail(error, TARE_E_ARGUMENT, "the patch must be 1 to %d pixels, or 0 for the usual size, not %d", TARE_PATCH_MAX, o->patch);
  if (!(o->brightness >= 0 && o->brightness <= 1000))
    return tare_fail(error, TARE_E_ARGUMENT, "brightness must be 0 to 1000, not %g", o->brightness);
  if (o->images < 0 || o->images == 1 || o->images > 100000)
    return tare_fail(error, TARE_E_ARGUMENT, "images must be 2 to 100000, or 0 for the usual number, not %d", o->images);
  if (o->rgb && !kind->takes_rgb)
    return tare_fail(error, TARE_E_UNSUPPORTED, "%s has grey images only: ask for luma, not rgb", kind->name);
  return TARE_OK;
}

tare_status tare_source_open(const char *spec, const tare_source_options *options, tare_source **out, tare_error *error) {
  const tare_source_kind *kind = NULL;
  const char *folder = NULL;
  tare_source *source = NULL;
  tare_pool *pool = NULL;
  if (!spec || !options || !out) return tare_fail(error, TARE_E_ARGUMENT, "tare_source_open: spec, options and out must be given");
  tare_status status = find_kind(spec, &kind, &folder, error);
  if (!status) status = check_options(kind, options, error);
  if (!status) status = tare_pool_create(options->threads, &pool, error);
  if (!status && !(source = tare_alloc(1, sizeof *source))) status = tare_fail_memory(error, sizeof *source, "a data source");
  if (!status) {
    source->options = *options;
    source->versions = 1;
    source->info.channels = options->rgb ? 3 : 1;
    if (!(source->info.spec = tare_strdup(spec))) status = tare_fail_memory(error, strlen(spec), "a data source");
  }
  if (!status) status = kind->open(source, folder, pool, error);
  if (!status) status = tare_split(source, error);
  tare_pool_free(pool);
  if (status) tare_source_free(source);
  else *out = source;
  return status;
}

void tare_item_free(tare_item *item, int versions) {
  for (int i = 0; item->pictures && i < item->tiles * versions; i++) tare_picture_free(&item->pictures[i]);
  tare_free(item->pictures);
  item->pictures = NULL;
  item->tiles = 0;
}

void tare_source_free(tare_source *source) {
  if (!source) return;
  for (size_t i = 0; i < source->count; i++) tare_item_free(&source->items[i], source->versions);
  tare_free(source->items);
  for (int i = 0; source->info.class_names && i < source->info.classes; i++) tare_free((void *)(uintptr_t)source->info.class_names[i]);
  tare_free((void *)(uintptr_t)source->info.class_names);
  tare_free((void *)(uintptr_t)source->info.spec);
  for (int part = 0; part < 2; part++) tare_free(source->order[part]);
  tare_free(source);
}

void tare_source_get_info(const tare_source *source, tare_source_info *info) {
  if (source && info) *info = source->info;
}

int tare_source_patch(const tare_source *source) { return source->options.patch ? source->options.patch : TARE_PATCH; }

void tare_source_warn(const tare_source *source, const char *format, ...) {
  if (!source->options.warn) return;
  char line[1000];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  source->options.warn(source->options.warn_user, line);
}

tare_status tare_source_set_classes(tare_source *source, const char *const *names, int count, tare_error *error) {
  const char **copies = tare_alloc((size_t)count, sizeof *copies);
  if (!copies) return tare_fail_memory(error, (size_t)count * sizeof *copies, "class names");
  source->info.class_names = copies;
  source->info.classes = count;
  for (int i = 0; i < count; i++)
    if (!(copies[i] = tare_strdup(names[i]))) return tare_fail_memory(error, strlen(names[i]), "a class name");
  return TARE_OK;
}

tare_status tare_source_set_manipulations(tare_source *source, size_t images, tare_error *error) {
  const char *names[TARE_MANIPULATIONS];
  for (int i = 0; i < TARE_MANIPULATIONS; i++) names[i] = tare_manipulations[i].name;
  source->versions = TARE_MANIPULATIONS;
  if (!(source->items = tare_alloc(images, sizeof *source->items)))
    return tare_fail_memory(error, images * sizeof *source->items, "a list of images");
  source->count = images;
  return tare_source_set_classes(source, names, TARE_MANIPULATIONS, error);
}
