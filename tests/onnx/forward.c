/* SPDX-License-Identifier: Apache-2.0 */
/* forward MODEL IN.npy OUT.npy: what the C network makes of images (count x channels x rows x columns, pixels 0..255 as floats). */
#include <stdio.h>
#include <stdlib.h>
#include <tare/train.h>

static int fail(const tare_error *error) { return fprintf(stderr, "%s\n", error->message), 1; }

/* nchw pixels to the nhwc values that the network takes, and back for outputs. */
static void reorder(const float *from, float *to, size_t channels, size_t cells, int back, float factor) {
  for (size_t c = 0; c < channels; c++)
    for (size_t i = 0; i < cells; i++) {
      size_t planar = c * cells + i, mixed = i * channels + c;
      if (back) to[planar] = from[mixed] * factor;
      else to[mixed] = from[planar] * factor;
    }
}

int main(int argc, char **argv) {
  tare_model *model;
  tare_tensors *file;
  tare_error error;
  if (argc != 4) return 2;
  if (tare_model_load(argv[1], 1, 1, &model, &error) || tare_tensors_read(argv[2], &file, &error)) return fail(&error);
  const tare_tensor *images = tare_tensors_at(file, 0);
  tare_net *net = tare_model_net(model);
  int shape[3];
  tare_net_output_shape(net, shape);
  size_t count = (size_t)images->shape[0], channels = (size_t)images->shape[1], cells = (size_t)(images->shape[2] * images->shape[3]);
  size_t size = tare_net_output_size(net);
  float *x = calloc(channels * cells, sizeof *x), *y = calloc(count * size, sizeof *y);
  for (size_t i = 0; x && y && i < count; i++) {
    const void *output;
    reorder((const float *)images->data + i * channels * cells, x, channels, cells, 0, 1.0f / 256);
    if (tare_net_forward(net, x, 1, 0, 0, &output, &error)) return fail(&error);
    reorder(output, y + i * size, (size_t)shape[2], (size_t)(shape[0] * shape[1]), 1, 1);
  }
  const tare_tensor out = {"y", TARE_DTYPE_F32, 4, {(int64_t)count, shape[2], shape[0], shape[1]}, y};
  int bad = !x || !y || tare_tensors_write(argv[3], &out, 1, NULL, 0, &error);
  free(x);
  free(y);
  tare_tensors_free(file);
  tare_model_free(model);
  return bad;
}
