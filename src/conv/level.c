/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brightness taken off by image, around candidates that do not see to it themselves: each channel's mean is subtracted in
 * a copy of x. What that takes from an output is the sum over channels of the mean times the filter's sum; what it takes from a filter's
 * gradient, the same for every tap, is the sum over images of the mean times the sum of dy. Both are summed in double. doc/engine.md has more.
 */
#include "conv/level.h"

#include "conv/plan.h"

/* With zeros around it an image steps from its brightness to 0, whatever is subtracted. */
static int has_zeros_around(const tare_conv_problem *p) {
  return p->border == TARE_BORDER_ZERO && p->pad[0] + p->pad[1] + p->pad[2] > 0;
}

int tare_brightness_is_on(const tare_conv_problem *p, const tare_query *query, const tare_candidate *how) {
  int reads = query->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS);
  return reads && query->flags & TARE_CONV_BRIGHTNESS && !(how->flags & TARE_CONV_BRIGHTNESS) && !has_zeros_around(p);
}

static size_t inputs_of(const tare_conv_problem *p) { return (size_t)(p->channels / p->groups); }
/* Doubles for one image: sums of its channels, then of its outputs. */
static size_t sums_of(const tare_conv_problem *p) { return (size_t)(p->channels > p->outputs ? p->channels : p->outputs); }

tare_brightness tare_brightness_sizes(const tare_query *query, int is_copied) {
  const tare_conv_problem *p = &query->problem;
  size_t batch = (size_t)p->batch, slices = (size_t)p->outputs * inputs_of(p);
  int none = query->flags & TARE_CONV_MODULO_SLICE && !(query->flags & TARE_CONV_MODULO_FILTER);
  tare_brightness level = {.on = 1, .x = is_copied ? 0 : tare_aligned(batch * tare_conv_image_size(p)), .means = tare_aligned(batch * (size_t)p->channels)};
  level.sums = tare_aligned(2 * batch * sums_of(p));
  if (query->passes & TARE_FORWARD) level.prepared = 2 * slices;
  if (query->passes & TARE_BACKWARD_WEIGHTS && !none) level.partial = slices;
  return level;
}

void tare_brightness_prepare(const tare_query *query, const float *weights, double *filters) {
  const tare_conv_problem *p = &query->problem;
  size_t slices = (size_t)p->outputs * inputs_of(p), taps = tare_conv_weights_size(p) / slices;
  for (size_t i = 0; i < slices; i++, weights += taps) {
    filters[i] = 0;
    for (size_t t = 0; t < taps; t++) filters[i] += (double)weights[t];
  }
}

static const tare_conv_problem *problem_of(const tare_brightness_call *w) { return &w->ready->query.problem; }

static void level_image(void *user, int n, int worker) {
  (void)worker;
  const tare_brightness_call *w = user;
  const tare_conv_problem *p = problem_of(w);
  size_t pixels = tare_conv_pixels(p), channels = (size_t)p->channels, at = (size_t)n * tare_conv_image_size(p);
  float *shift = w->shifts + (size_t)n * channels;
  double *sums = w->sums + (size_t)n * sums_of(p);
  w->ready->kernels->channel_sums(pixels, p->channels, w->x + at, sums);
  for (size_t c = 0; c < channels; c++) shift[c] = (float)(-sums[c] / (double)pixels);
  w->ready->kernels->add_channels(pixels, p->channels, shift, w->x + at, w->levelled + at);
}

void tare_brightness_images(tare_brightness_call *w, tare_pool *pool) { tare_conv_each(pool, problem_of(w)->batch, level_image, w); }

/* The bias, and what brightness makes of the filter's sums. */
static double constant_of(const tare_brightness_call *w, const float *shift, size_t output) {
  const tare_conv_problem *p = problem_of(w);
  size_t inputs = inputs_of(p), first = output / (size_t)(p->outputs / p->groups) * inputs;
  double sum = w->bias ? (double)w->bias[output] : 0;
  for (size_t i = 0; i < inputs; i++) sum -= (double)shift[first + i] * w->filters[output * inputs + i];
  return sum;
}

static void restore_output(void *user, int n, int worker) {
  (void)worker;
  const tare_brightness_call *w = user;
  const tare_conv_problem *p = problem_of(w);
  float *constants = (float *)(void *)(w->sums + (size_t)n * sums_of(p)), *y = w->y + (size_t)n * tare_conv_result_size(p);
  for (size_t o = 0; o < (size_t)p->outputs; o++) constants[o] = (float)constant_of(w, w->shifts + (size_t)n * (size_t)p->channels, o);
  w->ready->kernels->add_channels(tare_conv_output_pixels(p), p->outputs, constants, y, y);
}

void tare_brightness_outputs(tare_brightness_call *w, tare_pool *pool) { tare_conv_each(pool, problem_of(w)->batch, restore_output, w); }

static void sum_gradient(void *user, int n, int worker) {
  (void)worker;
  const tare_brightness_call *w = user;
  const tare_conv_problem *p = problem_of(w);
  w->ready->kernels->channel_sums(tare_conv_output_pixels(p), p->outputs, w->dy + (size_t)n * tare_conv_result_size(p), w->sums + (size_t)n * sums_of(p));
}

/* The mean that channels of a group have in common, turned: what of the gradient it makes may stay away. */
static double common_shift(const tare_brightness_call *w, const float *shift) {
  size_t inputs = inputs_of(problem_of(w));
  double sum = 0;
  if (!(w->ready->query.flags & TARE_CONV_MODULO_FILTER)) return 0;
  for (size_t i = 0; i < inputs; i++) sum += (double)shift[i];
  return sum / (double)inputs;
}

/* The slices of one output. */
static void restore_gradient(void *user, int output, int worker) {
  (void)worker;
  const tare_brightness_call *w = user;
  const tare_conv_problem *p = problem_of(w);
  size_t inputs = inputs_of(p), first = (size_t)(output / (p->outputs / p->groups)) * inputs;
  float *gradient = w->gradient + (size_t)output * inputs;
  for (size_t i = 0; i < inputs; i++) {
    double sum = 0;
    for (size_t n = 0; n < (size_t)p->batch; n++) {
      const float *shift = w->shifts + n * (size_t)p->channels + first;
      sum -= ((double)shift[i] - common_shift(w, shift)) * w->sums[n * sums_of(p) + (size_t)output];
    }
    gradient[i] = (float)sum;
  }
}

void tare_brightness_gradient(tare_brightness_call *w, tare_pool *pool) {
  tare_conv_each(pool, problem_of(w)->batch, sum_gradient, w);
  tare_conv_each(pool, problem_of(w)->outputs, restore_gradient, w);
}

void tare_brightness_finish(const tare_query *query, const float *gradient, float *dweights) {
  const tare_conv_problem *p = &query->problem;
  size_t slices = (size_t)p->outputs * inputs_of(p), taps = tare_conv_weights_size(p) / slices;
  for (size_t i = 0; i < slices; i++, dweights += taps)
    for (size_t t = 0; t < taps; t++) dweights[t] += gradient[i];
}
