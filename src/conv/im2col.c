/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Few input channels: patches as the rows of a matrix (columns kh, kw, c), then a matrix
 * product. oneDNN's own kernels put input channels across the vector and
 * leave it nearly empty here. A chunk of output rows at a time, so that the patches stay in the L2 cache.
 */
#include "base/error.h"
#include "conv/candidate.h"
#include "onednn/onednn.h"

enum { MOST_CHANNELS = 4, CHUNK = 64 * 1024 }; /* CHUNK: floats of patches at a time, 256 KiB */

static const char *decline(const tare_conv_problem *p, tare_pass pass) {
  if (p->groups != 1) return "groups";
  if (p->channels > MOST_CHANNELS) return "more than 4 input channels";
  if (pass == TARE_BACKWARD_DATA) return "no backward data";
  return NULL;
}

static int columns_of(const tare_conv_problem *p) { return p->kernel[0] * p->kernel[1] * p->channels; }

/* Output rows in a chunk, at least 1. */
static int chunk_of(const tare_conv_problem *p) {
  long row = (long)columns_of(p) * tare_conv_output_size(p, 1), rows = CHUNK / row;
  return rows < 1 ? 1 : rows > tare_conv_output_size(p, 0) ? tare_conv_output_size(p, 0) : (int)rows;
}

static tare_status create(tare_ready *r, tare_error *error) {
  const tare_conv_problem *p = &r->problem;
  size_t weights = (size_t)columns_of(p) * (size_t)p->outputs;
  size_t patches = (size_t)chunk_of(p) * (size_t)tare_conv_output_size(p, 1) * (size_t)columns_of(p);
  if (patches > 1u << 28) return tare_fail(error, TARE_E_UNSUPPORTED, "a row of patches too long for im2col");
  *(r->pass == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = weights;
  r->workspace = patches;
  return TARE_OK;
}

/* Plain [o][c][tap] to and from [o][tap][c]. */
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

static tare_status forward(const tare_ready *r, const float *x, const float *weights, const float *bias, float *y, float *patches) {
  const tare_conv_problem *p = &r->problem;
  int columns = columns_of(p), width = tare_conv_output_size(p, 1), height = tare_conv_output_size(p, 0), chunk = chunk_of(p);
  for (int image = 0; image < p->batch; image++)
    for (int row = 0; row < height; row += chunk) {
      int rows = (row + chunk > height ? height - row : chunk), pixels = rows * width;
      float *out = y + ((size_t)image * (size_t)height + (size_t)row) * (size_t)width * (size_t)p->outputs;
      r->kernels->im2col(p, x, image, row, rows, patches);
      if (bias) r->kernels->fill_rows((size_t)pixels, (size_t)p->outputs, bias, out);
      tare_status status = tare_onednn_sgemm('N', 'T', pixels, p->outputs, columns, 1, patches, columns, weights, columns, bias ? 1 : 0, out, p->outputs);
      if (status) return status;
    }
  return TARE_OK;
}

static tare_status backward_weights(const tare_ready *r, const float *x, const float *dy, float *partial, float *patches) {
  const tare_conv_problem *p = &r->problem;
  int columns = columns_of(p), width = tare_conv_output_size(p, 1), height = tare_conv_output_size(p, 0), chunk = chunk_of(p);
  float beta = 0;
  for (int image = 0; image < p->batch; image++)
    for (int row = 0; row < height; row += chunk, beta = 1) {
      int rows = (row + chunk > height ? height - row : chunk);
      const float *out = dy + ((size_t)image * (size_t)height + (size_t)row) * (size_t)width * (size_t)p->outputs;
      r->kernels->im2col(p, x, image, row, rows, patches);
      tare_status status = tare_onednn_sgemm('T', 'N', p->outputs, columns, rows * width, 1, out, p->outputs, patches, columns, beta, partial, columns);
      if (status) return status;
    }
  return TARE_OK;
}

static tare_status run(const tare_ready *r, const void *a, const void *b, const void *bias, void *out, void *workspace) {
  return r->pass == TARE_FORWARD ? forward(r, a, b, bias, out, workspace) : backward_weights(r, a, b, out, workspace);
}

const tare_candidate tare_candidate_im2col = {
  .name = "im2col", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_VALID,
  .decline = decline, .create = create, .prepare = prepare, .run = run, .finish = finish,
};
