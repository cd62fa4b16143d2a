/* SPDX-License-Identifier: Apache-2.0 */
/* bench-data [SRC]: how long it takes to make dead leaves, each manipulation, a source, and a batch of 32. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tare/data.h>

#include "data/leaves.h"
#include "data/manipulate.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void time_image(void) {
  enum { RUNS = 8 };
  tare_picture images[RUNS], out;
  double start = now();
  for (int i = 0; i < RUNS; i++)
    if (tare_leaves_image(1, (uint64_t)i, &images[i], NULL)) exit(4);
  printf("%-16s %8.2f ms a 512x512 image\n", "leaves", (now() - start) / RUNS);
  for (int k = 0; k < TARE_MANIPULATIONS; k++) {
    start = now();
    for (int i = 0; i < RUNS; i++) {
      tare_rng rng;
      tare_rng_init(&rng, 1, (uint64_t)i);
      if (tare_manipulations[k].run(&images[i], &rng, &out, NULL)) exit(4);
      tare_picture_free(&out);
    }
    printf("%-16s %8.2f ms\n", tare_manipulations[k].name, (now() - start) / RUNS);
  }
  for (int i = 0; i < RUNS; i++) tare_picture_free(&images[i]);
}

static int time_source(const char *spec) {
  enum { BATCH = 32, RUNS = 1000 };
  tare_source *source;
  tare_source_info info;
  tare_source_options options;
  tare_error error;
  double start = now();
  tare_source_defaults(&options);
  options.brightness = 0.5;
  if (tare_source_open(spec, &options, &source, &error)) {
    fprintf(stderr, "bench-data: %s\n", error.message);
    return 3;
  }
  tare_source_get_info(source, &info);
  printf("%-16s %8.0f ms to open on one thread: %zu images\n", spec, now() - start, info.images[0] + info.images[1]);
  float *x = calloc((size_t)BATCH * (size_t)info.height * (size_t)info.width * (size_t)info.channels, sizeof *x);
  int32_t y[BATCH];
  start = now();
  for (uint64_t i = 0; x && i < RUNS; i++)
    if (tare_source_train_batch(source, 1, i, BATCH, x, y, NULL, &error)) return 3;
  printf("%-16s %8.3f ms a batch of %d patches of %dx%dx%d\n", "", (now() - start) / RUNS, BATCH, info.height, info.width, info.channels);
  free(x);
  tare_source_free(source);
  return 0;
}

int main(int argc, char **argv) {
  time_image();
  return time_source(argc > 1 ? argv[1] : "leaves");
}
