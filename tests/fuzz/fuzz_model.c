/* SPDX-License-Identifier: Apache-2.0 */
/* Model files: whatever loads computes. */
#include <tare/train.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static float pixels[1 << 16];
  tare_model *model = NULL;
  tare_error error = {0};
  tare_status status = tare_model_load(fuzz_file(0, data, size), 1, 1, &model, &error);
  must(status == TARE_OK || status == TARE_E_DATA || status == TARE_E_MEMORY);
  must((status == TARE_OK) == (model != NULL));
  if (model) {
    tare_net *net = tare_model_net(model);
    const tare_net_options *o = tare_net_get_options(net);
    const void *output;
    if ((double)o->height * o->width * o->channels <= sizeof pixels / sizeof *pixels)
      must(tare_net_forward(net, pixels, 1, 0, 0, &output, &error) == TARE_OK);
    tare_model_train_hashes(model, NULL, 0);
  } else must(error.message[0]);
  tare_model_free(model);
  return 0;
}
