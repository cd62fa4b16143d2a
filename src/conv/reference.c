/* SPDX-License-Identifier: Apache-2.0 */
/* The reference: plain loops with double accumulators, for every problem in both precisions. It is what the others are tested against. */
#include <string.h>

#include "conv/candidate.h"

static const char *decline(const tare_conv_problem *problem, tare_pass pass) {
  (void)problem;
  (void)pass;
  return NULL;
}

static size_t weights_of(const tare_conv_problem *p) {
  return (size_t)p->outputs * (size_t)(p->channels / p->groups) * (size_t)p->kernel[0] * (size_t)p->kernel[1];
}

static tare_status create(tare_ready *r, tare_error *error) {
  (void)error;
  const tare_conv_problem *p = &r->problem;
  size_t image = (size_t)p->batch * (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels, weights = weights_of(p);
  *(r->pass == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = weights;
  size_t sums = r->pass == TARE_FORWARD ? 0 : r->pass == TARE_BACKWARD_DATA ? image : weights;
  r->workspace = sums * sizeof(double) / r->kernels->real;
  return TARE_OK;
}

static tare_status copy(const tare_ready *r, const void *from, void *to) {
  memcpy(to, from, weights_of(&r->problem) * r->kernels->real);
  return TARE_OK;
}

static tare_status run(const tare_ready *r, const void *a, const void *b, const void *bias, void *out, void *workspace) {
  if (r->pass == TARE_FORWARD) r->kernels->conv_forward(&r->problem, a, b, bias, out);
  else if (r->pass == TARE_BACKWARD_DATA) r->kernels->conv_backward_data(&r->problem, a, b, out, workspace);
  else r->kernels->conv_backward_weights(&r->problem, a, b, out, workspace);
  return TARE_OK;
}

const tare_candidate tare_candidate_reference = {
  .name = "reference", .precisions = 1 << TARE_F32 | 1 << TARE_F64, .borders = 15,
  .decline = decline, .create = create, .prepare = copy, .run = run, .finish = copy,
};
