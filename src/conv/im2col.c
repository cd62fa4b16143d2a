/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidate im2col: forward and backward weights as matrix products with
 * the matrix of patches, one row an output pixel, one column a weight. The
 * matrix is made a few rows of the image at a time, so that it stays in the L2
 * cache. It pays where oneDNN itself falls back to such a product on less good terms (kernels of more than about 14 columns).
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "conv/candidate.h"
#include "onednn/onednn.h"

enum { CHUNK = 64 * 1024 };     /* patches at a time: 256 KiB */
enum { LONGEST = 1 << 20 };     /* patches of one output row: 4 MiB */
enum { PRODUCT_OVERHEAD = 2500 }; /* cycles of a call of sgemm */
static const double copy_rate = 3;  /* elements of patches made in a cycle */
static const double product_share = 0.7;

static int columns_of(const tare_conv_problem *p) { return p->kernel[0] * p->kernel[1] * p->channels; }

static double row_of(const tare_conv_problem *p) { return (double)columns_of(p) * tare_conv_output_size(p, 1); }

/* Output rows in a chunk, at least 1. */
static int chunk_of(const tare_conv_problem *p) {
  int height = tare_conv_output_size(p, 0);
  double rows = CHUNK / row_of(p);
  return rows < 1 ? 1 : rows > height ? height : (int)rows;
}

static double cycles_of(const tare_conv_problem *p, tare_pass pass) {
  int lanes = tare_onednn_lanes(), height = tare_conv_output_size(p, 0), chunk = chunk_of(p);
  int across = pass == TARE_FORWARD ? p->outputs : columns_of(p); /* the vectors of the product */
  double fill = (double)across / ((across + lanes - 1) / lanes * lanes);
  double copies = row_of(p) * height * p->batch / copy_rate, calls = (double)((height + chunk - 1) / chunk) * p->batch;
  return tare_conv_flops(p) / (4 * lanes * product_share * fill) + copies + calls * PRODUCT_OVERHEAD;
}

static void judge(const tare_conv_problem *p, tare_pass pass, tare_verdict *verdict) {
  const char *no = p->groups != 1                ? "groups"
                   : pass == TARE_BACKWARD_DATA  ? "not for backward data"
                   : row_of(p) > LONGEST         ? "a row of patches would not fit the cache"
                                                 : NULL;
  verdict->cycles = no ? -1 : cycles_of(p, pass);
  if (no) snprintf(verdict->reason, sizeof verdict->reason, "%s", no);
  else snprintf(verdict->reason, sizeof verdict->reason, "sgemm over %d rows at a time", chunk_of(p));
}

static tare_status create(tare_ready *r, tare_error *error) {
  const tare_conv_problem *p = &r->problem;
  (void)error;
  *(r->pass == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = tare_conv_weights_size(p);
  r->workspace = (size_t)row_of(p) * (size_t)chunk_of(p);
  return TARE_OK;
}

/* Plain weights are [o][c][tap], those of the product [o][tap][c]. */
static tare_status prepare(const tare_ready *r, const void *weights, void *prepared) {
  const tare_conv_problem *p = &r->problem;
  r->kernels->transpose_blocks((size_t)p->outputs, (size_t)p->channels, (size_t)(p->kernel[0] * p->kernel[1]), weights, prepared);
  return TARE_OK;
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights) {
  const tare_conv_problem *p = &r->problem;
  r->kernels->transpose_blocks((size_t)p->outputs, (size_t)(p->kernel[0] * p->kernel[1]), (size_t)p->channels, partial, dweights);
  return TARE_OK;
}

static void fill_rows(size_t rows, int n, const float *row, float *out) {
  for (size_t i = 0; i < rows; i++) memcpy(out + i * (size_t)n, row, (size_t)n * sizeof(float));
}

/* y = P w', on top of the bias. */
static tare_status forward(const tare_conv_problem *p, int pixels, const float *patches, const float *weights, const float *bias, float *y) {
  int columns = columns_of(p), o = p->outputs;
  if (bias) fill_rows((size_t)pixels, o, bias, y);
  return tare_onednn_sgemm('N', 'T', pixels, o, columns, 1, patches, columns, weights, columns, bias ? 1 : 0, y, o);
}

/* dw = dy' P, added to what earlier chunks left. */
static tare_status backward(const tare_conv_problem *p, int pixels, const float *patches, const float *dy, int first, float *partial) {
  int columns = columns_of(p), o = p->outputs;
  return tare_onednn_sgemm('T', 'N', o, columns, pixels, 1, dy, o, patches, columns, first ? 0 : 1, partial, columns);
}

static tare_status run(const tare_ready *r, const void *x, const void *b, const void *bias, void *out, void *patches) {
  const tare_conv_problem *p = &r->problem;
  int height = tare_conv_output_size(p, 0), width = tare_conv_output_size(p, 1), chunk = chunk_of(p);
  size_t image = (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels;
  tare_status status = TARE_OK;
  for (int n = 0; n < p->batch; n++)
    for (int row = 0; row < height && !status; row += chunk) {
      int rows = height - row < chunk ? height - row : chunk;
      size_t at = ((size_t)n * (size_t)height + (size_t)row) * (size_t)width * (size_t)p->outputs;
      r->kernels->patches(p, row, rows, width, (const float *)x + (size_t)n * image, patches);
      status = r->pass == TARE_FORWARD ? forward(p, rows * width, patches, b, bias, (float *)out + at)
                                       : backward(p, rows * width, patches, (const float *)b + at, n + row == 0, out);
    }
  return status;
}

const tare_candidate tare_candidate_im2col = {
  .name = "im2col", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_VALID,
  .judge = judge, .create = create, .prepare = prepare, .run = run, .finish = finish,
};
