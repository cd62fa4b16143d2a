/* SPDX-License-Identifier: Apache-2.0 */
/* relu, flatten, dropout: in place, forward and backward; sort. */
#include "base/alloc.h"
#include "base/rng.h"
#include "net/layers.h"
#include "net/ranks.h"

static size_t shard_elements(const tare_net *net, const tare_layer *layer, int shard) {
  return (size_t)tare_shard_images(net, shard) * layer->out_size;
}

static void relu_forward(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  net->kernels->relu_forward(shard_elements(net, layer, shard), tare_layer_x(net, layer, shard), tare_layer_y(net, layer, shard));
}

static void relu_backward(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  net->kernels->relu_backward(shard_elements(net, layer, shard), tare_layer_y(net, layer, shard), tare_layer_dy(net, layer, shard),
                              tare_layer_dx(net, layer, shard));
}

/* Which outputs are cut off. */
static uint64_t relu_pattern(tare_net *net, tare_layer *layer) {
  uint64_t hash = 0;
  for (int shard = 0; shard < net->shards; shard++) {
    const void *y = tare_layer_y(net, layer, shard);
    for (size_t i = 0, n = shard_elements(net, layer, shard); i < n; i++)
      hash = hash * 6364136223846793005u + (net->real == sizeof(double) ? ((const double *)y)[i] > 0 : ((const float *)y)[i] > 0);
  }
  return hash;
}

static const tare_layer_ops relu_ops = {.in_place = 1, .forward = relu_forward, .backward = relu_backward, .pattern = relu_pattern};

tare_status tare_relu_add(tare_net *net, tare_item *item, tare_error *error) {
  const int *shape = tare_net_shape(net);
  tare_layer *layer = tare_net_add(net, item, &relu_ops, shape[0], shape[1], shape[2], 0, error);
  if (!layer) return TARE_E_MEMORY;
  if (tare_layer_is_bn(layer->below)) {
    tare_bn_take_relu(layer->below);
    layer->skip = 1;
  }
  return TARE_OK;
}

/*
 * sort (Anil, Lucas & Grosse 2019; Herbreteau, Moebel & Kervrann 2023): of channels i and i + C/2 the larger and the smaller. For a > 0 it commutes with
 * x -> a x + b, which relu does not.
 */
static void sort_forward(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  size_t half = (size_t)layer->in[2] / 2;
  net->kernels->sort_forward(shard_elements(net, layer, shard) / (2 * half), half, tare_layer_x(net, layer, shard),
                             tare_layer_y(net, layer, shard));
}

static void sort_backward(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  size_t half = (size_t)layer->in[2] / 2;
  if (layer->needs_dx)
    net->kernels->sort_backward(shard_elements(net, layer, shard) / (2 * half), half, tare_layer_x(net, layer, shard),
                                tare_layer_dy(net, layer, shard), tare_layer_dx(net, layer, shard));
}

static int is_swapped(const tare_net *net, const void *x, size_t i, size_t half) {
  return net->real == sizeof(double) ? ((const double *)x)[i] < ((const double *)x)[i + half] : ((const float *)x)[i] < ((const float *)x)[i + half];
}

/* Which pairs are swapped. */
static uint64_t sort_pattern(tare_net *net, tare_layer *layer) {
  uint64_t hash = 0;
  size_t half = (size_t)layer->in[2] / 2;
  for (int shard = 0; shard < net->shards; shard++)
    for (size_t i = 0, n = shard_elements(net, layer, shard) / 2; i < n; i++)
      hash = hash * 6364136223846793005u + (uint64_t)is_swapped(net, tare_layer_x(net, layer, shard), i / half * 2 * half + i % half, half);
  return hash;
}

static const tare_layer_ops sort_ops = {.forward = sort_forward, .backward = sort_backward, .pattern = sort_pattern};

tare_status tare_sort_add(tare_net *net, tare_item *item, tare_error *error) {
  const int *shape = tare_net_shape(net);
  if (shape[2] % 2)
    return tare_item_fail(item, item->column, TARE_E_SHAPE, error, "sort takes channels in pairs: expected an even number of them, found %d",
                          shape[2]);
  return tare_net_add(net, item, &sort_ops, shape[0], shape[1], shape[2], 0, error) ? TARE_OK : TARE_E_MEMORY;
}

static const tare_layer_ops flatten_ops = {.in_place = 1};

tare_status tare_flatten_add(tare_net *net, tare_item *item, tare_error *error) {
  const int *shape = tare_net_shape(net);
  return tare_net_add(net, item, &flatten_ops, 1, 1, shape[0] * shape[1] * shape[2], 0, error) ? TARE_OK : TARE_E_MEMORY;
}

/* dropout (Srivastava et al. 2014), scaled while training: what stays is divided by 1 - P, so that evaluation changes nothing. */
typedef struct dropout { void *factors; } dropout;

static tare_status dropout_create(tare_net *net, tare_layer *layer, tare_error *error) {
  dropout *self = layer->self;
  size_t elements = layer->stride * (size_t)tare_net_max_shards(net);
  self->factors = tare_alloc(elements, net->real);
  return self->factors ? TARE_OK : tare_fail_memory(error, elements * net->real, "dropout");
}

static void dropout_free(tare_layer *layer) { tare_free(((dropout *)layer->self)->factors); }

/* One image's factors: a function of seed, step, layer and image, whichever thread or shard has it. */
static void draw_factors(const tare_net *net, const tare_layer *layer, int image, void *factors) {
  tare_rng rng;
  double rate = layer->item->rate, keep = 1 / (1 - rate);
  tare_rng_init(&rng, tare_mix(net->options.seed, net->step), tare_mix((uint64_t)layer->item->place, (uint64_t)image));
  for (size_t i = 0; i < layer->out_size; i++) {
    double factor = tare_rng_unit(&rng) < rate ? 0 : keep;
    net->kernels->narrow(1, &factor, tare_at(net, factors, i));
  }
}

static void *factors_of(const tare_net *net, const tare_layer *layer, int shard) {
  return tare_at(net, ((const dropout *)layer->self)->factors, (size_t)shard * layer->stride);
}

static void dropout_forward(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  if (net->mode != TARE_MODE_TRAIN) return;
  void *factors = factors_of(net, layer, shard);
  for (int i = 0; i < tare_shard_images(net, shard); i++)
    draw_factors(net, layer, tare_net_first_image(net) + shard * TARE_SHARD_IMAGES + i, tare_at(net, factors, (size_t)i * layer->out_size));
  net->kernels->multiply(shard_elements(net, layer, shard), tare_layer_x(net, layer, shard), factors, tare_layer_y(net, layer, shard));
}

static void dropout_backward(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  net->kernels->multiply(shard_elements(net, layer, shard), tare_layer_dy(net, layer, shard), factors_of(net, layer, shard),
                         tare_layer_dx(net, layer, shard));
}

static const tare_layer_ops dropout_ops = {.in_place = 1, .create = dropout_create, .free = dropout_free, .forward = dropout_forward,
                                           .backward = dropout_backward};

tare_status tare_dropout_parse(tare_words *words, tare_item *item, tare_error *error) {
  const char *word = tare_words_peek(words);
  if (!word || tare_parse_double(word, 0, 1, &item->rate) || item->rate == 1)
    return tare_words_expected(words, "the share of values that dropout takes out, from 0 to below 1", error);
  tare_words_take(words);
  return TARE_OK;
}

void tare_dropout_write(const tare_item *item, tare_text *text) {
  char number[32];
  tare_text_add(text, " %s", tare_number_text(item->rate, number));
}

tare_status tare_dropout_add(tare_net *net, tare_item *item, tare_error *error) {
  const int *shape = tare_net_shape(net);
  return tare_net_add(net, item, &dropout_ops, shape[0], shape[1], shape[2], sizeof(dropout), error) ? TARE_OK : TARE_E_MEMORY;
}
