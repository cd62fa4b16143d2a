/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded pixels in memory: 8 or 16 bits, one or three interleaved channels, rows without padding. */
#ifndef TARE_DATA_PICTURE_H
#define TARE_DATA_PICTURE_H

#include <stdint.h>
#include <tare/status.h>

typedef struct tare_picture {
  int width, height, channels;
  int bits;     /* 8: pixels are uint8_t; 16: uint16_t */
  void *pixels; /* owned */
} tare_picture;

/* Zeroed pixels. */
tare_status tare_picture_create(int width, int height, int channels, int bits, tare_picture *out, tare_error *error);
void tare_picture_free(tare_picture *picture); /* the pixels; `picture` itself is the caller's */
size_t tare_picture_row_bytes(const tare_picture *picture);

/*
 * A hash of an image's pixels, made row by row: start with the sizes, add each row.
 * It tells images apart and splits them; it is not made to resist an attacker.
 */
uint64_t tare_hash_start(int width, int height, int channels);
uint64_t tare_hash_row(uint64_t hash, const void *row, size_t bytes);
uint64_t tare_picture_hash(const tare_picture *picture);

/* out (height x width x channels) = pixel / 2^bits + brightness, of the rectangle whose corner is (top, left) and which lies inside. */
void tare_picture_crop(const tare_picture *picture, int top, int left, int height, int width, float brightness, float *out);

#endif
