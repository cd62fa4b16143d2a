/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as filters: float weights of any float dtype, or integers and their scales. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "format/format.h"

static const char suffix[] = "_scale";
enum { LEADING = 2, MOST_TAPS = 1 << 24 }; /* axes before the taps'; what a constraint takes */

const tare_tensor *tare_filters_scale_of(const tare_tensors *file, const tare_tensor *tensor) {
  if (!file || !tensor || !tensor->name) return NULL;
  size_t length = strlen(tensor->name), ending = sizeof suffix - 1;
  char *owner = length > ending && strcmp(tensor->name + length - ending, suffix) == 0 ? tare_strdup(tensor->name) : NULL;
  if (!owner) return NULL;
  owner[length - ending] = 0;
  const tare_tensor *of = tare_tensors_find(file, owner);
  tare_free(owner);
  return of && of->dtype == TARE_DTYPE_I8 ? of : NULL;
}

int tare_filters_are(const tare_tensors *file, const tare_tensor *tensor) {
  if (!file || !tensor || tensor->dims < LEADING || tensor->dims > TARE_TENSOR_DIMS || tensor->dtype == TARE_DTYPE_U64) return 0;
  for (int d = 0; d < tensor->dims; d++)
    if (tensor->shape[d] < 1) return 0;
  return !tare_filters_scale_of(file, tensor);
}

static tare_status set_shape(const tare_tensor *tensor, tare_filters *f, tare_error *error) {
  int whole = tensor->dims == LEADING, from = whole ? 0 : LEADING;
  int64_t taps = 1;
  f->filters = whole ? 1 : (size_t)tensor->shape[0];
  f->shape = (tare_filter_shape){.dims = tensor->dims - from, .channels = 1};
  for (int d = whole ? 0 : 1; d < tensor->dims; d++)
    if (tensor->shape[d] > MOST_TAPS || (taps *= tensor->shape[d]) > MOST_TAPS)
      return tare_fail(error, TARE_E_DATA, "%s: filters of more than %d taps", tensor->name, MOST_TAPS);
  if (!whole) f->shape.channels = (int)tensor->shape[1];
  for (int d = from; d < tensor->dims; d++) f->shape.size[d - from] = (int)tensor->shape[d];
  f->taps = (size_t)taps;
  return TARE_OK;
}

/* IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of mantissa; every one is a float. */
static float half_value(uint16_t bits) {
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float value = exponent == 31 ? (mantissa ? NAN : INFINITY) : ldexpf((float)(mantissa | (exponent ? 1024 : 0)), (exponent ? exponent : 1) - 25);
  return bits >> 15 ? -value : value;
}

static float brain_value(uint16_t bits) { /* the upper half of a float */
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

/* Element i of a float tensor; *exact: whether a float holds it. */
static float element(const tare_tensor *tensor, size_t i, int *exact) {
  *exact = 1;
  if (tensor->dtype == TARE_DTYPE_F32) return ((const float *)tensor->data)[i];
  if (tensor->dtype == TARE_DTYPE_F16) return half_value(((const uint16_t *)tensor->data)[i]);
  if (tensor->dtype == TARE_DTYPE_BF16) return brain_value(((const uint16_t *)tensor->data)[i]);
  double value = ((const double *)tensor->data)[i];
  *exact = (double)(float)value == value || !isfinite(value);
  return (float)value;
}

static tare_status read_floats(const tare_tensor *tensor, int nearest, tare_filters *f, tare_error *error) {
  for (size_t i = 0; i < f->filters * f->taps; i++) {
    int exact;
    f->weights[i] = element(tensor, i, &exact);
    if (!isfinite(f->weights[i]))
      return tare_fail(error, TARE_E_DATA, "%s: weight %zu of filter %zu is not a finite number", tensor->name, i % f->taps, i / f->taps);
    if (!exact && !nearest)
      return tare_fail(error, TARE_E_DATA, "%s: weight %zu of filter %zu is a float64 that no float32 holds; save it as float32",
                       tensor->name, i % f->taps, i / f->taps);
  }
  return TARE_OK;
}

static size_t elements(const tare_tensor *tensor) {
  size_t count = 1;
  for (int d = 0; d < tensor->dims; d++) count *= (size_t)tensor->shape[d]; /* fits: the tensor is in memory */
  return count;
}

/* One scale for all, one a filter or one a slice: into one or `channels` a filter. */
static tare_status read_scales(const tare_tensors *file, tare_filters *f, tare_error *error) {
  const char *name = f->tensor->name;
  char *wanted = tare_alloc(strlen(name) + sizeof suffix, 1);
  if (!wanted) return tare_fail_memory(error, strlen(name), "a name");
  const tare_tensor *found = tare_tensors_find(file, strcat(strcpy(wanted, name), suffix));
  tare_free(wanted);
  size_t count = found ? elements(found) : 1, channels = (size_t)f->shape.channels;
  if (found && (found->dtype != TARE_DTYPE_F32 || (count != 1 && count != f->filters && count != f->filters * channels)))
    return tare_fail(error, TARE_E_DATA, "%s%s: expected F32, one scale, one a filter or one a slice", name, suffix);
  f->scales = count > f->filters ? channels : 1;
  f->scale = tare_alloc(f->filters * f->scales, sizeof *f->scale);
  if (!f->scale) return tare_fail_memory(error, f->filters * f->scales * sizeof *f->scale, "scales");
  for (size_t i = 0; i < f->filters * f->scales; i++) {
    f->scale[i] = found ? ((const float *)found->data)[count == 1 ? 0 : i] : 1;
    if (!(f->scale[i] > 0) || !isfinite(f->scale[i]))
      return tare_fail(error, TARE_E_DATA, "%s%s: scale %zu is not a positive finite number", name, suffix, i);
  }
  return TARE_OK;
}

static tare_status read_integers(const tare_tensors *file, tare_filters *f, tare_error *error) {
  f->integers = tare_alloc(f->filters * f->taps, sizeof *f->integers);
  if (!f->integers) return tare_fail_memory(error, f->filters * f->taps * sizeof *f->integers, "weights");
  tare_status status = read_scales(file, f, error);
  if (status) return status;
  size_t run = f->taps / f->scales; /* taps under one scale */
  for (size_t i = 0; i < f->filters * f->taps; i++) {
    f->integers[i] = ((const int8_t *)f->tensor->data)[i];
    f->weights[i] = (float)f->integers[i] * f->scale[i / run];
    if (!isfinite(f->weights[i])) return tare_fail(error, TARE_E_DATA, "%s: a weight is too large for a float", f->tensor->name);
  }
  return TARE_OK;
}

tare_status tare_filters_read(const tare_tensors *file, const tare_tensor *tensor, int nearest, tare_filters *out, tare_error *error) {
  if (!file || !tensor || !out) return tare_fail(error, TARE_E_ARGUMENT, "filters need a file, a tensor and a place for them; one is NULL");
  if (!tare_filters_are(file, tensor)) {
    tare_status status = tare_fail(error, TARE_E_DATA, "%s: its shape or dtype is not that of a convolution's weights", tensor->name);
    tare_error_clean(error);
    return status;
  }
  tare_filters f = {.tensor = tensor};
  tare_status status = set_shape(tensor, &f, error);
  if (!status && !(f.weights = tare_alloc(f.filters * f.taps, sizeof *f.weights)))
    status = tare_fail_memory(error, f.filters * f.taps * sizeof *f.weights, "weights");
  if (!status) status = tensor->dtype == TARE_DTYPE_I8 ? read_integers(file, &f, error) : read_floats(tensor, nearest, &f, error);
  if (!status) return *out = f, TARE_OK;
  tare_filters_free(&f);
  tare_error_clean(error);
  return status;
}

void tare_filters_free(tare_filters *filters) {
  if (!filters) return;
  tare_free(filters->weights);
  tare_free(filters->integers);
  tare_free(filters->scale);
  *filters = (tare_filters){0};
}
