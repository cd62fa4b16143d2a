/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spectra of the filters. They carry the 1/T^2 of the inverse transforms; the gradient gets it when it is finished. Dense: half-transformed,
 * [column][group][input][vector of outputs][row][re, im][lane] for forward, inputs and outputs exchanged for backward data and
 * gradients. Others: spectra, [vector of outputs][input][frequency][re, im][lane].
 */
#include "conv/fft.h"

enum { PIECE = 32 }; /* taps that are packed at a time: what they touch stays in the L1 cache */

/* Filters to spectra or back: where one lane's taps lie in the plain weights, and where the spectrum does. */
typedef struct filters {
  const tare_fft *fft;
  const float *weights;
  float *gradient;
  float *spectra;
  float *scratch;
  int backward; /* lanes are inputs, not outputs */
  int taps, kernel[2];
  double *sums;
} filters;

/* One transform: outer channel (the term of the product), block of lanes. */
typedef struct slice { int group, outer, block, lanes; size_t at, lane; float *spectrum; } slice;

static slice slice_of(const filters *w, int job) {
  const tare_fft_shape *s = &w->fft->shape;
  int inputs = tare_fft_slices(s);
  int outers = w->backward ? s->outputs : inputs, inner = w->backward ? s->inputs : s->outputs, blocks = tare_fft_blocks(s, inner);
  slice a = {.group = job / (outers * blocks), .outer = job / blocks % outers, .block = job % blocks};
  int first = a.block * s->lanes;
  a.lanes = tare_fft_lanes_of(w->fft, inner, a.block);
  int output = w->backward ? a.outer : first, input = w->backward ? first : a.outer;
  a.at = ((size_t)(a.group * s->outputs + output) * (size_t)inputs + (size_t)input) * (size_t)w->taps;
  a.lane = (size_t)w->taps * (size_t)(w->backward ? 1 : inputs);
  if (s->mode == TARE_FFT_DENSE) {
    size_t rows = (size_t)w->kernel[0] * 2 * (size_t)s->lanes;
    a.spectrum = w->spectra + ((size_t)(a.group * outers + a.outer) * (size_t)blocks + (size_t)a.block) * rows;
  } else a.spectrum = w->spectra + (size_t)(a.block * outers + a.outer) * w->fft->x_stride;
  return a;
}

static int slices_of(const filters *w) {
  const tare_fft_shape *s = &w->fft->shape;
  int inner = w->backward ? s->inputs : s->outputs;
  return s->groups * (w->backward ? s->outputs : tare_fft_slices(s)) * tare_fft_blocks(s, inner);
}

/* The sums of a slice's filters, in double. */
static void sum_taps(const filters *w, const slice *a) {
  const tare_fft_shape *s = &w->fft->shape;
  double *sums = w->sums + (size_t)(a->group * tare_fft_slices(s) + a->outer) * tare_fft_padded(s, s->outputs) + (size_t)(a->block * s->lanes);
  for (int l = 0; l < s->lanes; l++) {
    sums[l] = 0;
    for (int t = 0; l < a->lanes && t < w->taps; t++) sums[l] += (double)w->weights[a->at + (size_t)l * a->lane + (size_t)t];
  }
}

static void transform_slice(void *user, int job, int worker) {
  const filters *w = user;
  const tare_fft_shape *s = &w->fft->shape;
  slice a = slice_of(w, job);
  float *scratch = w->scratch + w->fft->scratch * (size_t)worker, *packed = scratch + tare_fft_transform_scratch(w->fft);
  float scale = (float)(1.0 / ((double)s->size * s->size));
  for (int t = 0; t < w->taps; t += PIECE)
    for (int l = 0; l < a.lanes; l++) {
      const float *from = w->weights + a.at + (size_t)l * a.lane;
      for (int i = t; i < t + PIECE && i < w->taps; i++) packed[i * s->lanes + l] = from[i] * scale;
    }
  tare_tile_source source = {.at = packed, .row = w->kernel[1] * s->lanes, .column = s->lanes, .rows = w->kernel[0],
                             .columns = w->kernel[1], .lanes = a.lanes};
  if (s->mode == TARE_FFT_DENSE)
    w->fft->kernels->forward_rows(w->fft->tile, &source, a.spectrum, w->fft->w_stride[w->backward], scratch);
  else w->fft->kernels->forward(w->fft->tile, &source, a.spectrum, 2 * (size_t)s->lanes, (size_t)s->lanes, scratch);
  if (w->sums) sum_taps(w, &a);
}

static void invert_slice(void *user, int job, int worker) {
  const filters *w = user;
  const tare_fft_shape *s = &w->fft->shape;
  slice a = slice_of(w, job);
  float *scratch = w->scratch + w->fft->scratch * (size_t)worker, *packed = scratch + tare_fft_transform_scratch(w->fft);
  float scale = (float)(1.0 / ((double)s->size * s->size));
  tare_tile_target target = {.at = packed, .row = w->kernel[1] * s->lanes, .column = s->lanes, .rows = w->kernel[0],
                             .columns = w->kernel[1], .lanes = s->lanes};
  if (s->mode == TARE_FFT_DENSE) w->fft->kernels->inverse_rows(w->fft->tile, a.spectrum, w->fft->w_stride[1], &target, scratch);
  else w->fft->kernels->inverse(w->fft->tile, a.spectrum, 2 * (size_t)s->lanes, (size_t)s->lanes, &target, scratch);
  for (int t = 0; t < w->taps; t += PIECE)
    for (int l = 0; l < a.lanes; l++) {
      float *to = w->gradient + a.at + (size_t)l * a.lane;
      for (int i = t; i < t + PIECE && i < w->taps; i++) to[i] = packed[i * s->lanes + l] * scale;
    }
}

static filters filters_of(const tare_ready *r) {
  const tare_conv_problem *p = &r->query.problem;
  return (filters){.fft = r->own, .taps = p->kernel[0] * p->kernel[1], .kernel = {p->kernel[0], p->kernel[1]}};
}

tare_status tare_fft_prepare(const tare_ready *r, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  const tare_fft *f = r->own;
  filters w = filters_of(r);
  w.weights = weights;
  w.scratch = workspace;
  float *at = prepared;
  if (f->w_size[0]) {
    w.spectra = at;
    if (f->sums) w.sums = (double *)(void *)(at + tare_fft_sums_at(f));
    tare_conv_each(pool, slices_of(&w), transform_slice, &w);
  }
  if (f->w_size[1]) {
    w.sums = NULL;
    w.backward = 1;
    w.spectra = at + tare_fft_backward_at(f);
    tare_conv_each(pool, slices_of(&w), transform_slice, &w);
  }
  return TARE_OK;
}

tare_status tare_fft_finish(const tare_ready *r, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  const tare_fft *f = r->own;
  filters w = filters_of(r);
  w.spectra = (float *)(size_t)partial;
  w.gradient = dweights;
  w.backward = f->shape.mode == TARE_FFT_DENSE;
  w.scratch = workspace;
  tare_conv_each(pool, slices_of(&w), invert_slice, &w);
  return TARE_OK;
}
