/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a candidate is: one way to do passes of a convolution. The table of
 * all is in candidates.c; doc/conv.md says how to add one.
 */
#ifndef TARE_CONV_CANDIDATE_H
#define TARE_CONV_CANDIDATE_H

#include <tare/conv.h>

#include "kernel/kernel.h"

struct tare_candidate;

/* One pass made ready by one candidate; immutable after create. Sizes in elements of the precision. */
typedef struct tare_ready {
  const struct tare_candidate *how;
  tare_conv_problem problem; /* as the candidate sees it: with a border that it cannot do, the problem of the padded images */
  const tare_kernels *kernels;
  tare_pass pass;
  size_t prepared, partial, workspace;
  void *own;                 /* the candidate's */
} tare_ready;

/* What a candidate thinks of one pass of a problem. */
typedef struct tare_verdict {
  double cycles;   /* of one core, estimated; below 0: it declines */
  char reason[96]; /* why it declines, or how it would do it */
} tare_verdict;

typedef struct tare_candidate {
  const char *name;
  int precisions; /* bits 1 << tare_precision */
  int borders;    /* bits 1 << tare_border that it does itself; for another one the plan pads the images and folds their gradient */
  /* Fast, and the same each time on one machine: no timing. The problem has a border of `borders`. */
  void (*judge)(const tare_conv_problem *problem, tare_pass pass, tare_verdict *verdict);
  /* Fills the sizes and `own`; on failure the plan calls free (NULL: nothing to free). */
  tare_status (*create)(tare_ready *ready, tare_error *error);
  void (*free)(tare_ready *ready);
  /* Forward and backward data: plain weights to the prepared form. */
  tare_status (*prepare)(const tare_ready *ready, const void *weights, void *prepared);
  /* Forward: x, prepared, bias or NULL to y. Backward data: dy, prepared, NULL to dx. Backward weights: x, dy, NULL to the partial. */
  tare_status (*run)(const tare_ready *ready, const void *a, const void *b, const void *bias, void *out, void *workspace);
  /* Backward weights: the partial to plain weights. */
  tare_status (*finish)(const tare_ready *ready, const void *partial, void *dweights);
} tare_candidate;

/* In order; of two that expect the same time the first is chosen. NULL at the end. */
extern const tare_candidate *const tare_candidates[];
extern const tare_candidate tare_candidate_onednn, tare_candidate_im2col, tare_candidate_reference;

/* Multiplications and additions of one pass. */
double tare_conv_flops(const tare_conv_problem *problem);
/* Elements of the plain weights. */
size_t tare_conv_weights_size(const tare_conv_problem *problem);

#endif
