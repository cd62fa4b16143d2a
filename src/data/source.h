/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a source is inside: images, each with its hash, its part and its
 * pictures. Where the class is how a patch was manipulated, an image holds
 * its tiles in every version (one a class); else one picture and a label.
 */
#ifndef TARE_DATA_SOURCE_H
#define TARE_DATA_SOURCE_H

#include <tare/data.h>
#include <tare/pool.h>

#include "data/picture.h"

enum { TARE_PATCH = 48, TARE_PATCH_MAX = 4096, TARE_EPOCH = 8000, TARE_TEST_PATCHES = 600 };
enum { TARE_UNUSED = 2 }; /* a part beside TARE_TRAIN and TARE_TEST */

typedef struct tare_item {
  uint64_t hash;           /* of its decoded pixels */
  int label;               /* its class; -1 where the class is the manipulation */
  int part;                /* tare_part, or TARE_UNUSED */
  int tiles;               /* at least 1 once it is ready; 0: could not be used */
  tare_picture *pictures;  /* tiles x versions; owned */
} tare_item;

struct tare_source {
  tare_source_options options;
  tare_source_info info;   /* its strings are owned */
  int versions;            /* of each tile: the manipulations; 1 for labelled images */
  int own_split;           /* 1: the files say which part an image is in */
  size_t count;
  tare_item *items;
  int32_t *order[2];       /* the items of each part, in item order */
};

/*
 * A kind of source: fills items, versions, own_split and info's sizes and class
 * names. What it leaves behind when it fails is freed by the caller.
 */
typedef struct tare_source_kind {
  const char *name;
  int takes_folder;        /* "name:DIR" */
  int takes_rgb;
  tare_status (*open)(tare_source *source, const char *folder, tare_pool *pool, tare_error *error);
} tare_source_kind;

tare_status tare_leaves_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error);
tare_status tare_photos_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error);
tare_status tare_mnist_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error);
tare_status tare_folder_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error);

/* Sets versions and class names to the manipulations and makes room for `images` items. */
tare_status tare_source_set_manipulations(tare_source *source, size_t images, tare_error *error);
/* Copies the names into info. */
tare_status tare_source_set_classes(tare_source *source, const char *const *names, int count, tare_error *error);
void tare_source_warn(const tare_source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tare_item_free(tare_item *item, int versions);

/* The size of the patch that was asked for: the option, or 48. */
int tare_source_patch(const tare_source *source);

/* Divides the items between the parts by their hashes (or keeps their own split), then counts. */
tare_status tare_split(tare_source *source, tare_error *error);
/* Counts images and patches and lists each part's items anew. */
tare_status tare_split_count(tare_source *source, tare_error *error);

/*
 * Example k of a class out of the training part. Where the class is the manipulation, example k of every class is the same patch (for a
 * resampled image: of the same place). 0 if the class has no training image.
 */
int tare_draw_example(const tare_source *source, uint64_t seed, uint64_t k, int label, float *patch);

/* The i-th number of a permutation of 0 .. count-1 that `key` chooses. */
uint64_t tare_permute(uint64_t key, uint64_t count, uint64_t i);

#endif
