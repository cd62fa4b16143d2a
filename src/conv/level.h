/* SPDX-License-Identifier: Apache-2.0 */
/* Brightness taken off by image, for candidates that do not see to it themselves. Floats only: in double nothing need be subtracted. */
#ifndef TARE_CONV_LEVEL_H
#define TARE_CONV_LEVEL_H

#include "conv/candidate.h"

/* What it needs around a candidate, in floats; all 0: it is off. */
typedef struct tare_brightness {
  int on;
  size_t x, means, sums; /* areas of the workspace; x: the copy that is levelled, 0 where the plan has made one already */
  size_t prepared;       /* behind the candidate's: the filters' sums, doubles */
  size_t partial;        /* behind the candidate's: what brightness makes of each slice's gradient */
} tare_brightness;

/* problem: as the caller has it. */
int tare_brightness_is_on(const tare_conv_problem *problem, const tare_query *query, const tare_candidate *how);
tare_brightness tare_brightness_sizes(const tare_query *query, int is_copied);

void tare_brightness_prepare(const tare_query *query, const float *weights, double *filters);

/* A call on the images of a part, as the candidate sees them. */
typedef struct tare_brightness_call {
  const tare_ready *ready;
  const float *x, *bias, *dy;
  const double *filters;    /* their sums */
  float *levelled, *shifts; /* x and what was added to it: the means, turned */
  double *sums;
  float *y, *gradient;
} tare_brightness_call;

/* levelled = x - means; it may be x. */
void tare_brightness_images(tare_brightness_call *w, tare_pool *pool);
/* y += the bias, and what the means make of the filters. */
void tare_brightness_outputs(tare_brightness_call *w, tare_pool *pool);
/* gradient = what the means make of it. */
void tare_brightness_gradient(tare_brightness_call *w, tare_pool *pool);
/* The gradient into each tap. */
void tare_brightness_finish(const tare_query *query, const float *gradient, float *dweights);

#endif
