/* SPDX-License-Identifier: Apache-2.0 */
/* A file in memory: its tensors and its metadata. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "format/format.h"

static const char metadata_key[] = "__metadata__";

tare_status tare_tensors_reserve(tare_tensors *file, size_t count, tare_error *error) {
  if (!file->header) file->header = json_object();
  file->list = tare_alloc(count, sizeof *file->list);
  file->capacity = count;
  return file->header && file->list ? TARE_OK : tare_fail_memory(error, count * sizeof *file->list, "tensors");
}

tare_status tare_tensors_add(tare_tensors *file, const tare_tensor *tensor, void **data, tare_error *error) {
  size_t bytes;
  if (file->count == file->capacity || tare_tensor_bytes(tensor, &bytes))
    return tare_fail(error, TARE_E_DATA, "tensor '%.80s' is larger than memory", tensor->name);
  *data = tare_alloc(bytes, 1);
  if (!*data) return tare_fail_memory(error, bytes, "a tensor");
  file->list[file->count] = *tensor;
  file->list[file->count++].data = *data;
  return TARE_OK;
}

tare_status tare_tensors_name(tare_tensors *file, const char *text, const char **name, tare_error *error) {
  if (json_object_get(file->header, text)) return tare_fail(error, TARE_E_DATA, "two tensors are called '%.80s'", text);
  if (json_object_set_new(file->header, text, json_true())) return tare_fail(error, TARE_E_DATA, "a tensor's name is not UTF-8 text");
  *name = json_object_iter_key(json_object_iter_at(file->header, text));
  return TARE_OK;
}

tare_status tare_tensors_set_metadata(tare_tensors *file, const char *key, const char *value, tare_error *error) {
  json_t *all = json_object_get(file->header, metadata_key);
  if (!all && json_object_set_new(file->header, metadata_key, all = json_object())) return tare_fail_memory(error, 1, "metadata");
  if (json_object_get(all, key)) return tare_fail(error, TARE_E_DATA, "metadata '%.80s' is there twice", key);
  return json_object_set_new(all, key, json_string(value)) ? tare_fail(error, TARE_E_DATA, "metadata that is not UTF-8 text") : TARE_OK;
}

void tare_tensors_free(tare_tensors *file) {
  if (!file) return;
  for (size_t i = 0; i < file->count; i++) tare_free((void *)(uintptr_t)file->list[i].data);
  json_decref(file->header);
  tare_free(file->list);
  tare_free(file);
}

size_t tare_tensors_count(const tare_tensors *file) { return file ? file->count : 0; }
const tare_tensor *tare_tensors_at(const tare_tensors *file, size_t index) { return file && index < file->count ? &file->list[index] : NULL; }

const tare_tensor *tare_tensors_find(const tare_tensors *file, const char *name) {
  for (size_t i = 0; file && name && i < file->count; i++)
    if (strcmp(file->list[i].name, name) == 0) return &file->list[i];
  return NULL;
}

const char *tare_tensors_metadata(const tare_tensors *file, const char *key) {
  return file && key ? json_string_value(json_object_get(json_object_get(file->header, metadata_key), key)) : NULL;
}

size_t tare_tensors_all_metadata(const tare_tensors *file, tare_metadata *list, size_t size) {
  json_t *all = file ? json_object_get(file->header, metadata_key) : NULL, *value;
  const char *key;
  size_t count = 0;
  json_object_foreach(all, key, value) {
    if (list && count < size) list[count] = (tare_metadata){key, json_string_value(value)};
    count++;
  }
  return count;
}
