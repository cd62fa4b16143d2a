/* SPDX-License-Identifier: Apache-2.0 */
/* What saving and loading of model files share. */
#ifndef TARE_TRAIN_WRITTEN_H
#define TARE_TRAIN_WRITTEN_H

#include <tare/train.h>

#define TARE_MODEL_FORMAT "tare-model-1"
enum { TARE_HASH_DIGITS = 16 }; /* hexadecimal, of one training image in "train_hashes" */

size_t tare_written_values(const tare_net_tensor *info); /* values of a tensor */
/* *exact: 1 if every row of `rule` (NULL: none) holds exactly in `count` values. */
tare_status tare_written_exact(const tare_constraint *rule, const float *values, size_t count, int *exact, tare_error *error);

#endif
