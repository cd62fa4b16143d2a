/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TARE_DATA_PNG_H
#define TARE_DATA_PNG_H

#include <stddef.h>
#include <stdint.h>
#include <tare/status.h>

/* As tare_png_write, into memory: *data is freed with tare_free. */
tare_status tare_png_encode(const uint8_t *pixels, int width, int height, int channels, uint8_t **data, size_t *size, tare_error *error);

#endif
