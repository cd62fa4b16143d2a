/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timing in turns: each engine runs for a moment (a turn), then the next one, round and round, so that what disturbs the machine
 * disturbs all alike. OpenMP's threads look for work for some milliseconds after a run; a pause before each turn lets them sleep.
 */
#include "bench.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "onednn/onednn.h"

#define TURN 0.02    /* seconds */
#define PAUSE 0.006 /* GCC's OpenMP spins 300,000 times: 4 ms here */
#define ENOUGH 0.2   /* of the time there is, in timed runs */
#define TOO_LATE 4   /* times the limit: one run of this length is enough */
#define BUSY 0.1     /* a share of the processors that makes times doubtful */
#define TRIFLING 0.1 /* seconds: who gives less does not want to know */
enum { LEAST_RUNS = 5, MOST_CORES = 256 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double timed(bench_engine *e) {
  double start = now();
  tare_status status = e->run(e->own);
  if (status) e->times.status = (int)status;
  return now() - start;
}

static void record(bench_times *t, double seconds) {
  t->runs[t->count++] = seconds;
  t->total += seconds;
  if (t->count == 1 || seconds < t->best) t->best = seconds;
  int few = t->best * LEAST_RUNS > t->limit ? 2 : LEAST_RUNS; /* a slow one; not one that was held up once */
  int enough = t->count >= LEAST_RUNS && t->total >= ENOUGH * t->limit, late = t->total >= t->limit && t->count >= few;
  t->done = t->status || enough || late || t->total >= TOO_LATE * t->limit || t->count == BENCH_MOST_RUNS;
}

/* The first run is not counted, unless it takes all the time there is: then there is one more, or none after a very long one. */
static void warm_up(bench_engine *e, double limit) {
  e->times = (bench_times){.limit = limit};
  double first = timed(e);
  if (first >= limit || e->times.status) record(&e->times, first);
}

static void take_turn(bench_engine *e) {
  nanosleep(&(struct timespec){.tv_nsec = (long)(PAUSE * 1e9)}, NULL);
  double start = now(), first = timed(e);
  if (first > TURN / 2) record(&e->times, first); /* else it only brings the caches back */
  while (!e->times.done && now() - start < TURN) record(&e->times, timed(e));
}

void bench_race(bench_engine *engines, int count, double seconds) {
  for (int i = 0; i < count; i++) warm_up(&engines[i], seconds);
  for (int left = 1; left && !cli_interrupted();) {
    left = 0;
    for (int i = 0; i < count; i++) {
      if (!engines[i].times.done) take_turn(&engines[i]);
      left |= !engines[i].times.done;
    }
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(bench_times *t) {
  qsort(t->runs, (size_t)t->count, sizeof *t->runs, compare);
  return t->count ? (t->runs[(t->count - 1) / 2] + t->runs[t->count / 2]) / 2 : 0;
}

/* Time slices of all processors: spent on work, and in all (proc(5)). */
static int read_slices(double *busy, double *all) {
  unsigned long long t[8] = {0}; /* user, nice, system, idle, waiting for input, two kinds of interrupts, stolen */
  FILE *file = fopen("/proc/stat", "r");
  int count = file ? fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) : 0;
  if (file) fclose(file);
  *all = 0;
  for (int i = 0; i < 8; i++) *all += (double)t[i];
  *busy = *all - (double)t[3] - (double)t[4];
  return count >= 5;
}

/* Of this process, in the same slices: threads of libraries spin for a while after the start. */
static double own_slices(void) {
  struct timespec t;
  return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) ? 0 : ((double)t.tv_sec + (double)t.tv_nsec * 1e-9) * (double)sysconf(_SC_CLK_TCK);
}

/* The share of the processors' time that other work takes now; 0 where the system does not say. */
static double other_work(void) {
  double busy[2], all[2], own = own_slices();
  if (!read_slices(&busy[0], &all[0])) return 0;
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  if (!read_slices(&busy[1], &all[1]) || all[1] <= all[0]) return 0;
  return fmax(0, busy[1] - busy[0] - (own_slices() - own)) / (all[1] - all[0]);
}

void bench_warn_if_busy(double seconds) {
  double busy = seconds < TRIFLING ? 0 : other_work();
  if (busy > BUSY) cli_say("other work keeps the processors busy (%.0f %%): these times are provisional", busy * 100);
}

typedef struct pinning { cpu_set_t allowed; atomic_int arrived; int threads; } pinning;

/* The thread's own core: the index-th that this process may use. */
static void pin_one(void *user, int index) {
  const pinning *p = user;
  for (int core = 0; core < CPU_SETSIZE; core++) {
    if (!CPU_ISSET(core, &p->allowed) || index-- > 0) continue;
    cpu_set_t mine;
    CPU_ZERO(&mine);
    CPU_SET(core, &mine);
    sched_setaffinity(0, sizeof mine, &mine);
    return;
  }
}

/* A job of a pool: waits for the others, so that each is on a thread of its own. */
static void pin_worker(void *user, int job, int worker) {
  (void)job;
  pinning *p = user;
  atomic_fetch_add(&p->arrived, 1);
  while (atomic_load(&p->arrived) < p->threads) sched_yield();
  pin_one(p, worker);
}

void bench_pin(int threads, tare_pool *pool) {
  pinning p = {.threads = threads};
  if (sched_getaffinity(0, sizeof p.allowed, &p.allowed) || CPU_COUNT(&p.allowed) < threads || threads > MOST_CORES) return;
  if (pool) tare_pool_run(pool, threads, pin_worker, &p);
  tare_onednn_each_thread(threads, pin_one, &p);
}
