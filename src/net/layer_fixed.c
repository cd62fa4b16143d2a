/* SPDX-License-Identifier: Apache-2.0 */
/* Layers with nothing to train, the rivals of a rule: image-mean; local-mean, laplacian and gradients are frozen convolutions. */
#include <string.h>

#include "base/alloc.h"
#include "net/layers.h"

static void image_mean_forward(tare_net *net, tare_layer *layer, int shard, int worker) {
  net->kernels->image_mean(tare_shard_images(net, shard), layer->in[0] * layer->in[1], layer->in[2], tare_layer_x(net, layer, shard),
                           tare_layer_y(net, layer, shard), net->scratch[worker]);
}

static void image_mean_backward(tare_net *net, tare_layer *layer, int shard, int worker) {
  if (layer->needs_dx)
    net->kernels->image_mean(tare_shard_images(net, shard), layer->in[0] * layer->in[1], layer->in[2], tare_layer_dy(net, layer, shard),
                             tare_layer_dx(net, layer, shard), net->scratch[worker]);
}

static tare_status image_mean_create(tare_net *net, tare_layer *layer, tare_error *error) {
  return tare_net_need_scratch(net, (size_t)layer->in[2] * net->real, error);
}

static const tare_layer_ops image_mean_ops = {.gradient_in_place = 1, .create = image_mean_create, .forward = image_mean_forward,
                                              .backward = image_mean_backward};

tare_status tare_image_mean_add(tare_net *net, tare_item *item, tare_error *error) {
  const int *shape = tare_net_shape(net);
  return tare_net_add(net, item, &image_mean_ops, shape[0], shape[1], shape[2], 0, error) ? TARE_OK : TARE_E_MEMORY;
}

/* `filters` filters of k x k on every channel. pad: (k-1)/2 reflected, or none. */
static tare_status add_filters(tare_net *net, const tare_item *item, int filters, int k, int reflect, const double *filter,
                               tare_error *error) {
  const int *shape = tare_net_shape(net);
  int channels = shape[2];
  size_t cells = (size_t)filters * k * k;
  if ((reflect && (k / 2 >= shape[0] || k / 2 >= shape[1])) || (!reflect && (k > shape[0] || k > shape[1])))
    return tare_item_fail(item, item->column, TARE_E_SHAPE, error, "the %dx%d window is too large for its %dx%d input", k, k, shape[0],
                          shape[1]);
  tare_conv_problem p = {.groups = channels, .batch = tare_net_shard_capacity(net), .channels = channels, .outputs = channels * filters,
                         .size = {shape[0], shape[1]}, .kernel = {k, k}, .stride = {1, 1}, .dilation = {1, 1},
                         .pad = {reflect ? k / 2 : 0, reflect ? k / 2 : 0}, .border = reflect ? TARE_BORDER_REFLECT : TARE_BORDER_VALID};
  double *all = tare_alloc(cells * (size_t)channels, sizeof *all);
  if (!all) return tare_fail_memory(error, cells * (size_t)channels * sizeof *all, "fixed filters");
  for (int c = 0; c < channels; c++) memcpy(all + (size_t)c * cells, filter, cells * sizeof *all);
  tare_status status = tare_conv_add_frozen(net, item, &p, all, error);
  tare_free(all);
  return status;
}

enum { LARGEST = 255 };

tare_status tare_local_mean_parse(tare_words *words, tare_item *item, tare_error *error) {
  tare_status status = tare_words_int(words, "", "the window's size", 1, LARGEST, &item->kernel[0], error);
  if (status || item->kernel[0] % 2) return status;
  words->next--;
  return tare_words_expected(words, "an odd size of the window", error);
}

void tare_local_mean_write(const tare_item *item, tare_text *text) { tare_text_add(text, " %d", item->kernel[0]); }

/* x less its k x k mean, reflected at the border: the size stays. */
tare_status tare_local_mean_add(tare_net *net, tare_item *item, tare_error *error) {
  int k = item->kernel[0], taps = k * k;
  double *filter = tare_alloc((size_t)taps, sizeof *filter);
  if (!filter) return tare_fail_memory(error, (size_t)taps * sizeof *filter, "a local mean");
  for (int i = 0; i < taps; i++) filter[i] = (i == taps / 2) - 1.0 / taps;
  tare_status status = add_filters(net, item, 1, k, 1, filter, error);
  tare_free(filter);
  return status;
}

tare_status tare_laplacian_add(tare_net *net, tare_item *item, tare_error *error) {
  static const double laplacian[9] = {0, 1, 0, 1, -4, 1, 0, 1, 0};
  return add_filters(net, item, 1, 3, 0, laplacian, error);
}

/* To the right and downwards, in a 2x2 window. */
tare_status tare_gradients_add(tare_net *net, tare_item *item, tare_error *error) {
  static const double differences[2][4] = {{-1, 1, 0, 0}, {-1, 0, 1, 0}};
  return add_filters(net, item, 2, 2, 0, differences[0], error);
}
