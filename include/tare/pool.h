/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed set of worker threads that runs numbered jobs: threads of its own, or
 * those of a program that has some already. Which worker runs a job is not
 * determined, so a job's result must depend on its number alone.
 * With one thread everything runs in the caller and no thread is made.
 * One tare_pool_run at a time; jobs must not call tare_pool_run on their own pool.
 */
#ifndef TARE_POOL_H
#define TARE_POOL_H

#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_pool tare_pool; /* threads that wait for jobs */

/* job: 0 .. jobs-1; worker: 0 .. threads-1, at most one job at a time each (its scratch memory). */
typedef void (*tare_job)(void *user, int job, int worker);

TARE_API tare_status tare_pool_create(int threads, tare_pool **out, tare_error *error); /* threads 1 to 256 */

/*
 * Calls body(argument) on up to `threads` threads at the same time, the caller's or not, and returns when every call has returned.
 * Fewer calls do all the jobs too (one inside a parallel region, say), and after none the caller does them; calls one after another, or
 * more than `threads` of them, do no harm. What each thread wrote must be seen by the caller afterwards.
 */
typedef void (*tare_pool_runner)(void *context, int threads, void (*body)(void *argument), void *argument);

/*
 * A pool without threads of its own: tare_pool_run calls `runner`, in the caller's thread, once for each run of two jobs or more; workers
 * are numbered as they come, 0 to threads - 1. With one thread it is not called. `context`, handed to it, is the caller's and must stay
 * until tare_pool_free. A child of fork may use the pool if it may use the runner. threads 1 to 256; TARE_E_ARGUMENT without a runner.
 */
TARE_API tare_status tare_pool_create_with(int threads, tare_pool_runner runner, void *context, tare_pool **out, tare_error *error);
TARE_API void tare_pool_free(tare_pool *pool); /* NULL is fine */
/* Returns when every job is done. */
TARE_API void tare_pool_run(tare_pool *pool, int jobs, tare_job run, void *user);

#ifdef __cplusplus
}
#endif
#endif
