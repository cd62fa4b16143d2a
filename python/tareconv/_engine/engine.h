/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions for the frameworks: plain arrays in and out, plans and workspaces kept between calls.
 *
 * A call is named by one string, so that every framework can carry it through its graphs and files:
 *   "PROBLEM LAYOUT PRECISION PASSES FLAGS", as in "n8c32h64o32k15p7 nchw f32 7 0"
 * with a problem string, and sums of passes and of flags as in tare/conv.h. `threads` is how many may work on a call, 0: as many as
 * the process may use. The results have the same bits for every number of them, and `saved` may be read by a call with another number.
 * They are the engine's own threads, or with `parallel` those that an OpenMP library has.
 *
 * Arrays belong to the caller and may lie anywhere; those that do not lie on 64 bytes are copied. What forward leaves in
 * `saved` (prepared weights, spectra) spares the backward pass of the same x and weights their computation.
 * All functions may be called by many threads at once; calls at the same time use workspaces and threads of their own.
 * A process that forks may go on calling in the child, where `parallel` is left alone: OpenMP's threads are not there any more.
 */
#ifndef TARECONV_ENGINE_H
#define TARECONV_ENGINE_H

#include <stddef.h>

/*
 * Functions return 0, or a int (below 0) after writing at most TARECONV_MESSAGE bytes to `message`: what was expected and what was
 * found. This header needs none of tare's, so that the operators of frameworks can be compiled where those are not.
 */
enum { TARECONV_MESSAGE = 1000 };

/*
 * The function GOMP_parallel of an OpenMP library (GCC's; LLVM's and Intel's have it too), or NULL. It is called with 0 threads: as
 * many as the library gives the calling thread, of which no more than `threads` work. For another number it would have to end and
 * start threads.
 */
typedef void (*tareconv_parallel)(void (*body)(void *argument), void *argument, unsigned threads, unsigned flags);
/* From now on a forked child leaves `parallel` alone; else from the first call on. */
void tareconv_watch_forks(void);

/* Elements (not bytes) of a call's arrays; the pixels of y along each axis (planes, rows, columns; 1 where there is no such axis). */
typedef struct tareconv_sizes { size_t x, weights, bias, y, saved, result[3]; } tareconv_sizes;

/* The arrays of a call. */
typedef struct tareconv_arrays {
  const void *x, *weights, *bias, *dy; /* read */
  void *saved;                         /* written by forward, read by backward; NULL: nothing is saved, and computed again */
  void *y, *dx, *dweights;             /* written */
} tareconv_arrays;

int tareconv_sizes_of(const char *call, tareconv_sizes *out, char *message);
/* x, weights, y; bias and saved may be NULL. */
int tareconv_forward(const char *call, int threads, tareconv_parallel parallel, const tareconv_arrays *arrays, char *message);
/* dy, and x for dweights, weights for dx; a gradient that is NULL is not computed. */
int tareconv_backward(const char *call, int threads, tareconv_parallel parallel, const tareconv_arrays *arrays, char *message);
/* The plan's candidates and the reasons, as many lines; into text (always terminated). Returns the whole length, 0 after an error. */
size_t tareconv_describe(const char *call, char *text, size_t size, char *message);

/* What an operator of a framework needs, as one table: it is given this when it is loaded, and links with nothing of ours. */
typedef struct tareconv_engine {
  int (*sizes)(const char *call, tareconv_sizes *out, char *message);
  int (*forward)(const char *call, int threads, tareconv_parallel parallel, const tareconv_arrays *arrays, char *message);
  int (*backward)(const char *call, int threads, tareconv_parallel parallel, const tareconv_arrays *arrays, char *message);
} tareconv_engine;

const tareconv_engine *tareconv_engine_table(void);

#endif
