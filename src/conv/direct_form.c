/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/direct.h"

#include <stddef.h>
#include <string.h>

enum { BUSY = 8 }; /* accumulators that keep the machine busy: two units, each ready after four cycles */

/* Vectors for an output pixel of a dense convolution, if a group has so many rows and columns of pixels. */
static double cost_of(const tare_direct_form *f, int lines, int pixels, int lanes) {
  int vectors = tare_direct_parts(lines * pixels * f->outputs, lanes), rows = tare_direct_parts(f->to[0], lines);
  int groups = tare_direct_parts(f->to[1], pixels);
  double taps = (double)(f->kernel[0] + lines - 1) * (f->kernel[1] + pixels - 1), held = (double)groups * (vectors > 2 ? 2 : vectors);
  return taps * vectors * rows * groups * (held < BUSY ? BUSY / held : 1) * (lines > 1 ? 1.1 : 1);
}

/*
 * The pixels of a group, so that vectors are full. A tap more in each direction for a pixel more; depthwise costs
 * nothing, but its pixels must be neighbours and fit one vector.
 */
static void choose_group(tare_direct_form *f, int one_line, int lanes) {
  f->lines = f->pixels = 1;
  if (f->shape.kind != TARE_DIRECT_DENSE) {
    if (f->channels < lanes) f->pixels = lanes / f->channels;
    return;
  }
  double least = cost_of(f, 1, 1, lanes);
  for (int lines = 1; lines <= (one_line ? 1 : lanes) && lines <= f->to[0]; lines++)
    for (int pixels = 1; lines * pixels <= lanes && pixels <= f->to[1]; pixels++) {
      double cost = cost_of(f, lines, pixels, lanes);
      if (cost >= least * 0.999) continue;
      least = cost;
      f->lines = lines;
      f->pixels = pixels;
    }
}

static void set_images(tare_direct_form *f, const tare_conv_problem *p) {
  f->channels = f->flipped ? p->outputs : p->channels;
  f->outputs = f->flipped ? p->channels : p->outputs;
  for (int i = 0; i < 2; i++) {
    int out = tare_conv_output_size(p, i);
    f->from[i] = f->flipped ? out : p->size[i];
    f->to[i] = f->flipped ? p->size[i] : out;
    f->kernel[i] = p->kernel[i];
    f->pad[i] = f->flipped ? p->kernel[i] - 1 - p->pad[i] : p->pad[i];
  }
}

tare_direct_form tare_direct_form_of(const tare_conv_problem *p, tare_pass pass, int lanes) {
  tare_direct_form f = {.flipped = pass == TARE_BACKWARD_DATA};
  tare_direct *s = &f.shape;
  set_images(&f, p);
  s->kind = p->groups == p->channels && p->groups == p->outputs ? TARE_DIRECT_DEPTHWISE : TARE_DIRECT_DENSE;
  choose_group(&f, pass == TARE_BACKWARD_WEIGHTS, lanes);
  if (s->kind == TARE_DIRECT_DEPTHWISE && f.pixels == 1) s->kind = TARE_DIRECT_SLIDING;
  int slides = s->kind == TARE_DIRECT_SLIDING, in = slides ? lanes : f.channels; /* elements of a pixel in a row as the kernels read it */
  int dense = s->kind == TARE_DIRECT_DENSE;
  f.blocks = slides ? tare_direct_parts(f.channels, lanes) : 0;
  f.rows = f.kernel[0] + f.lines - 1;
  s->taps = dense ? (f.kernel[1] + f.pixels - 1) * in : f.kernel[1];
  s->tap = dense ? 1 : in;
  s->groups = tare_direct_parts(f.to[1], f.pixels);
  s->step = f.pixels * in;
  s->lanes = slides ? lanes : f.lines * f.pixels * f.outputs;
  s->vectors = tare_direct_parts(s->lanes, lanes);
  f.width = s->vectors * lanes;
  s->last = slides || f.lines > 1 ? s->lanes : (f.to[1] - (s->groups - 1) * f.pixels) * f.outputs;
  s->out = f.lines > 1 ? f.width : f.pixels * f.outputs;
  if (slides && pass != TARE_BACKWARD_WEIGHTS && f.rows * s->taps > TARE_DIRECT_SLIDES) s->kind = TARE_DIRECT_DEPTHWISE; /* for its accuracy */
  return f;
}

size_t tare_direct_row(const tare_direct_form *f) {
  int dense = f->shape.kind == TARE_DIRECT_DENSE;
  size_t groups = (size_t)(f->shape.groups + TARE_DIRECT_SLACK), taps = (size_t)f->shape.taps * (size_t)f->shape.tap;
  return tare_aligned(groups * (size_t)f->shape.step + taps + (dense ? 0 : (size_t)f->width));
}

size_t tare_direct_weights_size(const tare_direct_form *f) {
  return (size_t)(f->blocks ? f->blocks : 1) * (size_t)f->rows * (size_t)f->shape.taps * (size_t)f->width;
}

/* Where the folded weights have the tap (row, column) from channel `in` to output `out`, for the first pixel of the group. */
static size_t at(const tare_direct_form *f, int in, int out, int row, int column) {
  int tap = f->shape.kind == TARE_DIRECT_DENSE ? column * f->channels + in : column;
  int block = f->blocks ? out / f->width : 0, lane = f->blocks ? out % f->width : out;
  return (((size_t)block * (size_t)f->rows + (size_t)row) * (size_t)f->shape.taps + (size_t)tap) * (size_t)f->width + (size_t)lane;
}

enum { RUN = 16 }; /* weights that are folded together */

/*
 * A run of weights goes to neighbouring places or lines of the cache: outputs lie side by side, and where they are few, channels lie a vector apart.
 * Elements from one weight of a run to the next, to the next run (plain), to the next column of a filter, the group's next line and pixel (folded).
 */
typedef struct strides { ptrdiff_t plain, folded, next, column, line, pixel; } strides;

static ptrdiff_t place_of(const tare_direct_form *f, const strides *s, int pixel) { return pixel / f->pixels * s->line + pixel % f->pixels * s->pixel; }

/* A filter row of `n` outputs or channels to its places, one for each pixel of the group. */
static void fold_row(const tare_direct_form *f, const strides *s, int n, const float *weights, float *folded) {
  for (int pixel = 0; pixel < f->lines * f->pixels; pixel++) {
    float *to = folded + place_of(f, s, pixel);
    for (int j = 0; j < f->kernel[1]; j++)
      for (int k = 0; k < n; k++) to[j * s->column + k * s->folded] = weights[k * s->plain + j];
  }
}

/* And the sums of what stands in these places. */
static void unfold_row(const tare_direct_form *f, const strides *s, int n, float *weights, const float *folded) {
  for (int j = 0; j < f->kernel[1]; j++) {
    float sums[RUN] = {0};
    for (int pixel = 0; pixel < f->lines * f->pixels; pixel++) {
      const float *from = folded + place_of(f, s, pixel) + j * s->column;
      for (int k = 0; k < n; k++) sums[k] += from[k * s->folded];
    }
    for (int k = 0; k < n; k++) weights[k * s->plain + j] = sums[k];
  }
}

int tare_direct_folds_channels(const tare_direct_form *f) {
  return f->shape.kind == TARE_DIRECT_DENSE && f->outputs < RUN / 2 && f->channels > f->outputs;
}

static strides strides_of(const tare_direct_form *f, int ins, int of_channels) {
  int dense = f->shape.kind == TARE_DIRECT_DENSE, crossed = dense && f->flipped;
  ptrdiff_t taps = (ptrdiff_t)f->kernel[0] * f->kernel[1], output = crossed ? taps : ins * taps, channel = crossed ? f->outputs * taps : taps;
  ptrdiff_t column = (ptrdiff_t)ins * f->width;
  return (strides){.plain = of_channels ? channel : output, .folded = of_channels ? f->width : 1, .next = of_channels ? output : channel,
                   .column = f->flipped ? -column : column, .line = f->shape.taps * (ptrdiff_t)f->width + f->pixels * f->outputs,
                   .pixel = (dense ? column : 0) + f->outputs};
}

static void visit(const tare_direct_form *f, int fold, float *weights, float *folded) {
  int ins = f->shape.kind == TARE_DIRECT_DENSE ? f->channels : 1, of_channels = tare_direct_folds_channels(f), kh = f->kernel[0], kw = f->kernel[1];
  int all = of_channels ? ins : f->outputs, rest = of_channels ? f->outputs : ins, most = f->blocks && f->width < RUN ? f->width : RUN;
  const strides s = strides_of(f, ins, of_channels);
  for (int other = 0; other < rest; other++)
    for (int i = 0; i < kh; i++)
      for (int first = 0, n; first < all; first += n) {
        float *plain = weights + other * s.next + first * s.plain + i * kw;
        float *place = folded + at(f, of_channels ? first : other, of_channels ? other : first, f->flipped ? kh - 1 - i : i, f->flipped ? kw - 1 : 0);
        n = all - first < most ? all - first : most;
        if (fold) fold_row(f, &s, n, plain, place);
        else unfold_row(f, &s, n, plain, place);
      }
}

void tare_direct_fold(const tare_direct_form *f, const float *weights, float *folded) {
  memset(folded, 0, tare_direct_weights_size(f) * sizeof(float));
  visit(f, 1, (float *)(size_t)weights, folded);
}

void tare_direct_unfold(const tare_direct_form *f, const float *folded, float *weights) {
  visit(f, 0, weights, (float *)(size_t)folded);
}
