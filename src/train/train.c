/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over a trainer, with its checkpoints; and evaluation. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "train/together.h"
#include "train/trainer.h"

void tare_train_defaults(tare_train_options *options) {
  if (!options) return;
  *options = (tare_train_options){.optimizer = "adam", .momentum = (double)NAN, .beta1 = (double)NAN, .beta2 = (double)NAN,
                                  .epsilon = (double)NAN, .loss = TARE_LOSS_CROSS_ENTROPY, .most_skipped = 10};
}

/* Not amid steps that are skipped: what came before them may be past help, and the last good one should stay. */
static int checkpoint_due(const tare_trainer *trainer, const tare_train_options *options) {
  if (trainer->step >= options->steps) return 1;
  return options->checkpoint_every && trainer->step % options->checkpoint_every == 0 && !trainer->in_a_row;
}

static tare_status one_step(tare_trainer *trainer, const tare_train_options *options, tare_progress *progress, tare_error *error) {
  tare_status status = tare_trainer_step(trainer, progress, error);
  if (status) return status;
  int stop = options->progress ? options->progress(options->user, progress) : 0;
  status = tare_together_any(trainer, &stop, error);
  if (!status && options->checkpoint && tare_together_leads(trainer) && (stop || checkpoint_due(trainer, options)))
    status = tare_checkpoint_save(trainer, options->checkpoint, error);
  if (!status && stop) status = tare_together_any(trainer, &stop, error); /* nobody leaves before the checkpoint is there */
  if (status || !stop) return status;
  return tare_fail(error, TARE_E_STOPPED, "stopped after step %llu of %llu", (unsigned long long)trainer->step,
                   (unsigned long long)options->steps);
}

static tare_status resume(tare_trainer *trainer, const tare_train_options *options, int *resumed, tare_error *error) {
  if (!options->checkpoint || !options->resume) return TARE_OK;
  tare_error why;
  tare_status status = tare_together_leads(trainer) ? tare_checkpoint_load(trainer, options->checkpoint, resumed, &why) : TARE_OK;
  status = tare_together_share(trainer, status, &why, resumed, error);
  if (status || trainer->step <= options->steps) return status;
  return tare_fail(error, TARE_E_ARGUMENT, "%s: this checkpoint is at step %llu, past the %llu asked for", options->checkpoint,
                   (unsigned long long)trainer->step, (unsigned long long)options->steps);
}

static tare_status run(tare_trainer *trainer, const tare_train_options *options, tare_train_result *result, tare_error *error) {
  tare_progress progress = {0};
  int resumed = 0;
  tare_status status = resume(trainer, options, &resumed, error);
  while (!status && trainer->step < options->steps) status = one_step(trainer, options, &progress, error);
  /* The checkpoint holds the state of before, from which a longer training goes on. */
  if (!status) status = tare_trainer_settle(trainer, error);
  if (!status && result)
    *result = (tare_train_result){.steps = trainer->step, .resumed = resumed, .last_loss = trainer->last_loss, .seconds = progress.seconds,
                                  .skipped = trainer->skipped};
  return status;
}

tare_status tare_train(tare_net *net, tare_batch_fn batches, void *user, const tare_train_options *options, tare_train_result *result,
                       tare_error *error) {
  tare_trainer *trainer;
  tare_status status = tare_trainer_create(net, batches, user, options, &trainer, error);
  if (status) return status;
  if (options->checkpoint && tare_together_leads(trainer)) status = tare_file_can_write(options->checkpoint, error);
  if (options->checkpoint && strcmp(options->checkpoint, "-") == 0)
    status = tare_fail(error, TARE_E_ARGUMENT, "a checkpoint needs a file of its own, not '-'");
  if (!status) status = run(trainer, options, result, error);
  tare_trainer_free(trainer);
  return status;
}

tare_status tare_evaluate(tare_net *net, tare_batch_fn batches, void *user, uint64_t count, tare_loss loss, tare_eval_result *result,
                          uint8_t *correct, tare_error *error) {
  const tare_loss_kind *kind = tare_loss_kind_at(loss);
  if (!net || !batches || !result || !kind || count < 1)
    return tare_fail(error, TARE_E_ARGUMENT, "an evaluation needs a network, batches, a loss and a place for the result");
  if (tare_net_get_options(net)->precision != TARE_F32)
    return tare_fail(error, TARE_E_UNSUPPORTED, "a network in double is for gradient checks: create it with TARE_F32 to evaluate it");
  tare_loss_sum sum = {0};
  for (uint64_t i = 0; i < count; i++) {
    tare_batch batch;
    const void *output;
    tare_status status = tare_fetch_batch(net, kind, batches, user, i, &batch, error);
    if (!status) status = tare_net_forward(net, batch.images, batch.count, 0, 0, &output, error);
    if (!status)
      status = tare_loss_batch(kind, tare_net_output_size(net), &batch, 1, output, NULL, &sum, correct ? correct + sum.images : NULL, error);
    if (status) return status;
  }
  double images = (double)sum.images;
  *result = (tare_eval_result){.loss = sum.loss / images, .images = sum.images,
                               .accuracy = kind->classifies ? (double)sum.right / images : (double)NAN};
  return TARE_OK;
}
