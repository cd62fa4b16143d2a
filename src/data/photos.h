/* SPDX-License-Identifier: Apache-2.0 */
/* Reading images from files: what photos and folder share. */
#ifndef TARE_DATA_PHOTOS_H
#define TARE_DATA_PHOTOS_H

#include "data/files.h"
#include "data/photos_module.h"
#include "data/source.h"

/* Loads the module and starts it; it is never unloaded (glib cannot be). TARE_E_UNSUPPORTED says what to install. */
tare_status tare_photos_load(const tare_photos_module **out, tare_error *error);

/* What to keep of an image. */
typedef struct tare_photo_want {
  int channels;      /* 1: luma (Rec. 601, as JPEG has it), 3: colour */
  int bits;          /* 8: wider ones lose their low bits; 16: wider ones stay */
  int patch;         /* each side of the image must be at least this */
  int tiled;         /* 1: tiles of 512x512 or a little more, spread evenly; 0: one piece, the middle */
  size_t samples;    /* at most so many values are kept, if a single smallest tile has no more */
} tare_photo_want;

/*
 * item's hash (of the whole image), tiles and pictures (one a tile). TARE_E_DATA
 * with the reason, without the file's name: the file is to be skipped.
 */
tare_status tare_photo_read(const tare_photos_module *module, const char *path, const tare_photo_want *want, tare_item *item,
                            tare_error *error);

/*
 * Reads every file into the item of its index, a job each; where source->versions is more than 1, each tile in all its versions.
 * Files that cannot be used are warned of, counted and their items removed. TARE_E_DATA when none is left.
 */
tare_status tare_photos_read_all(tare_source *source, char *const *paths, const tare_photo_want *want, tare_pool *pool, tare_error *error);

#endif
