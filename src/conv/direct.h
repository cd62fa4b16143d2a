/* SPDX-License-Identifier: Apache-2.0 */
/* The form that the candidate direct gives a pass: one correlation of images, whose filters may have been turned round. */
#ifndef TARE_CONV_DIRECT_H
#define TARE_CONV_DIRECT_H

#include "conv/candidate.h"

typedef struct tare_direct_form {
  int flipped;              /* backward data: from dy to dx, taps and channels the other way round */
  int from[2], to[2];       /* rows and columns of the images read and of those written */
  int kernel[2], pad[2];    /* pad: below 0, the first pixels are not read */
  int channels, outputs;    /* of a pixel in these images */
  int blocks;               /* of channels, one after the other; 0: rows are read with all channels */
  int lines, pixels;        /* of a group: its pixels stand in that many rows and columns */
  int rows;                 /* of the filter as the kernels see it: lines - 1 more */
  int width;                /* lanes of all vectors of a group */
  tare_direct shape;        /* shape.lanes, last: of a block that is full */
} tare_direct_form;

/* How many parts n makes of at most `most`. */
static inline int tare_direct_parts(int n, int most) { return (n + most - 1) / most; }
/* Only for problems without stride and dilation, with one group or depthwise. */
tare_direct_form tare_direct_form_of(const tare_conv_problem *problem, tare_pass pass, int lanes);
/* Elements of a row of x as the kernels read it. */
size_t tare_direct_row(const tare_direct_form *form);
/* Elements of the prepared weights or the partial gradient. */
size_t tare_direct_weights_size(const tare_direct_form *form);
/* 1 if folding goes along the channels, for the outputs are too few. */
int tare_direct_folds_channels(const tare_direct_form *form);
/* Plain weights to the kernels' form; and a gradient in that form to the plain one. */
void tare_direct_fold(const tare_direct_form *form, const float *weights, float *folded);
void tare_direct_unfold(const tare_direct_form *form, const float *folded, float *weights);
/* direct_cost.c. Cycles of a pass; backward weights: of chains of so many rows, with dy copied or not. */
double tare_direct_cycles(const tare_conv_problem *problem, const tare_direct_form *form, tare_pass pass, int lanes, int chain, int copies_dy);

#endif
