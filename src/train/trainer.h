/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer's inside, for its own file and the checkpoint. */
#ifndef TARE_TRAIN_TRAINER_H
#define TARE_TRAIN_TRAINER_H

#include "train/tables.h"
#include "train/train.h"

struct tare_trainer {
  tare_net *net;
  const tare_ranks *ranks;            /* NULL: alone */
  tare_batch_fn batches;
  void *user;
  const tare_optimizer *optimizer;
  tare_hyper hyper;
  tare_schedule schedule;
  const tare_loss_kind *loss;
  uint64_t steps;                     /* what the schedule reckons with */
  uint64_t step, first;               /* finished; where this run began (not 0 after a resume) */
  int started;
  double last_loss, began;            /* of the last step (NAN: none); seconds of the clock */
  float *state[TARE_OPTIMIZER_STATES];
  float *gradient;                    /* of the output */
  float *kept;                        /* the net's state before a step, should it be skipped */
  int most_skipped, in_a_row;         /* the latter: steps skipped since the last that was not */
  uint64_t skipped;
};

/* Checkpoints (doc/formats.md). Loading a file that is missing leaves the trainer as it is and *found 0. */
tare_status tare_checkpoint_save(const tare_trainer *trainer, const char *path, tare_error *error);
tare_status tare_checkpoint_load(tare_trainer *trainer, const char *path, int *found, tare_error *error);

#endif
