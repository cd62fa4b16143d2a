/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learning rates: one grid for all methods, a factor of about 3 apart. While
 * any method that learns is best at an end, the grid grows there, for all; so
 * no method wins because the grid suited it.
 */
#include "train/race.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum { GROWTH = 4 }; /* rates added at each end at most: a factor of 100 */

/* Built from text, so that a rate is the double nearest its decimal. */
double tare_race_rate(int index) {
  char text[32];
  snprintf(text, sizeof text, "%de%d", index & 1 ? 3 : 1, (index - (index & 1)) / 2);
  return strtod(text, NULL);
}

race_rates tare_race_grid(const char *optimizer) {
  static const struct { const char *optimizer; race_rates rates; } grids[] = {
    {"sgd", {-4, -1}},  /* 0.01 to 0.3 */
    {"muon", {-5, -2}}, /* 0.003 to 0.1 */
  };
  for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
    if (strcmp(grids[i].optimizer, optimizer) == 0) return grids[i].rates;
  return (race_rates){-6, -3}; /* 0.001 to 0.03: Adam and its kin */
}

/* The mean tuning loss of an entry at a rate; INFINITY when a seed diverged. */
static double loss_at(const race_tuning *tuning, size_t entry, double lr) {
  double sum = 0;
  int count = 0;
  for (size_t i = 0; i < tuning->count; i++) {
    const race_task *task = &tuning->tasks[i];
    if (task->entry != entry || task->lr != lr) continue;
    if (task->diverged) return INFINITY;
    sum += task->mean_loss;
    count++;
  }
  return count ? sum / count : INFINITY;
}

static int best_rate(const race_tuning *tuning, size_t entry, double *loss) {
  int best = tuning->rates.low;
  *loss = INFINITY;
  for (int r = tuning->rates.low; r <= tuning->rates.high; r++) {
    double value = loss_at(tuning, entry, tare_race_rate(r));
    if (value < *loss) *loss = value, best = r;
  }
  return best;
}

/* -1 and 1: this entry's best lies at that end and asks for more; 0: it does not. One that diverges everywhere asks for lower rates. */
static int asks(const race_tuning *tuning, size_t entry, double chance) {
  double loss;
  int best = best_rate(tuning, entry, &loss);
  if (isfinite(loss) && loss > RACE_LEARNS * chance) return 0;
  return best == tuning->rates.low ? -1 : best == tuning->rates.high ? 1 : 0;
}

/* Every entry at rates first .. last, all seeds. */
static tare_status run_rates(const race_tune_job *job, race_tuning *tuning, int first, int last, race_runner run, void *user,
                             tare_error *error) {
  size_t more = job->entries * (size_t)(last - first + 1) * (size_t)job->seed_count;
  race_task *tasks = tare_alloc(tuning->count + more, sizeof *tasks);
  if (!tasks) return tare_fail_memory(error, (tuning->count + more) * sizeof *tasks, "tuning runs");
  if (tuning->count) memcpy(tasks, tuning->tasks, tuning->count * sizeof *tasks);
  race_task *task = tasks + tuning->count;
  for (size_t e = 0; e < job->entries; e++)
    for (int r = first; r <= last; r++)
      for (int s = 0; s < job->seed_count; s++)
        *task++ = (race_task){.entry = e, .lr = tare_race_rate(r), .seed = job->seeds[s], .tuning = 1};
  tare_free(tuning->tasks);
  tuning->tasks = tasks;
  tuning->count += more;
  return run(user, task - more, more, error);
}

/* One rate more at each end that an entry asks for; *grown says whether there was one. */
static tare_status grow(const race_tune_job *job, race_tuning *tuning, race_runner run, void *user, int *grown, tare_error *error) {
  int low = 0, high = 0;
  for (size_t e = 0; e < job->entries; e++) {
    int end = asks(tuning, e, job->chance);
    low |= end < 0;
    high |= end > 0;
  }
  low = low && tuning->rates.low > job->rates.low - GROWTH;
  high = high && tuning->rates.high < job->rates.high + GROWTH;
  *grown = low || high;
  tare_status status = TARE_OK;
  if (low) status = run_rates(job, tuning, tuning->rates.low - 1, tuning->rates.low - 1, run, user, error);
  if (high && !status) status = run_rates(job, tuning, tuning->rates.high + 1, tuning->rates.high + 1, run, user, error);
  tuning->rates.low -= low;
  tuning->rates.high += high;
  return status;
}

static tare_status pick(const race_tune_job *job, race_tuning *tuning, tare_error *error) {
  tuning->best = tare_alloc(job->entries, sizeof *tuning->best);
  tuning->at_edge = tare_alloc(job->entries, sizeof *tuning->at_edge);
  if (!tuning->best || !tuning->at_edge) return tare_fail_memory(error, job->entries * sizeof *tuning->best, "learning rates");
  for (size_t e = 0; e < job->entries; e++) {
    double loss;
    tuning->best[e] = tare_race_rate(best_rate(tuning, e, &loss));
    tuning->at_edge[e] = asks(tuning, e, job->chance) != 0;
  }
  return TARE_OK;
}

tare_status tare_race_tune(const race_tune_job *job, race_runner run, void *user, race_tuning *out, tare_error *error) {
  race_tuning tuning = {.rates = job->rates};
  tare_status status = run_rates(job, &tuning, job->rates.low, job->rates.high, run, user, error);
  for (int grown = 1; grown && !status;) status = grow(job, &tuning, run, user, &grown, error);
  if (!status) status = pick(job, &tuning, error);
  if (status) tare_race_tuning_free(&tuning);
  else *out = tuning;
  return status;
}

void tare_race_tasks_free(race_task *tasks, size_t count) {
  for (size_t i = 0; tasks && i < count; i++) {
    tare_free(tasks[i].loss);
    tare_free(tasks[i].correct);
    if (tasks[i].look) tare_look_free(tasks[i].look);
    tare_free(tasks[i].look);
  }
  tare_free(tasks);
}

void tare_race_tuning_free(race_tuning *tuning) {
  tare_race_tasks_free(tuning->tasks, tuning->count);
  tare_free(tuning->best);
  tare_free(tuning->at_edge);
  *tuning = (race_tuning){0};
}
