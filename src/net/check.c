/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient check: backward against differences of forward, in double on the reference kernels,
 * f'(x) = (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h + O(h^4). A step that changes which side of a
 * kink some value lies on (relu, maxpool, the penalty) is made smaller, at last left out.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "net/layers.h"

enum { LIMIT = 96 }; /* of one layer's parameters, and of the pixels; beyond it a spread sample is checked */
static const uint64_t step_of_dropout = 3;

typedef struct check {
  tare_net *net;
  double *images, *weights;   /* weights: of the linear functional */
  size_t pixels, outputs;
  double *numeric;            /* of one block */
  double square_mean;         /* of all gradients */
  double worst, worst_f32;
} check;

static tare_status loss(check *c, double *value, uint64_t *pattern, tare_error *error) {
  tare_net *net = c->net;
  const void *output;
  net->stale = 1;
  tare_status status = tare_net_forward(net, c->images, net->options.batch, 1, step_of_dropout, &output, error);
  if (status) return status;
  *value = tare_net_penalty(net);
  for (size_t i = 0; i < c->outputs; i++) *value += c->weights[i] * ((const double *)output)[i];
  *pattern = 0;
  for (int i = 0; i < net->layer_count; i++)
    if (net->layers[i]->ops->pattern) *pattern = tare_mix(*pattern, net->layers[i]->ops->pattern(net, net->layers[i]));
  return TARE_OK;
}

/* d loss / d *x; *smooth 0 if every step met a kink. */
static tare_status derivative(check *c, double *x, double *slope, int *smooth, tare_error *error) {
  static const double offsets[4] = {1, -1, 2, -2}, factors[4] = {8, -8, -1, 1};
  double start = *x, base;
  uint64_t here, there;
  tare_status status = loss(c, &base, &here, error);
  *smooth = 0;
  for (double h = 1e-3; h > 1e-6 && !status && !*smooth; h /= 8) {
    double sum = 0, value = 0;
    *smooth = 1;
    for (int i = 0; i < 4 && !status && *smooth; i++) {
      *x = start + offsets[i] * h;
      status = loss(c, &value, &there, error);
      sum += factors[i] * (value - base);
      *smooth = there == here;
    }
    *slope = sum / (12 * h);
  }
  *x = start;
  return status;
}

static double mean_square(const double *values, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += values[i] * values[i];
  return n ? sum / (double)n : 0;
}

/* gradient-centralization changes the gradient on purpose: the true one is put through the same change. */
static void apply_method(const tare_layer *layer, double *numeric) {
  const tare_conv *conv = layer ? tare_layer_conv(layer) : NULL;
  if (conv && conv->weights.method->approximate)
    conv->weights.method->backprop(&conv->weights, 0, conv->weights.units, NULL, numeric, numeric);
}

/* One block of numbers x with the gradient `analytic`: a layer's parameters, or the pixels (layer NULL). */
static tare_status check_block(check *c, const tare_layer *layer, double *x, const double *analytic, size_t n, tare_error *error) {
  const tare_conv *conv = layer ? tare_layer_conv(layer) : NULL;
  size_t stride = n > LIMIT && !(conv && conv->weights.method->approximate) ? n / LIMIT + 1 : 1;
  double scale = sqrt(fmax(mean_square(analytic, n), 1e-4 * c->square_mean)) + 1e-30;
  c->numeric = tare_alloc(n, sizeof *c->numeric);
  char *smooth = tare_alloc(n, 1);
  tare_status status = c->numeric && smooth ? TARE_OK : tare_fail_memory(error, n * sizeof(double), "a gradient check");
  for (size_t i = 0; i < n && !status; i += stride) {
    int good = 0;
    status = derivative(c, &x[i], &c->numeric[i], &good, error);
    smooth[i] = (char)good;
  }
  if (!status) apply_method(layer, c->numeric);
  for (size_t i = 0; i < n && !status; i += stride) {
    double wrong = fabs(analytic[i] - c->numeric[i]) / (fabs(analytic[i]) + fabs(c->numeric[i]) + scale);
    if (smooth[i] && !(wrong <= c->worst)) c->worst = wrong;
  }
  tare_free(c->numeric);
  tare_free(smooth);
  return status;
}

static void random_normal(tare_rng *rng, double *values, size_t n, double deviation, int add) {
  for (size_t i = 0; i < n; i++) values[i] = (add ? values[i] : 0) + deviation * tare_rng_normal(rng);
}

/* The gradients of the pixels, image after image. */
static void pixel_gradients(const tare_net *net, double *out) {
  const tare_layer *input = net->layers[0];
  for (int i = 0; i < net->count; i++) {
    const void *from = tare_at(net, tare_layer_dy(net, input, i / TARE_SHARD_IMAGES), (size_t)(i % TARE_SHARD_IMAGES) * input->out_size);
    net->kernels->widen(input->out_size, from, out + (size_t)i * input->out_size);
  }
}

static tare_status run_gradients(check *c, tare_net *net, const void *images, const void *weights, double *gradients, double *pixels,
                                 tare_error *error) {
  net->stale = 1;
  tare_status status = tare_net_forward(net, images, net->options.batch, 1, step_of_dropout, NULL, error);
  if (!status) status = tare_net_backward(net, weights, error);
  if (status) return status;
  net->kernels->widen(net->parameter_count, net->gradients, gradients);
  pixel_gradients(net, pixels);
  (void)c;
  return TARE_OK;
}

static tare_status check_blocks(check *c, const double *gradients, const double *pixels, tare_error *error) {
  tare_net *net = c->net;
  c->square_mean = fmax(mean_square(gradients, net->parameter_count), mean_square(pixels, c->pixels));
  tare_status status = check_block(c, NULL, c->images, pixels, c->pixels, error);
  for (int i = 0; i < net->layer_count && !status; i++) {
    const tare_layer *layer = net->layers[i];
    status = check_block(c, layer, (double *)net->parameters + layer->parameters, gradients + layer->parameters, layer->parameter_count,
                         error);
  }
  return status;
}

/* |a - b| / |b| of a block; blocks whose gradient is 0 but for rounding (a bias before batch norm) do not count. */
static void compare_block(check *c, const double *a, const double *b, size_t n) {
  double difference = 0, square = mean_square(b, n);
  for (size_t i = 0; i < n; i++) difference += (a[i] - b[i]) * (a[i] - b[i]);
  if (!(square > 1e-12 * c->square_mean)) return;
  double relative = sqrt(difference / ((double)n * square));
  if (!(relative <= c->worst_f32)) c->worst_f32 = relative;
}

/* The float net at the same parameters and scales. */
static tare_status compare_float(check *c, const char *line, const double *gradients, const double *pixels, double *other,
                                 tare_error *error) {
  const tare_kernels *kernels = tare_kernels_get(TARE_F32);
  tare_net_options options = c->net->options;
  tare_net *net = NULL;
  const double *scales;
  size_t count;
  options.precision = TARE_F32;
  float *images = tare_alloc(c->pixels, sizeof *images), *weights = tare_alloc(c->outputs, sizeof *weights);
  tare_status status = images && weights
                       ? tare_net_make(line, &options, 1, &net, error)
                       : tare_fail_memory(error, c->pixels * sizeof *images, "images");
  if (!status) status = tare_net_get_scales(c->net, &scales, &count, error);
  if (!status) status = tare_net_set_scales(net, scales, count, error);
  if (!status) {
    kernels->narrow(c->pixels, c->images, images);
    kernels->narrow(c->outputs, c->weights, weights);
    kernels->narrow(net->parameter_count, c->net->parameters, net->parameters);
    status = run_gradients(c, net, images, weights, other, other + net->parameter_count, error);
  }
  if (!status) {
    compare_block(c, other + net->parameter_count, pixels, c->pixels);
    for (int i = 0; i < net->layer_count; i++)
      compare_block(c, other + net->layers[i]->parameters, gradients + net->layers[i]->parameters, net->layers[i]->parameter_count);
  }
  tare_net_free(net);
  tare_free(images);
  tare_free(weights);
  return status;
}

/* Random numbers everywhere; biases and the like move away from their 0 and 1. */
static tare_status fill(check *c, tare_error *error) {
  tare_net *net = c->net;
  tare_rng rng;
  tare_rng_init(&rng, net->options.seed, 0x6772616469656e74u);
  random_normal(&rng, c->images, c->pixels, 1, 0);
  random_normal(&rng, c->weights, c->outputs, 1, 0);
  tare_status status = tare_net_start(net, c->images, (size_t)net->options.batch, error);
  for (int i = 0; i < net->tensor_count && !status; i++)
    if (net->tensors[i].role == TARE_ROLE_PARAMETER)
      random_normal(&rng, (double *)net->parameters + net->tensors[i].offset, net->tensors[i].count, 0.2, 1);
  return status;
}

static tare_status check_net(check *c, const char *line, int differences, int single, tare_error *error) {
  size_t numbers = c->net->parameter_count + c->pixels;
  double *gradients = tare_alloc(2 * numbers, sizeof *gradients);
  c->images = tare_alloc(c->pixels, sizeof *c->images);
  c->weights = tare_alloc(c->outputs, sizeof *c->weights);
  tare_status status = gradients && c->images && c->weights
                       ? fill(c, error)
                       : tare_fail_memory(error, numbers * sizeof *gradients, "a gradient check");
  if (!status) status = run_gradients(c, c->net, c->images, c->weights, gradients, gradients + c->net->parameter_count, error);
  if (!status && differences) status = check_blocks(c, gradients, gradients + c->net->parameter_count, error);
  if (!status && single) status = compare_float(c, line, gradients, gradients + c->net->parameter_count, gradients + numbers, error);
  tare_free(gradients);
  tare_free(c->images);
  tare_free(c->weights);
  return status;
}

tare_status tare_net_check_gradient(const char *line, const tare_net_options *options, double *worst, double *worst_f32,
                                    tare_error *error) {
  if (!options) return tare_fail(error, TARE_E_ARGUMENT, "a gradient check needs options");
  tare_net_options wide = *options;
  wide.precision = TARE_F64;
  check c = {0};
  tare_status status = tare_net_make(line, &wide, 1, &c.net, error);
  if (status) return status;
  c.pixels = (size_t)wide.batch * c.net->layers[0]->out_size;
  c.outputs = (size_t)wide.batch * tare_net_output_size(c.net);
  status = check_net(&c, line, worst != NULL, worst_f32 != NULL, error);
  tare_net_free(c.net);
  if (!status && worst) *worst = c.worst;
  if (!status && worst_f32) *worst_f32 = c.worst_f32;
  return status;
}
