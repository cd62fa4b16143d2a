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

/* A group of passes (a sum of tare_pass) that one candidate would do together. */
typedef struct tare_query {
  tare_conv_problem problem; /* as the candidate sees it: with a border that it cannot do, the problem of the padded images */
  int passes;                /* several only for candidates that join passes */
  int flags;                 /* of tare_conv_flag */
  int threads;               /* the most of a call's pool */
  size_t limit;              /* of workspace and kept together, in elements; SIZE_MAX: none */
} tare_query;

/* What a candidate thinks of a query. */
typedef struct tare_verdict {
  double cycles;   /* of one core, estimated; below 0: it declines */
  double error;    /* rms of the result's errors over that of the result, estimated for random numbers; 0: no more than a rounding */
  char reason[96]; /* why it declines, or how it would do it */
} tare_verdict;

/* Passes made ready by one candidate; immutable after create. Sizes in elements of the precision. */
typedef struct tare_ready {
  const struct tare_candidate *how;
  tare_query query;
  const tare_kernels *kernels;
  size_t prepared, partial, kept, workspace;
  void *own; /* the candidate's */
} tare_ready;

/* The arrays of one call, nhwc; those that its passes do not need are unset. */
typedef struct tare_call {
  const void *x, *dy, *prepared, *bias; /* bias may be NULL */
  void *y, *dx, *partial;
  void *kept;      /* forward writes it, backward reads it; may be NULL */
  void *workspace;
  tare_pool *pool; /* NULL: the calling thread alone */
} tare_call;

typedef struct tare_candidate {
  const char *name;
  int precisions; /* bits 1 << tare_precision */
  int borders;    /* bits 1 << tare_border that it does itself; for another one the plan pads the images and folds their gradient */
  int flags;      /* of tare_conv_flag that it sees to itself: BRIGHTNESS; SHARED: it uses the pool. For the others the plan subtracts image means (none of them may keep anything), and cuts the batch */
  int joins;      /* it is asked for several passes together too */
  int planes;     /* it does problems with planes (3-D) too; others see one plane, [2] of each size 1 and no padding there */
  /* Fast, and the same each time on one machine: no timing. The problem has a border of `borders`. */
  void (*judge)(const tare_query *query, tare_verdict *verdict);
  /* Fills the sizes and `own`; on failure the plan calls free (NULL: nothing to free). */
  tare_status (*create)(tare_ready *ready, tare_error *error);
  void (*free)(tare_ready *ready);
  /* Forward and backward data: plain weights to the prepared form (once for all passes of the group). */
  tare_status (*prepare)(const tare_ready *ready, const void *weights, void *prepared, void *workspace, tare_pool *pool);
  /* passes: of the query's, those to do now: forward alone, or backward ones. */
  tare_status (*run)(const tare_ready *ready, int passes, const tare_call *call);
  /* Backward weights: the partial to plain weights. */
  tare_status (*finish)(const tare_ready *ready, const void *partial, void *dweights, void *workspace, tare_pool *pool);
} tare_candidate;

/* In order; of two that expect the same time the first is chosen. NULL at the end. */
extern const tare_candidate *const tare_candidates[];
extern const tare_candidate tare_candidate_onednn, tare_candidate_direct, tare_candidate_fft, tare_candidate_im2col, tare_candidate_reference;

/*
 * Kinds of cores that cycles are estimated for: each estimate was fitted on one of either (doc/conv.md). What kernels are used is another matter: TARE_CPU
 * lowers those, not the core.
 */
typedef enum tare_core { TARE_CORE_AVX512, TARE_CORE_OLDER, TARE_CORES } tare_core;
tare_core tare_conv_core(void);
/* Cycles fitted on TARE_CORE_AVX512, on this core: `older` times as many on TARE_CORE_OLDER. */
double tare_conv_cycles_here(double cycles, double older);

/* The problem with the sizes of an axis of planes that were left 0 filled in, as plans and candidates see it. */
tare_conv_problem tare_conv_problem_complete(const tare_conv_problem *problem);
/* One plane in, one out: a 2-D problem. */
int tare_conv_problem_is_flat(const tare_conv_problem *problem);
/* Pixels of one image: of x, and of y. */
size_t tare_conv_pixels(const tare_conv_problem *problem);
size_t tare_conv_output_pixels(const tare_conv_problem *problem);
/* Multiplications and additions of one pass. */
double tare_conv_flops(const tare_conv_problem *problem);
/* The part of so many bytes that is not in the L3 cache when it is needed again: 0 to 1. */
double tare_conv_beyond(double bytes);
/* Cycles that reading the images and writing the outputs (or the other way round) costs beside the arithmetic: what exceeds the L3 cache. */
double tare_conv_memory_cycles(const tare_conv_problem *problem);
/* Products that are added up in one value of a pass's result. */
double tare_conv_terms(const tare_conv_problem *problem, tare_pass pass);
/* The error (of a verdict) of float sums of `terms` products, in chains of at most `chain` that are added up one after another. */
double tare_conv_chain_error(double terms, double chain);
/* Elements of one image, of its outputs, and of the plain weights. */
size_t tare_conv_image_size(const tare_conv_problem *problem);
size_t tare_conv_result_size(const tare_conv_problem *problem);
size_t tare_conv_weights_size(const tare_conv_problem *problem);
/* Elements, rounded up to whole cache lines. */
static inline size_t tare_aligned(size_t elements) { return (elements + 15) / 16 * 16; }
/* run(user, job, worker) for jobs 0 .. jobs-1, on the pool or (NULL) in the calling thread. */
void tare_conv_each(tare_pool *pool, int jobs, tare_job run, void *user);

#endif
