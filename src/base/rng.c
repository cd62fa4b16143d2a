/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix(uint64_t *state) {
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t tare_mix(uint64_t a, uint64_t b) {
  uint64_t state = a;
  state = splitmix(&state) ^ b;
  return splitmix(&state);
}

void tare_rng_init(tare_rng *rng, uint64_t seed, uint64_t stream) {
  uint64_t state = tare_mix(seed, stream);
  for (int i = 0; i < 4; i++) rng->s[i] = splitmix(&state);
}

static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t tare_rng_u64(tare_rng *rng) {
  uint64_t *s = rng->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

double tare_rng_unit(tare_rng *rng) { return (double)(tare_rng_u64(rng) >> 11) * 0x1p-53; }

double tare_rng_range(tare_rng *rng, double low, double high) { return low + (high - low) * tare_rng_unit(rng); }

uint64_t tare_rng_below(tare_rng *rng, uint64_t bound) {
  uint64_t limit = -bound % bound; /* 2^64 mod bound: values under it would be drawn once too often */
  uint64_t value;
  do value = tare_rng_u64(rng);
  while (value < limit);
  return value % bound;
}

double tare_rng_normal(tare_rng *rng) {
  double u = 1 - tare_rng_unit(rng), v = tare_rng_unit(rng);
  return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}
