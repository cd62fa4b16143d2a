/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch normalisation (Ioffe & Szegedy 2015): y = gamma (x - mean) / sqrt(var + eps) + beta, a channel each.
 * eps and momentum are PyTorch's; the running variance is the unbiased one, as there. A
 * relu right behind it is done in the same loops.
 */
#include <math.h>

#include "base/alloc.h"
#include "net/layers.h"
#include "net/moments.h"
#include "net/ranks.h"

static const double epsilon = 1e-5, momentum = 0.1;

typedef struct bn {
  int relu;
  size_t period;
  tare_moments *moments;  /* a shard each; the first ends up as the batch's */
  double *doubles;        /* what the moments point into; then mean, 1/std, gamma, beta */
  void *sums;             /* a shard each: 3 periods of scratch */
  void *vectors;          /* 6 periods: see kernels.inc */
} bn;

void tare_bn_take_relu(tare_layer *layer) { ((bn *)layer->self)->relu = 1; }

static int channels_of(const tare_layer *layer) { return layer->out[2]; }
static size_t positions_of(const tare_net *net, const tare_layer *layer, int shard) {
  return (size_t)tare_shard_images(net, shard) * layer->out[0] * layer->out[1];
}
/* Four vectors of doubles behind the moments. */
static double *vector_of(const tare_net *net, const tare_layer *layer, int which) {
  return ((bn *)layer->self)->doubles + (size_t)(2 * tare_net_max_shards(net) + which) * channels_of(layer);
}
enum { MEAN, INVERSE, GAMMA, BETA };

static void *sums_of(const tare_net *net, const tare_layer *layer, int shard) {
  const bn *self = layer->self;
  return tare_at(net, self->sums, 3 * self->period * (size_t)shard);
}

/* gamma 1, beta 0; until a training step says more, mean 0 and variance 1. */
static tare_status bn_start(tare_net *net, tare_layer *layer, const void *images, size_t count, tare_error *error) {
  (void)images, (void)count, (void)error;
  const double values[2] = {0, 1};
  for (int i = 0, c = channels_of(layer); i < 2 * c; i++) {
    net->kernels->narrow(1, &values[i < c], tare_at(net, net->parameters, layer->parameters + i));
    net->kernels->narrow(1, &values[i >= c], tare_at(net, net->state, layer->state + i));
  }
  return TARE_OK;
}

static tare_status bn_create(tare_net *net, tare_layer *layer, tare_error *error) {
  bn *self = layer->self;
  int c = channels_of(layer), shards = tare_net_max_shards(net);
  self->period = tare_period(c);
  self->moments = tare_alloc((size_t)shards, sizeof *self->moments);
  self->doubles = tare_alloc((size_t)(2 * shards + 4) * c, sizeof(double));
  self->sums = tare_alloc(3 * self->period * (size_t)shards, net->real);
  self->vectors = tare_alloc(6 * self->period, net->real);
  if (!self->moments || !self->doubles || !self->sums || !self->vectors)
    return tare_fail_memory(error, 3 * self->period * (size_t)shards * net->real, "batch normalisation");
  for (int s = 0; s < shards; s++)
    self->moments[s] = (tare_moments){.mean = self->doubles + (size_t)2 * s * c, .squares = self->doubles + (size_t)(2 * s + 1) * c};
  return bn_start(net, layer, NULL, 0, error);
}

static void bn_free(tare_layer *layer) {
  bn *self = layer->self;
  tare_free(self->moments);
  tare_free(self->doubles);
  tare_free(self->sums);
  tare_free(self->vectors);
}

static void set_vector(const tare_net *net, const tare_layer *layer, int which, const double *values) {
  const bn *self = layer->self;
  tare_spread(net->kernels, channels_of(layer), values, tare_at(net, self->vectors, self->period * (size_t)which));
}

static void statistics(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  bn *self = layer->self;
  if (net->mode == TARE_MODE_EVAL) return;
  tare_moments_take(net->kernels, positions_of(net, layer, shard), channels_of(layer), tare_layer_x(net, layer, shard),
                    sums_of(net, layer, shard), &self->moments[shard]);
}

static void update_running(tare_net *net, tare_layer *layer, const tare_moments *batch) {
  int c = channels_of(layer);
  for (int i = 0; i < c; i++) {
    double running[2], fresh[2] = {batch->mean[i], batch->squares[i] / (batch->count > 1 ? batch->count - 1 : 1)};
    for (int k = 0; k < 2; k++) {
      void *place = tare_at(net, net->state, layer->state + (size_t)(k * c + i));
      net->kernels->widen(1, place, &running[k]);
      running[k] += momentum * (fresh[k] - running[k]);
      net->kernels->narrow(1, &running[k], place);
    }
  }
}

/* Mean and variance of the batch or of the past, then the vectors of the forward loop. */
static void prepare(tare_net *net, tare_layer *layer) {
  bn *self = layer->self;
  size_t c = (size_t)channels_of(layer);
  double *mean = vector_of(net, layer, MEAN), *inverse = vector_of(net, layer, INVERSE), *gamma = vector_of(net, layer, GAMMA),
         *beta = vector_of(net, layer, BETA);
  net->kernels->widen(c, tare_at(net, net->parameters, layer->parameters), gamma);
  net->kernels->widen(c, tare_at(net, net->parameters, layer->parameters + c), beta);
  if (net->mode == TARE_MODE_EVAL) {
    net->kernels->widen(c, tare_at(net, net->state, layer->state), mean);
    net->kernels->widen(c, tare_at(net, net->state, layer->state + c), inverse);
  } else {
    tare_moments_tree((int)c, self->moments, net->shards);
    tare_ranks_moments(net, (int)c, &self->moments[0]);
    for (size_t i = 0; i < c; i++) {
      mean[i] = self->moments[0].mean[i];
      inverse[i] = self->moments[0].squares[i] / self->moments[0].count;
    }
  }
  if (net->mode == TARE_MODE_TRAIN) update_running(net, layer, &self->moments[0]);
  double *scale = self->moments[0].squares; /* not needed any more */
  for (size_t i = 0; i < c; i++) {
    inverse[i] = 1 / sqrt(inverse[i] + epsilon);
    scale[i] = gamma[i] * inverse[i];
  }
  set_vector(net, layer, 0, mean);
  set_vector(net, layer, 1, scale);
  set_vector(net, layer, 2, beta);
}

static void normalise(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  const bn *self = layer->self;
  net->kernels->bn_forward(positions_of(net, layer, shard) * (size_t)channels_of(layer), self->period, self->relu, self->vectors,
                           tare_layer_x(net, layer, shard), tare_layer_y(net, layer, shard));
}

/* sum g and sum g (x - mean) of a shard, kept where its moments were. */
static void backward_sums(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  const bn *self = layer->self;
  int c = channels_of(layer);
  void *sums = sums_of(net, layer, shard);
  net->kernels->bn_backward_sums(positions_of(net, layer, shard) * (size_t)c, self->period, self->relu, self->vectors,
                                 tare_layer_x(net, layer, shard), tare_layer_dy(net, layer, shard), sums);
  tare_gather(net->kernels, c, sums, self->moments[shard].mean);
  tare_gather(net->kernels, c, tare_at(net, sums, self->period), self->moments[shard].squares);
}

/* Where each rank keeps to its own statistics: the parameters' gradients are added all the same. gamma and beta, side by side, are not needed any more. */
static void add_to_ranks(tare_net *net, const tare_layer *layer) {
  size_t n = layer->parameter_count;
  double *both = vector_of(net, layer, GAMMA);
  void *gradients = tare_at(net, net->gradients, layer->parameters);
  net->kernels->widen(n, gradients, both);
  tare_ranks_add(net, both, n);
  net->kernels->narrow(n, both, gradients);
}

/* With h = (x - mean) / std and N numbers a channel: dx = gamma/std (g - mean(g) - h mean(g h)). */
static void backward_join(tare_net *net, tare_layer *layer) {
  bn *self = layer->self;
  size_t c = (size_t)channels_of(layer);
  const tare_ranks *ranks = tare_net_ranks(net);
  int own = ranks && ranks->own_statistics, images = own ? net->count : tare_net_all_images(net);
  tare_rows_tree(self->moments[0].mean, 2 * c, net->shards); /* the two sums of a shard lie side by side, shard after shard */
  double *sum = self->moments[0].mean, *product = self->moments[0].squares, count = (double)images * layer->out[0] * layer->out[1];
  double *inverse = vector_of(net, layer, INVERSE), *gamma = vector_of(net, layer, GAMMA), *p = vector_of(net, layer, BETA);
  if (!own) tare_ranks_add(net, sum, 2 * c);
  for (size_t i = 0; i < c; i++) {
    p[i] = gamma[i] * inverse[i];
    product[i] *= inverse[i];
  }
  net->kernels->narrow(c, product, tare_at(net, net->gradients, layer->parameters));
  net->kernels->narrow(c, sum, tare_at(net, net->gradients, layer->parameters + c));
  for (size_t i = 0; i < c; i++) {
    product[i] *= -p[i] * inverse[i] / count;
    sum[i] *= -p[i] / count;
  }
  set_vector(net, layer, 3, p);
  set_vector(net, layer, 4, product);
  set_vector(net, layer, 5, sum);
  if (own) add_to_ranks(net, layer);
}

static void backward_data(tare_net *net, tare_layer *layer, int shard, int worker) {
  (void)worker;
  const bn *self = layer->self;
  if (!layer->needs_dx) return;
  net->kernels->bn_backward(positions_of(net, layer, shard) * (size_t)channels_of(layer), self->period, self->relu, self->vectors,
                            tare_layer_x(net, layer, shard), tare_layer_dy(net, layer, shard), tare_layer_dx(net, layer, shard));
}

static const tare_layer_ops bn_ops = {
  .gradient_in_place = 1, .create = bn_create, .free = bn_free, .start = bn_start,
  .forward = statistics, .forward_join = prepare, .forward_after = normalise,
  .backward = backward_sums, .backward_join = backward_join, .backward_after = backward_data,
};

int tare_layer_is_bn(const tare_layer *layer) { return layer->ops == &bn_ops; }

tare_status tare_bn_add(tare_net *net, tare_item *item, tare_error *error) {
  const int *shape = tare_net_shape(net);
  tare_layer *layer = tare_net_add(net, item, &bn_ops, shape[0], shape[1], shape[2], sizeof(bn), error);
  if (!layer) return TARE_E_MEMORY;
  size_t c = (size_t)channels_of(layer);
  layer->trains = 1;
  layer->parameter_count = layer->state_count = 2 * c;
  net->parameter_count += 2 * c;
  net->state_count += 2 * c;
  const struct { const char *part; tare_role role; size_t offset; } tensors[] = {
    {"weight", TARE_ROLE_PARAMETER, layer->parameters}, {"bias", TARE_ROLE_PARAMETER, layer->parameters + c},
    {"running_mean", TARE_ROLE_STATE, layer->state}, {"running_var", TARE_ROLE_STATE, layer->state + c},
  };
  const int64_t dims[] = {(int64_t)c};
  for (int i = 0; i < 4; i++) {
    tare_status status = tare_net_name_tensor(net, layer, tensors[i].part, tensors[i].role, tensors[i].offset, 1, dims, error);
    if (status) return status;
  }
  return TARE_OK;
}
