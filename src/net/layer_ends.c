/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of the chain: the caller's contiguous images and outputs, and the net's aligned shards. */
#include <string.h>

#include "net/layers.h"

static void load(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  size_t from = (size_t)shard * TARE_SHARD_IMAGES * layer->out_size, count = (size_t)tare_shard_images(net, shard) * layer->out_size;
  memcpy(tare_layer_y(net, layer, shard), tare_at(net, net->images, from), count * net->real);
}

static void store(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  size_t to = (size_t)shard * TARE_SHARD_IMAGES * layer->out_size, count = (size_t)tare_shard_images(net, shard) * layer->out_size;
  memcpy(tare_at(net, net->output, to), tare_layer_x(net, layer, shard), count * net->real);
}

static void load_gradient(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  size_t from = (size_t)shard * TARE_SHARD_IMAGES * layer->out_size, count = (size_t)tare_shard_images(net, shard) * layer->out_size;
  memcpy(tare_layer_dx(net, layer, shard), tare_at(net, net->doutput, from), count * net->real);
}

const tare_layer_ops tare_input_ops = {.forward = load};
const tare_layer_ops tare_output_ops = {.in_place = 1, .forward = store, .backward = load_gradient};
