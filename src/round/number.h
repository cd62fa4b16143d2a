/* SPDX-License-Identifier: Apache-2.0 */
/* What each number format holds: integers up to a bound times a scale. */
#ifndef TARE_ROUND_NUMBER_H
#define TARE_ROUND_NUMBER_H

#include <tare/round.h>

typedef struct tare_number {
  const char *name;
  int bits;                /* floats: integers of up to `bits` bits (2^bits itself too) stand on every grid 2^e, low <= e <= high; integers: 0 */
  int64_t bound;           /* the largest integer */
  int low, high;           /* exponents of the smallest and of the coarsest step on which the largest numbers are whole */
  int exponent_bits;       /* 16-bit floats: of their encoding */
} tare_number;

const tare_number *tare_number_of(tare_number_format format);

#endif
