/* SPDX-License-Identifier: Apache-2.0 */
/* PNG (W3C PNG specification, second edition): signature, IHDR, one IDAT, IEND; 8 bits, no filter, no interlace. */
#include "data/png.h"

#include <string.h>
#include <tare/image.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
enum { AROUND = 12, HEADER = 13 }; /* bytes of a chunk beside its data; of IHDR's data */

static void big_endian(unsigned char *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* Length, type, data (NULL: they are in their place already), and the CRC of type and data; returns what is behind it. */
static unsigned char *chunk(unsigned char *to, const char *type, const unsigned char *data, size_t size) {
  big_endian(to, (uint32_t)size);
  memcpy(to + 4, type, 4);
  if (data) memcpy(to + 8, data, size);
  big_endian(to + 8 + size, (uint32_t)crc32(0, to + 4, (uInt)size + 4));
  return to + AROUND + size;
}

/* Each row behind a 0 (filter "none"). */
static void copy_rows(const uint8_t *pixels, size_t row, size_t height, unsigned char *raw) {
  for (size_t y = 0; y < height; y++) memcpy(raw + y * (row + 1) + 1, pixels + y * row, row);
}

static tare_status encode(const unsigned char *raw, uLong raw_size, const unsigned char header[HEADER], uint8_t **data, size_t *size,
                          tare_error *error) {
  uLong bound = compressBound(raw_size);
  unsigned char *png = tare_alloc(sizeof signature + AROUND + HEADER + AROUND + bound + AROUND, 1), *to = png;
  if (!png) return tare_fail_memory(error, bound, "a PNG picture");
  memcpy(to, signature, sizeof signature);
  to = chunk(to + sizeof signature, "IHDR", header, HEADER);
  if (compress2(to + 8, &bound, raw, raw_size, 6) != Z_OK) {
    tare_free(png);
    return tare_fail(error, TARE_E_LIBRARY, "zlib could not pack a PNG picture");
  }
  to = chunk(to, "IDAT", NULL, bound);
  to = chunk(to, "IEND", NULL, 0);
  *data = png;
  *size = (size_t)(to - png);
  return TARE_OK;
}

tare_status tare_png_encode(const uint8_t *pixels, int width, int height, int channels, uint8_t **data, size_t *size, tare_error *error) {
  const int most = 1 << 24;
  if (!pixels) return tare_fail(error, TARE_E_ARGUMENT, "a PNG picture needs pixels");
  if (width < 1 || height < 1 || width > most || height > most || (channels != 1 && channels != 3) ||
      ((size_t)width * (size_t)channels + 1) * (size_t)height > INT32_MAX)
    return tare_fail(error, TARE_E_ARGUMENT, "a PNG picture of %dx%d with %d channels: expected 1 or 3 channels and at most 2 GiB", width,
                     height, channels);
  unsigned char header[HEADER] = {[8] = 8, [9] = channels == 1 ? 0 : 2}; /* bits; grey or RGB; then compression, filter and interlace 0 */
  big_endian(header, (uint32_t)width);
  big_endian(header + 4, (uint32_t)height);
  size_t row = (size_t)width * (size_t)channels, raw_size = (row + 1) * (size_t)height;
  unsigned char *raw = tare_alloc(raw_size, 1);
  if (!raw) return tare_fail_memory(error, raw_size, "a PNG picture");
  copy_rows(pixels, row, (size_t)height, raw);
  tare_status status = encode(raw, raw_size, header, data, size, error);
  tare_free(raw);
  return status;
}

tare_status tare_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels, tare_error *error) {
  uint8_t *data = NULL;
  size_t size = 0;
  tare_file *file = NULL;
  if (!path) return tare_fail(error, TARE_E_ARGUMENT, "a PNG picture needs a path");
  tare_status status = tare_png_encode(pixels, width, height, channels, &data, &size, error);
  if (!status) status = tare_file_begin(path, &file, error);
  if (!status) status = tare_file_write(file, data, size, error);
  if (!status) status = tare_file_commit(file, error);
  else tare_file_abandon(file);
  tare_free(data);
  return status;
}
