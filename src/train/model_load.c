/* SPDX-License-Identifier: Apache-2.0 */
/* A model file read back into a network that computes with exactly the stored weights. The file may come from anyone. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "format/format.h"
#include "train/written.h"

enum { FILTER_DIMS = 4 };

struct tare_model {
  tare_net *net;
  tare_tensors *file;
  uint64_t *hashes;
  size_t hash_count;
  int classes;
};

static tare_status metadata(const tare_model *model, const char *key, const char **value, tare_error *error) {
  *value = tare_tensors_metadata(model->file, key);
  return *value ? TARE_OK : tare_fail(error, TARE_E_DATA, "not a tare model: its metadata has no '%s'", key);
}

static tare_status check_format(const tare_model *model, tare_error *error) {
  const char *format;
  tare_status status = metadata(model, "format", &format, error);
  if (!status && strcmp(format, TARE_MODEL_FORMAT))
    status = tare_fail(error, TARE_E_DATA, "not a tare model of this version: its format is '%.40s', expected '" TARE_MODEL_FORMAT "'",
                       format);
  return status;
}

/* "48x48x1". */
static int parse_input(const char *text, tare_net_options *options) {
  int *const to[3] = {&options->height, &options->width, &options->channels};
  char copy[48], *rest = copy;
  int64_t size;
  if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) return -1;
  for (int i = 0; i < 3; i++) {
    char *part = strsep(&rest, "x");
    if (!part || tare_parse_int(part, 1, 1 << 16, &size)) return -1;
    *to[i] = (int)size;
  }
  return rest ? -1 : 0;
}

static tare_status make_net(tare_model *model, int batch, int threads, tare_error *error) {
  const char *line, *input;
  tare_net_options options = {.batch = batch, .threads = threads, .precision = TARE_F32};
  tare_status status = metadata(model, "net", &line, error);
  if (!status) status = metadata(model, "input", &input, error);
  if (!status && parse_input(input, &options))
    status = tare_fail(error, TARE_E_DATA, "input '%.40s', expected HEIGHTxWIDTHxCHANNELS", input);
  if (status) return status;
  status = tare_net_create(line, &options, &model->net, error);
  return status ? tare_fail_prefix(error, status, "its network") : TARE_OK;
}

static tare_status read_classes(tare_model *model, tare_error *error) {
  const char *text;
  tare_status status = metadata(model, "classes", &text, error);
  if (status) return status;
  json_t *names = json_loads(text, 0, NULL);
  size_t i, bad = !json_is_array(names);
  json_t *name;
  json_array_foreach(names, i, name) bad |= !json_is_string(name);
  model->classes = (int)json_array_size(names);
  json_decref(names);
  return bad ? tare_fail(error, TARE_E_DATA, "classes '%.40s', expected a JSON list of names", text) : TARE_OK;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tare_status read_hashes(tare_model *model, tare_error *error) {
  const char *text;
  tare_status status = metadata(model, "train_hashes", &text, error);
  if (status) return status;
  size_t length = strlen(text);
  model->hash_count = length / TARE_HASH_DIGITS;
  model->hashes = tare_alloc(model->hash_count, sizeof *model->hashes);
  if (!model->hashes) return tare_fail_memory(error, length, "hashes");
  int bad = length % TARE_HASH_DIGITS != 0;
  for (size_t i = 0; i < model->hash_count * TARE_HASH_DIGITS && !bad; i++) {
    bad = digit(text[i]) < 0;
    model->hashes[i / TARE_HASH_DIGITS] = model->hashes[i / TARE_HASH_DIGITS] << 4 | (unsigned)digit(text[i]);
  }
  return bad ? tare_fail(error, TARE_E_DATA, "train_hashes is not a row of numbers of %d hexadecimal digits", TARE_HASH_DIGITS) : TARE_OK;
}

static int same_shape(const tare_tensor *tensor, const tare_net_tensor *info) {
  if (tensor->dims != info->dims) return 0;
  for (int d = 0; d < info->dims; d++)
    if (tensor->shape[d] != info->shape[d]) return 0;
  return 1;
}

static tare_status check_values(const tare_net_tensor *info, const float *values, tare_error *error) {
  for (size_t i = 0; i < tare_written_values(info); i++)
    if (!isfinite(values[i])) return tare_fail(error, TARE_E_DATA, "%s: value %zu is not a finite number", info->name, i);
  return TARE_OK;
}

/* The values as floats: those of the file, or filters of another type made floats in `filters`, which the caller frees. */
static tare_status tensor_values(const tare_model *model, const tare_net_tensor *info, tare_filters *filters, const float **values,
                                 tare_error *error) {
  const tare_tensor *tensor = tare_tensors_find(model->file, info->name);
  int plain = tensor && tensor->dtype == TARE_DTYPE_F32;
  if (!tensor || !same_shape(tensor, info) || (!plain && info->dims != FILTER_DIMS))
    return tare_fail(error, TARE_E_DATA, "tensor '%s' is missing, or not of the shape and type that its network needs", info->name);
  *values = tensor->data;
  tare_status status = plain ? TARE_OK : tare_filters_read(model->file, tensor, 0, filters, error);
  if (!status && !plain) *values = filters->weights;
  return status;
}

/* Set, so that the net is complete; the filters pinned too, because through a basis they would come back a rounding error away. */
static tare_status load_tensor(tare_model *model, size_t index, tare_error *error) {
  tare_net_tensor info;
  tare_status status = tare_net_tensor_info(model->net, index, &info, error);
  if (status) return status;
  tare_filters filters = {0};
  const float *values;
  status = tensor_values(model, &info, &filters, &values, error);
  if (!status) status = check_values(&info, values, error);
  if (!status) status = tare_net_tensor_set(model->net, index, values, error);
  if (!status && info.dims == FILTER_DIMS) status = tare_net_tensor_pin(model->net, index, values, error);
  tare_filters_free(&filters);
  return status;
}

static tare_status load_tensors(tare_model *model, tare_error *error) {
  size_t count = tare_net_tensor_count(model->net);
  size_t have = 0; /* but scales, which belong to other tensors */
  for (size_t i = 0; i < tare_tensors_count(model->file); i++) have += !tare_filters_scale_of(model->file, tare_tensors_at(model->file, i));
  if (have != count) return tare_fail(error, TARE_E_DATA, "%zu tensors, its network needs %zu", have, count);
  tare_status status = TARE_OK;
  for (size_t i = 0; i < count && !status; i++) status = load_tensor(model, i, error);
  return status;
}

/* What the file claims about one tensor must be what the network says, and true. */
static tare_status check_claim(const tare_model *model, const json_t *claims, const tare_net_tensor *info, tare_error *error) {
  const json_t *claim;
  size_t i;
  json_array_foreach(claims, i, claim) {
    const char *tensor = json_string_value(json_object_get(claim, "tensor")), *rule = json_string_value(json_object_get(claim, "rule"));
    if (!tensor || strcmp(tensor, info->name)) continue;
    const float *values;
    tare_filters filters = {0};
    int exact = 0, claimed = json_is_true(json_object_get(claim, "exact"));
    tare_status status = tensor_values(model, info, &filters, &values, error);
    if (!status) status = tare_written_exact(info->constraint, values, tare_written_values(info), &exact, error);
    tare_filters_free(&filters);
    if (!status && (!rule || strcmp(rule, tare_constraint_text(info->constraint)) || exact != claimed))
      status = tare_fail(error, TARE_E_DATA, "%s: what 'rules' says of it is not true", info->name);
    return status;
  }
  return tare_fail(error, TARE_E_DATA, "%s: 'rules' says nothing of it", info->name);
}

static tare_status check_rules(const tare_model *model, tare_error *error) {
  const char *text;
  tare_status status = metadata(model, "rules", &text, error);
  json_t *claims = status ? NULL : json_loads(text, 0, NULL);
  for (size_t i = 0; i < tare_net_tensor_count(model->net) && !status; i++) {
    tare_net_tensor info;
    status = tare_net_tensor_info(model->net, i, &info, error);
    if (!status && info.constraint && tare_constraint_rows(info.constraint) > 0) status = check_claim(model, claims, &info, error);
  }
  json_decref(claims);
  return status;
}

static tare_status load(tare_model *model, int batch, int threads, tare_error *error) {
  tare_status status = check_format(model, error);
  if (!status) status = read_classes(model, error);
  if (!status) status = read_hashes(model, error);
  if (!status) status = make_net(model, batch, threads, error);
  if (!status) status = load_tensors(model, error);
  return status ? status : check_rules(model, error);
}

tare_status tare_model_load(const char *path, int batch, int threads, tare_model **out, tare_error *error) {
  if (!path || !out || batch < 1 || threads < 1)
    return tare_fail(error, TARE_E_ARGUMENT, "a model needs a path, a batch and threads of at least 1, and a place for the result");
  tare_model *model = tare_alloc(1, sizeof *model);
  if (!model) return tare_fail_memory(error, sizeof *model, "a model");
  tare_status status = tare_safetensors_read(path, &model->file, error);
  if (status) return tare_model_free(model), status;
  status = load(model, batch, threads, error);
  if (!status) return *out = model, TARE_OK;
  tare_model_free(model);
  if (status > TARE_E_MEMORY) status = TARE_E_DATA; /* whatever a file asks for wrongly, the file is wrong */
  tare_fail_prefix(error, status, "%s", path);
  tare_error_clean(error);
  if (error) error->status = status;
  return status;
}

void tare_model_free(tare_model *model) {
  if (!model) return;
  tare_net_free(model->net);
  tare_tensors_free(model->file);
  tare_free(model->hashes);
  tare_free(model);
}

tare_net *tare_model_net(tare_model *model) { return model ? model->net : NULL; }
const tare_tensors *tare_model_file(const tare_model *model) { return model ? model->file : NULL; }
int tare_model_classes(const tare_model *model) { return model ? model->classes : 0; }

size_t tare_model_train_hashes(const tare_model *model, uint64_t *hashes, size_t size) {
  if (!model) return 0;
  size_t count = model->hash_count < size ? model->hash_count : size;
  if (hashes && count) memcpy(hashes, model->hashes, count * sizeof *hashes);
  return model->hash_count;
}
