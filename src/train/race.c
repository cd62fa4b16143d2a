/* SPDX-License-Identifier: Apache-2.0 */
/* The race from its options to its table: check, estimate, tune, race, time, score. */
#include "train/race.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum { TUNING_SEEDS_FROM = 1000000 }; /* past the race's first seed, and past its last: there are 1000 at most */

void tare_race_defaults(tare_race_options *options) {
  if (!options) return;
  *options = (tare_race_options){.kernel = 7, .constraint = "sum=0", .steps = 400, .seeds = 2, .tuning_seeds = 1, .batch = 32, .seed = 1,
                                 .optimizer = "adam", .init = TARE_INIT_METHOD, .batch_norm = 1, .threads = 1, .filters = 8,
                                 .timing_seconds = 10};
}

static tare_status check_options(const tare_race_options *o, tare_error *error) {
  const struct { const char *name; double value, low, high; } numbers[] = {
    {"kernel", o->kernel, 1, 255}, {"steps", (double)o->steps, 1, 1e9}, {"seeds", o->seeds, 1, 1000},
    {"tuning_seeds", o->tuning_seeds, 1, 1000}, {"batch", o->batch, 1, 4096}, {"threads", o->threads, 1, 256}, {"filters", o->filters, 1, 1024}, {"lr", o->lr, 0, 1e9},
    {"timing_seconds", o->timing_seconds, 0, 1e6},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (!(numbers[i].value >= numbers[i].low && numbers[i].value <= numbers[i].high))
      return tare_fail(error, TARE_E_ARGUMENT, "%s must be %g to %g, not %g", numbers[i].name, numbers[i].low, numbers[i].high,
                       numbers[i].value);
  if (!o->constraint || !o->optimizer) return tare_fail(error, TARE_E_ARGUMENT, "a race needs a constraint and an optimizer");
  return TARE_OK;
}

/* The rule of the race as it is written canonically; one without rows would leave nothing to race about. */
static tare_status check_rule(const race_context *race, char **canonical, tare_error *error) {
  int k = race->options->kernel;
  tare_filter_shape shape = {.dims = 2, .size = {k, k}, .channels = race->info.channels};
  tare_constraint *constraint;
  if (k > race->info.height || k > race->info.width)
    return tare_fail(error, TARE_E_SHAPE, "a %dx%d kernel does not fit patches of %dx%d", k, k, race->info.height, race->info.width);
  tare_status status = tare_constraint_create(race->options->constraint, &shape, 0, &constraint, error);
  if (status) return status;
  if (!tare_constraint_rows(constraint)) status = tare_fail(error, TARE_E_ARGUMENT, "a race needs a rule: 'sum=0', 'order=1', ...");
  else if (!(*canonical = tare_strdup(tare_constraint_text(constraint)))) status = tare_fail_memory(error, 0, "a rule");
  tare_constraint_free(constraint);
  return status;
}

static tare_status copy_text(const char *text, char **copy, tare_error *error) {
  if (!text) return TARE_OK;
  *copy = tare_strdup(text);
  return *copy ? TARE_OK : tare_fail_memory(error, strlen(text) + 1, "the options of a race");
}

/* The result keeps what the options point to. */
static tare_status keep_options(tare_race_result *result, const race_context *race, tare_error *error) {
  const tare_race_options *o = race->options;
  result->options = *o;
  result->options.constraint = result->options.methods = result->options.tail = result->options.optimizer = result->options.schedule = NULL;
  result->options.user = NULL;
  result->options.progress = NULL;
  result->classes = (size_t)race->info.classes;
  result->chance = log((double)race->info.classes);
  result->train_images = race->info.images[TARE_TRAIN];
  tare_status status = copy_text(race->info.spec, &result->data, error);
  if (!status) status = copy_text(o->optimizer, &result->optimizer, error);
  if (!status) status = copy_text(o->schedule, &result->schedule, error);
  return status;
}

/* All that can be wrong is found here: each network is made and takes two steps. */
static tare_status prepare(race_context *race, tare_race_result *result, tare_error *error) {
  const tare_race_options *o = race->options;
  tare_status status = keep_options(result, race, error);
  if (!status) status = check_rule(race, &result->constraint, error);
  race->rule = result->constraint;
  race_shape shape = {o->kernel, o->filters, o->batch_norm, race->info.classes, result->constraint, o->tail};
  if (!status) status = tare_race_field(o->methods, &shape, &race->field, error);
  if (!status) status = tare_race_estimate(race, error);
  if (!status) status = tare_race_find_tests(race, error);
  if (!status && o->report) status = tare_look_draw(race->source, o->seed, &race->examples, error);
  if (!status) status = tare_race_crew_create(race, &race->crew, error);
  return status;
}

/* The learning rate of each entry. */
static tare_status tune(race_context *race, tare_race_result *result, tare_error *error) {
  const tare_race_options *o = race->options;
  size_t entries = race->field.count;
  race_tune_job job = {.entries = entries, .rates = tare_race_grid(o->optimizer), .seed_count = o->tuning_seeds, .chance = result->chance};
  int rates = job.rates.high - job.rates.low + 1;
  tare_race_crew_plan(race->crew, (size_t)(o->seeds + (o->lr > 0 ? 0 : rates * o->tuning_seeds)));
  if (tare_race_crew_say(race->crew, "starting")) return tare_fail(error, TARE_E_STOPPED, "the race was stopped");
  result->tuning_seeds = tare_alloc((size_t)o->tuning_seeds, sizeof *result->tuning_seeds);
  if (!result->tuning_seeds) return tare_fail_memory(error, sizeof *result->tuning_seeds, "seeds");
  for (int s = 0; s < o->tuning_seeds; s++) result->tuning_seeds[s] = o->seed + TUNING_SEEDS_FROM + (uint64_t)s;
  job.seeds = result->tuning_seeds;
  if (o->lr == 0) return tare_race_tune(&job, tare_race_crew_run, race->crew, &result->tuning, error);
  result->tuning.best = tare_alloc(entries, sizeof *result->tuning.best);
  result->tuning.at_edge = tare_alloc(entries, sizeof *result->tuning.at_edge);
  if (!result->tuning.best || !result->tuning.at_edge)
    return tare_fail_memory(error, entries * sizeof *result->tuning.best, "learning rates");
  for (size_t e = 0; e < entries; e++) result->tuning.best[e] = o->lr;
  return TARE_OK;
}

static tare_status run_seeds(race_context *race, tare_race_result *result, tare_error *error) {
  size_t seeds = (size_t)race->options->seeds, count = race->field.count * seeds;
  result->tasks = tare_alloc(count, sizeof *result->tasks);
  if (!result->tasks) return tare_fail_memory(error, count * sizeof *result->tasks, "the runs of a race");
  result->task_count = count;
  for (size_t i = 0; i < count; i++)
    result->tasks[i] = (race_task){.entry = i / seeds, .lr = result->tuning.best[i / seeds], .seed = race->options->seed + i % seeds};
  return tare_race_crew_run(race->crew, result->tasks, count, error);
}

static double share_right(const race_task *task, size_t patches) {
  size_t right = 0;
  for (size_t p = 0; task->correct && p < patches; p++) right += task->correct[p];
  return task->correct ? (double)right / (double)patches : NAN;
}

static tare_status list_runs(const race_context *race, tare_race_result *result, tare_error *error) {
  result->runs = tare_alloc(result->task_count, sizeof *result->runs);
  if (!result->runs) return tare_fail_memory(error, result->task_count * sizeof *result->runs, "the runs of a race");
  for (size_t i = 0; i < result->task_count; i++) {
    const race_task *task = &result->tasks[i];
    result->runs[i] = (tare_race_run){.method = race->field.entries[task->entry].name, .lr = task->lr, .seed = task->seed,
                                      .diverged = task->diverged, .loss = task->loss,
                                      .test_accuracy = share_right(task, race->tests.patches), .residual_max = task->residual_max};
  }
  return TARE_OK;
}

static tare_status time_and_score(race_context *race, tare_race_result *result, tare_error *error) {
  size_t entries = race->field.count;
  race_times *times = tare_alloc(entries, sizeof *times);
  result->rows = tare_alloc(entries, sizeof *result->rows);
  tare_status status = times && result->rows ? TARE_OK : tare_fail_memory(error, entries * sizeof *result->rows, "the table of a race");
  race_score score = {.field = &race->field, .tasks = result->tasks, .seeds = race->options->seeds, .steps = (size_t)race->options->steps,
                      .chance = result->chance, .tests = &race->tests, .times = times, .at_edge = result->tuning.at_edge};
  if (!status) status = tare_race_time(race, times, error);
  if (!status) status = tare_race_score(&score, result->rows, error);
  memcpy(result->levels, score.levels, sizeof score.levels);
  if (!status && race->options->report) status = tare_race_time_sizes(race, &result->sizes, error);
  tare_free(times);
  return status;
}

tare_status tare_race(const tare_source *source, const tare_race_options *options, tare_race_result **out, tare_error *error) {
  if (!source || !options || !out) return tare_fail(error, TARE_E_ARGUMENT, "a race needs a source, options and a place for its result");
  tare_status status = check_options(options, error);
  if (status) return status;
  race_context race = {.source = source, .options = options};
  tare_race_result *result = tare_alloc(1, sizeof *result);
  if (!result) return tare_fail_memory(error, sizeof *result, "a race");
  tare_source_get_info(source, &race.info);
  status = prepare(&race, result, error);
  if (!status) status = tune(&race, result, error);
  if (!status) status = run_seeds(&race, result, error);
  if (!status) status = list_runs(&race, result, error);
  if (!status) status = time_and_score(&race, result, error);
  tare_race_crew_free(race.crew);
  result->field = race.field;
  result->tests = race.tests;
  result->examples = race.examples;
  if (status) tare_race_free(result);
  else *out = result;
  return status;
}

void tare_race_free(tare_race_result *result) {
  if (!result) return;
  tare_race_tasks_free(result->tasks, result->task_count);
  tare_race_tuning_free(&result->tuning);
  tare_race_field_free(&result->field);
  tare_free(result->tests.image);
  tare_look_examples_free(&result->examples);
  tare_free(result->sizes.layer_ms);
  tare_free(result->tuning_seeds);
  tare_free(result->runs);
  tare_free(result->rows);
  tare_free(result->data);
  tare_free(result->constraint);
  tare_free(result->optimizer);
  tare_free(result->schedule);
  tare_free(result);
}

size_t tare_race_runs(const tare_race_result *result, const tare_race_run **runs) {
  if (!result || !runs) return 0;
  *runs = result->runs;
  return result->task_count;
}

size_t tare_race_rows(const tare_race_result *result, const tare_race_row **rows) {
  if (!result || !rows) return 0;
  *rows = result->rows;
  return result->field.count;
}

uint64_t tare_race_steps(const tare_race_result *result) { return result ? result->options.steps : 0; }
double tare_race_chance(const tare_race_result *result) { return result ? result->chance : (double)NAN; }
size_t tare_race_test_images(const tare_race_result *result) { return result ? result->tests.images : 0; }
