/* SPDX-License-Identifier: Apache-2.0 */
/* The source "leaves": its images and their versions, made when it is opened, an image a job. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/leaves.h"
#include "data/manipulate.h"
#include "data/source.h"

typedef struct work { tare_source *source; tare_status *status; } work; /* status: of each image */

static void make_image(void *user, int number, int worker) {
  (void)worker;
  work *w = user;
  tare_item *item = &w->source->items[number];
  tare_picture image;
  uint64_t seed = w->source->options.seed;
  tare_status status = tare_leaves_image(seed, (uint64_t)number, &image, NULL);
  if (!status) {
    item->hash = tare_picture_hash(&image);
    item->label = -1;
    item->pictures = tare_alloc(TARE_MANIPULATIONS, sizeof *item->pictures);
    status = item->pictures ? tare_manipulate(&image, tare_mix(seed, item->hash), item->pictures, NULL) : TARE_E_MEMORY;
    item->tiles = status == TARE_OK;
    tare_picture_free(&image);
  }
  w->status[number] = status;
}

tare_status tare_leaves_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error) {
  (void)folder;
  int patch = tare_source_patch(source), images = source->options.images ? source->options.images : TARE_LEAVES_IMAGES;
  if (patch > TARE_LEAVES_SIZE)
    return tare_fail(error, TARE_E_ARGUMENT, "leaves: a patch of %d is larger than the images, which are %dx%d", patch, TARE_LEAVES_SIZE,
                     TARE_LEAVES_SIZE);
  source->info.height = source->info.width = patch;
  tare_status status = tare_source_set_manipulations(source, (size_t)images, error);
  work w = {source, tare_alloc((size_t)images, sizeof *w.status)};
  if (!status && !w.status) status = tare_fail_memory(error, (size_t)images * sizeof *w.status, "leaves");
  if (!status) tare_pool_run(pool, images, make_image, &w);
  for (int i = 0; i < images && !status; i++)
    if ((status = w.status[i]))
      tare_fail(error, status, "leaves: image %d of %d could not be made: %s", i + 1, images, tare_status_name(status));
  tare_free(w.status);
  return status;
}
