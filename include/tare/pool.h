/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed set of worker threads that runs numbered jobs. Which worker runs a
 * job is not determined, so a job's result must depend on its number alone.
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
TARE_API void tare_pool_free(tare_pool *pool); /* NULL is fine */
/* Returns when every job is done. */
TARE_API void tare_pool_run(tare_pool *pool, int jobs, tare_job run, void *user);

#ifdef __cplusplus
}
#endif
#endif
