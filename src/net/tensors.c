/* SPDX-License-Identifier: Apache-2.0 */
/* Weights under their plain names, and what start() measured: what files and checkpoints hold. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "net/layers.h"

size_t tare_net_tensor_count(const tare_net *net) { return net ? (size_t)net->tensor_count : 0; }

/* `other`: what the call needs besides. */
static tare_status find(const tare_net *net, size_t index, const void *other, tare_tensor_entry **entry, tare_error *error) {
  if (!net || !other) return tare_fail(error, TARE_E_ARGUMENT, "a tensor needs a network and a place or values; one is NULL");
  if (index >= (size_t)net->tensor_count)
    return tare_fail(error, TARE_E_ARGUMENT, "no tensor %zu: this network has %d", index, net->tensor_count);
  *entry = &net->tensors[index];
  return TARE_OK;
}

tare_status tare_net_tensor_info(const tare_net *net, size_t index, tare_net_tensor *info, tare_error *error) {
  tare_tensor_entry *entry = NULL;
  tare_status status = find(net, index, info, &entry, error);
  if (!status) *info = entry->info;
  return status;
}

/* Where the numbers of an entry begin: of its role's flat array. */
static void *place_of(const tare_net *net, const tare_tensor_entry *entry) {
  return tare_at(net, entry->role == TARE_ROLE_STATE ? net->state : net->parameters, entry->offset);
}

static void to_float(const tare_net *net, size_t count, const void *from, float *to) {
  for (size_t i = 0; i < count; i++) {
    double value;
    net->kernels->widen(1, tare_at(net, from, i), &value);
    to[i] = (float)value;
  }
}

static tare_status get_weights(const tare_net *net, const tare_tensor_entry *entry, float *values, tare_error *error) {
  const tare_conv *conv = tare_layer_conv(entry->layer);
  if (conv->pin) {
    memcpy(values, conv->pin, entry->count * sizeof *values);
    return TARE_OK;
  }
  void *plain = tare_alloc(entry->count, net->real);
  if (!plain) return tare_fail_memory(error, entry->count * net->real, "weights");
  tare_weights_plain(&conv->weights, place_of(net, entry), plain);
  to_float(net, entry->count, plain, values);
  tare_free(plain);
  return TARE_OK;
}

tare_status tare_net_tensor_get(tare_net *net, size_t index, float *values, tare_error *error) {
  tare_tensor_entry *entry = NULL;
  tare_status status = find(net, index, values, &entry, error);
  if (status) return status;
  if (entry->role == TARE_ROLE_WEIGHT) return get_weights(net, entry, values, error);
  to_float(net, entry->count, place_of(net, entry), values);
  return TARE_OK;
}

static tare_status check_finite(const tare_tensor_entry *entry, const float *values, tare_error *error) {
  for (size_t i = 0; i < entry->count; i++)
    if (!isfinite(values[i])) return tare_fail(error, TARE_E_ARGUMENT, "%s: value %zu is not a finite number", entry->info.name, i);
  return TARE_OK;
}

static void unpin(tare_net *net, tare_conv *conv) {
  if (!conv->pin) return;
  tare_free(conv->pin);
  tare_conv_plan_free(conv->pin_plan);
  conv->pin = NULL;
  conv->pin_plan = NULL;
  tare_free(conv->prepared); /* it was the other plan's */
  conv->prepared = NULL;
  net->pinned--;
  net->stale = 1;
}

static tare_status set_weights(tare_net *net, const tare_tensor_entry *entry, const double *values, tare_error *error) {
  tare_conv *conv = tare_layer_conv(entry->layer);
  size_t parameters = tare_weights_parameters(&conv->weights);
  double *t = tare_alloc(parameters, sizeof *t);
  if (!t) return tare_fail_memory(error, parameters * sizeof *t, "coefficients");
  tare_status status = tare_weights_solve(&conv->weights, values, t, error);
  if (!status) net->kernels->narrow(parameters, t, place_of(net, entry));
  if (!status) unpin(net, conv);
  tare_free(t);
  return status;
}

tare_status tare_net_tensor_set(tare_net *net, size_t index, const float *values, tare_error *error) {
  tare_tensor_entry *entry = NULL;
  tare_status status = find(net, index, values, &entry, error);
  if (!status) status = check_finite(entry, values, error);
  if (status) return status;
  double *wide = tare_alloc(entry->count, sizeof *wide);
  if (!wide) return tare_fail_memory(error, entry->count * sizeof *wide, "weights");
  for (size_t i = 0; i < entry->count; i++) wide[i] = (double)values[i];
  if (entry->role == TARE_ROLE_WEIGHT) status = set_weights(net, entry, wide, error);
  else net->kernels->narrow(entry->count, wide, place_of(net, entry));
  net->stale = 1;
  tare_free(wide);
  return status;
}

tare_status tare_net_tensor_pin(tare_net *net, size_t index, const float *values, tare_error *error) {
  tare_tensor_entry *entry = NULL;
  tare_status status = find(net, index, values, &entry, error);
  if (!status && entry->role != TARE_ROLE_WEIGHT)
    status = tare_fail(error, TARE_E_ARGUMENT, "%s cannot be pinned: it is no convolution's weight", entry->info.name);
  if (!status) status = check_finite(entry, values, error);
  if (status) return status;
  tare_conv *conv = tare_layer_conv(entry->layer);
  tare_conv_plan *plan = NULL;
  float *copy = tare_alloc(entry->count, sizeof *copy);
  if (!copy) return tare_fail_memory(error, entry->count * sizeof *copy, "pinned weights");
  if (conv->source != entry->layer) status = tare_net_plan(net, &conv->plain, TARE_FORWARD, &plan, error);
  if (!status && plan) status = tare_net_need_scratch(net, tare_conv_workspace_size(plan) * net->real, error);
  if (status) {
    tare_conv_plan_free(plan);
    tare_free(copy);
    return status;
  }
  memcpy(copy, values, entry->count * sizeof *copy);
  unpin(net, conv);
  conv->pin = copy;
  conv->pin_plan = plan;
  net->pinned++;
  net->stale = 1;
  return TARE_OK;
}

/* A basis that takes over the input's scale: the factor, and the covariance it was made from if it was measured. */
static size_t scales_of(const tare_layer *layer) {
  const tare_conv *conv = tare_layer_conv(layer);
  if (!conv || !conv->weights.method->absorbs) return 0;
  size_t taps = (size_t)tare_weights_slice_taps(&conv->weights);
  return 1 + (conv->weights.method->measures ? taps * taps : 0);
}

static size_t all_scales(const tare_net *net) {
  size_t count = 0;
  for (int i = 0; i < net->layer_count; i++) count += scales_of(net->layers[i]);
  return count;
}

tare_status tare_net_get_scales(tare_net *net, const double **values, size_t *count, tare_error *error) {
  if (!net || !values || !count) return tare_fail(error, TARE_E_ARGUMENT, "scales need a network and places for them and their number; one is NULL");
  size_t total = all_scales(net), at = 0;
  if (!net->scales) net->scales = tare_alloc(total, sizeof *net->scales);
  if (!net->scales) return tare_fail_memory(error, total * sizeof *net->scales, "scales");
  for (int i = 0; i < net->layer_count; i++) {
    size_t own = scales_of(net->layers[i]);
    if (!own) continue;
    const tare_weights *weights = &tare_layer_conv(net->layers[i])->weights;
    memset(net->scales + at, 0, own * sizeof *net->scales); /* no covariance: not started, the model's basis */
    net->scales[at] = weights->scale;
    if (weights->covariance) memcpy(net->scales + at + 1, weights->covariance, (own - 1) * sizeof *net->scales);
    at += own;
  }
  *values = net->scales;
  *count = total;
  return TARE_OK;
}

tare_status tare_net_set_scales(tare_net *net, const double *values, size_t count, tare_error *error) {
  if (!net || (count && !values)) return tare_fail(error, TARE_E_ARGUMENT, "setting scales needs a network and values; one is NULL");
  size_t total = all_scales(net), at = 0;
  if (count != total) return tare_fail(error, TARE_E_ARGUMENT, "this network has %zu scales, not %zu", total, count);
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return tare_fail(error, TARE_E_ARGUMENT, "scale %zu is not a finite number", i);
  for (int i = 0; i < net->layer_count; i++) {
    size_t own = scales_of(net->layers[i]);
    if (!own) continue;
    if (!(values[at] > 0)) return tare_fail(error, TARE_E_ARGUMENT, "scale %zu must be above 0", at);
    const double *covariance = own > 1 && values[at + 1] != 0 ? values + at + 1 : NULL;
    tare_status status = tare_weights_set_basis(&tare_layer_conv(net->layers[i])->weights, covariance, values[at], error);
    if (status) return status;
    at += own;
  }
  net->stale = 1;
  return TARE_OK;
}
