/* SPDX-License-Identifier: Apache-2.0 */
/* Many runs at once, a thread each, longest first so that the threads finish together; and the word on how far they are. */
#include "train/race.h"

#include <flint/flint.h>
#include <math.h>
#include <stdio.h>
#include <tare/pool.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"

struct race_crew {
  const race_context *race;
  tare_pool *pool;
  race_task **order;         /* of the call to tare_race_crew_run that is under way */
  pthread_mutex_t lock;      /* guards all below */
  tare_race_progress progress;
  double cost_done, cost;    /* in estimated seconds of one thread */
  double created, began, ended, said; /* ended: when the last planned run was done */
  int stopped;
  tare_status status;        /* the first failure */
  tare_error error;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double run_cost(const race_crew *crew, size_t entry) {
  return crew->race->field.entries[entry].seconds * (double)crew->race->options->steps;
}

/* The estimate of before, corrected by how the runs so far went; the timing comes on top. */
static double seconds_left(const race_crew *crew) {
  double pace = 1.0 / crew->race->options->threads;
  if (crew->cost_done > 0.02 * crew->cost) pace = (now() - crew->began) / crew->cost_done;
  double timing = crew->race->options->timing_seconds, left = (crew->cost - crew->cost_done) * pace;
  if (crew->ended > 0) return fmax(0, timing - (now() - crew->ended));
  return fmax(0, left) + timing;
}

/* Under the lock. */
static void say(race_crew *crew, const char *doing, double least) {
  double time = now();
  if (!crew->race->options->progress || time - crew->said < least) return;
  crew->said = time;
  crew->progress.seconds = time - crew->created;
  crew->progress.seconds_left = seconds_left(crew);
  crew->progress.doing = doing;
  if (crew->race->options->progress(crew->race->options->user, &crew->progress)) crew->stopped = 1;
}

int tare_race_crew_say(race_crew *crew, const char *doing) {
  pthread_mutex_lock(&crew->lock);
  say(crew, doing, 0);
  int stopped = crew->stopped;
  pthread_mutex_unlock(&crew->lock);
  return stopped;
}

void tare_race_crew_plan(race_crew *crew, size_t runs_each) {
  size_t entries = crew->race->field.count;
  crew->progress.runs += runs_each * entries;
  crew->progress.steps += runs_each * entries * crew->race->options->steps;
  for (size_t e = 0; e < entries; e++) crew->cost += (double)runs_each * run_cost(crew, e);
}

typedef struct ticket { race_crew *crew; const race_task *task; uint64_t steps; char doing[160]; } ticket;

static int advance(void *user) {
  ticket *t = user;
  race_crew *crew = t->crew;
  pthread_mutex_lock(&crew->lock);
  t->steps++;
  crew->progress.steps_done++;
  crew->cost_done += crew->race->field.entries[t->task->entry].seconds;
  say(crew, t->doing, 0.1);
  int stop = crew->stopped || crew->status;
  pthread_mutex_unlock(&crew->lock);
  return stop;
}

/* A run that diverged took fewer steps than were planned: the rest counts as done. */
static void finish(ticket *t, tare_status status, const tare_error *error) {
  race_crew *crew = t->crew;
  pthread_mutex_lock(&crew->lock);
  uint64_t rest = crew->race->options->steps - t->steps;
  crew->progress.runs_done++;
  crew->progress.steps_done += rest;
  crew->cost_done += (double)rest * crew->race->field.entries[t->task->entry].seconds;
  if (crew->progress.runs_done == crew->progress.runs) crew->ended = now();
  if (status && status != TARE_E_STOPPED && !crew->status) {
    crew->status = status;
    crew->error = *error;
  }
  pthread_mutex_unlock(&crew->lock);
}

static int must_end(race_crew *crew) {
  pthread_mutex_lock(&crew->lock);
  int end = crew->stopped || crew->status;
  pthread_mutex_unlock(&crew->lock);
  return end;
}

static void run_one(void *user, int job, int worker) {
  race_crew *crew = user;
  race_task *task = crew->order[job];
  const char *name = crew->race->field.entries[task->entry].name;
  ticket t = {.crew = crew, .task = task};
  tare_error error = {0};
  if (must_end(crew)) return;
  if (task->tuning) snprintf(t.doing, sizeof t.doing, "tuning %.80s, lr %g", name, task->lr);
  else snprintf(t.doing, sizeof t.doing, "racing %.80s, seed %llu", name, (unsigned long long)task->seed);
  tare_status status = tare_race_task_run(crew->race, task, advance, &t, &error);
  finish(&t, status, &error);
  if (worker > 0) flint_cleanup(); /* what the rules left in this thread's cache; worker 0 is the caller's own thread */
}

static void sort_longest_first(const race_crew *crew, race_task **order, size_t count) {
  for (size_t i = 1; i < count; i++) { /* insertion: stable, and there are few hundred */
    race_task *task = order[i];
    size_t k = i;
    for (; k > 0 && run_cost(crew, order[k - 1]->entry) < run_cost(crew, task->entry); k--) order[k] = order[k - 1];
    order[k] = task;
  }
}

/* Runs beyond those planned: the grid grew. The race's own runs are still to come while tuning. */
static void replan(race_crew *crew, const race_task *tasks, size_t count) {
  size_t entries = crew->race->field.count, kept = tasks->tuning ? entries * (size_t)crew->race->options->seeds : 0;
  size_t planned = crew->progress.runs - crew->progress.runs_done - kept;
  if (count > planned) tare_race_crew_plan(crew, (count - planned) / entries);
}

tare_status tare_race_crew_run(void *user, race_task *tasks, size_t count, tare_error *error) {
  race_crew *crew = user;
  crew->order = tare_alloc(count, sizeof *crew->order);
  if (!crew->order) return tare_fail_memory(error, count * sizeof *crew->order, "the runs of a race");
  for (size_t i = 0; i < count; i++) crew->order[i] = &tasks[i];
  sort_longest_first(crew, crew->order, count);
  replan(crew, tasks, count);
  if (!(crew->began > 0)) crew->began = now();
  tare_pool_run(crew->pool, (int)count, run_one, crew);
  tare_free(crew->order);
  if (crew->status && error) *error = crew->error;
  if (crew->status) return crew->status;
  return crew->stopped ? tare_fail(error, TARE_E_STOPPED, "the race was stopped") : TARE_OK;
}

tare_status tare_race_crew_create(const race_context *race, race_crew **out, tare_error *error) {
  race_crew *crew = tare_alloc(1, sizeof *crew);
  if (!crew) return tare_fail_memory(error, sizeof *crew, "a race");
  tare_status status = tare_pool_create(race->options->threads, &crew->pool, error);
  if (status) {
    tare_free(crew);
    return status;
  }
  crew->race = race;
  crew->created = now();
  pthread_mutex_init(&crew->lock, NULL);
  *out = crew;
  return TARE_OK;
}

void tare_race_crew_free(race_crew *crew) {
  if (!crew) return;
  tare_pool_free(crew->pool);
  pthread_mutex_destroy(&crew->lock);
  tare_free(crew);
}
