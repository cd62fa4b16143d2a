/* SPDX-License-Identifier: Apache-2.0 */
/* The chain while it grows: layers, their shapes, the names of their tensors. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/layers.h"

/* The list with room for one more at its end (it doubles at every power of two); NULL when out of memory, the list is unharmed then. */
static void *grown(void *list, int count, size_t size) {
  if (count & (count - 1)) return list;
  void *more = tare_alloc(count ? 2 * (size_t)count : 1, size);
  if (!more) return NULL;
  if (count) memcpy(more, list, size * (size_t)count);
  tare_free(list);
  return more;
}

static tare_layer *append(tare_net *net, size_t self_size) {
  tare_layer *layer = tare_alloc(1, sizeof *layer);
  void *self = tare_alloc(self_size, 1);
  tare_layer **list = layer && self ? grown(net->layers, net->layer_count, sizeof *list) : NULL;
  if (!list) {
    tare_free(layer);
    tare_free(self);
    return NULL;
  }
  net->layers = list;
  layer->self = self;
  return net->layers[net->layer_count++] = layer;
}

tare_layer *tare_net_add(tare_net *net, const tare_item *item, const tare_layer_ops *ops, int h, int w, int c, size_t self_size,
                         tare_error *error) {
  tare_layer *below = net->layer_count ? net->layers[net->layer_count - 1] : NULL;
  tare_layer *layer = append(net, self_size);
  if (!layer) {
    tare_fail_memory(error, sizeof *layer + self_size, "a layer");
    return NULL;
  }
  layer->ops = ops;
  layer->item = item;
  layer->below = below;
  if (below) memcpy(layer->in, below->out, sizeof layer->in);
  layer->in_size = below ? below->out_size : 0;
  layer->out[0] = h;
  layer->out[1] = w;
  layer->out[2] = c;
  layer->out_size = (size_t)h * w * c;
  layer->parameters = net->parameter_count;
  layer->state = net->state_count;
  return layer;
}

const int *tare_net_shape(const tare_net *net) { return net->layers[net->layer_count - 1]->out; }

int tare_net_shard_capacity(const tare_net *net) { return net->options.batch < TARE_SHARD_IMAGES ? net->options.batch : TARE_SHARD_IMAGES; }

int tare_net_max_shards(const tare_net *net) { return (net->options.batch + TARE_SHARD_IMAGES - 1) / TARE_SHARD_IMAGES; }

static int count_kind(const tare_net *net, const tare_item *item) {
  int count = 0;
  for (const tare_item *other = net->items; other <= item; other++) count += other->kind == item->kind;
  return count;
}

tare_status tare_net_name_tensor(tare_net *net, tare_layer *layer, const char *part, tare_role role, size_t offset, int dims,
                                 const int64_t *shape, tare_error *error) {
  tare_tensor_entry *list = grown(net->tensors, net->tensor_count, sizeof *list);
  if (!list) return tare_fail_memory(error, sizeof *list, "a tensor's name");
  net->tensors = list;
  tare_tensor_entry *entry = &net->tensors[net->tensor_count++];
  *entry = (tare_tensor_entry){.layer = layer, .role = role, .offset = offset, .count = 1, .info.dims = dims};
  snprintf(entry->info.name, sizeof entry->info.name, "%s%d.%s", layer->item->kind->name, count_kind(net, layer->item), part);
  for (int i = 0; i < dims; i++) {
    entry->info.shape[i] = shape[i];
    entry->count *= (size_t)shape[i];
  }
  if (role == TARE_ROLE_STATE) return TARE_OK;
  entry->info.parameter = offset;
  entry->info.parameters = entry->count;
  return TARE_OK;
}

tare_status tare_item_fail(const tare_item *item, int column, tare_status status, tare_error *error, const char *format, ...) {
  char message[700];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  return tare_fail(error, status, "layer %d, column %d: %s", item->number, column, message);
}

tare_status tare_item_prefix(const tare_item *item, int column, tare_status status, tare_error *error) {
  tare_fail_prefix(error, status, "layer %d, column %d", item->number, column);
  return status;
}
