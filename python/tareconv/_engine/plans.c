/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "plans.h"

enum { MOST_PLANS = 256, MOST_THREADS = 256, PROBLEM_LENGTH = 200, LINE = 64, LARGE_PAGE = 2 << 20 };

/* The state of the process, behind one lock that is never held while something is computed. */
static struct {
  pthread_mutex_t lock;
  pthread_once_t forking;
  tareconv_plan *plans[MOST_PLANS];
  int count;
  unsigned long clock;
  tareconv_crew *crews; /* those without work */
  int is_child;         /* of a fork */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .forking = PTHREAD_ONCE_INIT};

static void lock(void) { pthread_mutex_lock(&state.lock); }
static void unlock(void) { pthread_mutex_unlock(&state.lock); }

/* The threads of a crew do not live on in a child: it makes new ones, and lets the memory of the old lie. */
static void in_child(void) {
  state.crews = NULL;
  state.is_child = 1;
  unlock();
}

static void watch(void) { pthread_atfork(lock, unlock, in_child); }

void tareconv_watch_forks(void) { pthread_once(&state.forking, watch); }

tare_status tareconv_fail(tare_error *error, tare_status status, const char *format, ...) {
  if (!error) return status;
  va_list list;
  va_start(list, format);
  vsnprintf(error->message, sizeof error->message, format, list);
  va_end(list);
  error->status = status;
  return status;
}

static int all_cores(void) {
  cpu_set_t set;
  int cores = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : cores;
}

/* What a call's string says. */
static tare_status parse(const char *call, tare_conv_problem *problem, tare_conv_options *options, tare_error *error) {
  char text[PROBLEM_LENGTH], layout[8], precision[8];
  int end = 0;
  *options = (tare_conv_options){0};
  int found = sscanf(call, "%199s %7s %7s %d %d%n", text, layout, precision, &options->passes, &options->flags, &end);
  int known = found == 5 && !call[end] && (!strcmp(layout, "nchw") || !strcmp(layout, "nhwc")) &&
              (!strcmp(precision, "f32") || !strcmp(precision, "f64"));
  if (!known)
    return tareconv_fail(error, TARE_E_SYNTAX, "expected a call as 'PROBLEM nchw|nhwc f32|f64 PASSES FLAGS', found '%s'", call);
  options->layout = layout[1] == 'c' ? TARE_NCHW : TARE_NHWC;
  options->precision = precision[1] == '3' ? TARE_F32 : TARE_F64;
  options->flags |= TARE_CONV_SHARED;
  options->threads = all_cores();
  return tare_conv_problem_parse(text, problem, error);
}

static size_t product(const int sizes[3]) {
  size_t all = 1;
  for (int i = 0; i < 3; i++) all *= sizes[i] > 1 ? (size_t)sizes[i] : 1;
  return all;
}

static void measure(tareconv_plan *p) {
  const tare_conv_problem *problem = &p->problem;
  const int result[3] = {tare_conv_output_size(problem, 2), tare_conv_output_size(problem, 0), tare_conv_output_size(problem, 1)};
  const size_t batch = (size_t)problem->batch, outputs = (size_t)problem->outputs, channels = (size_t)problem->channels;
  for (int i = 0; i < 3; i++) p->sizes.result[i] = result[i] > 1 ? (size_t)result[i] : 1;
  p->sizes.x = batch * channels * product(problem->size);
  p->sizes.y = batch * outputs * product(result);
  p->sizes.weights = outputs * (channels / (size_t)problem->groups) * product(problem->kernel);
  p->sizes.bias = outputs;
  p->kept_at = (tare_conv_prepared_size(p->plan) * p->real + LINE - 1) / LINE * LINE / p->real;
  p->sizes.saved = p->kept_at + tare_conv_kept_size(p->plan);
}

static void free_plan(tareconv_plan *p) {
  if (!p) return;
  tare_conv_plan_free(p->plan);
  free(p->call);
  free(p);
}

static tare_status make_plan(const char *call, tareconv_plan **out, tare_error *error) {
  tare_conv_options options;
  tareconv_plan *p = calloc(1, sizeof *p);
  if (!p || !(p->call = strdup(call))) {
    free_plan(p);
    return tareconv_fail(error, TARE_E_MEMORY, "out of memory");
  }
  tare_status status = parse(call, &p->problem, &options, error);
  if (!status) status = tare_conv_plan_create(&p->problem, &options, &p->plan, error);
  if (status) {
    free_plan(p);
    return status;
  }
  p->real = options.precision == TARE_F32 ? sizeof(float) : sizeof(double);
  measure(p);
  *out = p;
  return TARE_OK;
}

/* Under the lock. */
static tareconv_plan *use(const char *call) {
  for (int i = 0; i < state.count; i++) {
    tareconv_plan *p = state.plans[i];
    if (strcmp(p->call, call)) continue;
    p->used = ++state.clock;
    p->users++;
    return p;
  }
  return NULL;
}

/* Under the lock: a place for one more, that of the plan longest unused when there are too many; NULL: all are at work. */
static tareconv_plan **place(void) {
  if (state.count < MOST_PLANS) return &state.plans[state.count++];
  tareconv_plan **oldest = NULL;
  for (int i = 0; i < state.count; i++)
    if (!state.plans[i]->users && (!oldest || state.plans[i]->used < (*oldest)->used)) oldest = &state.plans[i];
  if (oldest) free_plan(*oldest);
  return oldest;
}

/* Under the lock: keeps a plan that is new, unless another thread has just kept one of the same call. */
static tareconv_plan *keep(tareconv_plan *fresh) {
  tareconv_plan *there = use(fresh->call);
  if (there) {
    free_plan(fresh);
    return there;
  }
  tareconv_plan **where = place();
  if (where) *where = fresh;
  fresh->users = where ? 1 : -1; /* -1: kept by its one user alone */
  fresh->used = ++state.clock;
  return fresh;
}

tare_status tareconv_plan_get(const char *call, tareconv_plan **out, tare_error *error) {
  lock();
  tareconv_plan *p = use(call);
  unlock();
  if (!p) {
    tare_status status = make_plan(call, &p, error);
    if (status) return status;
    lock();
    p = keep(p);
    unlock();
  }
  *out = p;
  return TARE_OK;
}

void tareconv_plan_put(tareconv_plan *plan) {
  lock();
  int alone = plan->users < 0;
  if (!alone) plan->users--;
  unlock();
  if (alone) free_plan(plan);
}

static void free_crew(tareconv_crew *crew) {
  tare_pool_free(crew->pool);
  free(crew->memory);
  free(crew);
}

/* Under the lock: a crew of so many threads from those without work, or NULL. */
static tareconv_crew *idle_crew(int threads, tareconv_parallel parallel) {
  for (tareconv_crew **at = &state.crews; *at; at = &(*at)->next) {
    tareconv_crew *crew = *at;
    if (crew->threads != threads || crew->parallel != parallel) continue;
    *at = crew->next;
    return crew;
  }
  return NULL;
}

/* A workspace: in large pages, on request, if it fills two of them. Spectra are walked in strides of kilobytes, a small page each. */
static void *reserve(size_t *bytes) {
  size_t unit = *bytes >= 2 * (size_t)LARGE_PAGE ? LARGE_PAGE : LINE;
  *bytes = (*bytes + unit - 1) / unit * unit;
  void *memory = aligned_alloc(unit, *bytes);
#ifdef MADV_HUGEPAGE
  if (memory && unit == LARGE_PAGE) madvise(memory, *bytes, MADV_HUGEPAGE); /* a wish: what it returns does not matter */
#endif
  return memory;
}

static tare_status grow(tareconv_crew *crew, size_t bytes, tare_error *error) {
  if (bytes <= crew->size) return TARE_OK;
  free(crew->memory);
  crew->size = bytes;
  crew->memory = reserve(&crew->size);
  if (crew->memory) return TARE_OK;
  crew->size = 0;
  return tareconv_fail(error, TARE_E_MEMORY, "out of memory: a convolution needs a workspace of %zu MiB", bytes >> 20);
}

/* A runner of tare/pool.h. */
static void run_on_openmp(void *context, int threads, void (*body)(void *), void *argument) {
  const tareconv_crew *crew = context;
  (void)threads; /* engine.h: as many as OpenMP has for the caller, or it would end some and start them again */
  crew->parallel(body, argument, 0, 0);
}

static tare_status make_crew(int threads, tareconv_parallel parallel, tareconv_crew **out, tare_error *error) {
  tareconv_crew *crew = calloc(1, sizeof *crew);
  if (!crew) return tareconv_fail(error, TARE_E_MEMORY, "out of memory");
  crew->threads = threads;
  crew->parallel = parallel;
  *out = crew;
  return parallel ? tare_pool_create_with(threads, run_on_openmp, crew, &crew->pool, error) : tare_pool_create(threads, &crew->pool, error);
}

tare_status tareconv_crew_get(int threads, tareconv_parallel parallel, size_t bytes, tareconv_crew **out, tare_error *error) {
  tareconv_watch_forks();
  if (threads < 1 || threads > all_cores()) threads = all_cores();
  lock();
  if (state.is_child) parallel = NULL;
  tareconv_crew *crew = idle_crew(threads, parallel);
  unlock();
  tare_status status = crew ? TARE_OK : make_crew(threads, parallel, &crew, error);
  if (!crew) return status;
  if (!status) status = grow(crew, bytes, error);
  if (status) free_crew(crew);
  else *out = crew;
  return status;
}

void tareconv_crew_put(tareconv_crew *crew) {
  lock();
  crew->next = state.crews;
  state.crews = crew;
  unlock();
}
