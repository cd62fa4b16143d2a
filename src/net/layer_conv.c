/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, trained or frozen: forward, backward and the sums of a step. What their weights are is in weights.c and methods.c. */
#include <string.h>

#include "base/alloc.h"
#include "net/layers.h"
#include "net/moments.h"
#include "net/ranks.h"

enum { PIECE = 1 << 15 };       /* weights that one job composes */
enum { PLAN_LIMIT = 256 << 20 }; /* bytes that a shard's convolution may need for its workspace and for what it keeps */

static int is_frozen(const tare_conv *conv) { return conv->weights.method == NULL; }

static size_t plain_count(const tare_conv_problem *p) {
  return (size_t)p->outputs * (p->channels / p->groups) * p->kernel[0] * p->kernel[1];
}

tare_status tare_net_plan(const tare_net *net, const tare_conv_problem *problem, int passes, tare_conv_plan **out, tare_error *error) {
  const tare_conv_options options = {.precision = net->options.precision, .passes = passes, .workspace_limit = PLAN_LIMIT};
  return tare_conv_plan_create(problem, &options, out, error);
}

static tare_status make_arrays(const tare_net *net, tare_conv *conv, tare_error *error) {
  size_t shards = (size_t)tare_net_max_shards(net), bias = conv->bias ? tare_period(conv->problem.outputs) : 0;
  size_t prepared = tare_conv_prepared_size(conv->plan);
  conv->prepared = tare_alloc(prepared, net->real);
  conv->bias_values = conv->bias ? tare_alloc((size_t)conv->problem.outputs, net->real) : NULL;
  if (!conv->prepared || (conv->bias && !conv->bias_values))
    return tare_fail_memory(error, prepared * net->real, "a convolution's weights");
  if (is_frozen(conv)) return TARE_OK;
  conv->bias_at = (tare_conv_partial_size(conv->plan) + 15) / 16 * 16;
  conv->partial_stride = conv->bias_at + (bias + 15) / 16 * 16;
  conv->composed = tare_alloc(plain_count(&conv->problem), net->real);
  conv->dweights = tare_alloc(plain_count(&conv->problem), net->real);
  conv->kept_stride = (tare_conv_kept_size(conv->plan) + 15) / 16 * 16;
  conv->partials = tare_alloc(conv->partial_stride * shards, net->real);
  conv->kept = conv->kept_stride ? tare_alloc(conv->kept_stride * shards, net->real) : NULL;
  if (conv->composed && conv->dweights && conv->partials && (conv->kept || !conv->kept_stride)) return TARE_OK;
  return tare_fail_memory(error, (conv->partial_stride + conv->kept_stride) * shards * net->real, "a convolution's gradients");
}

static tare_status conv_create(tare_net *net, tare_layer *layer, tare_error *error) {
  tare_conv *conv = layer->self;
  int passes = TARE_FORWARD | (layer->needs_dx ? TARE_BACKWARD_DATA : 0) | (is_frozen(conv) ? 0 : TARE_BACKWARD_WEIGHTS);
  tare_status status = tare_net_plan(net, &conv->problem, passes, &conv->plan, error);
  if (status) return tare_item_prefix(layer->item, layer->item->column, status, error);
  status = make_arrays(net, conv, error);
  return status ? status : tare_net_need_scratch(net, tare_conv_workspace_size(conv->plan) * net->real, error);
}

static void conv_free(tare_layer *layer) {
  tare_conv *conv = layer->self;
  void *arrays[] = {conv->composed, conv->prepared, conv->bias_values, conv->kept, conv->partials, conv->dweights, conv->pin};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) tare_free(arrays[i]);
  tare_conv_plan_free(conv->plan);
  tare_conv_plan_free(conv->pin_plan);
  tare_weights_free(&conv->weights);
}

/* What a piece of composing or of its adjoint works on. */
typedef struct weight_work { const tare_weights *weights; const void *t; void *w, *g; } weight_work;

static void compose_piece(void *user, size_t first, size_t count) {
  const weight_work *work = user;
  work->weights->method->compose(work->weights, first, count, work->t, work->w);
}

static void backprop_piece(void *user, size_t first, size_t count) {
  const weight_work *work = user;
  work->weights->method->backprop(work->weights, first, count, work->t, work->w, work->g);
}

static size_t units_of_piece(const tare_weights *weights) { return (size_t)PIECE / (size_t)weights->taps + 1; }

static void widen_pin(const tare_net *net, const tare_conv *conv, void *weights) {
  for (size_t i = 0; i < plain_count(&conv->plain); i++) {
    double value = (double)conv->pin[i];
    net->kernels->narrow(1, &value, tare_at(net, weights, i));
  }
}

static tare_status prepare_pin(const tare_net *net, tare_conv *conv, tare_error *error) {
  const tare_conv_plan *plan = conv->pin_plan ? conv->pin_plan : conv->plan;
  size_t count = plain_count(&conv->plain);
  void *weights = tare_alloc(count, net->real), *prepared = tare_alloc(tare_conv_prepared_size(plan), net->real);
  tare_status status = weights && prepared ? TARE_OK : tare_fail_memory(error, count * net->real, "pinned weights");
  if (!status) {
    widen_pin(net, conv, weights);
    status = tare_conv_prepare(plan, weights, prepared, net->scratch[0], NULL);
    tare_free(conv->prepared);
    conv->prepared = prepared;
    prepared = NULL;
  }
  tare_free(weights);
  tare_free(prepared);
  return status;
}

static tare_status conv_refresh(tare_net *net, tare_layer *layer, tare_error *error) {
  tare_conv *conv = layer->self;
  if (conv->bias)
    memcpy(conv->bias_values, tare_at(net, net->parameters, layer->parameters + tare_weights_parameters(&conv->weights)),
           (size_t)conv->problem.outputs * net->real);
  tare_status status = TARE_OK;
  if (conv->pin) status = prepare_pin(net, conv, error);
  else {
    weight_work work = {&conv->weights, tare_at(net, net->parameters, layer->parameters), conv->composed, NULL};
    if (!is_frozen(conv)) tare_net_pieces(net, conv->weights.units, units_of_piece(&conv->weights), compose_piece, &work);
    else if (conv->ready) return TARE_OK;
    if (!conv->prepared) conv->prepared = tare_alloc(tare_conv_prepared_size(conv->plan), net->real); /* a pin took its place */
    if (!conv->prepared) return tare_fail_memory(error, tare_conv_prepared_size(conv->plan) * net->real, "a convolution's weights");
    status = tare_conv_prepare(conv->plan, conv->composed, conv->prepared, net->scratch[0], NULL);
    conv->ready = 1;
  }
  return status == TARE_E_LIBRARY ? tare_fail(error, status, "the weights of a convolution could not be prepared") : status;
}

static void project_piece(void *user, size_t first, size_t count) {
  const weight_work *work = user;
  work->weights->method->after_step(work->weights, first, count, work->g);
}

static void conv_after_step(tare_net *net, tare_layer *layer) {
  tare_conv *conv = layer->self;
  weight_work work = {&conv->weights, NULL, NULL, tare_at(net, net->parameters, layer->parameters)};
  if (!is_frozen(conv) && conv->weights.method->after_step)
    tare_net_pieces(net, conv->weights.units, units_of_piece(&conv->weights), project_piece, &work);
}

void tare_conv_clear_rest(const tare_net *net, void *array, size_t image_size, int shard) {
  size_t used = (size_t)tare_shard_images(net, shard), all = (size_t)tare_net_shard_capacity(net);
  if (used < all) memset(tare_at(net, array, used * image_size), 0, (all - used) * image_size * net->real);
}

/* Where forward keeps something for backward; NULL outside of training. */
static void *kept_of(const tare_net *net, const tare_conv *conv, int shard) {
  return conv->kept && net->mode == TARE_MODE_TRAIN ? tare_at(net, conv->kept, conv->kept_stride * (size_t)shard) : NULL;
}

static void conv_forward(tare_net *net, tare_layer *layer, int shard, int worker) {
  const tare_conv *conv = layer->self;
  const tare_layer *from = conv->pin_plan ? conv->source : layer;
  void *x = tare_layer_x(net, from, shard);
  tare_conv_clear_rest(net, x, from->in_size, shard);
  const tare_conv_plan *plan = conv->pin_plan ? conv->pin_plan : conv->plan;
  void *kept = plan == conv->plan ? kept_of(net, conv, shard) : NULL;
  tare_net_note(net, tare_conv_forward(plan, x, conv->prepared, conv->bias_values, tare_layer_y(net, layer, shard), kept,
                                       net->scratch[worker], NULL));
}

static void conv_backward(tare_net *net, tare_layer *layer, int shard, int worker) {
  const tare_conv *conv = layer->self;
  void *dy = tare_layer_dy(net, layer, shard), *partial = tare_at(net, conv->partials, conv->partial_stride * (size_t)shard);
  tare_conv_clear_rest(net, dy, layer->out_size, shard);
  if (conv->bias)
    net->kernels->column_sums((size_t)tare_shard_images(net, shard) * layer->out_size, tare_period(layer->out[2]), dy,
                              tare_at(net, partial, conv->bias_at));
  tare_net_note(net, tare_conv_backward(conv->plan, tare_layer_x(net, layer, shard), dy, conv->prepared, kept_of(net, conv, shard),
                                        layer->needs_dx ? tare_layer_dx(net, layer, shard) : NULL, is_frozen(conv) ? NULL : partial,
                                        net->scratch[worker], NULL));
}

static void reduce_bias(tare_net *net, const tare_layer *layer) {
  const tare_conv *conv = layer->self;
  void *to = tare_at(net, net->gradients, layer->parameters + tare_weights_parameters(&conv->weights));
  tare_fold(net->kernels, layer->out[2], tare_at(net, conv->partials, conv->bias_at), to);
}

size_t tare_layer_sent(const tare_layer *layer) {
  const tare_conv *conv = tare_layer_conv(layer);
  return conv ? conv->partial_stride : 0;
}

static void add_shards(tare_net *net, tare_conv *conv) { tare_net_tree(net, conv->partials, conv->partial_stride, conv->partial_stride, net->shards); }

static void conv_send(tare_net *net, tare_layer *layer) {
  tare_conv *conv = layer->self;
  if (is_frozen(conv)) return;
  add_shards(net, conv);
  tare_ranks_send(net, layer, conv->partials, conv->partial_stride);
}

static void conv_reduce(tare_net *net, tare_layer *layer) {
  tare_conv *conv = layer->self;
  if (is_frozen(conv)) return;
  void *t = tare_at(net, net->parameters, layer->parameters), *g = tare_at(net, net->gradients, layer->parameters);
  if (net->exchange) tare_ranks_receive(net, layer, conv->partials, conv->partial_stride);
  else add_shards(net, conv);
  tare_net_note(net, tare_conv_finish(conv->plan, conv->partials, conv->dweights, net->scratch[0], NULL));
  weight_work work = {&conv->weights, t, conv->dweights, g};
  tare_net_pieces(net, conv->weights.units, units_of_piece(&conv->weights), backprop_piece, &work);
  tare_weights_penalty(&conv->weights, t, g);
  if (conv->bias) reduce_bias(net, layer);
}

/* On which side of its rule each unit of a penalty lies. */
static uint64_t conv_pattern(tare_net *net, tare_layer *layer) {
  const tare_conv *conv = layer->self;
  return is_frozen(conv) ? 0 : tare_weights_sides(&conv->weights, tare_at(net, net->parameters, layer->parameters));
}

static const tare_layer_ops conv_ops = {
  .create = conv_create, .free = conv_free, .start = tare_conv_start, .refresh = conv_refresh, .after_step = conv_after_step,
  .forward = conv_forward, .backward = conv_backward, .send = conv_send, .reduce = conv_reduce, .pattern = conv_pattern,
};

tare_conv *tare_layer_conv(const tare_layer *layer) { return layer->ops == &conv_ops && !is_frozen(layer->self) ? layer->self : NULL; }

static tare_layer *append(tare_net *net, const tare_item *item, const tare_conv_problem *p, tare_error *error) {
  return tare_net_add(net, item, &conv_ops, tare_conv_output_size(p, 0), tare_conv_output_size(p, 1), p->outputs, sizeof(tare_conv), error);
}

tare_status tare_conv_add_frozen(tare_net *net, const tare_item *item, const tare_conv_problem *problem, const double *weights,
                                 tare_error *error) {
  tare_status status = tare_conv_problem_check(problem, error);
  if (status) return tare_item_prefix(item, item->column, status, error);
  tare_layer *layer = append(net, item, problem, error);
  if (!layer) return TARE_E_MEMORY;
  tare_conv *conv = layer->self;
  conv->problem = conv->plain = *problem;
  conv->source = layer;
  conv->composed = tare_alloc(plain_count(problem), net->real);
  if (!conv->composed) return tare_fail_memory(error, plain_count(problem) * net->real, "fixed weights");
  net->kernels->narrow(plain_count(problem), weights, conv->composed);
  return TARE_OK;
}

static tare_status name_tensors(tare_net *net, tare_layer *layer, const int64_t dense_shape[2], tare_error *error) {
  const tare_conv *conv = layer->self;
  const int64_t shape[4] = {conv->plain.outputs, conv->weights.channels, conv->plain.kernel[0], conv->plain.kernel[1]};
  const int64_t bias[1] = {conv->plain.outputs};
  tare_status status = tare_net_name_tensor(net, layer, "weight", TARE_ROLE_WEIGHT, layer->parameters, dense_shape ? 2 : 4,
                                            dense_shape ? dense_shape : shape, error);
  if (status) return status;
  tare_net_tensor *info = &net->tensors[net->tensor_count - 1].info;
  info->parameters = tare_weights_parameters(&conv->weights);
  info->constraint = conv->weights.constraint;
  info->rule_trained = conv->weights.constraint && conv->weights.method->holds;
  if (!conv->bias) return TARE_OK;
  return tare_net_name_tensor(net, layer, "bias", TARE_ROLE_PARAMETER, layer->parameters + tare_weights_parameters(&conv->weights), 1,
                              bias, error);
}

tare_status tare_conv_add_trained(tare_net *net, const tare_item *item, const tare_conv *conv, const int64_t dense_shape[2],
                                  tare_error *error) {
  tare_layer *layer = append(net, item, &conv->problem, error);
  if (!layer) {
    tare_weights unused = conv->weights;
    tare_weights_free(&unused);
    return TARE_E_MEMORY;
  }
  tare_conv *own = layer->self;
  *own = *conv;
  if (!own->source) own->source = layer;
  layer->trains = 1;
  layer->parameter_count = tare_weights_parameters(&own->weights) + (own->bias ? (size_t)own->problem.outputs : 0);
  net->parameter_count += layer->parameter_count;
  return name_tensors(net, layer, dense_shape, error);
}
