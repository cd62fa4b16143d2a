/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidate direct: all three passes by the kernels of kernel/direct.h, where oneDNN is slow: few input channels, depthwise.
 * Rows of an image are copied once, with zeros beside them, into a ring of as many rows as the kernel needs
 * at a time, so that kernels know no borders and the ring stays in the cache.
 */
#include "conv/direct.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum { MOST_ROWS = 64 };      /* of a filter */
enum { CHAIN = 128 };         /* groups whose products are added in registers: more would cost accuracy */
enum { CHAIN_FLOATS = 8192 }; /* of the rows of x that a chain reads, for the L1 cache */

typedef struct own {
  tare_direct_form form;
  int chain;        /* rows of outputs that are done together */
  int slots;        /* rows in the ring */
  int copies_dy;
  size_t row, dy_row; /* elements of a row in the ring, of a copied row of dy */
  size_t lines_row;   /* of the outputs of a row of groups that has several lines */
  size_t pointers, sums; /* elements that the pointers to rows take; the sums and their errors, or the bias */
} own;

/*
 * The kernels read whole vectors of dy, and no pixel behind the row may take part. A block of
 * channels is copied too: its lines lie apart, and the kernel would wait for each of them.
 */
static int must_copy_dy(const tare_direct_form *f) {
  return (f->blocks ? f->outputs % f->width != 0 : f->width != f->shape.lanes) || f->shape.last != f->shape.lanes;
}

static own own_of(const tare_conv_problem *p, tare_pass pass, int lanes) {
  own o = {.form = tare_direct_form_of(p, pass, lanes), .chain = 1};
  const tare_direct_form *f = &o.form;
  int gradient = pass == TARE_BACKWARD_WEIGHTS;
  o.row = tare_direct_row(f);
  if (gradient) {
    while (o.chain < f->to[0] && (o.chain + 1) * f->shape.groups <= CHAIN && (size_t)(f->rows + o.chain) * o.row <= CHAIN_FLOATS) o.chain++;
    o.copies_dy = must_copy_dy(f);
    o.sums = 2 * tare_direct_weights_size(f);
  } else o.sums = (size_t)f->width;
  o.slots = f->rows + o.chain - 1;
  o.lines_row = f->lines > 1 ? tare_aligned((size_t)f->shape.groups * (size_t)f->width) : 0;
  o.dy_row = o.copies_dy ? tare_aligned((size_t)f->shape.groups * (size_t)(f->blocks ? f->width : f->shape.out) + (size_t)f->width) : 0;
  o.pointers = tare_aligned((size_t)(o.slots + o.chain) * sizeof(void *) / sizeof(float));
  return o;
}

static size_t workspace_of(const own *o) {
  return o->pointers + tare_aligned(o->sums) + o->row * (size_t)(o->slots + 1) + o->dy_row * (size_t)o->chain + o->lines_row;
}

/* The areas of a workspace. */
typedef struct areas {
  const void **x, **dy;
  float *sums, *outside, *ring, *gradients, *lines;
} areas;

static areas areas_of(const own *o, void *workspace) {
  areas a = {.x = workspace};
  a.dy = a.x + o->slots;
  a.sums = (float *)workspace + o->pointers;
  a.outside = a.sums + tare_aligned(o->sums);
  a.ring = a.outside + o->row;
  a.gradients = a.ring + o->row * (size_t)o->slots;
  a.lines = a.gradients + o->dy_row * (size_t)o->chain;
  memset(a.outside, 0, (o->row * (size_t)(o->slots + 1) + o->dy_row * (size_t)o->chain) * sizeof(float));
  return a;
}

/* One block of the channels of one image. */
typedef struct walk {
  const tare_ready *ready;
  const own *o;
  areas a;
  const float *image; /* at the block's first channel */
  int lanes;          /* channels of the block */
  int next;           /* row of the image that the ring gets next */
} walk;

static void copy_pixels(const walk *w, int pixels, int channels, const float *from, float *to) {
  if (!w->o->form.blocks) memcpy(to, from, (size_t)pixels * (size_t)channels * sizeof(float));
  else w->ready->kernels->direct_gather(pixels, w->lanes, from, (size_t)channels, to);
}

/* Row `i` of the image into its place; the zeros beside it stand there already. */
static void copy_row(const walk *w, int i) {
  const tare_direct_form *f = &w->o->form;
  int in = f->blocks ? f->width : f->channels, pad = f->pad[1], skip = pad < 0 ? -pad : 0;
  int pixels = f->from[1] - skip, room = f->to[1] + f->kernel[1] - 1 - pad - skip;
  float *to = w->a.ring + w->o->row * (size_t)(i % w->o->slots) + (size_t)(pad < 0 ? 0 : pad) * (size_t)in;
  const float *from = w->image + ((size_t)i * (size_t)f->from[1] + (size_t)skip) * (size_t)f->channels;
  if (pixels > room) pixels = room;
  if (pixels > 0) copy_pixels(w, pixels, f->channels, from, to);
}

/* a.x[k] is row first + k of the image, k < n, or what is outside. */
static void find_rows(walk *w, int first, int n) {
  int height = w->o->form.from[0];
  if (w->next < first) w->next = first;
  for (; w->next < first + n && w->next < height; w->next++) copy_row(w, w->next);
  for (int k = 0; k < n; k++) {
    int i = first + k;
    w->a.x[k] = i < 0 || i >= height ? w->a.outside : w->a.ring + w->o->row * (size_t)(i % w->o->slots);
  }
}

/* The shape for the block: the last one may have fewer channels. */
static tare_direct shape_of(const walk *w) {
  tare_direct shape = w->o->form.shape;
  if (w->o->form.blocks) shape.lanes = shape.last = w->lanes;
  return shape;
}

/* The lines of a row of groups to where they belong, `n` of them. */
static void spread_lines(const walk *w, int n, float *y) {
  const tare_direct_form *f = &w->o->form;
  size_t line = (size_t)(f->pixels * f->outputs), row = (size_t)f->to[1] * (size_t)f->outputs;
  for (int i = 0; i < n; i++)
    for (int g = 0; g < f->shape.groups; g++) {
      size_t at = (size_t)g * line, length = row - at < line ? row - at : line;
      const float *from = w->a.lines + (size_t)g * (size_t)f->width + (size_t)i * line;
      for (size_t k = 0; k < length; k++) y[(size_t)i * row + at + k] = from[k];
    }
}

static void forward(walk *w, const float *weights, const float *bias, float *y) {
  const tare_direct_form *f = &w->o->form;
  const tare_direct shape = shape_of(w);
  size_t filter_row = (size_t)shape.taps * (size_t)f->width, row = (size_t)f->to[1] * (size_t)f->outputs;
  for (int r = 0; r < f->to[0]; r += f->lines) {
    int first = r - f->pad[0], from = first < 0 ? -first : 0, to = f->from[0] - first;
    if (to > f->rows) to = f->rows;
    find_rows(w, first, f->rows);
    if (to < from) to = from = 0;
    float *out = f->lines > 1 ? w->a.lines : y + (size_t)r * row;
    w->ready->kernels->direct_forward(&shape, to - from, w->a.x + from, weights + (size_t)from * filter_row, bias, out);
    if (f->lines > 1) spread_lines(w, f->to[0] - r < f->lines ? f->to[0] - r : f->lines, y + (size_t)r * row);
  }
}

/* Rows of dy as the kernels want them: where they are, or copied to where zeros follow. */
static void find_gradients(walk *w, int first, int n, const float *dy) {
  const tare_direct_form *f = &w->o->form;
  for (int r = 0; r < n; r++) {
    const float *from = dy + (size_t)(first + r) * (size_t)f->to[1] * (size_t)f->outputs;
    float *to = w->a.gradients + w->o->dy_row * (size_t)r;
    w->a.dy[r] = w->o->copies_dy ? to : from;
    if (w->o->copies_dy) copy_pixels(w, f->to[1], f->outputs, from, to);
  }
}

static void backward_weights(walk *w, const float *dy, float *sums) {
  const tare_direct_form *f = &w->o->form;
  tare_direct shape = shape_of(w);
  if (w->o->copies_dy && f->blocks) shape.out = f->width;
  tare_direct_chain chain = {.filter_rows = f->rows, .down = 1, .x = w->a.x, .dy = w->a.dy, .outside = w->a.outside};
  for (int r = 0; r < f->to[0]; r += chain.rows) {
    chain.rows = f->to[0] - r < w->o->chain ? f->to[0] - r : w->o->chain;
    find_rows(w, r - f->pad[0], chain.rows + f->rows - 1);
    find_gradients(w, r, chain.rows, dy);
    for (chain.first = 0; chain.first < shape.groups; chain.first += chain.groups) {
      chain.groups = shape.groups - chain.first < 2 * CHAIN ? shape.groups - chain.first : CHAIN;
      w->ready->kernels->direct_weights(&shape, &chain, sums);
    }
  }
}

/* The bias in whole vectors, as many times as a group has pixels; of a block of channels from the first one on. */
static const float *spread_bias(const own *o, const float *bias, int lanes, float *to) {
  const tare_direct_form *f = &o->form;
  if (!bias) return NULL;
  memset(to, 0, o->sums * sizeof(float));
  for (int i = 0; i < f->lines * f->pixels; i++) memcpy(to + (size_t)i * (size_t)lanes, bias, (size_t)lanes * sizeof(float));
  return to;
}

/* For each image and block of channels. */
static void run_blocks(walk *w, const float *x, const float *weights, const float *bias, const float *dy, float *y) {
  const own *o = w->o;
  const tare_direct_form *f = &o->form;
  size_t from = (size_t)f->from[0] * f->from[1] * f->channels, to = (size_t)f->to[0] * f->to[1] * f->outputs;
  int blocks = f->blocks ? f->blocks : 1;
  size_t filters = tare_direct_weights_size(f) / (size_t)blocks;
  for (int n = 0; n < w->ready->query.problem.batch; n++)
    for (int block = 0; block < blocks; block++) {
      int lane = block * f->width;
      w->lanes = f->blocks && f->outputs - lane > f->width ? f->width : f->outputs - lane;
      w->image = x + (size_t)n * from + lane;
      w->next = 0;
      size_t at = (size_t)n * to + (size_t)lane;
      if (dy) backward_weights(w, dy + at, w->a.sums + 2 * filters * (size_t)block);
      else forward(w, weights + filters * (size_t)block, spread_bias(o, bias ? bias + lane : NULL, w->lanes, w->a.sums), y + at);
    }
}

static tare_status run(const tare_ready *r, int passes, const tare_call *call) {
  const own *o = r->own;
  walk w = {.ready = r, .o = o, .a = areas_of(o, call->workspace)};
  if (passes == TARE_FORWARD) run_blocks(&w, call->x, call->prepared, call->bias, NULL, call->y);
  else if (passes == TARE_BACKWARD_DATA) run_blocks(&w, call->dy, call->prepared, NULL, NULL, call->dx);
  else {
    memset(w.a.sums, 0, o->sums * sizeof(float));
    run_blocks(&w, call->x, NULL, NULL, call->dy, NULL);
    size_t filters = r->partial / (size_t)(o->form.blocks ? o->form.blocks : 1); /* sums and errors alternate */
    for (size_t i = 0; i < r->partial; i++) {
      const float *sum = w.a.sums + i / filters * 2 * filters + i % filters;
      ((float *)call->partial)[i] = sum[0] - sum[filters];
    }
  }
  return TARE_OK;
}

static const char *declines(const tare_conv_problem *p) {
  if (p->stride[0] * p->stride[1] != 1) return "strides";
  if (p->dilation[0] * p->dilation[1] != 1) return "dilation";
  if (p->groups != 1 && (p->groups != p->channels || p->groups != p->outputs)) return "groups of several channels";
  if (p->kernel[0] > MOST_ROWS || p->kernel[1] > MOST_ROWS) return "a filter of more than 64 rows or columns";
  return NULL;
}

static double cycles_of(const tare_conv_problem *p, tare_pass pass, int lanes) {
  const own o = own_of(p, pass, lanes);
  return tare_direct_cycles(p, &o.form, pass, lanes, o.chain, o.copies_dy);
}

/* Of backward weights' sums the rounding errors are carried along; the others are made in parts, and parts of parts. */
static double error_of(const tare_conv_problem *p, tare_pass pass) {
  static const double part = TARE_DIRECT_TERMS, many = TARE_DIRECT_PARTS;
  double terms = tare_conv_terms(p, pass);
  if (pass == TARE_BACKWARD_WEIGHTS) return tare_conv_chain_error(CHAIN, CHAIN);
  if (terms <= TARE_DIRECT_SLIDES && p->groups > 1) return tare_conv_chain_error(terms, terms);
  if (terms <= part * many) return tare_conv_chain_error(terms, part);
  return tare_conv_chain_error(terms / many + terms / part, part + many);
}

static void judge(const tare_query *query, tare_verdict *verdict) {
  const tare_conv_problem *p = &query->problem;
  const char *no = declines(p);
  if (no) {
    verdict->cycles = -1;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", no);
    return;
  }
  int lanes = tare_kernels_get(TARE_F32)->direct_lanes();
  tare_direct_form f = tare_direct_form_of(p, (tare_pass)query->passes, lanes);
  verdict->cycles = cycles_of(p, (tare_pass)query->passes, lanes);
  verdict->error = error_of(p, (tare_pass)query->passes);
  const char *kind = f.shape.kind == TARE_DIRECT_DENSE ? "dense" : "depthwise";
  snprintf(verdict->reason, sizeof verdict->reason, "%s, %d lanes for %d x %d pixels", kind, lanes, f.lines, f.pixels);
}

static void drop(tare_ready *r) { tare_free(r->own); }

static tare_status create(tare_ready *r, tare_error *error) {
  own *o = r->own = tare_alloc(1, sizeof *o);
  if (!o) return tare_fail_memory(error, sizeof *o, "a convolution plan");
  *o = own_of(&r->query.problem, (tare_pass)r->query.passes, r->kernels->direct_lanes());
  *(r->query.passes == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = tare_direct_weights_size(&o->form);
  r->workspace = workspace_of(o);
  return TARE_OK;
}

static tare_status prepare(const tare_ready *r, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  tare_direct_fold(&((const own *)r->own)->form, weights, prepared);
  return TARE_OK;
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  tare_direct_unfold(&((const own *)r->own)->form, partial, dweights);
  return TARE_OK;
}

const tare_candidate tare_candidate_direct = {
  .name = "direct", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_VALID,
  .judge = judge, .create = create, .free = drop, .prepare = prepare, .run = run, .finish = finish,
};
