/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidate im2col: passes as matrix products with the matrix of patches P,
 * one row an output pixel, one column a weight: y = P w', dw = dy' P. P is made a few
 * rows of the image at a time, so that it stays in the L2 cache. This pays where oneDNN falls back to such a product itself,
 * over whole images (backward weights of filters with more than about 14 columns), and
 * where the images are P already: 1x1 filters, and filters as large as the image. Then dx = dy w too.
 */
#include <stdio.h>
#include <string.h>

#include "base/pass.h"
#include "conv/candidate.h"
#include "onednn/onednn.h"

enum { CHUNK = 64 * 1024 };       /* elements of P at a time: 256 KiB */
enum { LONGEST = 1 << 20 };       /* elements of P for one row of outputs: 4 MiB */
/*
 * Cycles by pass (forward, backward data, backward weights), fitted to measured times (doc/conv.md): a multiplication and addition of vectors, a vector of
 * outputs, an element of the weights or their gradient that each call of sgemm packs or adds to.
 */
static const struct rate { double operation, output, packed; } rates[TARE_PASSES] = {{0.53, 1.1, 0.33}, {0.62, 0, 0.07}, {0.517, 1.4, 0.12}};
/* For tare_conv_cycles_here: of patches; where the images are the matrix already. */
static const double older[2][TARE_PASSES] = {{1.05, 1, 1.18}, {1.1, 0.95, 1.06}};
/* A call of sgemm, a run of neighbouring elements that is copied and each of its elements, a weight; a vector of dy where there is one column only. */
static const double call_cycles = 950, run_cycles = 4, element_cycles = 0.17, weight_cycles = 0.3, thin_cycles = 2.7;

static int columns_of(const tare_conv_problem *p) { return p->kernel[0] * p->kernel[1] * p->channels; }

/* P is the images themselves: an output reads one pixel, or the whole image. */
static int is_plain(const tare_conv_problem *p) {
  int one = p->kernel[0] * p->kernel[1] == 1 && p->stride[0] * p->stride[1] == 1;
  return one || (p->kernel[0] == p->size[0] && p->kernel[1] == p->size[1]);
}

static double row_of(const tare_conv_problem *p) { return (double)columns_of(p) * tare_conv_output_size(p, 1); }

/* Output rows in a chunk, at least 1. */
static int chunk_of(const tare_conv_problem *p) {
  int height = tare_conv_output_size(p, 0);
  double rows = CHUNK / row_of(p);
  return rows < 1 ? 1 : rows > height ? height : (int)rows;
}

static double copy_cycles(const tare_conv_problem *p, tare_pass pass) {
  double elements = row_of(p) * tare_conv_output_size(p, 0) * p->batch;
  if (is_plain(p)) return 0;
  int run = p->channels * (p->dilation[1] == 1 ? p->kernel[1] : 1);
  return elements / run * run_cycles + elements * element_cycles * (pass == TARE_FORWARD ? 2 : 1); /* sgemm packs them once more */
}

static double cycles_of(const tare_conv_problem *p, tare_pass pass) {
  int which = tare_pass_index(pass);
  const struct rate *r = &rates[which];
  int lanes = tare_onednn_lanes(), height = tare_conv_output_size(p, 0), chunk = chunk_of(p), columns = columns_of(p);
  double pixels = (double)p->batch * (double)tare_conv_output_pixels(p), outputs = pixels * ((p->outputs + lanes - 1) / lanes);
  double calls = is_plain(p) ? 1 : (double)((height + chunk - 1) / chunk) * p->batch, weights = (double)columns * p->outputs;
  int across = pass == TARE_FORWARD || columns == 1 ? p->outputs : columns; /* lies across the vectors of the product */
  double operations = pixels * ((across + lanes - 1) / lanes) * (weights / across);
  double cycles = operations * r->operation + outputs * (columns == 1 && pass == TARE_BACKWARD_DATA ? thin_cycles : r->output);
  cycles += calls * (call_cycles + weights * r->packed) + weights * weight_cycles;
  return tare_conv_cycles_here(cycles + copy_cycles(p, pass) + tare_conv_memory_cycles(p), older[is_plain(p)][which]);
}

static void judge(const tare_query *query, tare_verdict *verdict) {
  const tare_conv_problem *p = &query->problem;
  tare_pass pass = (tare_pass)query->passes;
  int plain = is_plain(p);
  const char *no = p->groups != 1                                ? "groups"
                   : tare_onednn_lanes() == 0                    ? "its products are oneDNN's, and tare is built without oneDNN"
                   : plain                                       ? NULL
                   : pass == TARE_BACKWARD_DATA                  ? "backward data of filters larger than a pixel"
                   : row_of(p) > LONGEST                         ? "a row of patches would not fit the cache"
                                                                 : NULL;
  verdict->cycles = no ? -1 : cycles_of(p, pass);
  verdict->error = tare_conv_chain_error(tare_conv_terms(p, pass), TARE_ONEDNN_SGEMM_CHAIN);
  if (no) snprintf(verdict->reason, sizeof verdict->reason, "%s", no);
  else if (plain) snprintf(verdict->reason, sizeof verdict->reason, "one sgemm on the images");
  else snprintf(verdict->reason, sizeof verdict->reason, "sgemm on patches, %d rows at a time", chunk_of(p));
}

static tare_status create(tare_ready *r, tare_error *error) {
  const tare_conv_problem *p = &r->query.problem;
  (void)error;
  *(r->query.passes == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = tare_conv_weights_size(p);
  r->workspace = is_plain(p) ? 0 : (size_t)row_of(p) * (size_t)chunk_of(p);
  return TARE_OK;
}

/* Plain weights are [o][c][tap], those of the product [o][tap][c]. */
static tare_status prepare(const tare_ready *r, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  const tare_conv_problem *p = &r->query.problem;
  r->kernels->transpose_blocks((size_t)p->outputs, (size_t)p->channels, (size_t)(p->kernel[0] * p->kernel[1]), weights, prepared);
  return TARE_OK;
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  const tare_conv_problem *p = &r->query.problem;
  r->kernels->transpose_blocks((size_t)p->outputs, (size_t)(p->kernel[0] * p->kernel[1]), (size_t)p->channels, partial, dweights);
  return TARE_OK;
}

static void fill_rows(int rows, int n, const float *row, float *out) {
  for (int i = 0; i < rows; i++) memcpy(out + (size_t)i * n, row, (size_t)n * sizeof(float));
}

/* The product of a pass for `pixels` rows of P. Backward weights are added to those of the chunks before, unless it is the first. */
static tare_status product(const tare_ready *r, int pixels, const float *patches, const float *b, const float *bias, int first,
                           float *out) {
  int columns = columns_of(&r->query.problem), o = r->query.problem.outputs;
  if (r->query.passes == TARE_BACKWARD_WEIGHTS)
    return tare_onednn_sgemm('T', 'N', o, columns, pixels, 1, b, o, patches, columns, first ? 0 : 1, out, columns);
  if (bias) fill_rows(pixels, o, bias, out);
  return tare_onednn_sgemm('N', 'T', pixels, o, columns, 1, patches, columns, b, columns, bias ? 1 : 0, out, o);
}

static tare_status run_plain(const tare_ready *r, int passes, const tare_call *call) {
  const tare_conv_problem *p = &r->query.problem;
  int pixels = p->batch * tare_conv_output_size(p, 0) * tare_conv_output_size(p, 1), columns = columns_of(p), o = p->outputs;
  if (passes == TARE_BACKWARD_DATA)
    return tare_onednn_sgemm('N', 'N', pixels, columns, o, 1, call->dy, o, call->prepared, columns, 0, call->dx, columns);
  if (passes == TARE_FORWARD) return product(r, pixels, call->x, call->prepared, call->bias, 1, call->y);
  return product(r, pixels, call->x, call->dy, NULL, 1, call->partial);
}

static tare_status run_chunks(const tare_ready *r, int passes, const tare_call *call) {
  const tare_conv_problem *p = &r->query.problem;
  int height = tare_conv_output_size(p, 0), width = tare_conv_output_size(p, 1), chunk = chunk_of(p), forward = passes == TARE_FORWARD;
  size_t image = tare_conv_image_size(p);
  const float *x = call->x, *b = forward ? call->prepared : call->dy;
  float *out = forward ? call->y : call->partial;
  tare_status status = TARE_OK;
  for (int n = 0; n < p->batch; n++, x += image)
    for (int row = 0; row < height && !status; row += chunk) {
      int rows = height - row < chunk ? height - row : chunk;
      size_t at = ((size_t)n * height + row) * width * p->outputs; /* of the outputs, or of their gradients */
      r->kernels->patches(p, row, rows, width, x, call->workspace);
      status = product(r, rows * width, call->workspace, forward ? b : b + at, call->bias, n + row == 0, forward ? out + at : out);
    }
  return status;
}

static tare_status run(const tare_ready *r, int passes, const tare_call *call) {
  return is_plain(&r->query.problem) ? run_plain(r, passes, call) : run_chunks(r, passes, call);
}

const tare_candidate tare_candidate_im2col = {
  .name = "im2col", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_VALID,
  .judge = judge, .create = create, .prepare = prepare, .run = run, .finish = finish,
};
