/* SPDX-License-Identifier: Apache-2.0 */
/* A training with other ranks (ranks.h). */
#ifndef TARE_TRAIN_TOGETHER_H
#define TARE_TRAIN_TOGETHER_H

#include "train/trainer.h"

int tare_together_count(const tare_trainer *trainer); /* ranks; 1 alone */
int tare_together_leads(const tare_trainer *trainer); /* rank 0, or alone: writes files */
/*
 * What rank 0 has loaded or started becomes everybody's: step, parameters, state, scales, the optimiser's arrays. `status`
 * and `why` are rank 0's: a failure there is one here. *found (rank 0's too) 0: there is nothing to share.
 */
tare_status tare_together_share(tare_trainer *trainer, tare_status status, const tare_error *why, int *found, tare_error *error);
/* The images of a whole batch, from everybody's share. */
tare_status tare_together_images(const tare_trainer *trainer, const tare_batch *share, size_t pixels, float *whole, tare_error *error);
tare_status tare_together_sum(const tare_trainer *trainer, tare_loss_sum *sum, tare_error *error);
/* *flag becomes 1 if it is on any rank. */
tare_status tare_together_any(const tare_trainer *trainer, int *flag, tare_error *error);

#endif
