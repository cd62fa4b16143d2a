/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of one small training. Built for fuzzing, the digest is not checked: mutations would never get past it. */
#include <tare/net.h>

#include "fuzz.h"
#include "train/trainer.h"

static tare_status no_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  (void)user, (void)index, (void)batch, (void)error;
  return TARE_E_DATA;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const tare_net_options shape = {.height = 6, .width = 6, .channels = 1, .batch = 2, .threads = 1, .seed = 5};
  tare_train_options options;
  tare_net *net = NULL;
  tare_trainer *trainer = NULL;
  tare_error error = {0};
  int found;
  tare_train_defaults(&options);
  options.steps = 3;
  must(tare_net_create("conv 2x3 sum=0; bn; relu; gap; dense 2", &shape, &net, NULL) == TARE_OK);
  must(tare_trainer_create(net, no_batch, NULL, &options, &trainer, NULL) == TARE_OK);
  tare_status status = tare_checkpoint_load(trainer, fuzz_file(0, data, size), &found, &error);
  must(status == TARE_OK || status == TARE_E_DATA || status == TARE_E_MEMORY);
  must(found == (status == TARE_OK) && (found || error.message[0]));
  must(!found || trainer->step >= 1);
  tare_trainer_free(trainer);
  tare_net_free(net);
  return 0;
}
