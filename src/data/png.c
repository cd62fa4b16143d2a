/* SPDX-License-Identifier: Apache-2.0 */
/* PNG (W3C PNG specification, second edition): signature, IHDR, one IDAT, IEND; 8 bits, no filter, no interlace. */
#include <string.h>
#include <tare/image.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

static void big_endian(unsigned char *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* Length, type, data, and the CRC of type and data. */
static tare_status chunk(tare_file *file, const char *type, const unsigned char *data, size_t size, tare_error *error) {
  unsigned char head[8], tail[4];
  big_endian(head, (uint32_t)size);
  memcpy(head + 4, type, 4);
  uLong crc = crc32(0, head + 4, 4);
  if (size) crc = crc32(crc, data, (uInt)size);
  big_endian(tail, (uint32_t)crc);
  tare_status status = tare_file_write(file, head, sizeof head, error);
  if (!status && size) status = tare_file_write(file, data, size, error);
  if (!status) status = tare_file_write(file, tail, sizeof tail, error);
  return status;
}

/* Each row behind a 0 (filter "none"), deflated; *out is freed with tare_free. */
static tare_status deflate_rows(const uint8_t *pixels, size_t row, size_t height, unsigned char **out, size_t *size, tare_error *error) {
  uLong raw_size = (uLong)((row + 1) * height), bound = compressBound(raw_size);
  unsigned char *raw = tare_alloc(raw_size, 1), *packed = tare_alloc(bound, 1);
  tare_status status = TARE_OK;
  if (!raw || !packed) status = tare_fail_memory(error, raw_size + bound, "a PNG picture");
  else {
    for (size_t y = 0; y < height; y++) memcpy(raw + y * (row + 1) + 1, pixels + y * row, row);
    if (compress2(packed, &bound, raw, raw_size, 6) != Z_OK) status = tare_fail(error, TARE_E_LIBRARY, "zlib could not pack a PNG picture");
  }
  tare_free(raw);
  if (status) tare_free(packed);
  else {
    *out = packed;
    *size = bound;
  }
  return status;
}

tare_status tare_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels, tare_error *error) {
  static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const int most = 1 << 24;
  if (!path || !pixels) return tare_fail(error, TARE_E_ARGUMENT, "a PNG picture needs a path and pixels");
  if (width < 1 || height < 1 || width > most || height > most || (channels != 1 && channels != 3) ||
      ((size_t)width * (size_t)channels + 1) * (size_t)height > INT32_MAX)
    return tare_fail(error, TARE_E_ARGUMENT, "a PNG picture of %dx%d with %d channels: expected 1 or 3 channels and at most 2 GiB", width,
                     height, channels);
  unsigned char header[13] = {[8] = 8, [9] = channels == 1 ? 0 : 2}; /* bits; grey or RGB; then compression, filter and interlace 0 */
  big_endian(header, (uint32_t)width);
  big_endian(header + 4, (uint32_t)height);
  unsigned char *packed = NULL;
  size_t size = 0;
  tare_file *file = NULL;
  tare_status status = deflate_rows(pixels, (size_t)width * (size_t)channels, (size_t)height, &packed, &size, error);
  if (!status) status = tare_file_begin(path, &file, error);
  if (!status) status = tare_file_write(file, signature, sizeof signature, error);
  if (!status) status = chunk(file, "IHDR", header, sizeof header, error);
  if (!status) status = chunk(file, "IDAT", packed, size, error);
  if (!status) status = chunk(file, "IEND", NULL, 0, error);
  if (!status) status = tare_file_commit(file, error);
  else tare_file_abandon(file);
  tare_free(packed);
  return status;
}
