/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN's convolutions as a candidate. */
#include "onednn/onednn.h"

#include "base/alloc.h"
#include "base/error.h"
#include "conv/candidate.h"

struct own { tare_onednn_conv *conv; float *no_bias; };

static const char *decline(const tare_conv_problem *problem, tare_pass pass) {
  (void)problem;
  (void)pass;
  return NULL;
}

static void drop(tare_ready *r) {
  struct own *own = r->own;
  if (!own) return;
  tare_onednn_conv_free(own->conv);
  tare_free(own->no_bias);
  tare_free(own);
}

static tare_status create(tare_ready *r, tare_error *error) {
  struct own *own = r->own = tare_alloc(1, sizeof *own);
  if (own) own->no_bias = tare_alloc((size_t)r->problem.outputs, sizeof(float));
  if (!own || !own->no_bias) return tare_fail_memory(error, (size_t)r->problem.outputs * sizeof(float), "a convolution plan");
  tare_status status = tare_onednn_conv_create(&r->problem, r->pass, &own->conv, error);
  if (status) return status;
  *(r->pass == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = tare_onednn_conv_weights(own->conv);
  r->workspace = tare_onednn_conv_workspace(own->conv);
  return TARE_OK;
}

static tare_status prepare(const tare_ready *r, const void *weights, void *prepared) {
  return tare_onednn_conv_pack(((const struct own *)r->own)->conv, weights, prepared);
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights) {
  return tare_onednn_conv_unpack(((const struct own *)r->own)->conv, partial, dweights);
}

static tare_status run(const tare_ready *r, const void *a, const void *b, const void *bias, void *out, void *workspace) {
  const struct own *own = r->own;
  return tare_onednn_conv_run(own->conv, a, b, bias ? bias : own->no_bias, out, workspace);
}

const tare_candidate tare_candidate_onednn = {
  .name = "onednn", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_VALID,
  .decline = decline, .create = create, .free = drop, .prepare = prepare, .run = run, .finish = finish,
};
