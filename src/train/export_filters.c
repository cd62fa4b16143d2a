/* SPDX-License-Identifier: Apache-2.0 */
/* Filters for the graph: batch norm folded in first, then rounded, then the pixels' factor (a power of two: exact). */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tare/round.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/net.h"
#include "train/export.h"
#include "train/written.h"

static const double epsilon = 1e-5; /* of batch norm: src/net/layer_norm.c */

tare_status tare_export_values(const tare_model *model, const char *name, float **values, size_t *count, tare_error *error) {
  const tare_tensor *tensor = tare_tensors_find(tare_model_file(model), name);
  *values = NULL;
  *count = 1;
  if (!tensor) return TARE_OK;
  for (int d = 0; d < tensor->dims; d++) *count *= (size_t)tensor->shape[d];
  *values = tare_alloc(*count, sizeof **values);
  if (!*values) return tare_fail_memory(error, *count * sizeof **values, "a tensor");
  if (*count) memcpy(*values, tensor->data, *count * sizeof **values); /* F32: loading has checked it */
  return TARE_OK;
}

typedef struct norm { float *gain, *shift, *mean, *variance; size_t count; } norm;

static void norm_free(norm *n) {
  tare_free(n->gain);
  tare_free(n->shift);
  tare_free(n->mean);
  tare_free(n->variance);
}

static tare_status norm_read(const tare_model *model, const char *name, norm *n, tare_error *error) {
  static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
  float **const to[] = {&n->gain, &n->shift, &n->mean, &n->variance};
  tare_status status = TARE_OK;
  for (int i = 0; i < 4 && !status; i++) {
    char full[100];
    snprintf(full, sizeof full, "%s.%s", name, parts[i]);
    status = tare_export_values(model, full, to[i], &n->count, error);
  }
  return status;
}

/* y = (w x + c - mean) gain / sqrt(variance + epsilon) + shift, so w and c - mean are multiplied. */
static void fold(const norm *n, tare_filters *f, float *bias) {
  for (size_t o = 0; o < f->filters; o++) {
    double factor = (double)n->gain[o] / sqrt((double)n->variance[o] + epsilon);
    for (size_t i = 0; i < f->taps; i++) f->weights[o * f->taps + i] = (float)((double)f->weights[o * f->taps + i] * factor);
    bias[o] = (float)(((double)bias[o] - (double)n->mean[o]) * factor + (double)n->shift[o]);
  }
}

static tare_status add_norm(const tare_exporter *e, const char *name, const tare_constraint *constraint, tare_filters *f, float *bias,
                            tare_error *error) {
  if (constraint && !tare_round_may_fold(constraint, error)) return error ? error->status : TARE_E_ARGUMENT;
  norm n = {0};
  tare_status status = norm_read(e->model, name, &n, error);
  if (!status) fold(&n, f, bias);
  norm_free(&n);
  return status;
}

static tare_number_format stored_format(const tare_filters *f) {
  return f->integers ? TARE_FORMAT_INT8 : f->tensor->dtype == TARE_DTYPE_F16 ? TARE_FORMAT_FP16
    : f->tensor->dtype == TARE_DTYPE_BF16 ? TARE_FORMAT_BF16 : TARE_FORMAT_FP32;
}

/* Rounds in place; the certificate goes into the metadata. */
static tare_status round_filters(tare_exporter *e, const char *tensor, const tare_constraint *constraint, tare_filters *f, tare_error *error) {
  tare_round_options options = {.format = e->options->format < 0 ? stored_format(f) : (tare_number_format)e->options->format,
                                .grade = e->options->grade, .pixel_bits = e->bits};
  tare_constraint *none = NULL;
  tare_rounding *r = NULL;
  tare_status status = constraint ? TARE_OK : tare_constraint_create("none", &f->shape, 0, &none, error);
  if (!status) status = tare_round(constraint ? constraint : none, &options, f->filters, f->weights, &r, error);
  tare_constraint_free(none);
  if (status) return tare_fail_prefix(error, status, "%s", tensor), status;
  memcpy(f->weights, r->weights, f->filters * f->taps * sizeof *f->weights);
  tare_free(f->integers);
  tare_free(f->scale);
  f->integers = NULL;
  f->scale = NULL;
  if (options.format == TARE_FORMAT_INT8 || options.format == TARE_FORMAT_INT4) {
    f->integers = r->integers, r->integers = NULL; /* taken over */
    f->scale = r->scale, r->scale = NULL;
    f->scales = r->scales;
  }
  if (constraint && tare_constraint_rows(constraint) > 0) {
    char *json, key[120];
    status = tare_certificate_write(constraint, r, &json, error);
    snprintf(key, sizeof key, "certificate:%s", tensor);
    if (!status) tare_onnx_metadata(e->onnx, key, json), tare_certificate_free(json);
  }
  tare_rounding_free(r);
  return status;
}

static tare_status add_rule(tare_exporter *e, const char *tensor, const tare_constraint *constraint, const tare_filters *f, int times,
                            tare_error *error) {
  int exact;
  if (!constraint || tare_constraint_rows(constraint) == 0) return TARE_OK;
  tare_status status = tare_written_exact(constraint, f->weights, f->filters * f->taps, &exact, error);
  if (status) return status;
  json_t *rule = json_pack("{s:s, s:s, s:b, s:i}", "tensor", tensor, "rule", tare_constraint_text(constraint), "exact", exact, "times", times);
  return json_array_append_new(e->rules, rule) ? tare_fail_memory(error, 1, "the rules of a graph") : TARE_OK;
}

/* Integers with a scale a filter and zero-point 0 behind a DequantizeLinear; or floats. */
static tare_status add_weights(tare_exporter *e, const char *tensor, const tare_filters *f, char weights[80], tare_error *error) {
  int64_t shape[4] = {(int64_t)f->filters, f->shape.channels, f->shape.size[0], f->shape.size[1]};
  snprintf(weights, 80, "%s", tensor);
  if (!f->integers) return tare_onnx_initializer(e->onnx, tensor, TARE_ONNX_FLOAT, 4, shape, f->weights), TARE_OK;
  if (f->scales != 1) return tare_fail(error, TARE_E_UNSUPPORTED, "%s: a scale for each slice; ONNX has one for each filter", tensor);
  int8_t *narrow = tare_alloc(f->filters * f->taps + f->filters, 1), *zeros = narrow + f->filters * f->taps;
  if (!narrow) return tare_fail_memory(error, f->filters * f->taps, "weights");
  for (size_t i = 0; i < f->filters * f->taps; i++) narrow[i] = (int8_t)f->integers[i];
  char scale[80], zero[80];
  snprintf(scale, sizeof scale, "%.60s_scale", tensor);
  snprintf(zero, sizeof zero, "%.60s_zero_point", tensor);
  snprintf(weights, 80, "%.60s_float", tensor);
  tare_onnx_initializer(e->onnx, tensor, TARE_ONNX_INT8, 4, shape, narrow);
  tare_onnx_initializer(e->onnx, scale, TARE_ONNX_FLOAT, 1, shape, f->scale);
  tare_onnx_initializer(e->onnx, zero, TARE_ONNX_INT8, 1, shape, zeros);
  tare_onnx_int(e->onnx, tare_onnx_add(e->onnx, "DequantizeLinear", weights, (const char *[]){tensor, scale, zero, NULL}), "axis", 0);
  tare_free(narrow);
  return TARE_OK;
}

/* The pixels' factor: powers of two, so exact but where a weight would leave the floats' range. */
static tare_status scale_down(const char *tensor, int bits, tare_filters *f, tare_error *error) {
  float *values = f->integers ? f->scale : f->weights;
  size_t count = f->integers ? f->filters * f->scales : f->filters * f->taps;
  for (size_t i = 0; i < count; i++) {
    float scaled = ldexpf(values[i], -bits);
    if (ldexpf(scaled, bits) != values[i])
      return tare_fail(error, TARE_E_ARGUMENT, "%s: a weight of %g cannot be multiplied by 2^-%d without loss", tensor, (double)values[i], bits);
    values[i] = scaled;
  }
  return TARE_OK;
}

static tare_status make(tare_exporter *e, const char *name, const char *norm_name, const tare_constraint *constraint, int scale_pixels,
                        tare_filters *f, float *bias, char weights[80], tare_error *error) {
  char tensor[80], key[120];
  snprintf(tensor, sizeof tensor, "%.60s.weight", name);
  tare_status status = norm_name ? add_norm(e, norm_name, constraint, f, bias, error) : TARE_OK;
  int anew = norm_name || e->options->format >= 0 || e->options->grade == TARE_GRADE_GRID;
  if (!status && anew) status = round_filters(e, tensor, constraint, f, error);
  snprintf(key, sizeof key, "certificate:%s", tensor);
  const char *kept = anew ? NULL : tare_tensors_metadata(tare_model_file(e->model), key);
  if (kept) tare_onnx_metadata(e->onnx, key, kept);
  if (!status) status = add_rule(e, tensor, constraint, f, scale_pixels ? 1 << e->bits : 1, error);
  if (!status && scale_pixels) status = scale_down(tensor, e->bits, f, error);
  return status ? status : add_weights(e, tensor, f, weights, error);
}

tare_status tare_export_filters(tare_exporter *e, const char *name, const char *norm_name, const tare_constraint *constraint,
                                int scale_pixels, char weights[80], int *has_bias, tare_error *error) {
  const tare_tensors *file = tare_model_file(e->model);
  char tensor[80], bias_name[80];
  snprintf(tensor, sizeof tensor, "%.60s.weight", name);
  snprintf(bias_name, sizeof bias_name, "%.60s.bias", name);
  tare_filters f;
  float *bias;
  size_t count;
  tare_status status = tare_filters_read(file, tare_tensors_find(file, tensor), 0, &f, error);
  if (status) return status;
  status = tare_export_values(e->model, bias_name, &bias, &count, error);
  *has_bias = bias || norm_name;
  if (!status && !bias && !(bias = tare_alloc(f.filters, sizeof *bias))) status = tare_fail_memory(error, f.filters, "a bias");
  if (!status) status = make(e, name, norm_name, constraint, scale_pixels, &f, bias, weights, error);
  if (!status && *has_bias) tare_onnx_initializer(e->onnx, bias_name, TARE_ONNX_FLOAT, 1, &(int64_t){(int64_t)f.filters}, bias);
  tare_free(bias);
  tare_filters_free(&f);
  return status;
}
