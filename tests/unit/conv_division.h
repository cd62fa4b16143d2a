/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well a step's work is divided among threads, whatever else the machine does: while tracing, tare_pool_run runs the jobs one
 * after the other and takes the processor time of each; threads that take jobs in order, the next free one the next, would need the time
 * of the one with the most. Link with -Wl,--wrap=tare_pool_run.
 */
#ifndef CONV_DIVISION_H
#define CONV_DIVISION_H

#include <tare/pool.h>
#include <time.h>

enum { MOST_THREADS = 8 };

/* Seconds: in jobs; and what these would take with so many threads. */
static struct trace { int on; double inside, divided[MOST_THREADS + 1]; } trace;

void __real_tare_pool_run(tare_pool *pool, int jobs, tare_job run, void *user);
void __wrap_tare_pool_run(tare_pool *pool, int jobs, tare_job run, void *user);

static double processor_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Gives a job to the thread that is free first. */
static void give(double *loads, int threads, double seconds) {
  int free = 0;
  for (int i = 1; i < threads; i++)
    if (loads[i] < loads[free]) free = i;
  loads[free] += seconds;
}

void __wrap_tare_pool_run(tare_pool *pool, int jobs, tare_job run, void *user) {
  double loads[MOST_THREADS + 1][MOST_THREADS] = {{0}};
  if (!trace.on) {
    __real_tare_pool_run(pool, jobs, run, user);
    return;
  }
  for (int job = 0; job < jobs; job++) {
    double start = processor_time(), seconds;
    run(user, job, 0);
    seconds = processor_time() - start;
    trace.inside += seconds;
    for (int n = 1; n <= MOST_THREADS; n++) give(loads[n], n, seconds);
  }
  for (int n = 1; n <= MOST_THREADS; n++) {
    double most = 0;
    for (int i = 0; i < n; i++) most = loads[n][i] > most ? loads[n][i] : most;
    trace.divided[n] += most;
  }
}

/* Runs `work` and says how many times faster n threads would be than one, for each n. */
static void measure_division(void (*work)(void *user), void *user, double speedup[MOST_THREADS + 1]) {
  trace = (struct trace){.on = 1};
  double start = processor_time();
  work(user);
  double all = processor_time() - start;
  trace.on = 0;
  for (int n = 1; n <= MOST_THREADS; n++) speedup[n] = all / (all - trace.inside + trace.divided[n]);
}

#endif
