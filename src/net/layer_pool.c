/* SPDX-License-Identifier: Apache-2.0 */
/* maxpool, avgpool (valid windows; the stride is the window unless given), gap. */
#include "base/alloc.h"
#include "net/layers.h"

enum { LARGEST = 255 }; /* a winner's index fits 16 bits */

typedef struct pool { uint16_t *winners; } pool;

tare_status tare_window_parse(tare_words *words, tare_item *item, tare_error *error) {
  tare_status status = tare_words_int(words, "", "the window's size", 1, LARGEST, &item->kernel[0], error);
  item->stride = item->kernel[0];
  if (!status && tare_words_peek(words)) status = tare_words_int(words, "/", "the stride", 1, 1 << 16, &item->stride, error);
  return status;
}

void tare_window_write(const tare_item *item, tare_text *text) {
  tare_text_add(text, " %d", item->kernel[0]);
  if (item->stride != item->kernel[0]) tare_text_add(text, " /%d", item->stride);
}

static tare_status add(tare_net *net, const tare_item *item, const tare_layer_ops *ops, tare_error *error) {
  const int *shape = tare_net_shape(net);
  int k = item->kernel[0];
  if (k > shape[0] || k > shape[1])
    return tare_item_fail(item, item->column, TARE_E_SHAPE, error, "the %dx%d window is larger than its %dx%d input", k, k, shape[0],
                          shape[1]);
  int h = (shape[0] - k) / item->stride + 1, w = (shape[1] - k) / item->stride + 1;
  return tare_net_add(net, item, ops, h, w, shape[2], sizeof(pool), error) ? TARE_OK : TARE_E_MEMORY;
}

static tare_status maxpool_create(tare_net *net, tare_layer *layer, tare_error *error) {
  pool *self = layer->self;
  size_t count = layer->stride * (size_t)tare_net_max_shards(net);
  self->winners = tare_alloc(count, sizeof *self->winners);
  return self->winners ? TARE_OK : tare_fail_memory(error, count * sizeof *self->winners, "max pooling");
}

static void maxpool_free(tare_layer *layer) { tare_free(((pool *)layer->self)->winners); }

static uint16_t *winners_of(const tare_layer *layer, int shard) { return ((pool *)layer->self)->winners + (size_t)shard * layer->stride; }

static void maxpool_forward(tare_net *net, tare_layer *l, int shard, int worker) {
  (void)worker;
  net->kernels->maxpool_forward(tare_shard_images(net, shard), l->in[0], l->in[1], l->in[2], l->item->kernel[0], l->item->stride,
                                tare_layer_x(net, l, shard), tare_layer_y(net, l, shard), winners_of(l, shard));
}

static void maxpool_backward(tare_net *net, tare_layer *l, int shard, int worker) {
  (void)worker;
  if (l->needs_dx)
    net->kernels->maxpool_backward(tare_shard_images(net, shard), l->in[0], l->in[1], l->in[2], l->item->kernel[0], l->item->stride,
                                   winners_of(l, shard), tare_layer_dy(net, l, shard), tare_layer_dx(net, l, shard));
}

static uint64_t maxpool_pattern(tare_net *net, tare_layer *layer) {
  uint64_t hash = 0;
  for (int shard = 0; shard < net->shards; shard++)
    for (size_t i = 0, n = (size_t)tare_shard_images(net, shard) * layer->out_size; i < n; i++)
      hash = tare_mix(hash, winners_of(layer, shard)[i]);
  return hash;
}

static void avgpool_forward(tare_net *net, tare_layer *l, int shard, int worker) {
  (void)worker;
  net->kernels->avgpool_forward(tare_shard_images(net, shard), l->in[0], l->in[1], l->in[2], l->item->kernel[0], l->item->stride,
                                tare_layer_x(net, l, shard), tare_layer_y(net, l, shard));
}

static void avgpool_backward(tare_net *net, tare_layer *l, int shard, int worker) {
  (void)worker;
  if (l->needs_dx)
    net->kernels->avgpool_backward(tare_shard_images(net, shard), l->in[0], l->in[1], l->in[2], l->item->kernel[0], l->item->stride,
                                   tare_layer_dy(net, l, shard), tare_layer_dx(net, l, shard));
}

static void gap_forward(tare_net *net, tare_layer *l, int shard, int worker) {
  (void)worker;
  net->kernels->gap_forward(tare_shard_images(net, shard), l->in[0] * l->in[1], l->in[2], tare_layer_x(net, l, shard),
                            tare_layer_y(net, l, shard));
}

static void gap_backward(tare_net *net, tare_layer *l, int shard, int worker) {
  (void)worker;
  if (l->needs_dx)
    net->kernels->gap_backward(tare_shard_images(net, shard), l->in[0] * l->in[1], l->in[2], tare_layer_dy(net, l, shard),
                               tare_layer_dx(net, l, shard));
}

static const tare_layer_ops maxpool_ops = {.create = maxpool_create, .free = maxpool_free, .forward = maxpool_forward,
                                           .backward = maxpool_backward, .pattern = maxpool_pattern};
static const tare_layer_ops avgpool_ops = {.forward = avgpool_forward, .backward = avgpool_backward};
static const tare_layer_ops gap_ops = {.forward = gap_forward, .backward = gap_backward};

tare_status tare_maxpool_add(tare_net *net, tare_item *item, tare_error *error) { return add(net, item, &maxpool_ops, error); }
tare_status tare_avgpool_add(tare_net *net, tare_item *item, tare_error *error) { return add(net, item, &avgpool_ops, error); }
tare_status tare_gap_add(tare_net *net, tare_item *item, tare_error *error) {
  return tare_net_add(net, item, &gap_ops, 1, 1, tare_net_shape(net)[2], 0, error) ? TARE_OK : TARE_E_MEMORY;
}
