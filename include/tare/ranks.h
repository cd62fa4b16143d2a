/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranks: several processes (or threads) that train one network together. Each
 * holds the whole network and takes its share of every batch; gradients and
 * batch norm's sums are added over all of them, in the same fixed tree as
 * within one process: N ranks with batches of B/N give bitwise the weights of
 * one rank with batches of B, if B/N is 8, 16, 32, ... (shards of 8 images whose
 * subtree a rank sums by itself). doc/ranks.md has the details and what it costs.
 *
 * A tare_ranks is a table of what they can do together, so that any transport
 * will do; tare_ranks_join makes one over MPI. All ranks call the same
 * functions in the same order, each from one thread. A rank that fails must
 * end the job: the others wait for it.
 */
#ifndef TARE_RANKS_H
#define TARE_RANKS_H

#include <stddef.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* This process among its equals, and how it talks to them. */
typedef struct tare_ranks {
  int rank, count;     /* 0 .. count-1; count at least 1 */
  int own_statistics;  /* 1: batch norm takes each rank's own images (then N ranks are not one); 0: those of all ranks */
  void *self;          /* handed to the functions */
  /* all: count x bytes, what every rank calls `mine`, in the order of ranks. */
  tare_status (*gather)(void *self, const void *mine, size_t bytes, void *all, tare_error *error);
  /* data of rank 0 into data of every rank. */
  tare_status (*broadcast)(void *self, void *data, size_t bytes, tare_error *error);
  /*
   * Two that may go on while the caller computes; arrays must stay as they are until `finish` says done. *request is theirs.
   * exchange: parts holds count x bytes, part r goes to rank r; all gets the parts for this rank, in the order of ranks. collect: as gather.
   */
  tare_status (*exchange)(void *self, const void *parts, size_t bytes, void *all, void **request, tare_error *error);
  /* The other of the two. */
  tare_status (*collect)(void *self, const void *mine, size_t bytes, void *all, void **request, tare_error *error);
  /* *done is 1 when the request is, and *request NULL then; `wait`: not before. */
  tare_status (*finish)(void *self, void **request, int wait, int *done, tare_error *error);
} tare_ranks;

/*
 * *share: images of a batch of `batch` that each rank takes. TARE_E_ARGUMENT, naming batches that would do, unless it is the same
 * for all and, with several ranks, 8 times a power of two. Thread-safe.
 */
TARE_API tare_status tare_ranks_share(const tare_ranks *ranks, int batch, int *share, tare_error *error);

/* 1 if this process was started as one of several by Open MPI's mpirun (or by PMIx). Thread-safe. */
TARE_API int tare_ranks_launched(void);
/*
 * Joins them: MPI_Init_thread (FUNNELED) unless the program has called it, on a copy of MPI_COMM_WORLD. TARE_E_UNSUPPORTED
 * without Open MPI. MPI sits in a module of its own (tare-mpi.so), loaded here. On success *out is the caller's.
 */
TARE_API tare_status tare_ranks_join(tare_ranks **out, tare_error *error);
/* Frees it; waits for the other ranks and ends MPI if join began it. NULL is fine. */
TARE_API void tare_ranks_leave(tare_ranks *ranks);

#ifdef __cplusplus
}
#endif
#endif
