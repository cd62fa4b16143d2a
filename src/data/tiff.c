/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BigTIFF (Aware Systems, "The BigTIFF File Format"): a header, one directory, the tiles' places, the tiles. Every size is known before the
 * first pixel, so the file is written from front to back.
 */
#include <string.h>
#include <tare/image.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

enum { SHORT = 3, LONG = 4, LONG8 = 16, HEADER = 16, ENTRY = 20 };
typedef struct entry { uint16_t tag, type; uint64_t count, value; } entry; /* value, or where the values are */

struct tare_tiff {
  tare_file *file;
  size_t tile_bytes;
  uint64_t tiles, written;
};

static void put(unsigned char **to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) *(*to)++ = (unsigned char)(value >> 8 * i);
}

/* `value` in each of n places of `bytes` bytes, growing by `step`. */
static void put_list(unsigned char **to, uint64_t value, uint64_t step, uint64_t n, int bytes) {
  for (uint64_t i = 0; i < n; i++) put(to, value + i * step, bytes);
}

static tare_status write_front(tare_tiff *t, int width, int height, int channels, tare_error *error) {
  enum { MOST = 13 };
  uint64_t bands = (uint64_t)channels, lists = HEADER + 8 + MOST * ENTRY + 8; /* behind the directory */
  uint64_t room = (2 * bands + 15) / 8 * 8, formats = lists + room, extra = formats + room, places = extra + room;
  uint64_t sizes = places + 8 * t->tiles, data = (sizes + 8 * t->tiles + 15) / 16 * 16;
  uint64_t shorts = 16 * (4 - (bands > 4 ? 4 : bands)); /* up to four of them stand in the entry itself */
  const entry list[MOST] = {
    {256, LONG, 1, (uint64_t)width}, {257, LONG, 1, (uint64_t)height}, {258, SHORT, bands, bands > 4 ? lists : 0x0020002000200020u >> shorts},
    {259, SHORT, 1, 1}, {262, SHORT, 1, 1}, {277, SHORT, 1, bands}, {284, SHORT, 1, 1}, {322, LONG, 1, TARE_TIFF_TILE},
    {323, LONG, 1, TARE_TIFF_TILE}, {324, LONG8, t->tiles, t->tiles > 1 ? places : data}, {325, LONG8, t->tiles, t->tiles > 1 ? sizes : t->tile_bytes},
    {338, SHORT, bands - 1, bands > 5 ? extra : 0}, /* the channels behind the first are of no colour; one channel has no such entry */
    {339, SHORT, bands, bands > 4 ? formats : 0x0003000300030003u >> shorts},
  };
  unsigned char *bytes = tare_alloc(data, 1), *at = bytes;
  if (!bytes) return tare_fail_memory(error, data, "a TIFF's directory");
  memcpy(at, "II", 2), at += 2;
  put(&at, 43, 2), put(&at, 8, 2), put(&at, 0, 2), put(&at, HEADER, 8), put(&at, MOST - (bands == 1), 8);
  for (int i = 0; i < MOST; i++)
    if (list[i].count) put(&at, list[i].tag, 2), put(&at, list[i].type, 2), put(&at, list[i].count, 8), put(&at, list[i].value, 8);
  at = bytes + lists, put_list(&at, 32, 0, bands, 2);
  at = bytes + formats, put_list(&at, 3, 0, bands, 2); /* IEEE floats */
  at = bytes + places, put_list(&at, data, t->tile_bytes, t->tiles, 8);
  at = bytes + sizes, put_list(&at, t->tile_bytes, 0, t->tiles, 8);
  tare_status status = tare_file_write(t->file, bytes, data, error);
  tare_free(bytes);
  return status;
}

tare_status tare_tiff_create(const char *path, int width, int height, int channels, tare_tiff **out, tare_error *error) {
  if (!path || !out || width < 1 || height < 1 || channels < 1 || channels > UINT16_MAX)
    return tare_fail(error, TARE_E_ARGUMENT, "a TIFF of %dx%d with %d channels: expected a path and positive sizes, at most 65535 channels", width,
                     height, channels);
  tare_tiff *t = tare_alloc(1, sizeof *t);
  if (!t) return tare_fail_memory(error, sizeof *t, "a TIFF");
  uint64_t across = ((uint64_t)width + TARE_TIFF_TILE - 1) / TARE_TIFF_TILE, down = ((uint64_t)height + TARE_TIFF_TILE - 1) / TARE_TIFF_TILE;
  t->tiles = across * down;
  t->tile_bytes = (size_t)TARE_TIFF_TILE * TARE_TIFF_TILE * (size_t)channels * sizeof(float);
  tare_status status = tare_file_begin(path, &t->file, error);
  if (!status) status = write_front(t, width, height, channels, error);
  if (!status) return *out = t, TARE_OK;
  tare_tiff_abandon(t);
  return status;
}

tare_status tare_tiff_tile(tare_tiff *tiff, const float *pixels, tare_error *error) {
  if (!tiff || !pixels) return tare_fail(error, TARE_E_ARGUMENT, "a tile needs a TIFF and pixels; one is NULL");
  if (tiff->written == tiff->tiles) return tare_fail(error, TARE_E_ARGUMENT, "more tiles than the TIFF has");
  tiff->written++;
  return tare_file_write(tiff->file, pixels, tiff->tile_bytes, error);
}

tare_status tare_tiff_commit(tare_tiff *tiff, tare_error *error) {
  if (!tiff) return tare_fail(error, TARE_E_ARGUMENT, "the TIFF to be written is NULL");
  if (tiff->written != tiff->tiles) return tare_tiff_abandon(tiff), tare_fail(error, TARE_E_ARGUMENT, "fewer tiles than the TIFF has");
  tare_file *file = tiff->file;
  tare_free(tiff);
  return tare_file_commit(file, error);
}

void tare_tiff_abandon(tare_tiff *tiff) {
  if (!tiff) return;
  tare_file_abandon(tiff->file);
  tare_free(tiff);
}
