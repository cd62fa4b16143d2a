/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct convolutions: rows of outputs held in registers while all taps pass by.
 *
 * The lanes of a vector are outputs: those of a pixel, or of `P` pixels side by side (a group), which nhwc keeps side by
 * side too. Dense: an element of x meets a vector of weights; with P pixels the filter row has P - 1 columns more, and pixel p's lanes
 * hold it shifted by p columns. Depthwise: lanes of x meet the same lanes of the weights. Both are
 *
 *   y[g] = sum over rows a, taps t of x[a][g * step + t * tap] w[a][t],    dw[a][t] = sum over g of x[a][g * step + t * tap] dy[g]
 *
 * with x[.] one element that all lanes take, or (depthwise) the vector that begins there.
 */
#ifndef TARE_KERNEL_DIRECT_H
#define TARE_KERNEL_DIRECT_H

/*
 * Longer sums of a forward row are made in parts of at most TARE_DIRECT_TERMS terms, and of these TARE_DIRECT_PARTS at a time are added
 * up: an error grows with the root of the number of terms that are added one by one. Sliding kernels do not, and are for at most TARE_DIRECT_SLIDES terms.
 */
enum { TARE_DIRECT_TERMS = 160, TARE_DIRECT_PARTS = 32, TARE_DIRECT_SLIDES = 15 * 15 };

typedef enum tare_direct_kind {
  TARE_DIRECT_DENSE,
  TARE_DIRECT_DEPTHWISE,
  TARE_DIRECT_SLIDING, /* depthwise with step = tap = the lanes of a vector: x stays in a register for all the taps that meet it */
} tare_direct_kind;

typedef struct tare_direct {
  tare_direct_kind kind;
  int taps, tap;    /* of a filter row; elements of x from one to the next */
  int groups, step; /* in a row of outputs; elements of x from one to the next */
  int vectors;      /* of a group; weights and sums of a tap are whole vectors */
  int lanes, last;  /* outputs of a group, and of the last group of a row, which may have fewer pixels */
  int out;          /* elements of y from a group to the next */
} tare_direct;

/* Rows of outputs whose products with x are added up in registers, one after the other. */
typedef struct tare_direct_chain {
  int filter_rows;
  int rows, down;         /* of outputs; rows of x from one to the next */
  int first, groups;      /* of each row */
  const void *const *x;   /* (rows - 1) * down + filter_rows rows */
  const void *const *dy;
  const void *outside;    /* a row of zeros that stands in x for what is outside of the image */
} tare_direct_chain;

enum { TARE_DIRECT_SLACK = 3 }; /* so many groups behind those of a row may be read from x: numbers that do not matter */

#endif
