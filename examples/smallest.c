/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest training: cc smallest.c $(pkg-config --cflags --libs tare-train) && ./a.out [STEPS] */
#include <stdio.h>
#include <stdlib.h>
#include <tare/train.h>

int main(int argc, char **argv) {
  const tare_net_options size = {.height = 48, .width = 48, .channels = 1, .batch = 32, .threads = 2, .seed = 1};
  tare_source_options data;
  tare_source *images = NULL;
  tare_source_batches *batches = NULL;
  tare_net *net = NULL;
  tare_train_options options;
  tare_train_result result;
  tare_error error;
  /* the training */
  tare_source_defaults(&data);
  data.brightness = 0.5;
  data.threads = 2;
  tare_train_defaults(&options);
  options.steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 400;
  options.lr = 0.01;
  int failed = tare_source_open("leaves", &data, &images, &error) ||
               tare_source_batches_create(images, TARE_TRAIN, 1, size.batch, &batches, &error) ||
               tare_net_create("conv 8x7 sum=0 spectral; bn; relu; conv 16x3 /2; bn; relu; gap; dense 6", &size, &net, &error) ||
               tare_train(net, tare_source_batch, batches, &options, &result, &error) ||
               tare_model_save(net, "model.safetensors", NULL, 0, NULL, 0, NULL, 0, &error);
  if (failed) fprintf(stderr, "%s\n", error.message);
  else printf("loss %.3f after %d steps; model.safetensors obeys exactly\n", result.last_loss, (int)result.steps);
  /* end */
  tare_net_free(net);
  tare_source_batches_free(batches);
  tare_source_free(images);
  return failed;
}
