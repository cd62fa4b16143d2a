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

/*
 * The nearest whole number (ties to even), clamped to +-most, most at most 2^24. Adding and taking off 1.5 * 2^52 rounds
 * where there is no instruction for it: the baseline of x86-64 calls a function for nearbyint, fmin and fmax.
 */
static inline double tare_nearest(double x, double most) {
  x = x > most ? most : x;
  x = x < -most ? -most : x;
  const double magic = 0x1.8p52;
  return x + magic - magic;
}

#endif
