/* SPDX-License-Identifier: Apache-2.0 */
#include "net/inputs.h"

#include <string.h>

#include "base/alloc.h"
#include "kernel/border.h"

/* Enough for any filter, and a fraction of a second. */
static const size_t enough_values = (size_t)1 << 21;

/* One image with its border, in float. */
static void pad_image(const tare_net *net, const tare_conv_problem *p, const void *x, float *out) {
  int h = p->size[0] + 2 * p->pad[0], w = p->size[1] + 2 * p->pad[1], c = p->channels;
  for (int i = 0; i < h; i++)
    for (int j = 0; j < w; j++) {
      int row = tare_border_source(p->border, i - p->pad[0], p->size[0]), column = tare_border_source(p->border, j - p->pad[1], p->size[1]);
      for (int ch = 0; ch < c; ch++) {
        double value = 0;
        if (row >= 0 && column >= 0) net->kernels->widen(1, tare_at(net, x, ((size_t)row * p->size[1] + column) * c + ch), &value);
        out[((size_t)i * w + j) * c + ch] = (float)value;
      }
    }
}

static tare_status collect(tare_net *net, const tare_conv *conv, const void *images, size_t count, size_t image_size, float *out,
                           tare_error *error) {
  tare_status status = TARE_OK;
  for (size_t first = 0; first < count && !status; first += (size_t)net->options.batch) {
    int batch = (int)(count - first < (size_t)net->options.batch ? count - first : (size_t)net->options.batch);
    status = tare_net_forward_to(net, conv->source, tare_at(net, images, first * net->layers[0]->out_size), batch, TARE_MODE_START, 0,
                                 error);
    for (int i = 0; i < batch && !status; i++) {
      const void *x = tare_layer_x(net, conv->source, i / TARE_SHARD_IMAGES);
      pad_image(net, &conv->plain, tare_at(net, x, (size_t)(i % TARE_SHARD_IMAGES) * conv->source->in_size),
                out + (first + (size_t)i) * image_size);
    }
  }
  return status;
}

tare_status tare_layer_covariance(tare_net *net, tare_layer *layer, const void *images, size_t count, double **matrix, tare_error *error) {
  const tare_conv *conv = layer->self;
  const tare_conv_problem *p = &conv->plain;
  int h = p->size[0] + 2 * p->pad[0], w = p->size[1] + 2 * p->pad[1];
  size_t image_size = (size_t)h * w * p->channels, taps = (size_t)tare_weights_slice_taps(&conv->weights);
  if (count * image_size > enough_values) count = enough_values / image_size ? enough_values / image_size : 1;
  float *all = tare_alloc(count * image_size, sizeof *all);
  double *copy = tare_alloc(taps * taps, sizeof *copy);
  tare_covariance *covariance = NULL;
  tare_status status = all && copy ? collect(net, conv, images, count, image_size, all, error)
                                   : tare_fail_memory(error, count * image_size * sizeof *all, "the input of a layer");
  tare_filter_shape shape = {.dims = 2, .size = {p->kernel[0], p->kernel[1]}, .channels = p->channels / p->groups};
  if (!status) status = tare_covariance_measure(&shape, all, count, h, w, p->channels, p->dilation, 0, &covariance, error);
  if (!status) {
    memcpy(copy, tare_covariance_matrix(covariance), taps * taps * sizeof *copy);
    *matrix = copy;
    copy = NULL;
  }
  tare_covariance_free(covariance);
  tare_free(copy);
  tare_free(all);
  return status;
}
