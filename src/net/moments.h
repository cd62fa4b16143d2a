/* SPDX-License-Identifier: Apache-2.0 */
/* Mean and variance a channel: per shard in the net's precision, put together in double. */
#ifndef TARE_NET_MOMENTS_H
#define TARE_NET_MOMENTS_H

#include "kernel/kernel.h"

/* Channels repeated until they fill vector registers: what the kernels of norm.c call a period. */
size_t tare_period(int channels);
/* `channels` values in double, repeated over a period in the kernels' precision. */
void tare_spread(const tare_kernels *kernels, int channels, const double *values, void *vector);
/* The adjoint: values[c] = sum of the vector's elements of channel c. */
void tare_gather(const tare_kernels *kernels, int channels, const void *vector, double *values);
/* The same, the sums in the kernels' precision. */
void tare_fold(const tare_kernels *kernels, int channels, const void *vector, void *sums);

/* Of `count` numbers a channel: their mean, and the sum of squared distances from it (2 x channels doubles in one array). */
typedef struct tare_moments { double count, *mean, *squares; } tare_moments;
/* Of `positions` pixels of x. scratch: 3 periods in the kernels' precision. */
void tare_moments_take(const tare_kernels *kernels, size_t positions, int channels, const void *x, void *scratch, tare_moments *out);
/* into = both together (Chan, Golub & LeVeque 1979). */
void tare_moments_merge(int channels, tare_moments *into, const tare_moments *other);
/* Rows of `count` doubles, one after the other: all added into the first, in the fixed tree. */
void tare_rows_tree(double *first, size_t count, int rows);
/* All into the first, in the fixed tree. */
void tare_moments_tree(int channels, tare_moments *list, int count);

#endif
