/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the train room. A trainer is a net, an optimiser's state and a place
 * in the sequence of batches; tare_train is a loop over tare_trainer_step with
 * checkpoints. The race runs trainers of its own.
 */
#ifndef TARE_TRAIN_TRAIN_H
#define TARE_TRAIN_TRAIN_H

#include <tare/train.h>

typedef struct tare_trainer tare_trainer;

/*
 * Checks the options (optimizer, lr, schedule, ...; names are copied). The net, which
 * must be a float net, the callback and its `user` must outlive the trainer.
 * `options->checkpoint`, `resume` and `progress` are tare_train's: a trainer ignores them.
 */
tare_status tare_trainer_create(tare_net *net, tare_batch_fn batches, void *user, const tare_train_options *options, tare_trainer **out,
                                tare_error *error);
void tare_trainer_free(tare_trainer *trainer); /* NULL is fine */
/*
 * One step on batch 0, 1, ...; it may go past options->steps. Before the
 * first one the net is started from the first batches, 256 images in all, unless
 * options->started. *progress is filled on success. TARE_E_DIVERGED when the loss or
 * the gradient is not finite and no more steps may be skipped, or the parameters after the step are not.
 */
tare_status tare_trainer_step(tare_trainer *trainer, tare_progress *progress, tare_error *error);

/*
 * Batch norm's running statistics lag behind parameters that still move, most where the rate stays high: training
 * forwards over the last 50 batches (fewer if fewer were) bring them up to the final ones. Parameters stay as they are.
 */
tare_status tare_trainer_settle(tare_trainer *trainer, tare_error *error);

/*
 * The values of tensor `index` as tare_model_save writes them (o x c/g x kh x kw floats
 * for a convolution): rounded so that its rule holds exactly
 * where the method holds the rule and tare_round_fp32 can; else as composed. *exact (may be NULL)
 * gets 1 if every row of the tensor's rule holds exactly in `values` (or it has
 * none). TARE_E_DIVERGED when a value is not finite.
 */
tare_status tare_train_written_tensor(tare_net *net, size_t index, float *values, int *exact, tare_error *error);

#endif
