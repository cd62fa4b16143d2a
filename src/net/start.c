/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start: layer by layer, each on the images as the layers before it give them. What a
 * method's users do (Glorot), or coefficients whose response on those images
 * has variance 1 (doc/net.md).
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "net/inputs.h"
#include "net/layers.h"
#include "net/moments.h"

/* A response that is being measured. */
typedef struct tare_probe {
  const tare_conv_plan *plan;
  void *prepared, *scratch;   /* scratch: 3 periods a shard */
  tare_moments *shards, total;
  double *doubles;
} tare_probe;

static void probe_forward(tare_net *net, tare_layer *layer, int shard, int worker) {
  const tare_conv *conv = layer->self;
  tare_probe *probe = conv->probe;
  void *x = tare_layer_x(net, conv->source, shard), *y = tare_layer_y(net, layer, shard);
  tare_conv_clear_rest(net, x, conv->source->in_size, shard);
  tare_net_note(net, tare_conv_forward(probe->plan, x, probe->prepared, NULL, y, NULL, net->scratch[worker], NULL));
  tare_moments_take(net->kernels, (size_t)tare_shard_images(net, shard) * layer->out[0] * layer->out[1], layer->out[2], y,
                    tare_at(net, probe->scratch, 3 * tare_period(layer->out[2]) * (size_t)shard), &probe->shards[shard]);
}

static void probe_join(tare_net *net, tare_layer *layer) {
  tare_probe *probe = ((tare_conv *)layer->self)->probe;
  tare_moments_tree(layer->out[2], probe->shards, net->shards);
  tare_moments_merge(layer->out[2], &probe->total, &probe->shards[0]);
}

static tare_status make_probe(const tare_net *net, const tare_layer *layer, tare_probe *probe, tare_error *error) {
  size_t c = (size_t)layer->out[2], shards = (size_t)tare_net_max_shards(net);
  probe->prepared = tare_alloc(tare_conv_prepared_size(probe->plan), net->real);
  probe->scratch = tare_alloc(3 * tare_period((int)c) * shards, net->real);
  probe->shards = tare_alloc(shards, sizeof *probe->shards);
  probe->doubles = tare_alloc((shards + 1) * 2 * c, sizeof(double));
  if (!probe->prepared || !probe->scratch || !probe->shards || !probe->doubles)
    return tare_fail_memory(error, shards * c * sizeof(double), "a response");
  for (size_t s = 0; s <= shards; s++)
    *(s < shards ? &probe->shards[s] : &probe->total) =
      (tare_moments){.mean = probe->doubles + 2 * s * c, .squares = probe->doubles + (2 * s + 1) * c};
  return TARE_OK;
}

static void free_probe(tare_probe *probe) {
  tare_free(probe->prepared);
  tare_free(probe->scratch);
  tare_free(probe->shards);
  tare_free(probe->doubles);
}

/* Every batch of images through the layers below, then through the probe. */
static tare_status run_probe(tare_net *net, tare_layer *layer, const void *images, size_t count, tare_error *error) {
  tare_conv *conv = layer->self;
  tare_stage stage = {layer, probe_forward, probe_join};
  tare_stages stages = {&stage, 1};
  tare_status status = TARE_OK;
  for (size_t first = 0; first < count && !status; first += (size_t)net->options.batch) {
    int batch = (int)(count - first < (size_t)net->options.batch ? count - first : (size_t)net->options.batch);
    const void *from = tare_at(net, images, first * net->layers[0]->out_size);
    status = tare_net_forward_to(net, conv->source, from, batch, TARE_MODE_START, 0, error);
    if (!status) status = tare_net_run(net, &stages, error);
  }
  return status;
}

/* Of a response over images and positions, the mean over filters: its variance, and its mean square. */
typedef struct tare_power { double variance, square; } tare_power;

static tare_power mean_power(const tare_moments *moments, int channels) {
  tare_power r = {0, 0};
  for (int c = 0; c < channels; c++) {
    double variance = moments->squares[c] / moments->count;
    r.variance += variance / channels;
    r.square += (variance + moments->mean[c] * moments->mean[c]) / channels;
  }
  return r;
}

/* The response to plain weights `w`. */
static tare_status measure(tare_net *net, tare_layer *layer, const double *w, const void *images, size_t count, tare_power *out,
                           tare_error *error) {
  tare_conv *conv = layer->self;
  tare_probe probe = {0};
  tare_conv_plan *own = NULL;
  size_t weights = tare_weights_count(&conv->weights);
  void *narrow = tare_alloc(weights, net->real);
  tare_status status = narrow ? TARE_OK : tare_fail_memory(error, weights * net->real, "weights");
  if (!status && conv->source != layer)
    status = tare_net_plan(net, &conv->plain, TARE_FORWARD, &own, error);
  probe.plan = own ? own : conv->plan;
  if (!status) status = tare_net_need_scratch(net, tare_conv_workspace_size(probe.plan) * net->real, error);
  if (!status) status = make_probe(net, layer, &probe, error);
  if (!status) {
    net->kernels->narrow(weights, w, narrow);
    status = tare_conv_prepare(probe.plan, narrow, probe.prepared, net->scratch[0], NULL);
    conv->probe = &probe;
    if (!status) status = run_probe(net, layer, images, count, error);
    conv->probe = NULL;
  }
  if (!status) *out = mean_power(&probe.total, layer->out[2]);
  if (!status && !isfinite(out->square))
    status = tare_fail(error, TARE_E_DATA, "the input of the layer holds values that are not finite, or too large");
  free_probe(&probe);
  tare_conv_plan_free(own);
  tare_free(narrow);
  return status;
}

/*
 * Does something respond, or is it rounding (or nothing)? Constant images give a filter of sum 0 some 2^-24 of what its weights without their signs give; and
 * below 1e-30 no float could bring it to 1.
 */
static tare_status find_whether(tare_net *net, tare_layer *layer, const double *w, const void *images, size_t count, double variance, int *responds,
                                tare_error *error) {
  const double noise = 0x1p-22, least = 1e-60;
  size_t weights = tare_weights_count(&((tare_conv *)layer->self)->weights), some = (size_t)net->options.batch;
  double *sizes = tare_alloc(weights, sizeof *sizes);
  tare_power all;
  if (!sizes) return tare_fail_memory(error, weights * sizeof *sizes, "weights");
  for (size_t i = 0; i < weights; i++) sizes[i] = fabs(w[i]);
  tare_status status = measure(net, layer, sizes, images, count < some ? count : some, &all, error);
  if (!status) *responds = variance > least && variance > noise * noise * all.square;
  tare_free(sizes);
  return status;
}

/* The factor that brings B t to a response of variance 1 (1 where nothing responds). w: scratch for plain weights, gets w0 + B t. */
static tare_status find_factor(tare_net *net, tare_layer *layer, const tare_basis *basis, const double *t, double *w, const void *images,
                               size_t count, double *factor, tare_error *error) {
  const tare_conv *conv = layer->self;
  size_t taps = (size_t)tare_basis_taps(basis), units = tare_weights_count(&conv->weights) / taps;
  const double *offset = tare_basis_offset(basis);
  tare_basis_compose_f64(basis, units, t, w);
  for (size_t i = 0; i < units * taps; i++) w[i] -= offset[i % taps];
  tare_power r;
  int responds = 0;
  tare_status status = measure(net, layer, w, images, count, &r, error);
  if (!status) status = find_whether(net, layer, w, images, count, r.variance, &responds, error);
  if (!status) *factor = responds ? 1 / sqrt(r.variance) : 1;
  return status;
}

/*
 * Is there anything but brightness in a covariance? trace C is all of the variance, 1'C1 / n that of the mean. 1e-13: what rounding makes;
 * 1e-60: no float could bring it to 1.
 */
static int has_detail(const double *covariance, size_t taps) {
  double all = 0, mean = 0;
  for (size_t i = 0; i < taps * taps; i++) mean += covariance[i] / (double)taps;
  for (size_t i = 0; i < taps; i++) all += covariance[i * taps + i];
  return all - mean > 1e-13 * all && all - mean > 1e-60;
}

/* What a user should know of a measured basis. */
static void note_basis(tare_net *net, const tare_layer *layer, int measured) {
  const tare_weights *weights = &((tare_conv *)layer->self)->weights;
  const char *begin = net->notes.length ? "\n" : "";
  int ridged = tare_basis_ridged(weights->basis), taps = tare_weights_slice_taps(weights);
  if (!weights->method->measures) return;
  if (!measured)
    tare_text_add(&net->notes, "%slayer %d: its input has no detail to measure (constant images?): %s starts from the model of images, as spectral", begin,
                  layer->item->number, weights->method->name);
  else if (ridged > 0)
    tare_text_add(&net->notes, "%slayer %d: %d of %d frequencies have less than 1e-4 of the largest variance in its input; %s takes them at that ridge", begin,
                  layer->item->number, ridged, taps - 1, weights->method->name);
}

/* A method's own start in its basis. */
static tare_status start_basis(tare_net *net, tare_layer *layer, tare_rng rng, double *t, double *w, const void *images, size_t count,
                               tare_error *error) {
  tare_weights *weights = &((tare_conv *)layer->self)->weights;
  double *covariance = NULL, factor;
  tare_status status = TARE_OK;
  if (weights->method->measures) status = tare_layer_covariance(net, layer, images, count, &covariance, error);
  if (!status && covariance && !has_detail(covariance, (size_t)tare_weights_slice_taps(weights))) {
    tare_free(covariance);
    covariance = NULL;
  }
  if (!status) status = tare_weights_set_basis(weights, covariance, 1, error);
  if (!status) note_basis(net, layer, covariance != NULL);
  if (!status) status = tare_weights_draw(weights, weights->basis, covariance, &rng, t, error);
  tare_free(covariance);
  if (!status) status = find_factor(net, layer, weights->basis, t, w, images, count, &factor, error);
  if (status) return status;
  if (weights->method->absorbs && tare_basis_rescale(weights->basis, factor)) weights->scale = factor;
  else
    for (size_t i = 0; i < tare_weights_parameters(weights); i++) t[i] *= factor;
  return TARE_OK;
}

/* spectral's start, solved into the parameters of whatever method: all of them begin as the same function. */
static tare_status start_response(tare_net *net, tare_layer *layer, tare_rng rng, double *t, double *w, const void *images, size_t count,
                                  tare_error *error) {
  tare_weights *weights = &((tare_conv *)layer->self)->weights;
  tare_basis *spectral = NULL;
  size_t coefficients = 0;
  double factor = 1;
  tare_status status = tare_weights_basis(weights, "spectral", NULL, &spectral, error);
  if (status) return status;
  size_t taps = (size_t)tare_basis_taps(spectral), units = tare_weights_count(weights) / taps;
  coefficients = units * (size_t)tare_basis_coefficients(spectral);
  double *draw = tare_alloc(coefficients, sizeof *draw);
  if (!draw) status = tare_fail_memory(error, coefficients * sizeof *draw, "coefficients");
  if (!status) status = tare_weights_draw(weights, spectral, NULL, &rng, draw, error);
  if (!status) status = find_factor(net, layer, spectral, draw, w, images, count, &factor, error);
  if (!status) {
    const double *offset = tare_basis_offset(spectral);
    for (size_t i = 0; i < units * taps; i++) w[i] = offset[i % taps] + factor * w[i];
    status = tare_weights_solve(weights, w, t, error);
  }
  tare_free(draw);
  tare_basis_free(spectral);
  return status;
}

static tare_status draw_start(tare_net *net, tare_layer *layer, double *t, double *w, const void *images, size_t count, tare_error *error) {
  const tare_conv *conv = layer->self;
  const tare_method *method = conv->weights.method;
  tare_rng rng;
  tare_rng_init(&rng, net->options.seed, (uint64_t)layer->item->place);
  int response = net->options.init == TARE_INIT_RESPONSE && (conv->weights.constraint || method->basis);
  tare_status status = TARE_OK;
  if (method->basis && !method->split) status = start_basis(net, layer, rng, t, w, images, count, error);
  else if (!response) tare_weights_glorot(&conv->weights, conv->plain.groups, &rng, t);
  if (!status && response) status = start_response(net, layer, rng, t, w, images, count, error);
  return status;
}

tare_status tare_conv_start(tare_net *net, tare_layer *layer, const void *images, size_t count, tare_error *error) {
  tare_conv *conv = layer->self;
  if (!conv->weights.method) return TARE_OK;
  size_t parameters = tare_weights_parameters(&conv->weights), weights = tare_weights_count(&conv->weights);
  double *t = tare_alloc(parameters, sizeof *t), *w = tare_alloc(weights, sizeof *w);
  tare_status status = t && w
                       ? draw_start(net, layer, t, w, images, count, error)
                       : tare_fail_memory(error, weights * sizeof *w, "weights");
  if (!status) net->kernels->narrow(parameters, t, tare_at(net, net->parameters, layer->parameters));
  if (!status && conv->bias)
    memset(tare_at(net, net->parameters, layer->parameters + parameters), 0, (size_t)conv->problem.outputs * net->real);
  net->stale = 1;
  tare_free(t);
  tare_free(w);
  return status ? tare_item_prefix(layer->item, layer->item->column, status, error) : TARE_OK;
}

tare_status tare_net_start(tare_net *net, const void *images, size_t count, tare_error *error) {
  if (!net || !images || count < 1) return tare_fail(error, TARE_E_ARGUMENT, "the start needs a network and at least one image");
  tare_status status = TARE_OK;
  tare_text_free(&net->notes);
  for (int i = 0; i < net->layer_count && !status; i++) {
    status = tare_net_refresh(net, error);
    if (!status && net->layers[i]->ops->start) status = net->layers[i]->ops->start(net, net->layers[i], images, count, error);
  }
  net->stale = 1;
  net->count = 0; /* no backward before the next forward */
  return status;
}
