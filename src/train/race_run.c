/* SPDX-License-Identifier: Apache-2.0 */
/* One run: a network trained on its seed's batches, then asked about every test patch. */
#include "train/race.h"

#include <math.h>

#include "base/alloc.h"
#include "base/error.h"

tare_status tare_race_net(const race_context *race, const char *line, uint64_t seed, tare_net **out, tare_error *error) {
  tare_net_options options = {.height = race->info.height, .width = race->info.width, .channels = race->info.channels,
                              .batch = race->options->batch, .threads = 1, .seed = seed, .init = race->options->init};
  return tare_net_create(line, &options, out, error);
}

tare_status tare_race_trainer(const race_context *race, tare_net *net, double lr, tare_batch_fn batches, void *user, tare_trainer **out,
                              tare_error *error) {
  tare_train_options options;
  tare_train_defaults(&options);
  options.optimizer = race->options->optimizer;
  options.schedule = race->options->schedule;
  options.steps = race->options->steps;
  options.lr = lr;
  options.most_skipped = 0; /* a run that diverges is to be told */
  return tare_trainer_create(net, batches, user, &options, out, error);
}

/* The weights that the rule is about. */
static tare_status constrained_tensor(tare_net *net, size_t *index, tare_net_tensor *info, tare_error *error) {
  for (*index = 0; *index < tare_net_tensor_count(net); (*index)++) {
    tare_status status = tare_net_tensor_info(net, *index, info, error);
    if (status || info->constraint) return status;
  }
  return tare_fail(error, TARE_E_LIBRARY, "the network '%s' has no filters under a rule", tare_net_line(net));
}

/* The mean of |A w - b| over rows and units. */
static tare_status mean_residual(const tare_constraint *constraint, const float *w, size_t units, double *mean, tare_error *error) {
  size_t rows = (size_t)tare_constraint_rows(constraint), taps = (size_t)tare_constraint_taps(constraint);
  double *a = tare_alloc(rows * (taps + 1), sizeof *a), sum = 0;
  if (!a) return tare_fail_memory(error, rows * (taps + 1) * sizeof *a, "the rows of a rule");
  tare_constraint_matrix(constraint, a, a + rows * taps);
  for (size_t u = 0; u < units; u++)
    for (size_t r = 0; r < rows; r++) {
      double residual = -a[rows * taps + r];
      for (size_t i = 0; i < taps; i++) residual += a[r * taps + i] * (double)w[u * taps + i];
      sum += fabs(residual);
    }
  tare_free(a);
  *mean = sum / (double)(rows * units);
  return TARE_OK;
}

static int all_finite(const float *w, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(w[i])) return 0;
  return 1;
}

static tare_status measure_rule(tare_net *net, race_task *task, int penalty, tare_error *error) {
  size_t index, values = 1;
  tare_net_tensor info;
  tare_residual residual;
  tare_status status = constrained_tensor(net, &index, &info, error);
  if (status) return status;
  for (int d = 0; d < info.dims; d++) values *= (size_t)info.shape[d];
  float *w = tare_alloc(values, sizeof *w);
  if (!w) return tare_fail_memory(error, values * sizeof *w, "the weights of a layer");
  size_t units = values / (size_t)tare_constraint_taps(info.constraint);
  status = tare_net_tensor_get(net, index, w, error);
  if (!status && !all_finite(w, values)) status = tare_fail(error, TARE_E_DIVERGED, "weights that are not finite");
  if (penalty && !status) status = mean_residual(info.constraint, w, units, &task->penalty_residual, error);
  if (!status) status = tare_train_written_tensor(net, index, w, NULL, error);
  if (!status) status = tare_constraint_residual(info.constraint, w, units, &residual, error);
  if (!status) task->residual_max = residual.max_abs;
  tare_free(w);
  return status;
}

/* For a report: the network of the first seed. */
static tare_status look_at(const race_context *race, tare_net *net, race_task *task, tare_error *error) {
  task->look = tare_alloc(1, sizeof *task->look);
  return task->look ? tare_look_at(net, &race->examples, task->look, error) : tare_fail_memory(error, sizeof *task->look, "a report");
}

static tare_status examine(const race_context *race, tare_net *net, race_feed *f, race_task *task, tare_error *error) {
  const race_entry *entry = &race->field.entries[task->entry];
  task->correct = tare_alloc(race->tests.patches, 1);
  if (!task->correct) return tare_fail_memory(error, race->tests.patches, "answers");
  tare_eval_result result;
  tare_status status = tare_evaluate(net, tare_race_test_batch, f, tare_race_test_batches(race), TARE_LOSS_CROSS_ENTROPY, &result,
                                     task->correct, error);
  if (!status && !isfinite(result.loss)) return tare_fail(error, TARE_E_DIVERGED, "a test loss that is not finite");
  if (!status && *entry->rule) status = measure_rule(net, task, entry->penalty, error);
  if (!status && race->options->report && task->seed == race->options->seed) status = look_at(race, net, task, error);
  return status;
}

static void mark_diverged(race_task *task) {
  tare_free(task->loss);
  tare_free(task->correct);
  task->loss = NULL;
  task->correct = NULL;
  if (task->look) tare_look_free(task->look);
  tare_free(task->look);
  task->look = NULL;
  task->diverged = 1;
  task->mean_loss = task->residual_max = task->penalty_residual = NAN;
}

static tare_status train(const race_context *race, tare_trainer *trainer, race_task *task, int (*advance)(void *user), void *user,
                         tare_error *error) {
  double sum = 0;
  for (uint64_t i = 0; i < race->options->steps; i++) {
    tare_progress progress;
    tare_status status = tare_trainer_step(trainer, &progress, error);
    if (status) return status;
    task->loss[i] = (float)progress.loss;
    sum += progress.loss;
    if (advance(user)) return tare_fail(error, TARE_E_STOPPED, "the race was stopped");
  }
  task->mean_loss = sum / (double)race->options->steps;
  return TARE_OK;
}

/* The run itself, between a net, its trainer and its batches. */
static tare_status race_net(const race_context *race, tare_net *net, race_feed *f, race_task *task, int (*advance)(void *user), void *user,
                            tare_error *error) {
  tare_trainer *trainer;
  tare_status status = tare_race_trainer(race, net, task->lr, tare_race_train_batch, f, &trainer, error);
  if (status) return status;
  status = train(race, trainer, task, advance, user, error);
  if (!status && !task->tuning) status = tare_trainer_settle(trainer, error);
  tare_trainer_free(trainer);
  if (status || task->tuning) return status;
  return examine(race, net, f, task, error);
}

tare_status tare_race_task_run(const race_context *race, race_task *task, int (*advance)(void *user), void *user, tare_error *error) {
  task->residual_max = task->penalty_residual = NAN;
  task->loss = tare_alloc(race->options->steps, sizeof *task->loss);
  if (!task->loss) return tare_fail_memory(error, race->options->steps * sizeof *task->loss, "the losses of a run");
  race_feed f;
  tare_net *net = NULL;
  tare_status status = tare_race_feed_create(race, task->seed, &f, error);
  if (!status) status = tare_race_net(race, race->field.entries[task->entry].line, task->seed, &net, error);
  if (!status) status = race_net(race, net, &f, task, advance, user, error);
  tare_net_free(net);
  tare_race_feed_free(&f);
  if (status != TARE_E_DIVERGED) return status;
  mark_diverged(task);
  return TARE_OK;
}
