/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures: PNG and TIFF written, images of any format and size read in parts. */
#ifndef TARE_IMAGE_H
#define TARE_IMAGE_H

#include <stdint.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Write 8-bit pixels (height x width x channels, interleaved, row-major) as a PNG file, whole or not at all.
 * channels: 1 grey, 3 RGB. TARE_E_ARGUMENT: sizes outside 1 .. 2^24 or another number of channels; TARE_E_IO: the path cannot be written.
 */
TARE_API tare_status tare_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels, tare_error *error);

/* Anything that libvips reads, of any size: only parts of it are in memory. */
typedef struct tare_image tare_image;
/* What an image is, before any pixel is read. */
typedef struct tare_image_info {
  int width, height, channels, bits; /* 1 or 3 channels; bits 8, 16, or 32: floats */
} tare_image_info;
/* TARE_E_DATA: missing, or not an image; TARE_E_UNSUPPORTED: built without libvips. On success *out is the caller's. */
TARE_API tare_status tare_image_open(const char *path, tare_image **out, tare_image_info *info, tare_error *error);
TARE_API void tare_image_close(tare_image *image); /* NULL is fine */
/*
 * A rectangle inside the image as floats, height x width x channels (1: the luma of a colour; 3: a grey thrice): value / 256, of 16
 * bits / 65536, floats as they are. TARE_E_DATA: damaged. One thread at a time.
 */
TARE_API tare_status tare_image_read(tare_image *image, int left, int top, int width, int height, int channels, float *pixels, tare_error *error);

/* A TIFF of floats (BigTIFF, tiles, no compression), written tile by tile, whole or not at all. */
typedef struct tare_tiff tare_tiff;
enum { TARE_TIFF_TILE = 256 };
TARE_API tare_status tare_tiff_create(const char *path, int width, int height, int channels, tare_tiff **out, tare_error *error);
/* The next tile, rows of tiles from the top, each from the left: 256 x 256 x channels, also at the borders. */
TARE_API tare_status tare_tiff_tile(tare_tiff *tiff, const float *pixels, tare_error *error);
/* Both free it; commit after the last tile. */
TARE_API tare_status tare_tiff_commit(tare_tiff *tiff, tare_error *error);
TARE_API void tare_tiff_abandon(tare_tiff *tiff);

#ifdef __cplusplus
}
#endif
#endif
