/* SPDX-License-Identifier: Apache-2.0 */
/* What a candidate is: a way to do one pass of a convolution. The ordered table of them is in plan.c. */
#ifndef TARE_CONV_CANDIDATE_H
#define TARE_CONV_CANDIDATE_H

#include <tare/conv.h>

#include "kernel/kernel.h"

struct tare_candidate;

/* One pass made ready by one candidate. Sizes in elements. */
typedef struct tare_ready {
  const struct tare_candidate *how;
  tare_conv_problem problem; /* as the candidate sees it: with a border it does not know, the problem of the padded image */
  const tare_kernels *kernels;
  tare_pass pass;
  size_t prepared, partial, workspace;
  void *own;
} tare_ready;

typedef struct tare_candidate {
  const char *name;
  int precisions;  /* bit 1 << tare_precision */
  int borders;     /* bit 1 << tare_border: those it does itself; for others the image is padded first */
  /* NULL: accepts. Else the reason, a constant text. */
  const char *(*decline)(const tare_conv_problem *problem, tare_pass pass);
  /* Fills the sizes and `own`. TARE_E_UNSUPPORTED is a refusal, the next candidate is asked. */
  tare_status (*create)(tare_ready *ready, tare_error *error);
  void (*free)(tare_ready *ready);
  tare_status (*prepare)(const tare_ready *ready, const void *weights, void *prepared);
  /* Forward: x, prepared, bias to y. Backward data: dy, prepared to dx. Backward weights: x, dy to the partial. */
  tare_status (*run)(const tare_ready *ready, const void *a, const void *b, const void *bias, void *out, void *workspace);
  tare_status (*finish)(const tare_ready *ready, const void *partial, void *dweights);
} tare_candidate;

extern const tare_candidate tare_candidate_onednn, tare_candidate_im2col, tare_candidate_reference;

#endif
