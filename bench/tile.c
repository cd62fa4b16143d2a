/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-tile [SIZE...]: thousands of cycles of a tile's transforms at each width of the level in use (TARE_CPU=avx2 lowers it), and in
 * brackets the vector operations a cycle: forward of a full tile, of a 7 x 7 filter, inverse to the first T - 6 rows and columns, forward of a
 * tile a lane of one channel. The spectrum is contiguous, the images stay in the second cache. Least of many runs; a cycle is that of a chain of additions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "kernel/tile.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds of a cycle: integer additions that depend on each other take one each. */
static double cycle(void) {
  double best = 1;
  for (int repeat = 0; repeat < 200; repeat++) {
    unsigned long x = 1;
    double start = now();
    for (int i = 0; i < 2000; i++) {
#define ADD __asm__ volatile("" : "+r"(x)); x += 3;
      ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD
    }
    double took = (now() - start) / 20000;
    if (took < best) best = took;
  }
  return best;
}

typedef struct tile_bench {
  const tare_tile_kernels *k;
  tare_tile *tile;
  size_t imaginary, stride;
  float *image, *spectrum, *scratch;
} tile_bench;

static tare_tile_source source(const tile_bench *b, int side) {
  const int lanes = b->k->lanes, size = b->tile->size;
  return (tare_tile_source){b->image, size * lanes, lanes, 0, side, 0, side, lanes, NULL};
}

static void forward(tile_bench *b, int side) {
  tare_tile_source from = source(b, side);
  b->k->forward(b->tile, &from, b->spectrum, b->stride, b->imaginary, b->scratch);
}

static void inverse(tile_bench *b, int side) {
  const int lanes = b->k->lanes, size = b->tile->size;
  tare_tile_target to = {b->image, size * lanes, lanes, 0, side, 0, side, lanes, 0};
  b->k->inverse(b->tile, b->spectrum, b->stride, b->imaginary, &to, b->scratch);
}

static void each(tile_bench *b, int side) {
  tare_tile_source from[16];
  for (int l = 0; l < b->k->lanes; l++) {
    from[l] = source(b, side);
    from[l].at += l * side * side, from[l].row = side, from[l].column = 1, from[l].lanes = 1;
  }
  b->k->forward_each(b->tile, from, b->spectrum, b->stride, b->imaginary, b->scratch);
}

static void measure(tile_bench *b, double seconds, void (*run)(tile_bench *, int), int side, double operations) {
  double best = 1, begin = now();
  for (int i = 0; i < 20 || now() - begin < 0.05; i++) {
    double start = now();
    run(b, side);
    double took = now() - start;
    if (took < best) best = took;
  }
  printf(" %8.2f (%4.2f)", best / seconds / 1e3, operations * seconds / best);
}

static void row(const tare_tile_kernels *k, int size, double seconds) {
  tile_bench b = {.k = k, .imaginary = (size_t)k->lanes, .stride = 2 * (size_t)k->lanes};
  if (tare_tile_create(size, &b.tile, NULL) != TARE_OK) return;
  b.image = tare_alloc((size_t)(size * size * k->lanes), sizeof(float));
  b.spectrum = tare_alloc((size_t)b.tile->frequencies * b.stride, sizeof(float));
  b.scratch = tare_alloc(tare_tile_scratch(b.tile, k->lanes), sizeof(float));
  for (int i = 0; i < size * size * k->lanes; i++) b.image[i] = (float)(i % 7);
  printf("%4d = %2d x %2d %5d ", size, b.tile->odd, b.tile->even, k->lanes);
  measure(&b, seconds, forward, size, tare_tile_forward_operations(b.tile, size, size));
  measure(&b, seconds, forward, 7, tare_tile_forward_operations(b.tile, 7, 7));
  measure(&b, seconds, inverse, size - 6, tare_tile_inverse_operations(b.tile, size - 6, size - 6));
  measure(&b, seconds, each, size, tare_tile_forward_operations(b.tile, size, size));
  printf("\n");
  tare_free(b.tile);
  tare_free(b.image);
  tare_free(b.spectrum);
  tare_free(b.scratch);
}

int main(int argc, char **argv) {
  double seconds = cycle();
  printf("%s, %.2f GHz\nsize           lanes          full            7 x 7         inverse            each\n", tare_level_name(tare_cpu()), 1e-9 / seconds);
  for (int lanes = 4; lanes <= 16; lanes *= 2) {
    const tare_tile_kernels *k = tare_tile_kernels_at(tare_cpu(), lanes);
    for (int i = 0; k && (argc > 1 ? i + 1 < argc : tare_tile_sizes[i]); i++)
      row(k, argc > 1 ? atoi(argv[i + 1]) : tare_tile_sizes[i], seconds);
  }
  return 0;
}
