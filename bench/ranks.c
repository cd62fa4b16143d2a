/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpirun -n N bench-ranks: what the ranks of a training ask of each other, timed by rank 0: a
 * gather of a few numbers (batch norm's sums, the loss), and the sum of a bucket of
 * gradients (exchange, tree, collect). Minimum and median of many, in us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tare/ranks.h>

enum { TIMES = 200, LARGEST = 1 << 22 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static tare_status one_sum(const tare_ranks *r, float *values, float *parts, size_t chunk, tare_error *error) {
  void *request;
  int done;
  tare_status status = r->exchange(r->self, values, chunk * sizeof *values, parts, &request, error);
  if (!status) status = r->finish(r->self, &request, 1, &done, error);
  for (int k = 1; k < r->count; k++)
    for (size_t i = 0; i < chunk; i++) parts[i] += parts[(size_t)k * chunk + i];
  if (!status) status = r->collect(r->self, parts, chunk * sizeof *values, values, &request, error);
  return status ? status : r->finish(r->self, &request, 1, &done, error);
}

/* chunk 0: a gather of `bytes`. */
static tare_status time_it(const tare_ranks *r, size_t bytes, int sum, float *values, float *parts, tare_error *error) {
  double times[TIMES];
  size_t chunk = bytes / sizeof *values / (size_t)r->count;
  int count = bytes > 1 << 18 ? TIMES / 10 : TIMES;
  tare_status status = TARE_OK;
  for (int i = -5; i < count && !status; i++) {
    double began = now();
    status = sum ? one_sum(r, values, parts, chunk, error) : r->gather(r->self, values, bytes, parts, error);
    if (i >= 0) times[i] = now() - began;
  }
  if (status || r->rank) return status;
  qsort(times, (size_t)count, sizeof *times, by_size);
  printf("%-6s %9zu bytes  %9.1f (%.1f) us\n", sum ? "sum" : "gather", bytes, times[0], times[count / 2]);
  return TARE_OK;
}

int main(void) {
  tare_ranks *r;
  tare_error error;
  tare_status status = tare_ranks_join(&r, &error);
  if (status) return fprintf(stderr, "%s\n", error.message), 1;
  float *values = calloc(LARGEST, sizeof *values), *parts = calloc(LARGEST, sizeof *parts);
  if (!r->rank) printf("%d ranks\n", r->count);
  for (size_t bytes = 64; values && parts && bytes <= 4096 && !status; bytes *= 8) status = time_it(r, bytes, 0, values, parts, &error);
  for (size_t bytes = 1 << 10; values && parts && bytes <= sizeof *values * LARGEST && !status; bytes *= 8) status = time_it(r, bytes, 1, values, parts, &error);
  if (status) fprintf(stderr, "rank %d: %s\n", r->rank, error.message);
  free(values);
  free(parts);
  tare_ranks_leave(r);
  return status != TARE_OK;
}
