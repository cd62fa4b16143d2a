/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers from losses and answers. Definitions: doc/race.md. */
#include "train/race.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"

void tare_race_smooth(const double *values, size_t count, double *curve) {
  size_t window = count < RACE_WINDOW ? count : RACE_WINDOW;
  for (size_t i = 0; i < count; i++) {
    double sum = 0;
    for (size_t k = 0; k < window && k <= i; k++) sum += values[i - k];
    curve[i] = i + 1 < window ? NAN : sum / (double)window;
  }
}

int64_t tare_race_first(const double *curve, size_t count, double level) {
  for (size_t i = 0; i < count; i++)
    if (curve[i] <= level) return (int64_t)i + 1;
  return -1;
}

void tare_race_spread(const double *values, size_t count, double *mean, double *deviation) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < count; i++) sum += values[i];
  *mean = count ? sum / (double)count : NAN;
  for (size_t i = 0; i < count; i++) squares += (values[i] - *mean) * (values[i] - *mean);
  *deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : count ? 0 : NAN;
}

void tare_race_levels(double chance, double reference, double levels[RACE_LEVELS]) {
  for (int i = 0; i < RACE_LEVELS; i++) levels[i] = chance + (reference - chance) * (i + 1) / RACE_LEVELS;
  levels[RACE_LEVELS - 1] = reference; /* exactly, so that the reference reaches it */
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Efron's percentile interval, 1000 resamples. */
tare_status tare_race_bootstrap(const double *right, const double *total, size_t images, uint64_t seed, double *low, double *high,
                                tare_error *error) {
  enum { RESAMPLES = 1000, TAIL = RESAMPLES * 25 / 1000 };
  double *accuracy = tare_alloc(RESAMPLES, sizeof *accuracy);
  if (!accuracy) return tare_fail_memory(error, RESAMPLES * sizeof *accuracy, "a bootstrap");
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  for (int r = 0; r < RESAMPLES; r++) {
    double hits = 0, all = 0;
    for (size_t i = 0; i < images; i++) {
      size_t image = (size_t)tare_rng_below(&rng, images);
      hits += right[image];
      all += total[image];
    }
    accuracy[r] = all > 0 ? hits / all : NAN;
  }
  qsort(accuracy, RESAMPLES, sizeof *accuracy, ascending);
  *low = accuracy[TAIL - 1];
  *high = accuracy[RESAMPLES - TAIL];
  tare_free(accuracy);
  return TARE_OK;
}
