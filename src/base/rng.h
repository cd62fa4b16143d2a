/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded random numbers: xoshiro256** (Blackman & Vigna 2018), seeded by
 * splitmix64 from (seed, stream). The state is plain data and may be copied
 * into a checkpoint. Different streams of one seed are independent.
 */
#ifndef TARE_BASE_RNG_H
#define TARE_BASE_RNG_H

#include <stdint.h>

typedef struct tare_rng { uint64_t s[4]; } tare_rng;

void tare_rng_init(tare_rng *rng, uint64_t seed, uint64_t stream);
uint64_t tare_rng_u64(tare_rng *rng);
double tare_rng_unit(tare_rng *rng);                       /* uniform in [0, 1), 53 bits */
double tare_rng_range(tare_rng *rng, double low, double high); /* uniform in [low, high) */
uint64_t tare_rng_below(tare_rng *rng, uint64_t bound);    /* uniform in 0 .. bound-1, unbiased; bound at least 1 */
double tare_rng_normal(tare_rng *rng);                     /* mean 0, variance 1 (Box-Muller, one value a call) */
/* Mixes two numbers into one well-spread number: for seeds made from seeds, and hashes. */
uint64_t tare_mix(uint64_t a, uint64_t b);

#endif
