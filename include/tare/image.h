/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures written as PNG: sheets of patches, pictures of a basis. */
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

#ifdef __cplusplus
}
#endif
#endif
