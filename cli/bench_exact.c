/* SPDX-License-Identifier: Apache-2.0 */
/* Results against the formula, summed directly in double at some of their positions. */
#include "bench.h"

#include <math.h>

#include "base/alloc.h"
#include "base/rng.h"

/* Positions looked at: as many as take about this many products, within bounds. */
enum { PRODUCTS = 60000000, LEAST = 64, MOST = 2000, JOBS = 32 };

typedef struct checking {
  const bench_data *data;
  tare_pass pass;
  int samples;
  size_t *positions;
  double *exact;
} checking;

/* The pixel that position i stands for, -1: a zero (conv.h; written anew, to check). */
static int source_of(tare_border border, int i, int size) {
  if (border == TARE_BORDER_EDGE) return i < 0 ? 0 : i >= size ? size - 1 : i;
  if (border == TARE_BORDER_REFLECT && i < 0) i = -i;
  if (border == TARE_BORDER_REFLECT && i >= size) i = 2 * (size - 1) - i;
  return i < 0 || i >= size ? -1 : i;
}

static int tap_source(const tare_conv_problem *p, int axis, int out, int tap) {
  return source_of(p->border, out * p->stride[axis] - p->pad[axis] + tap * p->dilation[axis], p->size[axis]);
}

static float x_at(const bench_data *d, int n, int row, int column, int c) {
  const tare_conv_problem *p = &d->problem;
  return d->x[(((size_t)n * (size_t)p->size[0] + (size_t)row) * (size_t)p->size[1] + (size_t)column) * (size_t)p->channels + (size_t)c];
}

static float dy_at(const bench_data *d, int n, int i, int j, int o) {
  const tare_conv_problem *p = &d->problem;
  size_t rows = (size_t)tare_conv_output_size(p, 0), columns = (size_t)tare_conv_output_size(p, 1);
  return d->dy[(((size_t)n * rows + (size_t)i) * columns + (size_t)j) * (size_t)p->outputs + (size_t)o];
}

static float w_at(const bench_data *d, int o, int c, int a, int b) {
  const tare_conv_problem *p = &d->problem;
  size_t inputs = (size_t)(p->channels / p->groups);
  return d->w[(((size_t)o * inputs + (size_t)c) * (size_t)p->kernel[0] + (size_t)a) * (size_t)p->kernel[1] + (size_t)b];
}

static double exact_y(const bench_data *d, int n, int i, int j, int o) {
  const tare_conv_problem *p = &d->problem;
  int inputs = p->channels / p->groups, first = o / (p->outputs / p->groups) * inputs;
  double sum = 0;
  for (int a = 0; a < p->kernel[0]; a++)
    for (int b = 0; b < p->kernel[1]; b++) {
      int row = tap_source(p, 0, i, a), column = tap_source(p, 1, j, b);
      for (int c = 0; row >= 0 && column >= 0 && c < inputs; c++)
        sum += (double)x_at(d, n, row, column, first + c) * (double)w_at(d, o, c, a, b);
    }
  return sum;
}

/* Outputs that tap `b` takes from pixel `column` of row `row` by tap `a` of output row i, all of the channel's group. */
static double exact_dx_row(const bench_data *d, int n, int i, int a, int column, int c) {
  const tare_conv_problem *p = &d->problem;
  int inputs = p->channels / p->groups, outputs = p->outputs / p->groups, first = c / inputs * outputs;
  double sum = 0;
  for (int b = 0; b < p->kernel[1]; b++)
    for (int j = 0; j < tare_conv_output_size(p, 1); j++)
      for (int o = 0; tap_source(p, 1, j, b) == column && o < outputs; o++)
        sum += (double)dy_at(d, n, i, j, first + o) * (double)w_at(d, first + o, c % inputs, a, b);
  return sum;
}

static double exact_dx(const bench_data *d, int n, int row, int column, int c) {
  const tare_conv_problem *p = &d->problem;
  double sum = 0;
  for (int a = 0; a < p->kernel[0]; a++)
    for (int i = 0; i < tare_conv_output_size(p, 0); i++)
      if (tap_source(p, 0, i, a) == row) sum += exact_dx_row(d, n, i, a, column, c);
  return sum;
}

static double exact_dw(const bench_data *d, int o, int c, int a, int b) {
  const tare_conv_problem *p = &d->problem;
  int inputs = p->channels / p->groups, from = o / (p->outputs / p->groups) * inputs + c;
  double sum = 0;
  for (int n = 0; n < p->batch; n++)
    for (int i = 0; i < tare_conv_output_size(p, 0); i++) {
      int row = tap_source(p, 0, i, a);
      for (int j = 0; row >= 0 && j < tare_conv_output_size(p, 1); j++) {
        int column = tap_source(p, 1, j, b);
        if (column >= 0) sum += (double)x_at(d, n, row, column, from) * (double)dy_at(d, n, i, j, o);
      }
    }
  return sum;
}

/* The index of an array as four, of which the last three have these sizes. */
static double exact_at(const bench_data *d, tare_pass pass, size_t index) {
  const tare_conv_problem *p = &d->problem;
  size_t y[3] = {(size_t)tare_conv_output_size(p, 0), (size_t)tare_conv_output_size(p, 1), (size_t)p->outputs};
  size_t x[3] = {(size_t)p->size[0], (size_t)p->size[1], (size_t)p->channels};
  size_t w[3] = {(size_t)(p->channels / p->groups), (size_t)p->kernel[0], (size_t)p->kernel[1]};
  const size_t *sizes = pass == TARE_FORWARD ? y : pass == TARE_BACKWARD_DATA ? x : w;
  int at[4];
  for (int i = 3; i > 0; index /= sizes[i - 1], i--) at[i] = (int)(index % sizes[i - 1]);
  at[0] = (int)index;
  return (pass == TARE_FORWARD ? exact_y : pass == TARE_BACKWARD_DATA ? exact_dx : exact_dw)(d, at[0], at[1], at[2], at[3]);
}

static void check_some(void *user, int job, int worker) {
  const checking *work = user;
  (void)worker;
  for (int i = job; i < work->samples; i += JOBS) work->exact[i] = exact_at(work->data, work->pass, work->positions[i]);
}

static int samples_of(const bench_data *d, tare_pass pass) {
  const tare_conv_problem *p = &d->problem;
  double taps = (double)p->kernel[0] * p->kernel[1];
  double each = pass == TARE_FORWARD ? taps * p->channels / p->groups : pass == TARE_BACKWARD_DATA ? taps * p->outputs / p->groups : (double)d->y_size / p->outputs;
  double samples = PRODUCTS / each;
  return samples < LEAST ? LEAST : samples > MOST ? MOST : (int)samples;
}

static void compare(const checking *work, const float *result, bench_error *e) {
  double square = 0, off = 0, worst = 0;
  for (int i = 0; i < work->samples; i++) {
    double difference = fabs((double)result[work->positions[i]] - work->exact[i]);
    square += work->exact[i] * work->exact[i];
    off += difference * difference;
    if (!(difference <= worst) && !isnan(worst)) worst = difference; /* NAN stays */
  }
  double rms = sqrt(square / work->samples);
  *e = rms > 0 ? (bench_error){sqrt(off / square), worst / rms} : (bench_error){NAN, NAN};
}

int bench_check(const bench_data *d, tare_pass pass, const float *result, uint64_t seed, tare_pool *pool, bench_error *error) {
  checking work = {.data = d, .pass = pass, .samples = samples_of(d, pass)};
  work.positions = tare_alloc((size_t)work.samples, sizeof *work.positions);
  work.exact = tare_alloc((size_t)work.samples, sizeof *work.exact);
  int bad = !work.positions || !work.exact;
  if (!bad) {
    tare_rng rng;
    tare_rng_init(&rng, seed, 1 + (uint64_t)pass);
    for (int i = 0; i < work.samples; i++) work.positions[i] = (size_t)tare_rng_below(&rng, (uint64_t)bench_result_size(d, pass));
    tare_pool_run(pool, JOBS, check_some, &work);
    compare(&work, result, error);
  }
  tare_free(work.positions);
  tare_free(work.exact);
  return bad ? -1 : 0;
}
