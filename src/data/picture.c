/* SPDX-License-Identifier: Apache-2.0 */
#include "data/picture.h"

#include <endian.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"

tare_status tare_picture_create(int width, int height, int channels, int bits, tare_picture *out, tare_error *error) {
  size_t row = (size_t)width * (size_t)channels * (size_t)(bits / 8);
  void *pixels = tare_alloc((size_t)height, row);
  if (!pixels) return tare_fail_memory(error, (size_t)height * row, "an image");
  *out = (tare_picture){width, height, channels, bits, pixels};
  return TARE_OK;
}

void tare_picture_free(tare_picture *picture) {
  tare_free(picture->pixels);
  *picture = (tare_picture){0};
}

size_t tare_picture_row_bytes(const tare_picture *picture) {
  return (size_t)picture->width * (size_t)picture->channels * (size_t)(picture->bits / 8);
}

uint64_t tare_hash_start(int width, int height, int channels) {
  return tare_mix(tare_mix((uint64_t)width, (uint64_t)height), (uint64_t)channels);
}

uint64_t tare_hash_row(uint64_t hash, const void *row, size_t bytes) {
  const unsigned char *from = row;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    memcpy(&word, from + i, bytes - i < 8 ? bytes - i : 8);
    hash = tare_mix(hash, le64toh(word));
  }
  return hash;
}

uint64_t tare_picture_hash(const tare_picture *picture) {
  size_t row = tare_picture_row_bytes(picture);
  uint64_t hash = tare_hash_start(picture->width, picture->height, picture->channels);
  for (int y = 0; y < picture->height; y++) hash = tare_hash_row(hash, (const char *)picture->pixels + (size_t)y * row, row);
  return hash;
}

static void convert_row(const tare_picture *picture, size_t at, int count, float brightness, float *restrict out) {
  if (picture->bits == 8) {
    const uint8_t *from = (const uint8_t *)picture->pixels + at;
    for (int i = 0; i < count; i++) out[i] = (float)from[i] * 0x1p-8f + brightness;
  } else {
    const uint16_t *from = (const uint16_t *)picture->pixels + at;
    for (int i = 0; i < count; i++) out[i] = (float)from[i] * 0x1p-16f + brightness;
  }
}

void tare_picture_crop(const tare_picture *picture, int top, int left, int height, int width, float brightness, float *out) {
  int count = width * picture->channels;
  for (int y = 0; y < height; y++)
    convert_row(picture, ((size_t)(top + y) * (size_t)picture->width + (size_t)left) * (size_t)picture->channels, count, brightness,
                out + (size_t)y * (size_t)count);
}
