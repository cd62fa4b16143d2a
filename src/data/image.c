/* SPDX-License-Identifier: Apache-2.0 */
/* Images read in parts, through the module that reads photos. */
#include <errno.h>
#include <string.h>
#include <tare/image.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/photos.h"

struct tare_image {
  const tare_photos_module *module;
  tare_photo *photo;
  tare_photo_info info;
  void *raw; /* of the last rectangle, kept for the next */
  size_t raw_bytes;
};

static tare_status open_photo(tare_image *image, const char *path, tare_error *error) {
  tare_status status = tare_photos_load(&image->module, error);
  if (!status && access(path, R_OK)) return tare_fail(error, TARE_E_DATA, "%s: cannot be opened: %s", path, strerror(errno));
  if (!status) status = image->module->open(path, 1, &image->photo, &image->info, error);
  return status ? tare_fail_prefix(error, status, "%s", path), status : TARE_OK;
}

tare_status tare_image_open(const char *path, tare_image **out, tare_image_info *info, tare_error *error) {
  if (!path || !out || !info) return tare_fail(error, TARE_E_ARGUMENT, "an image to read needs a path and places for the results; one is NULL");
  tare_image *image = tare_alloc(1, sizeof *image);
  if (!image) return tare_fail_memory(error, sizeof *image, "an image");
  tare_status status = open_photo(image, path, error);
  if (status) return tare_image_close(image), status;
  *info = (tare_image_info){image->info.width, image->info.height, image->info.channels, image->info.bits};
  *out = image;
  return TARE_OK;
}

void tare_image_close(tare_image *image) {
  if (!image) return;
  if (image->photo) image->module->close(image->photo);
  tare_free(image->raw);
  tare_free(image);
}

static float value_at(const void *raw, int bits, size_t at) {
  if (bits == 8) return (float)((const uint8_t *)raw)[at] / 256;
  return bits == 16 ? (float)((const uint16_t *)raw)[at] / 65536 : ((const float *)raw)[at];
}

/* Luma of Rec. 601 as the data sources have it: in 16 fractional bits, rounded to the image's own steps. */
static float luma_at(const void *raw, int bits, size_t at) {
  float r = value_at(raw, bits, at), g = value_at(raw, bits, at + 1), b = value_at(raw, bits, at + 2);
  if (bits == 32) return 0.299f * r + 0.587f * g + 0.114f * b;
  float top = bits == 8 ? 256.0f : 65536.0f;
  uint32_t sum = 19595 * (uint32_t)(r * top) + 38470 * (uint32_t)(g * top) + 7471 * (uint32_t)(b * top) + 32768;
  return (float)(sum >> 16) / top;
}

static void convert(const tare_image *image, size_t count, int channels, float *pixels) {
  size_t have = (size_t)image->info.channels, want = (size_t)channels;
  int bits = image->info.bits;
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < want; c++)
      pixels[i * want + c] = have > want ? luma_at(image->raw, bits, i * have) : value_at(image->raw, bits, i * have + (have == 1 ? 0 : c));
}

tare_status tare_image_read(tare_image *image, int left, int top, int width, int height, int channels, float *pixels, tare_error *error) {
  if (!image || !pixels) return tare_fail(error, TARE_E_ARGUMENT, "reading pixels needs an image and a place for them; one is NULL");
  const tare_photo_info *info = &image->info;
  if (left < 0 || top < 0 || width < 1 || height < 1 || left > info->width - width || top > info->height - height || (channels != 1 && channels != 3))
    return tare_fail(error, TARE_E_ARGUMENT, "a rectangle that is not inside the image, or %d channels, expected 1 or 3", channels);
  size_t bytes = (size_t)width * (size_t)height * (size_t)info->channels * (size_t)(info->bits / 8);
  if (bytes > image->raw_bytes) {
    tare_free(image->raw);
    image->raw_bytes = 0;
    if (!(image->raw = tare_alloc(bytes, 1))) return tare_fail_memory(error, bytes, "a part of an image");
    image->raw_bytes = bytes;
  }
  tare_status status = image->module->read(image->photo, left, top, width, height, image->raw, error);
  if (!status) convert(image, (size_t)width * (size_t)height, channels, pixels);
  return status;
}
