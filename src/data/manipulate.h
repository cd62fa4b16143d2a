/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task of leaves and photos (after Bayar & Stamm 2016): how was this patch
 * manipulated? Every manipulation takes a whole 8-bit image and gives an 8-bit
 * image; beyond the border the edge pixel repeats. doc/data.md.
 */
#ifndef TARE_DATA_MANIPULATE_H
#define TARE_DATA_MANIPULATE_H

#include "base/rng.h"
#include "data/picture.h"

typedef struct tare_manipulation {
  const char *name;
  tare_status (*run)(const tare_picture *image, tare_rng *rng, tare_picture *out, tare_error *error);
} tare_manipulation;

enum { TARE_MANIPULATIONS = 6 };
extern const tare_manipulation tare_manipulations[TARE_MANIPULATIONS];

/* All versions of an image, in the table's order: versions[0 .. TARE_MANIPULATIONS-1]; nothing is left in them on failure. */
tare_status tare_manipulate(const tare_picture *image, uint64_t seed, tare_picture *versions, tare_error *error);

/* The median of the 5x5 square round each pixel. */
void tare_median5(const uint8_t *from, int width, int height, uint8_t *to);
/* Through libjpeg: encoded in memory at this quality (its default chroma subsampling), decoded again. */
tare_status tare_jpeg_pass(const tare_picture *image, int quality, tare_picture *out, tare_error *error);

/*
 * Gaussian noise on whole numbers, rounded and clipped to 0..255. Since v is
 * whole, round(v + n) = v + round(n): the integers round(n) are drawn from
 * their own exact distribution (to 2^-16) through a table.
 */
typedef struct tare_noise { int8_t step[1 << 16]; } tare_noise;
void tare_noise_init(tare_noise *noise, double deviation); /* standard deviation, above 0, at most 25 */
void tare_noise_add(const tare_noise *noise, tare_rng *rng, const uint8_t *from, size_t count, uint8_t *to);

#endif
