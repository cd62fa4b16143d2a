/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/direct.h"

#include <string.h>

static int vectors_for(int outputs, int lanes) { return (outputs + lanes - 1) / lanes; }

/*
 * Pixels of a group, so that vectors are full: P pixels of a dense convolution cost (kw + P - 1) taps in
 * vectors_for(P outputs) vectors. Depthwise they cost nothing, but they fit only below one vector.
 */
static int pixels_of(const tare_direct_form *f, int lanes) {
  if (f->shape.depthwise) return f->channels < lanes ? lanes / f->channels : 1;
  int best = 1;
  double least = 0;
  for (int n = 1; n <= lanes && n <= f->to[1]; n++) {
    double cost = (double)(f->kernel[1] + n - 1) * vectors_for(n * f->outputs, lanes) / n;
    if (n > 1 && cost >= least * 0.999) continue;
    best = n;
    least = cost;
  }
  return best;
}

tare_direct_form tare_direct_form_of(const tare_conv_problem *p, tare_pass pass, int lanes) {
  tare_direct_form f = {.flipped = pass == TARE_BACKWARD_DATA, .shape.depthwise = p->groups == p->channels && p->groups == p->outputs};
  f.channels = f.flipped ? p->outputs : p->channels;
  f.outputs = f.flipped ? p->channels : p->outputs;
  for (int i = 0; i < 2; i++) {
    int out = tare_conv_output_size(p, i);
    f.from[i] = f.flipped ? out : p->size[i];
    f.to[i] = f.flipped ? p->size[i] : out;
    f.kernel[i] = p->kernel[i];
    f.pad[i] = f.flipped ? p->kernel[i] - 1 - p->pad[i] : p->pad[i];
  }
  int n = f.pixels = pixels_of(&f, lanes), depthwise = f.shape.depthwise, several = depthwise && f.channels > lanes;
  f.blocks = several ? vectors_for(f.channels, lanes) : 1;
  int in = several ? lanes : f.channels; /* elements of a pixel in a row as the kernels read it */
  f.shape.taps = depthwise ? f.kernel[1] : (f.kernel[1] + n - 1) * f.channels;
  f.shape.tap = depthwise ? in : 1;
  f.shape.groups = (f.to[1] + n - 1) / n;
  f.shape.step = n * in;
  f.shape.lanes = several ? lanes : n * f.outputs;
  f.shape.last = several ? lanes : (f.to[1] - (f.shape.groups - 1) * n) * f.outputs;
  f.shape.vectors = vectors_for(f.shape.lanes, lanes);
  f.shape.out = several ? f.outputs : n * f.outputs;
  f.width = f.shape.vectors * lanes;
  return f;
}

size_t tare_direct_row(const tare_direct_form *f) {
  size_t in = f->blocks > 1 ? (size_t)f->width : (size_t)f->channels, beyond = f->shape.depthwise ? (size_t)f->width : 0;
  size_t columns = (size_t)(f->shape.groups + TARE_DIRECT_SLACK) * (size_t)f->pixels + (size_t)f->kernel[1] - 1;
  return (columns * in + beyond + 15) / 16 * 16;
}

size_t tare_direct_weights_size(const tare_direct_form *f) {
  return (size_t)f->blocks * (size_t)f->kernel[0] * (size_t)f->shape.taps * (size_t)f->width;
}

/* Where the folded weights have the tap (row, column) from channel `in` to output `out`, for one pixel of the group. */
static size_t at(const tare_direct_form *f, int in, int out, int row, int column, int pixel) {
  int depthwise = f->shape.depthwise, block = f->blocks > 1 ? out / f->width : 0;
  int tap = depthwise ? column : (column + pixel) * f->channels + in;
  int lane = f->blocks > 1 ? out % f->width : pixel * f->outputs + out;
  return (((size_t)block * (size_t)f->kernel[0] + (size_t)row) * (size_t)f->shape.taps + (size_t)tap) * (size_t)f->width + (size_t)lane;
}

/* For each plain weight: its places, one a pixel of the group, get it (fold) or are added up in it. */
static void visit(const tare_direct_form *f, int fold, float *weights, float *folded) {
  int outs = f->flipped ? f->channels : f->outputs, ins = f->shape.depthwise ? 1 : f->flipped ? f->outputs : f->channels;
  int kh = f->kernel[0], kw = f->kernel[1];
  float *w = weights;
  for (int o = 0; o < outs; o++)
    for (int c = 0; c < ins; c++)
      for (int i = 0; i < kh; i++)
        for (int j = 0; j < kw; j++, w++) {
          int in = f->flipped ? o : c, out = f->flipped && !f->shape.depthwise ? c : o, row = f->flipped ? kh - 1 - i : i;
          int column = f->flipped ? kw - 1 - j : j;
          float sum = 0;
          for (int pixel = 0; pixel < f->pixels; pixel++) {
            float *place = folded + at(f, in, out, row, column, pixel);
            if (fold) *place = *w;
            else sum += *place;
          }
          if (!fold) *w = sum;
        }
}

void tare_direct_fold(const tare_direct_form *f, const float *weights, float *folded) {
  memset(folded, 0, tare_direct_weights_size(f) * sizeof(float));
  visit(f, 1, (float *)(size_t)weights, folded);
}

void tare_direct_unfold(const tare_direct_form *f, const float *folded, float *weights) {
  visit(f, 0, weights, (float *)(size_t)folded);
}
