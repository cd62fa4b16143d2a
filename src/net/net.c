/* SPDX-License-Identifier: Apache-2.0 */
/* Networks made and used: the chain from the line, its arrays, forward, backward, after_step. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/layers.h"
#include "net/ranks.h"

static tare_status check_options(const tare_net_options *o, tare_error *error) {
  const struct { const char *name; int value, high; } sizes[] = {
    {"height", o->height, 1 << 16}, {"width", o->width, 1 << 16}, {"channels", o->channels, 1 << 16}, {"batch", o->batch, 1 << 20},
    {"threads", o->threads, 256},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i].value < 1 || sizes[i].value > sizes[i].high)
      return tare_fail(error, TARE_E_ARGUMENT, "%s of a network must be 1 to %d, not %d", sizes[i].name, sizes[i].high, sizes[i].value);
  if ((double)o->height * o->width * o->channels > 1 << 28)
    return tare_fail(error, TARE_E_ARGUMENT, "an image of %dx%dx%d values is too large for a network", o->height, o->width, o->channels);
  if (o->precision != TARE_F32 && o->precision != TARE_F64) return tare_fail(error, TARE_E_ARGUMENT, "precision must be float or double");
  if (o->init != TARE_INIT_METHOD && o->init != TARE_INIT_RESPONSE) return tare_fail(error, TARE_E_ARGUMENT, "no init %d", (int)o->init);
  return TARE_OK;
}

/* The layers of every item, and the line written out again (the rules are canonical by then). */
static tare_status build_chain(tare_net *net, tare_error *error) {
  const tare_net_options *o = &net->options;
  if (!tare_net_add(net, NULL, &tare_input_ops, o->height, o->width, o->channels, 0, error)) return TARE_E_MEMORY;
  for (int i = 0; i < net->item_count; i++) {
    tare_status status = net->items[i].kind->add(net, &net->items[i], error);
    if (status) return status;
  }
  const int *shape = tare_net_shape(net);
  if (!tare_net_add(net, NULL, &tare_output_ops, shape[0], shape[1], shape[2], 0, error)) return TARE_E_MEMORY;
  net->line = tare_net_write_line(net);
  return net->line ? TARE_OK : tare_fail_memory(error, 1, "a network line");
}

/* Which layers must hand their gradient down, and through which of the two buffers. */
static void plan_gradients(tare_net *net) {
  int below = net->input_gradient;
  for (int i = 1; i < net->layer_count; i++) {
    net->layers[i]->needs_dx = below;
    below |= net->layers[i]->trains;
  }
  int slot = 0;
  for (int i = net->layer_count - 1; i > 0; i--) {
    tare_layer *layer = net->layers[i];
    layer->slot_dy = slot;
    if (!layer->ops->in_place && !layer->ops->gradient_in_place) slot = 1 - slot;
    layer->slot_dx = slot;
  }
  net->layers[0]->slot_dy = slot;
}

static size_t aligned(size_t elements) { return (elements + 15) / 16 * 16; }

tare_status tare_net_need_scratch(tare_net *net, size_t bytes, tare_error *error) {
  if (bytes <= net->scratch_bytes) return TARE_OK;
  for (int i = 0; i < net->options.threads; i++) {
    void *larger = tare_alloc(bytes, 1);
    if (!larger) return tare_fail_memory(error, bytes, "scratch memory");
    tare_free(net->scratch[i]);
    net->scratch[i] = larger;
  }
  net->scratch_bytes = bytes;
  return TARE_OK;
}

static tare_status need(void *array, size_t elements, const char *what, tare_error *error) {
  return array ? TARE_OK : tare_fail_memory(error, elements * sizeof(double), what);
}

/* A line can ask for anything, and Linux would give it, to end the process when it is used: refused is what the machine cannot hold. */
static tare_status check_memory(const tare_net *net, tare_error *error) {
  double images = (double)tare_net_max_shards(net) * tare_net_shard_capacity(net), widest = 0, values = 3 * (double)net->parameter_count;
  double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), need;
  for (int i = 0; i < net->layer_count; i++) {
    double size = images * (double)net->layers[i]->out_size;
    if (size > widest) widest = size;
    if (!net->layers[i]->ops->in_place) values += size;
  }
  need = (values + 2 * widest) * (double)net->real;
  if (!(machine > 0) || need <= machine) return TARE_OK;
  return tare_fail(error, TARE_E_MEMORY, "this network with a batch of %d needs %.1f GB or more, this machine has %.1f: use smaller batches, images or layers",
                   net->options.batch, need / 1e9, machine / 1e9);
}

static tare_status make_arrays(tare_net *net, tare_error *error) {
  size_t shards = (size_t)tare_net_max_shards(net), widest = 0;
  tare_status status = check_memory(net, error);
  for (int i = 0; i < net->layer_count && !status; i++) {
    tare_layer *layer = net->layers[i];
    layer->stride = aligned((size_t)tare_net_shard_capacity(net) * layer->out_size);
    if (layer->stride > widest) widest = layer->stride;
    layer->owns_output = !layer->ops->in_place;
    layer->output = layer->owns_output ? tare_alloc(layer->stride * shards, net->real) : layer->below->output;
    status = need(layer->output, layer->stride * shards, "the values of a layer", error);
  }
  if (status) return status;
  net->gradient_stride = widest;
  for (int i = 0; i < 2; i++) net->gradient[i] = tare_alloc(widest * shards, net->real);
  net->parameters = tare_alloc(net->parameter_count, net->real);
  net->gradients = tare_alloc(net->parameter_count, net->real);
  net->state = tare_alloc(net->state_count, net->real);
  net->output = tare_alloc((size_t)net->options.batch * net->layers[net->layer_count - 1]->out_size, net->real);
  net->scratch = tare_alloc((size_t)net->options.threads, sizeof *net->scratch);
  if (!net->gradient[0] || !net->gradient[1] || !net->parameters || !net->gradients || !net->state || !net->output || !net->scratch)
    return tare_fail_memory(error, widest * shards * net->real, "a network");
  for (int i = 0; i < net->layer_count && !status; i++)
    if (net->layers[i]->ops->create) status = net->layers[i]->ops->create(net, net->layers[i], error);
  return status;
}

static tare_status fill(tare_net *net, const char *line, tare_error *error) {
  tare_status status = tare_net_parse(net, line, error);
  if (!status) status = build_chain(net, error);
  if (!status) status = tare_pool_create(net->options.threads, &net->pool, error);
  if (status) return status;
  plan_gradients(net);
  status = make_arrays(net, error);
  return status ? status : tare_net_stages(net, error);
}

tare_status tare_net_make(const char *line, const tare_net_options *options, int input_gradient, tare_net **out, tare_error *error) {
  if (!line || !options || !out)
    return tare_fail(error, TARE_E_ARGUMENT, "a network needs a line, options and a place for the result; one is NULL");
  tare_status status = check_options(options, error);
  if (status) return status;
  tare_net *net = tare_alloc(1, sizeof *net);
  if (!net) return tare_fail_memory(error, sizeof *net, "a network");
  net->options = *options;
  net->input_gradient = input_gradient;
  net->kernels = tare_kernels_get(options->precision);
  net->real = net->kernels->real;
  net->stale = 1;
  status = fill(net, line, error);
  if (status) tare_net_free(net);
  else *out = net;
  return status;
}

tare_status tare_net_create(const char *line, const tare_net_options *options, tare_net **out, tare_error *error) {
  return tare_net_make(line, options, 0, out, error);
}

static void free_layer(tare_layer *layer) {
  if (layer->ops->free) layer->ops->free(layer);
  if (layer->owns_output) tare_free(layer->output);
  tare_free(layer->self);
  tare_free(layer);
}

void tare_net_free(tare_net *net) {
  if (!net) return;
  for (int i = 0; i < net->layer_count; i++) free_layer(net->layers[i]);
  for (int i = 0; i < net->item_count; i++) tare_free(net->items[i].rule);
  for (int i = 0; net->scratch && i < net->options.threads; i++) tare_free(net->scratch[i]);
  void *arrays[] = {net->items, net->line, net->layers, net->tensors, net->parameters, net->gradients, net->state, net->gradient[0],
                    net->gradient[1], net->scratch, net->forward.list, net->backward.list, net->scales, net->output};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) tare_free(arrays[i]);
  tare_exchange_free(net->exchange);
  tare_text_free(&net->notes);
  tare_pool_free(net->pool);
  tare_free(net);
}

void tare_net_add_note(tare_net *net, const char *note) {
  if (*note) tare_text_add(&net->notes, "%s%s", net->notes.length ? "\n" : "", note);
}

const char *tare_net_line(const tare_net *net) { return net ? net->line : NULL; }
const char *tare_net_notes(const tare_net *net) { return net && net->notes.data && !net->notes.failed ? net->notes.data : ""; }
const tare_net_options *tare_net_get_options(const tare_net *net) { return net ? &net->options : NULL; }
size_t tare_net_output_size(const tare_net *net) { return net ? net->layers[net->layer_count - 1]->out_size : 0; }
void tare_net_output_shape(const tare_net *net, int shape[3]) {
  if (net && shape) memcpy(shape, net->layers[net->layer_count - 1]->out, 3 * sizeof *shape);
}
size_t tare_net_parameter_count(const tare_net *net) { return net ? net->parameter_count : 0; }
void *tare_net_parameters(tare_net *net) { return net ? net->parameters : NULL; }
void *tare_net_gradients(tare_net *net) { return net ? net->gradients : NULL; }
size_t tare_net_state_count(const tare_net *net) { return net ? net->state_count : 0; }
void *tare_net_state(tare_net *net) { return net ? net->state : NULL; }

tare_status tare_net_forward(tare_net *net, const void *images, int count, int training, uint64_t step, const void **output,
                             tare_error *error) {
  if (!net || !images) return tare_fail(error, TARE_E_ARGUMENT, "forward needs a network and images; one is NULL");
  if (count < 1 || count > net->options.batch)
    return tare_fail(error, TARE_E_ARGUMENT, "this network takes 1 to %d images at once, not %d", net->options.batch, count);
  if (training && net->exchange && count != net->options.batch)
    return tare_fail(error, TARE_E_ARGUMENT, "%d images for a rank whose share of a batch is %d", count, net->options.batch);
  if (training && net->pinned) return tare_fail(error, TARE_E_ARGUMENT, "weights are pinned: this network is for evaluation only");
  tare_status status = tare_net_refresh(net, error);
  if (!status) status = tare_net_forward_to(net, NULL, images, count, training ? TARE_MODE_TRAIN : TARE_MODE_EVAL, step, error);
  if (!status && output) *output = net->output;
  return status;
}

tare_status tare_net_backward(tare_net *net, const void *doutput, tare_error *error) {
  if (!net || !doutput) return tare_fail(error, TARE_E_ARGUMENT, "backward needs a network and the gradient of its output; one is NULL");
  if (net->mode != TARE_MODE_TRAIN || net->count < 1 || net->stale)
    return tare_fail(error, TARE_E_ARGUMENT, "backward needs a training forward before it");
  net->doutput = doutput;
  tare_status status = tare_net_run(net, &net->backward, error);
  for (int i = 0; i < net->layer_count && !status; i++)
    if (net->layers[i]->ops->reduce) net->layers[i]->ops->reduce(net, net->layers[i]);
  return status;
}

double tare_net_penalty(const tare_net *net) {
  double sum = 0;
  for (int i = 0; net && i < net->layer_count; i++) {
    const tare_conv *conv = tare_layer_conv(net->layers[i]);
    if (conv) sum += tare_weights_penalty(&conv->weights, tare_at(net, net->parameters, net->layers[i]->parameters), NULL);
  }
  return sum;
}

tare_status tare_net_after_step(tare_net *net, tare_error *error) {
  if (!net) return tare_fail(error, TARE_E_ARGUMENT, "the network after whose step this would be is NULL");
  for (int i = 0; i < net->layer_count; i++)
    if (net->layers[i]->ops->after_step) net->layers[i]->ops->after_step(net, net->layers[i]);
  net->stale = 1;
  return TARE_OK;
}
