/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tare bench: what its files share. bench_sets.c names problems, bench_data.c fills the arrays, bench_engines.c wraps what is
 * timed, bench_time.c times it, bench_exact.c says how wrong the results are, bench_report.c prints.
 * Data and results are nhwc, weights plain.
 */
#ifndef TARE_CLI_BENCH_H
#define TARE_CLI_BENCH_H

#include <tare/conv.h>

#include "cli.h"

/* What is timed: a pass of tare_pass, or STEP: all those of a training step, in one plan. */
enum { BENCH_STEP = 8, BENCH_ROWS = 4 };

/* bench_sets.c: calls `take` with each problem of a set until it returns other than 0, which is returned; -1: no such set. */
int bench_set_each(const char *set, int (*take)(void *user, const char *problem), void *user);
const char *bench_set_name(size_t index); /* NULL after the last */
const char *bench_set_about(size_t index);

/* bench_data.c */
typedef struct bench_data {
  tare_conv_problem problem;
  size_t x_size, w_size, y_size;
  float *x, *w, *dy;
} bench_data;
float *bench_floats(size_t count); /* 64-byte aligned, zeroed, touched; tare_free */
/* Images of textures (values in 256ths, plus offset), filters (of sum 0 with an offset, exactly), gradients. 0, or -1: no memory. */
int bench_data_fill(const tare_conv_problem *problem, uint64_t seed, double offset, bench_data *data);
void bench_data_free(bench_data *data);
size_t bench_result_size(const bench_data *data, tare_pass pass);
/* Images of `channels` between layouts. */
void bench_to_nchw(const tare_conv_problem *problem, int output, const float *nhwc, float *nchw);
void bench_to_nhwc(const tare_conv_problem *problem, int output, const float *nchw, float *nhwc);

/* bench_exact.c: errors of a pass's result, sampled, relative to the root mean square of the exact values; NAN if that is 0. */
typedef struct bench_error { double rms, max; } bench_error;
int bench_check(const bench_data *data, tare_pass pass, const float *result, uint64_t seed, tare_pool *pool, bench_error *error);

/* bench_engines.c, bench_time.c: something to be timed. */
enum { BENCH_MOST_RUNS = 1000 };
typedef struct bench_times { double runs[BENCH_MOST_RUNS], best, total, limit; int count, done, status; } bench_times; /* seconds */
typedef struct bench_engine {
  const char *name; /* "tare", "onednn", "reference" */
  char algorithm[300];
  int blocked; /* oneDNN: in layouts of its own */
  void *own;
  tare_status (*run)(void *own);
  tare_status (*result)(void *own, tare_pass pass, float *plain);
  void (*free)(void *own);
  bench_times times;
  bench_error error;
} bench_engine;

/* A plan for `passes`; reasons: *reasons gets the plan's, to be freed with free. */
tare_status bench_engine_tare(const bench_data *data, const tare_conv_options *options, tare_pool *pool, char **reasons, bench_engine *out,
                              tare_error *error);
tare_status bench_engine_onednn(const bench_data *data, tare_pass pass, int threads, int blocked, bench_engine *out, tare_error *error);
/* Several passes one after another, with blocked[i] for the i-th of forward, backward data, backward weights; images that two read are there once. */
tare_status bench_engine_onednn_step(const bench_data *data, int passes, int threads, const int *blocked, bench_engine *out, tare_error *error);
void bench_engine_free(bench_engine *engine);
/* TARE_CPU lowers what our kernels may use; this does the same to oneDNN, unless its own variable is set. Before its first use. */
void bench_lower_onednn(void);

/* Pins this thread, the pool's and OpenMP's, each to a core of its own; nothing where there are too few. */
void bench_pin(int threads, tare_pool *pool);
/* Times all in turns, each until it has run often and long enough, at most `seconds`. */
void bench_race(bench_engine *engines, int count, double seconds);
double bench_median(bench_times *times);
/* Says so if other work takes more than a little of the processors; looks for 0.2 s, unless `seconds` for each engine are hardly any. */
void bench_warn_if_busy(double seconds);

/* bench_report.c: what one row of the report is: a pass or the step, by all engines. */
typedef struct bench_cell { int there, blocked; char algorithm[300]; double best, median; bench_error error; int runs; } bench_cell;
enum { BENCH_TARE, BENCH_ONEDNN, BENCH_REFERENCE, BENCH_ENGINES };
typedef struct bench_row { const char *pass; double flops; bench_cell cells[BENCH_ENGINES]; } bench_row;
void bench_print(FILE *file, const char *problem, const bench_row *rows, int count, int with_reference);
struct json_t *bench_json(const char *problem, const bench_row *rows, int count, int threads, const char *cpu);

#endif
