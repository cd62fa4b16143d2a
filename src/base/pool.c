/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <tare/pool.h>

#include "base/alloc.h"
#include "base/error.h"

enum { MAX_THREADS = 256 };
/* A thread looks this often before it sleeps, some 50 microseconds: the phases of one training step follow each other faster than a sleeper wakes. */
enum { SPINS = 4000 };

struct worker { tare_pool *pool; int index; pthread_t thread; };

struct tare_pool {
  int threads;             /* workers, the caller among them */
  int started;             /* threads beside the caller; 0 with a runner */
  tare_pool_runner runner; /* NULL: threads of the pool's own */
  void *context;
  pthread_mutex_t lock;
  pthread_cond_t wake, done;
  atomic_uint generation;  /* one more for each run */
  atomic_int next;         /* the next job to be taken */
  atomic_int busy;         /* workers that have not finished this run */
  atomic_int entered;      /* workers that a runner has brought to this run */
  int jobs, stop;
  tare_job run;
  void *user;
  struct worker workers[MAX_THREADS];
};

/* A short rest between two looks. */
static inline void rest(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void take_jobs(tare_pool *pool, int worker) {
  int job;
  while ((job = atomic_fetch_add(&pool->next, 1)) < pool->jobs) pool->run(pool->user, job, worker);
}

static void wait_for_run(tare_pool *pool, unsigned seen) {
  for (int i = 0; i < SPINS; i++, rest())
    if (atomic_load(&pool->generation) != seen) return;
  pthread_mutex_lock(&pool->lock);
  while (atomic_load(&pool->generation) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

static void *work(void *argument) {
  struct worker *self = argument;
  tare_pool *pool = self->pool;
  for (unsigned seen = 0;;) {
    wait_for_run(pool, seen);
    seen++;
    if (pool->stop) return NULL;
    take_jobs(pool, self->index);
    if (atomic_fetch_sub(&pool->busy, 1) == 1) {
      pthread_mutex_lock(&pool->lock);
      pthread_cond_signal(&pool->done);
      pthread_mutex_unlock(&pool->lock);
    }
  }
}

static void start_run(tare_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  atomic_store(&pool->busy, pool->started);
  atomic_store(&pool->next, 0);
  atomic_fetch_add(&pool->generation, 1);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
}

/* What a runner calls. A call takes a number instead of being given one: no runner can give the same twice. */
static void come_to_work(void *argument) {
  tare_pool *pool = argument;
  int worker = atomic_fetch_add(&pool->entered, 1);
  if (worker < pool->threads) take_jobs(pool, worker);
}

static void run_elsewhere(tare_pool *pool) {
  atomic_store(&pool->next, 0);
  atomic_store(&pool->entered, 0);
  pool->runner(pool->context, pool->threads < pool->jobs ? pool->threads : pool->jobs, come_to_work, pool);
  come_to_work(pool); /* what is left where nobody came */
}

static void run_here(tare_pool *pool) {
  start_run(pool);
  take_jobs(pool, 0);
  for (int i = 0; i < SPINS && atomic_load(&pool->busy) > 0; i++) rest();
  pthread_mutex_lock(&pool->lock);
  while (atomic_load(&pool->busy) > 0) pthread_cond_wait(&pool->done, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

void tare_pool_run(tare_pool *pool, int jobs, tare_job run, void *user) {
  if (!pool || !run) return;
  if (pool->threads == 1 || jobs < 2) {
    for (int job = 0; job < jobs; job++) run(user, job, 0);
    return;
  }
  pool->jobs = jobs;
  pool->run = run;
  pool->user = user;
  if (pool->runner) run_elsewhere(pool);
  else run_here(pool);
}

/* A pool without threads yet. */
static tare_status create(int threads, tare_pool **out, tare_error *error) {
  if (threads < 1 || threads > MAX_THREADS)
    return tare_fail(error, TARE_E_ARGUMENT, "threads must be 1 to %d, not %d", MAX_THREADS, threads);
  if (!out) return tare_fail(error, TARE_E_ARGUMENT, "a thread pool needs a place to go");
  tare_pool *pool = tare_alloc(1, sizeof *pool);
  if (!pool) return tare_fail_memory(error, sizeof *pool, "a thread pool");
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pthread_cond_init(&pool->done, NULL);
  pool->threads = threads;
  *out = pool;
  return TARE_OK;
}

tare_status tare_pool_create(int threads, tare_pool **out, tare_error *error) {
  tare_pool *pool = NULL;
  tare_status status = create(threads, out ? &pool : NULL, error);
  if (status) return status;
  for (int i = 1; i < threads; i++) {
    pool->workers[i] = (struct worker){.pool = pool, .index = i};
    if (pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i])) {
      tare_pool_free(pool);
      return tare_fail(error, TARE_E_LIBRARY, "thread %d of %d could not be started", i + 1, threads);
    }
    pool->started++;
  }
  *out = pool;
  return TARE_OK;
}

tare_status tare_pool_create_with(int threads, tare_pool_runner runner, void *context, tare_pool **out, tare_error *error) {
  if (!runner) return tare_fail(error, TARE_E_ARGUMENT, "a pool on threads of others needs a function that runs on them");
  tare_status status = create(threads, out, error);
  if (status) return status;
  (*out)->runner = runner;
  (*out)->context = context;
  return TARE_OK;
}

void tare_pool_free(tare_pool *pool) {
  if (!pool) return;
  pool->stop = 1;
  if (pool->started) start_run(pool);
  for (int i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
  pthread_cond_destroy(&pool->done);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  tare_free(pool);
}
