/* SPDX-License-Identifier: Apache-2.0 */
/* One image file: the hash of all its pixels, and the tiles of it that are kept. Never more than a strip or a tile is held besides. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/photos.h"

enum { TILE = 512, STRIP_SAMPLES = 1 << 22 };

typedef struct rectangle { int left, top, width, height; } rectangle;

/* An open image and how its pixels are converted. */
typedef struct reader {
  const tare_photos_module *module;
  tare_photo *photo;
  tare_photo_info info;
  int channels, bits; /* wanted */
} reader;

/* Y of Rec. 601 in 16 fractional bits; the weights' sum is 65536, so that grey stays as it is. */
static uint32_t luma(uint32_t r, uint32_t g, uint32_t b) { return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16; }

static uint32_t sample(const void *pixels, int bits, size_t at) {
  return bits == 8 ? ((const uint8_t *)pixels)[at] : ((const uint16_t *)pixels)[at];
}

/* `count` pixels from what the module gives to what is wanted. */
static void convert(const reader *r, const void *from, size_t count, void *to) {
  int shift = r->info.bits - r->bits;
  size_t have = (size_t)r->info.channels, want = (size_t)r->channels;
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < want; c++) {
      size_t at = i * have;
      uint32_t value = have == want ? sample(from, r->info.bits, at + c) : have == 1 ? sample(from, r->info.bits, at)
        : luma(sample(from, r->info.bits, at), sample(from, r->info.bits, at + 1), sample(from, r->info.bits, at + 2));
      if (r->bits == 8) ((uint8_t *)to)[i * want + c] = (uint8_t)(value >> shift);
      else ((uint16_t *)to)[i * want + c] = (uint16_t)value;
    }
}

/* A rectangle into a new picture. */
static tare_status read_rectangle(const reader *r, rectangle at, tare_picture *out, tare_error *error) {
  size_t pixels = (size_t)at.width * (size_t)at.height, bytes = pixels * (size_t)r->info.channels * (size_t)(r->info.bits / 8);
  void *raw = tare_alloc(bytes, 1);
  if (!raw) return tare_fail_memory(error, bytes, "a part of an image");
  tare_status status = r->module->read(r->photo, at.left, at.top, at.width, at.height, raw, error);
  if (!status) status = tare_picture_create(at.width, at.height, r->channels, r->bits, out, error);
  if (!status) convert(r, raw, pixels, out->pixels);
  tare_free(raw);
  return status;
}

static tare_status hash_image(const reader *r, uint64_t *hash, tare_error *error) {
  int width = r->info.width, height = r->info.height, strip = STRIP_SAMPLES / width / r->info.channels;
  tare_status status = TARE_OK;
  *hash = tare_hash_start(width, height, r->channels);
  if (strip < 1) strip = 1;
  for (int y = 0; y < height && !status; y += strip) {
    tare_picture part;
    status = read_rectangle(r, (rectangle){0, y, width, height - y < strip ? height - y : strip}, &part, error);
    if (status) break;
    size_t row = tare_picture_row_bytes(&part);
    for (int i = 0; i < part.height; i++) *hash = tare_hash_row(*hash, (const char *)part.pixels + (size_t)i * row, row);
    tare_picture_free(&part);
  }
  return status;
}

typedef struct layout { int rows, columns, kept; rectangle first; } layout; /* kept tiles of rows x columns, the first at `first` */

/* The image cut into tiles of at least `side`; so many of them kept as the samples allow, one at least. */
static layout cut_tiles(const reader *r, int side, size_t samples) {
  layout l = {.rows = r->info.height / side, .columns = r->info.width / side};
  if (l.rows < 1) l.rows = 1;
  if (l.columns < 1) l.columns = 1;
  l.first = (rectangle){0, 0, r->info.width / l.columns, r->info.height / l.rows};
  size_t room = samples / (size_t)r->channels / ((size_t)l.first.width * (size_t)l.first.height), all = (size_t)l.rows * (size_t)l.columns;
  l.kept = room < 1 ? 1 : room < all ? (int)room : (int)all;
  if (room < 1) { /* even one is too large: its sides back to `side` */
    if (l.first.width > side) l.first.width = side;
    if (l.first.height > side) l.first.height = side;
  }
  return l;
}

/* The whole image, or so much of its middle as the samples allow. */
static layout cut_middle(const reader *r, int patch, size_t samples) {
  int width = r->info.width, height = r->info.height;
  double scale = sqrt((double)samples / (double)r->channels / ((double)width * height));
  layout l = {.rows = 1, .columns = 1, .kept = 1, .first = {0, 0, width, height}};
  if (scale < 1) {
    l.first.width = (int)fmax(patch, width * scale);
    l.first.height = (int)fmax(patch, height * scale);
    l.first.left = (width - l.first.width) / 2;
    l.first.top = (height - l.first.height) / 2;
  }
  return l;
}

static tare_status read_tiles(const reader *r, const layout *l, tare_item *item, tare_error *error) {
  if (!(item->pictures = tare_alloc((size_t)l->kept, sizeof *item->pictures)))
    return tare_fail_memory(error, (size_t)l->kept * sizeof *item->pictures, "an image's tiles");
  int64_t all = (int64_t)l->rows * l->columns;
  for (int i = 0; i < l->kept; i++) {
    int tile = (int)((2 * i + 1) * all / (2 * l->kept)); /* spread evenly over the image */
    rectangle at = l->first;
    at.left += tile % l->columns * (r->info.width / l->columns);
    at.top += tile / l->columns * (r->info.height / l->rows);
    tare_status status = read_rectangle(r, at, &item->pictures[i], error);
    if (status) return status;
    item->tiles++;
  }
  return TARE_OK;
}

static tare_status read_open(const reader *r, const tare_photo_want *want, tare_item *item, tare_error *error) {
  int side = want->patch > TILE ? want->patch : TILE;
  if (r->info.width < want->patch || r->info.height < want->patch)
    return tare_fail(error, TARE_E_DATA, "%dx%d is smaller than the patch of %d", r->info.width, r->info.height, want->patch);
  tare_status status = hash_image(r, &item->hash, error);
  layout l = want->tiled ? cut_tiles(r, side, want->samples) : cut_middle(r, want->patch, want->samples);
  if (!status) status = read_tiles(r, &l, item, error);
  if (status) tare_item_free(item, 1);
  return status;
}

tare_status tare_photo_read(const tare_photos_module *module, const char *path, const tare_photo_want *want, tare_item *item,
                            tare_error *error) {
  reader r = {.module = module, .channels = want->channels};
  tare_status status = module->open(path, 0, &r.photo, &r.info, error);
  if (status) return status;
  r.bits = r.info.bits < want->bits ? r.info.bits : want->bits;
  status = read_open(&r, want, item, error);
  module->close(r.photo);
  return status;
}
