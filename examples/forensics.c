/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forensics on a folder of photos: trains a network that tells how a picture was manipulated, behind filters that predict each pixel from
 * its neighbours (the rule "bayar": Bayar & Stamm 2016), tests it on photos that it has not seen, and gives its opinion of one picture.
 *
 * cc forensics.c $(pkg-config --cflags --libs tare-train); ./a.out FOLDER|leaves [PICTURE] [STEPS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/image.h>
#include <tare/train.h>

enum { PATCH = 64, BATCH = 32 };
static const char line[] = "conv 8x5 bayar spectral; bn; relu; conv 24x3 /2; bn; relu; conv 48x3 /2; bn; relu; gap; dense 6";

/* The network's mean opinion of all patches of a picture, side by side. */
static tare_status look(tare_net *net, const tare_source_info *info, const char *path, tare_error *error) {
  static float patch[PATCH * PATCH];
  int votes[16] = {0}, patches = 0;
  tare_image *picture;
  tare_image_info size;
  tare_status status = tare_image_open(path, &picture, &size, error);
  if (status) return status;
  for (int top = 0; top + PATCH <= size.height && !status; top += PATCH)
    for (int left = 0; left + PATCH <= size.width && !status; left += PATCH) {
      const void *output = NULL;
      int best = 0;
      status = tare_image_read(picture, left, top, PATCH, PATCH, 1, patch, error);
      if (!status) status = tare_net_forward(net, patch, 1, 0, 0, &output, error);
      for (int c = 1; !status && c < info->classes; c++)
        if (((const float *)output)[c] > ((const float *)output)[best]) best = c;
      votes[best] += !status;
      patches += !status;
    }
  tare_image_close(picture);
  for (int c = 0; !status && c < info->classes; c++)
    printf("%s: %3d of %d patches look like %s\n", path, votes[c], patches, info->class_names[c]);
  return status;
}

static int progress(void *user, const tare_progress *p) {
  (void)user;
  if (p->step % 100 == 0) printf("step %llu: loss %.3f\n", (unsigned long long)p->step, p->loss);
  return 0;
}

int main(int argc, char **argv) {
  const tare_net_options size = {.height = PATCH, .width = PATCH, .channels = 1, .batch = BATCH, .threads = 2, .seed = 1};
  tare_source_options data;
  tare_source_info info;
  tare_source *photos = NULL;
  tare_source_batches *train = NULL, *test = NULL;
  tare_net *net = NULL;
  tare_train_options options;
  tare_eval_result result;
  tare_error error;
  char spec[4096];
  if (argc < 2) return fprintf(stderr, "usage: forensics FOLDER|leaves [PICTURE] [STEPS]\n"), 2;
  snprintf(spec, sizeof spec, "%s%s", strcmp(argv[1], "leaves") ? "photos:" : "", argv[1]);
  tare_source_defaults(&data);
  data.patch = PATCH;
  data.threads = 2;
  tare_train_defaults(&options);
  options.lr = 0.02;
  options.schedule = "cosine";
  options.steps = argc > 3 ? strtoull(argv[3], NULL, 10) : 800;
  options.progress = progress;
  tare_status status = tare_source_open(spec, &data, &photos, &error);
  if (!status) tare_source_get_info(photos, &info);
  if (!status) status = tare_source_batches_create(photos, TARE_TRAIN, 1, BATCH, &train, &error);
  if (!status) status = tare_source_batches_create(photos, TARE_TEST, 1, BATCH, &test, &error);
  if (!status) status = tare_net_create(line, &size, &net, &error);
  if (!status) status = tare_train(net, tare_source_batch, train, &options, NULL, &error);
  uint64_t batches = status ? 0 : tare_source_batches_count(test);
  if (!status) status = tare_evaluate(net, tare_source_batch, test, batches, TARE_LOSS_CROSS_ENTROPY, &result, NULL, &error);
  if (!status) printf("%.1f %% of %zu patches of photos that were not trained on\n", 100 * result.accuracy, result.images);
  if (!status && argc > 2 && argv[2][0]) status = look(net, &info, argv[2], &error);
  if (status) fprintf(stderr, "%s\n", error.message);
  tare_net_free(net);
  tare_source_batches_free(test);
  tare_source_batches_free(train);
  tare_source_free(photos);
  return status != TARE_OK;
}
