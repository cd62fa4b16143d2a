/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing safetensors: the header's length (8 bytes), the header (JSON, spaces
 * behind it up to a multiple of 8), the tensors' bytes without gaps.
 * https://github.com/huggingface/safetensors, README, "Format".
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "format/format.h"

enum { HEADER_ALIGNMENT = 8, WIDEST = 8 }; /* bytes */

/* Puts `value` (which it takes over) under `key`; a key twice or text that is not UTF-8 fails. */
static tare_status put(json_t *object, const char *key, json_t *value, const char *what, tare_error *error) {
  if (key && !json_object_get(object, key)) {
    if (json_object_set_new(object, key, value) == 0) return TARE_OK;
    return tare_fail(error, value ? TARE_E_ARGUMENT : TARE_E_MEMORY, "%s '%s' is not UTF-8 text, or memory is out", what, key);
  }
  json_decref(value);
  if (!key) return tare_fail(error, TARE_E_ARGUMENT, "%s has no name", what);
  return tare_fail(error, TARE_E_ARGUMENT, "%s '%s' is given twice", what, key);
}

static tare_status put_metadata(json_t *header, const tare_metadata *metadata, size_t count, tare_error *error) {
  if (count == 0) return TARE_OK;
  json_t *object = json_object();
  tare_status status = put(header, "__metadata__", object, "the table", error);
  for (size_t i = 0; i < count && !status; i++) {
    json_t *value = metadata[i].value ? json_string(metadata[i].value) : NULL;
    if (!value) return tare_fail(error, TARE_E_ARGUMENT, "metadata '%.80s' has no value, or one that is not UTF-8 text", metadata[i].key ? metadata[i].key : "(null)");
    status = put(object, metadata[i].key, value, "metadata", error);
  }
  return status;
}

static json_t *describe(const tare_tensor *tensor, size_t begin, size_t end) {
  json_t *shape = json_array();
  int failed = !shape;
  for (int d = 0; d < tensor->dims; d++) failed |= json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
  if (failed) return json_decref(shape), NULL;
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tare_dtype_name(tensor->dtype), "shape", shape, "data_offsets", (json_int_t)begin,
                   (json_int_t)end);
}

static tare_status put_tensor(json_t *header, const tare_tensor *tensor, size_t *offset, tare_error *error) {
  size_t bytes, end;
  const char *name = tensor->name ? tensor->name : "(null)";
  if (tare_tensor_bytes(tensor, &bytes) || __builtin_add_overflow(*offset, bytes, &end) || end > INT64_MAX)
    return tare_fail(error, TARE_E_ARGUMENT, "tensor '%s': its shape or dtype is out of range", name);
  if (bytes > 0 && !tensor->data) return tare_fail(error, TARE_E_ARGUMENT, "tensor '%s' has no data", name);
  if (strcmp(name, "__metadata__") == 0) return tare_fail(error, TARE_E_ARGUMENT, "a tensor cannot be named '%s'", name);
  tare_status status = put(header, tensor->name, describe(tensor, *offset, end), "tensor", error);
  if (!status) *offset = end;
  return status;
}

/* The widest elements first: with a header of a multiple of 8 bytes every tensor is aligned. */
typedef tare_status (*visit)(void *user, const tare_tensor *tensor, size_t *offset, tare_error *error);

static tare_status in_order(const tare_tensor *tensors, size_t count, visit run, void *user, tare_error *error) {
  size_t offset = 0;
  tare_status status = TARE_OK;
  for (size_t width = WIDEST + 1; width-- > 0;) /* 0: a dtype that is none, to be refused */
    for (size_t i = 0; i < count && !status; i++)
      if (tare_dtype_size(tensors[i].dtype) == width) status = run(user, &tensors[i], &offset, error);
  return status;
}

static tare_status visit_header(void *header, const tare_tensor *tensor, size_t *offset, tare_error *error) {
  return put_tensor(header, tensor, offset, error);
}

static tare_status visit_data(void *file, const tare_tensor *tensor, size_t *offset, tare_error *error) {
  size_t bytes;
  (void)offset;
  return tare_tensor_bytes(tensor, &bytes) ? TARE_E_ARGUMENT : tare_file_write(file, tensor->data, bytes, error);
}

static tare_status write_header(tare_file *file, const json_t *header, tare_error *error) {
  static const char spaces[HEADER_ALIGNMENT] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
  char *text = json_dumps(header, JSON_COMPACT);
  if (!text) return tare_fail_memory(error, 1, "a file header");
  uint64_t used = strlen(text), pad = (HEADER_ALIGNMENT - used % HEADER_ALIGNMENT) % HEADER_ALIGNMENT, length = used + pad;
  tare_status status = tare_file_write(file, &length, sizeof length, error);
  if (!status) status = tare_file_write(file, text, used, error);
  if (!status) status = tare_file_write(file, spaces, pad, error);
  free(text);
  return status;
}

static tare_status write_file(const char *path, const json_t *header, const tare_tensor *tensors, size_t count, tare_error *error) {
  tare_file *file;
  tare_status status = tare_file_begin(path, &file, error);
  if (status) return status;
  status = write_header(file, header, error);
  if (!status) status = in_order(tensors, count, visit_data, file, error);
  if (!status) return tare_file_commit(file, error);
  tare_file_abandon(file);
  return status;
}

tare_status tare_safetensors_write(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata,
                                   size_t metadata_count, tare_error *error) {
  if (!path || (count && !tensors) || (metadata_count && !metadata))
    return tare_fail(error, TARE_E_ARGUMENT, "a file to write needs a path, tensors and metadata; one is NULL");
  json_t *header = json_object();
  if (!header) return tare_fail_memory(error, 1, "a file header");
  tare_status status = put_metadata(header, metadata, metadata_count, error);
  if (!status) status = in_order(tensors, count, visit_header, header, error);
  if (status) tare_fail_prefix(error, status, "%s", path);
  else status = write_file(path, header, tensors, count, error);
  json_decref(header);
  return status;
}
