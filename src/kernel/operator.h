/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A basis as an operator on one unit: w = offset + D S (1 - L R') P t.
 *   P   places coefficients at coordinates (runs), zeros elsewhere;
 *   L R' low-rank updates of small sets of coordinates (blocks), or dense blocks;
 *   S   one scale a coordinate;   D   the separable inverse DCT of each slice.
 * Arrays named REAL are in the precision of the kernel table that is called.
 */
#ifndef TARE_KERNEL_OPERATOR_H
#define TARE_KERNEL_OPERATOR_H

typedef struct tare_run { int coefficient, coordinate, length; } tare_run;

/* u[index] -= L (R' u[index]); left and right hold `rank` rows of `size` REALs. */
typedef struct tare_block { int size, rank; const int *index; const void *left, *right; } tare_block;

/* u[index] += G t[coefficient]; matrix holds `size` rows of `columns` REALs. */
typedef struct tare_dense { int size, columns; const int *index, *coefficient; const void *matrix; } tare_dense;

enum { TARE_AXIS_GRAIN = 4 }; /* outputs of a DCT that are computed together */

/* One axis of the DCT: D[k][i] = c_k cos(pi (i + 1/2) k / n), orthonormal; REAL. */
typedef struct tare_axis {
  int size, half, pad;      /* half = ceil(size / 2), pad = half rounded up to TARE_AXIS_GRAIN */
  const void *even, *odd;   /* rows k = 0, 2, ... and 1, 3, ...; columns i < half, padded with 0 to `pad` */
  const void *even_t, *odd_t; /* their transposes: rows i < half, columns k/2 padded with 0 to `pad` */
} tare_axis;

typedef struct tare_operator {
  int taps, coefficients, slices;  /* of a unit; taps = slices x product of axis sizes */
  int dims;                        /* axes */
  int transform;                   /* 1: D is the DCT, 0: the identity */
  tare_axis axis[3];
  int runs, blocks, denses;
  const tare_run *run;
  const tare_block *block;
  const tare_dense *dense;
  const void *scale;               /* taps REALs, or NULL for 1 */
  const void *offset;              /* taps REALs, or NULL for 0 */
} tare_operator;

#endif
