/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-basis [BASIS]: composing 1024 slices from their coefficients, as training does it, and the adjoint, on one thread, beside
 * the FMA peak of this core at the level in use (TARE_CPU=avx2 lowers it). GF/s count the DCT
 * alone, 2 K^3 flops a slice (doc/maths.md): what placing, scaling and reflecting cost shows as a lower rate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tare/basis.h>

#include "base/cpu.h"
#include "base/rng.h"

enum { SLICES = 1024, REPEATS = 40 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* `loops` times 12 independent multiply-adds on vectors of `bytes`: enough to fill two units of 4 to 6 cycles' latency. */
#define PEAK(name, bytes, target_attribute)                                                              \
  typedef float name##_vec __attribute__((vector_size(bytes)));                                          \
  target_attribute static double name(int loops) {                                                       \
    name##_vec a[12], x, y;                                                                              \
    for (int l = 0; l < bytes / 4; l++) x[l] = 0.999f, y[l] = 1e-3f;                                     \
    for (int i = 0; i < 12; i++) a[i] = y;                                                               \
    __asm__ volatile("" : "+m"(x), "+m"(y)); /* or the compiler computes the result */                   \
    double start = now();                                                                                \
    for (int n = 0; n < loops; n++)                                                                      \
      for (int i = 0; i < 12; i++) a[i] = a[i] * x + y;                                                  \
    for (int i = 0; i < 12; i++) __asm__ volatile("" : : "m"(a[i]));                                     \
    return (double)loops * 12 * (bytes / 4) * 2 / ((now() - start) * 1e6);                               \
  }

#if defined(__x86_64__) || defined(__i386__)
PEAK(peak_avx2, 32, __attribute__((target("avx2,fma"))))
PEAK(peak_avx512, 64, __attribute__((target("avx512f"))))
#endif
PEAK(peak_baseline, 16, )

static double peak(void) {
  static double (*const at[TARE_LEVELS])(int) = {
    [TARE_LEVEL_BASELINE] = peak_baseline,
#if defined(__x86_64__) || defined(__i386__)
    [TARE_LEVEL_AVX2] = peak_avx2,
    [TARE_LEVEL_AVX512] = peak_avx512,
#endif
  };
  double best = 0;
  for (int i = 0; i < REPEATS; i++) {
    double rate = at[tare_cpu()](1000000);
    if (rate > best) best = rate;
  }
  return best;
}

/* Minimum of several, in ms. */
static void time_basis(const tare_basis *b, float *t, float *w, double best[2]) {
  best[0] = best[1] = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    double start = now();
    tare_basis_compose_quick(b, SLICES, t, w);
    double middle = now();
    tare_basis_transpose(b, SLICES, w, t);
    double end = now();
    if (middle - start < best[0]) best[0] = middle - start;
    if (end - middle < best[1]) best[1] = end - middle;
    for (int j = 0; j < SLICES * tare_basis_coefficients(b); j++) t[j] = (float)(j % 7) - 3;
  }
}

static void row(int k, const char *rule, const char *name) {
  tare_filter_shape shape = {2, {k, k}, 1};
  tare_constraint *c;
  tare_basis *b;
  tare_error error;
  if (tare_constraint_create(rule, &shape, 0, &c, &error) || tare_basis_create(c, name, NULL, &b, &error)) {
    fprintf(stderr, "bench-basis: %s\n", error.message);
    exit(4);
  }
  float *t = calloc((size_t)SLICES * (size_t)tare_basis_coefficients(b), sizeof *t), *w = calloc((size_t)SLICES * (size_t)(k * k), sizeof *w);
  if (!t || !w) exit(4);
  double best[2], flops = 2.0 * k * k * k * SLICES;
  time_basis(b, t, w, best);
  printf("%3d %-10s %10.3f %10.3f %10.3f", k, rule, best[0], best[1], best[0] + best[1]);
  if (strncmp(name, "spectral", 8) == 0 || strcmp(name, "dct") == 0) printf(" %8.1f %8.1f", flops / best[0] * 1e-6, flops / best[1] * 1e-6);
  printf("\n");
  free(t);
  free(w);
  tare_basis_free(b);
  tare_constraint_free(c);
}

int main(int argc, char **argv) {
  static const char *const rules[] = {"sum=0", "order=2", "order=4", "bayar", "symmetric"};
  const char *name = argc > 1 ? argv[1] : "spectral";
  printf("%s, %d slices, one thread, %s: peak %.0f GF/s\n", name, SLICES, tare_level_name(tare_cpu()), peak());
  printf("%3s %-10s %10s %10s %10s %8s %8s\n", "K", "rule", "compose ms", "adjoint ms", "both ms", "GF/s", "GF/s");
  for (int k = 7; k <= 31; k = 2 * k + 1)
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) row(k, rules[i], name);
  return 0;
}
