/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a direct convolution costs: the operations that its kernels (kernel/tmpl/direct_*.c) do, counted as they go
 * through registers, times cycles that were fitted to measured times (doc/conv.md).
 */
#include "base/pass.h"
#include "conv/direct.h"

enum { LATENCY = 8 }; /* accumulators that keep two units busy, each ready after four cycles */

/* What the registers hold, as in kernel/tmpl/direct.h: accumulators; sliding: accumulators, and taps at a time, and vectors of dy. */
typedef struct registers { int sums, window, taps, dy; } registers;
static const registers many = {24, 16, 8, 4}, few = {12, 8, 5, 2};

/* Cycles of a vector's multiplication and addition, forward and backward weights: dense with one vector a group, with more, depthwise, sliding. */
static const double operation[2][4] = {{0.57, 0.51, 0.86, 0.51}, {0.65, 0.51, 1, 0.54}};
/* Cycles for: a call; each vector copied into the ring, or of dy; forward: each vector stored, each block of a filter row. */
static const double call = 1250, copied = 2.7, copied_dy = 3.9, stored = 2.7, block_row = 1.7;
/* Backward weights: each block of sums for each row of outputs, each sum of a chain. A pixel whose last vector of channels is not full. */
static const double gradient_block = 15, chain_sum = 7.8, tail = 6.6;
/*
 * Folding: each place of a weight in the kernels' form, each run of up to 16 of them; unfolding takes more, and so do places that lie a vector apart and
 * those beyond the L3 cache.
 */
static const double place = 1, run = 3, unfolding = 1.5, apart = 1, far_place = 1.7;

/* For tare_conv_cycles_here: dense and depthwise; by pass. */
static const double older[2][TARE_PASSES] = {{1.18, 1.13, 1.14}, {1.04, 1.03, 1.19}};

typedef struct work { double operations, blocks; } work; /* of a tap and filter row; of a filter row, or of a whole filter */

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }
static int part_of(int n, int most) { return tare_direct_parts(n, tare_direct_parts(n, most)); }
static int rounded_up(int n, int to) { return tare_direct_parts(n, to) * to; }

/* A row of outputs, `vectors` of each group held: as many groups as the registers hold, made up to whole units. */
static void add_row(const tare_direct *s, const registers *r, int vectors, work *w) {
  int slides = s->kind == TARE_DIRECT_SLIDING, unit = slides ? 4 : 2 / vectors, most = slides ? r->window : r->sums / vectors;
  int each = rounded_up(part_of(s->groups, most), unit);
  for (int first = 0; first < s->groups; first += each) {
    w->operations += larger(LATENCY, rounded_up(smaller(each, s->groups - first), unit) * vectors);
    w->blocks += slides ? tare_direct_parts(s->taps, r->taps) : 1;
  }
}

/* All taps and rows of a filter: blocks of some taps of up to four rows, while all groups of a row of outputs pass. */
static void add_filter(const tare_direct *s, const registers *r, int rows, int vectors, work *w) {
  int most = r->sums / 3 / vectors, taps = part_of(s->taps, most), high = smaller(4, r->sums / (taps * vectors));
  int held = taps * vectors * part_of(rows, high), groups = s->kind == TARE_DIRECT_SLIDING ? rounded_up(s->groups, r->dy) : s->groups;
  w->operations += (double)groups * vectors * (held < LATENCY ? (double)LATENCY / held : 1);
  w->blocks += (double)tare_direct_parts(s->taps, most) * tare_direct_parts(rows, high);
}

static work work_of(const tare_direct_form *f, int gradient, int lanes) {
  work w = {0, 0};
  const registers *r = lanes > 8 ? &many : &few;
  for (int left = f->shape.vectors, vectors; left > 0; left -= vectors) {
    vectors = f->shape.kind == TARE_DIRECT_DENSE && left > 1 ? 2 : 1;
    if (gradient) add_filter(&f->shape, r, f->rows, vectors, &w);
    else add_row(&f->shape, r, vectors, &w);
  }
  return w;
}

/* Pairs of a row of outputs (or of groups) and a filter row that lies on the image. */
static double rows_inside(const tare_direct_form *f) {
  double rows = 0;
  for (int r = 0; r < f->to[0]; r += f->lines) rows += larger(0, smaller(r - f->pad[0] + f->rows, f->from[0]) - larger(r - f->pad[0], 0));
  return rows;
}

/* Folding the weights, or unfolding their gradient. */
static double fold_cycles(const tare_conv_problem *p, const tare_direct_form *f, int gradient) {
  double places = (double)tare_conv_weights_size(p) * f->lines * f->pixels;
  int of_channels = tare_direct_folds_channels(f);
  double cycles = place + run / smaller(of_channels ? f->channels : f->outputs, 16) + (of_channels ? apart : 0);
  double bytes = sizeof(float) * (places + (double)tare_conv_weights_size(p));
  return places * cycles * (gradient ? unfolding : 1) * (1 + far_place * tare_conv_beyond(bytes));
}

double tare_direct_cycles(const tare_conv_problem *p, const tare_direct_form *f, tare_pass pass, int lanes, int chain, int copies_dy) {
  const tare_direct *s = &f->shape;
  int gradient = pass == TARE_BACKWARD_WEIGHTS, blocks = larger(f->blocks, 1);
  double images = (double)p->batch * blocks, rows = images * tare_direct_parts(f->to[0], f->lines), filter_rows = images * rows_inside(f);
  double results = rows * s->groups * s->vectors, copies = images * f->from[0] * (double)tare_direct_row(f) / lanes;
  work w = work_of(f, gradient, lanes);
  double cycles = call + filter_rows * s->taps * w.operations * operation[gradient][s->kind == TARE_DIRECT_DENSE ? s->vectors > 1 : 1 + (int)s->kind];
  cycles += copies * copied + (copies_dy ? results * copied_dy : 0);
  if (gradient) cycles += rows * w.blocks * gradient_block + rows * f->rows * s->taps * s->vectors / chain * chain_sum;
  else cycles += results * stored + filter_rows * w.blocks * block_row;
  if (s->kind == TARE_DIRECT_SLIDING && f->channels % lanes) cycles += (copies + (gradient ? 0 : results)) / blocks * tail;
  cycles += fold_cycles(p, f, gradient) + tare_conv_memory_cycles(p);
  return tare_conv_cycles_here(cycles, older[s->kind != TARE_DIRECT_DENSE][tare_pass_index(pass)]);
}
