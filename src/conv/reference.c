/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidate reference: the definition as plain loops in double, for every
 * problem in both precisions. The others are tested against it, and gradient
 * checks run on it. Arrays are widened an image at a time, and narrowed when a sum is complete.
 */
#include <stdio.h>

#include "conv/candidate.h"
#include "kernel/border.h"

static int taps_of(const tare_conv_problem *p) { return p->kernel[2] * p->kernel[0] * p->kernel[1]; }

/* to += factor from */
static inline void add_multiple(int n, double factor, const double *restrict from, double *restrict to) {
  for (int i = 0; i < n; i++) to[i] += factor * from[i];
}

static inline double dot(int n, const double *a, const double *b) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* The work on one image. w is [c][tap][o/g]: the weights of one channel and one tap lie together. */
struct work { const tare_conv_problem *p; tare_pass pass; double *x, *w, *y; };

/* One tap (its weights begin at w) of `count` neighbouring outputs y, whose inputs begin at x and lie `step` elements apart. */
static void tap(const struct work *work, int count, size_t step, double *x, double *w, double *y) {
  const tare_conv_problem *p = work->p;
  int inputs = p->channels / p->groups, outputs = p->outputs / p->groups;
  size_t next = (size_t)taps_of(p) * outputs;
  for (; count > 0; count--, x += step, y += p->outputs)
    for (int c = 0; c < p->channels; c++) {
      double *weights = w + (size_t)c * next, *out = y + c / inputs * outputs;
      if (work->pass == TARE_FORWARD) add_multiple(outputs, x[c], weights, out);
      else if (work->pass == TARE_BACKWARD_DATA) x[c] += dot(outputs, weights, out);
      else add_multiple(outputs, x[c], out, weights);
    }
}

static int clamp(int i, int low, int high) { return i < low ? low : i > high ? high : i; }

/*
 * The tap in column b of the filter, for a row of outputs y and the row of inputs x that it reads: the
 * inside at once, border columns one by one.
 */
static void tap_row(const struct work *work, int b, double *x, double *w, double *y) {
  const tare_conv_problem *p = work->p;
  int width = tare_conv_output_size(p, 1), s = p->stride[1], at = b * p->dilation[1] - p->pad[1]; /* output j reads column j s + at */
  int first = at >= 0 ? 0 : clamp((-at + s - 1) / s, 0, width);
  int end = at >= p->size[1] ? first : clamp((p->size[1] - 1 - at) / s + 1, first, width);
  if (end > first)
    tap(work, end - first, (size_t)s * p->channels, x + (size_t)(first * s + at) * p->channels, w, y + (size_t)first * p->outputs);
  for (int j = first == 0 ? end : 0; j < width; j = j + 1 == first ? end : j + 1) {
    int column = tare_border_source(p->border, j * s + at, p->size[1]);
    if (column >= 0) tap(work, 1, 0, x + (size_t)column * p->channels, w, y + (size_t)j * p->outputs);
  }
}

/* The index on an axis that tap t reads for output i; -1: a zero. */
static int source(const tare_conv_problem *p, int axis, int i, int t) {
  return tare_border_source(p->border, i * p->stride[axis] - p->pad[axis] + t * p->dilation[axis], p->size[axis]);
}

/* All taps of one row of outputs, i of plane z. */
static void output_row(const struct work *work, int z, int i, double *y) {
  const tare_conv_problem *p = work->p;
  int kh = p->kernel[0], kw = p->kernel[1];
  for (int t = 0; t < taps_of(p); t++) {
    int plane = source(p, 2, z, t / (kh * kw)), row = source(p, 0, i, t / kw % kh);
    if (plane < 0 || row < 0) continue;
    tap_row(work, t % kw, work->x + ((size_t)plane * p->size[0] + row) * p->size[1] * p->channels,
            work->w + (size_t)t * (p->outputs / p->groups), y);
  }
}

static void image(const struct work *work) {
  const tare_conv_problem *p = work->p;
  int height = tare_conv_output_size(p, 0), width = tare_conv_output_size(p, 1), rows = tare_conv_output_size(p, 2) * height;
  for (int i = 0; i < rows; i++) output_row(work, i / height, i % height, work->y + (size_t)i * width * p->outputs);
}

static void judge(const tare_query *query, tare_verdict *verdict) {
  verdict->cycles = 4 * tare_conv_flops(&query->problem);
  snprintf(verdict->reason, sizeof verdict->reason, "plain loops in double");
}


static tare_status create(tare_ready *r, tare_error *error) {
  (void)error;
  size_t weights = tare_conv_weights_size(&r->query.problem);
  *(r->query.passes == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = weights;
  r->workspace = (weights + tare_conv_image_size(&r->query.problem) + tare_conv_result_size(&r->query.problem)) * sizeof(double) / r->kernels->real;
  return TARE_OK;
}

static tare_status prepare(const tare_ready *r, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  const tare_conv_problem *p = &r->query.problem;
  size_t outputs = (size_t)(p->outputs / p->groups);
  r->kernels->transpose_blocks((size_t)p->groups, outputs, tare_conv_weights_size(p) / (size_t)p->outputs, weights, prepared);
  return TARE_OK;
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  const tare_conv_problem *p = &r->query.problem;
  size_t outputs = (size_t)(p->outputs / p->groups);
  r->kernels->transpose_blocks((size_t)p->groups, tare_conv_weights_size(p) / (size_t)p->outputs, outputs, partial, dweights);
  return TARE_OK;
}

static void clear(double *array, size_t n) {
  for (size_t i = 0; i < n; i++) array[i] = 0;
}

/* Every output pixel starts with the bias. */
static void start_output(const tare_ready *r, const void *bias, double *y) {
  size_t n = tare_conv_result_size(&r->query.problem), o = (size_t)r->query.problem.outputs;
  if (!bias) {
    clear(y, n);
    return;
  }
  r->kernels->widen(o, bias, y);
  for (size_t i = o; i < n; i++) y[i] = y[i - o];
}

static const void *image_at(const tare_ready *r, const void *array, size_t n, size_t size) {
  return (const char *)array + n * size * r->kernels->real;
}

/* Image n: what is read widened, what is written started, the loops, what was written narrowed. */
static void run_image(const tare_ready *r, const struct work *work, size_t n, const tare_call *call) {
  size_t xs = tare_conv_image_size(work->p), ys = tare_conv_result_size(work->p);
  if (work->pass == TARE_BACKWARD_DATA) clear(work->x, xs);
  else r->kernels->widen(xs, image_at(r, call->x, n, xs), work->x);
  if (work->pass == TARE_FORWARD) start_output(r, call->bias, work->y);
  else r->kernels->widen(ys, image_at(r, call->dy, n, ys), work->y);
  image(work);
  if (work->pass == TARE_FORWARD) r->kernels->narrow(ys, work->y, (void *)(size_t)image_at(r, call->y, n, ys));
  if (work->pass == TARE_BACKWARD_DATA) r->kernels->narrow(xs, work->x, (void *)(size_t)image_at(r, call->dx, n, xs));
}

static tare_status run(const tare_ready *r, int passes, const tare_call *call) {
  const tare_conv_problem *p = &r->query.problem;
  size_t weights = tare_conv_weights_size(p);
  struct work work = {.p = p, .pass = (tare_pass)passes, .w = call->workspace};
  work.x = work.w + weights;
  work.y = work.x + tare_conv_image_size(p);
  if (passes == TARE_BACKWARD_WEIGHTS) clear(work.w, weights);
  else r->kernels->widen(weights, call->prepared, work.w);
  for (int n = 0; n < p->batch; n++) run_image(r, &work, (size_t)n, call);
  if (passes == TARE_BACKWARD_WEIGHTS) r->kernels->narrow(weights, work.w, call->partial);
  return TARE_OK;
}

const tare_candidate tare_candidate_reference = {
  .name = "reference", .precisions = 1 << TARE_F32 | 1 << TARE_F64,
  .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_REFLECT | 1 << TARE_BORDER_EDGE | 1 << TARE_BORDER_VALID,
  .planes = 1, .judge = judge, .create = create, .prepare = prepare, .run = run, .finish = finish,
};
