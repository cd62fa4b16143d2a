/* SPDX-License-Identifier: Apache-2.0 */
/* Dead-leaves images (Matheron 1968; Lee, Mumford & Huang 2001). */
#ifndef TARE_DATA_LEAVES_H
#define TARE_DATA_LEAVES_H

#include "data/picture.h"

enum { TARE_LEAVES_SIZE = 512, TARE_LEAVES_IMAGES = 64 };

/* Image `number`: a pure function of (seed, number). 8-bit grey, TARE_LEAVES_SIZE square. */
tare_status tare_leaves_image(uint64_t seed, uint64_t number, tare_picture *out, tare_error *error);

#endif
