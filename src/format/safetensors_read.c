/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading safetensors that anyone may have written: nothing of the header is
 * believed before it is checked, and the tensors must cover the data exactly.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "format/format.h"

#define MOST_BYTES ((size_t)1 << 36)        /* of a file */
#define MOST_HEADER ((uint64_t)100 << 20)   /* what the reference implementation allows (100 MB) */
enum { ALIGNMENT = 64, PREFIX = 8 };

struct tare_tensors {
  json_t *header;      /* holds the names and the metadata */
  tare_tensor *list;
  size_t count;
  char *data;          /* copies of the tensors, each aligned */
};

/* A tensor of the header and where its bytes lie. */
typedef struct span { tare_tensor tensor; uint64_t begin, end; } span;

static tare_status read_shape(const json_t *shape, tare_tensor *tensor, tare_error *error) {
  if (!json_is_array(shape)) return tare_fail(error, TARE_E_DATA, "expected a shape: a list of numbers");
  if (json_array_size(shape) > TARE_TENSOR_DIMS)
    return tare_fail(error, TARE_E_DATA, "%zu dimensions, expected at most %d", json_array_size(shape), TARE_TENSOR_DIMS);
  tensor->dims = (int)json_array_size(shape);
  for (int d = 0; d < tensor->dims; d++) {
    const json_t *size = json_array_get(shape, (size_t)d);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
      return tare_fail(error, TARE_E_DATA, "dimension %d of the shape is not a whole number of 0 or more", d);
    tensor->shape[d] = json_integer_value(size);
  }
  return TARE_OK;
}

static tare_status read_offsets(const json_t *offsets, uint64_t data_size, span *s, tare_error *error) {
  const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) || json_integer_value(begin) < 0)
    return tare_fail(error, TARE_E_DATA, "expected data_offsets: two whole numbers of 0 or more");
  long long b = json_integer_value(begin), e = json_integer_value(end);
  if (e < b || (uint64_t)e > data_size)
    return tare_fail(error, TARE_E_DATA, "bytes %lld to %lld of %llu bytes of data", b, e, (unsigned long long)data_size);
  s->begin = (uint64_t)b;
  s->end = (uint64_t)e;
  return TARE_OK;
}

static tare_status read_dtype(const json_t *value, tare_tensor *tensor, tare_error *error) {
  const char *name = json_string_value(value);
  if (!name) return tare_fail(error, TARE_E_DATA, "no dtype, expected %s", tare_dtype_list());
  if (tare_dtype_find(name, &tensor->dtype))
    return tare_fail(error, TARE_E_DATA, "dtype %.40s, expected %s", name, tare_dtype_list());
  return TARE_OK;
}

static tare_status read_span(const json_t *value, uint64_t data_size, span *s, tare_error *error) {
  size_t bytes;
  if (!json_is_object(value) || json_object_size(value) != 3)
    return tare_fail(error, TARE_E_DATA, "expected dtype, shape and data_offsets, and no more");
  tare_status status = read_dtype(json_object_get(value, "dtype"), &s->tensor, error);
  if (!status) status = read_shape(json_object_get(value, "shape"), &s->tensor, error);
  if (!status) status = read_offsets(json_object_get(value, "data_offsets"), data_size, s, error);
  if (status) return status;
  if (tare_tensor_bytes(&s->tensor, &bytes)) return tare_fail(error, TARE_E_DATA, "its shape has more values than memory has bytes");
  if (bytes != s->end - s->begin)
    return tare_fail(error, TARE_E_DATA, "its shape and dtype need %zu bytes, data_offsets give it %llu", bytes,
                     (unsigned long long)(s->end - s->begin));
  return TARE_OK;
}

static tare_status check_metadata(const json_t *metadata, tare_error *error) {
  const char *key;
  json_t *value;
  if (metadata && !json_is_object(metadata)) return tare_fail(error, TARE_E_DATA, "__metadata__ is not a table of text");
  json_object_foreach((json_t *)metadata, key, value)
    if (!json_is_string(value)) return tare_fail(error, TARE_E_DATA, "metadata '%.80s' is not text", key);
  return TARE_OK;
}

static int by_place(const void *a, const void *b) {
  const span *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

static tare_status check_cover(const span *spans, size_t count, uint64_t data_size, tare_error *error) {
  uint64_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (spans[i].begin != at)
      return tare_fail(error, TARE_E_DATA, "tensor '%.80s' begins at byte %llu of the data, expected %llu: %s", spans[i].tensor.name,
                       (unsigned long long)spans[i].begin, (unsigned long long)at, spans[i].begin < at ? "an overlap" : "a gap");
    at = spans[i].end;
  }
  if (at != data_size)
    return tare_fail(error, TARE_E_DATA, "%llu bytes of data, its tensors have %llu", (unsigned long long)data_size,
                     (unsigned long long)at);
  return TARE_OK;
}

static tare_status read_spans(json_t *header, uint64_t data_size, span *spans, size_t *count, tare_error *error) {
  const char *name;
  json_t *value;
  *count = 0;
  tare_status status = check_metadata(json_object_get(header, "__metadata__"), error);
  json_object_foreach(header, name, value) {
    if (status) return status;
    if (strcmp(name, "__metadata__") == 0) continue;
    span *s = &spans[(*count)++];
    s->tensor.name = name;
    status = read_span(value, data_size, s, error);
    if (status) tare_fail_prefix(error, status, "tensor '%.80s'", name);
  }
  if (status) return status;
  qsort(spans, *count, sizeof *spans, by_place);
  return check_cover(spans, *count, data_size, error);
}

static size_t aligned(uint64_t bytes) { return (size_t)(bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* Files of others may have their tensors anywhere: each is copied to an aligned place. */
static tare_status copy_tensors(const span *spans, const char *data, tare_tensors *file, tare_error *error) {
  size_t total = 0, at = 0;
  for (size_t i = 0; i < file->count; i++) total += aligned(spans[i].end - spans[i].begin);
  file->list = tare_alloc(file->count, sizeof *file->list);
  file->data = tare_alloc(total, 1);
  if (!file->list || !file->data) return tare_fail_memory(error, total, "tensors");
  for (size_t i = 0; i < file->count; i++) {
    size_t bytes = (size_t)(spans[i].end - spans[i].begin);
    memcpy(file->data + at, data + spans[i].begin, bytes);
    file->list[i] = spans[i].tensor;
    file->list[i].data = file->data + at;
    at += aligned(bytes);
  }
  return TARE_OK;
}

static tare_status read_tensors(const char *data, uint64_t data_size, tare_tensors *file, tare_error *error) {
  size_t most = json_object_size(file->header);
  span *spans = tare_alloc(most, sizeof *spans);
  if (!spans) return tare_fail_memory(error, most * sizeof *spans, "a file header");
  tare_status status = read_spans(file->header, data_size, spans, &file->count, error);
  if (!status) status = copy_tensors(spans, data, file, error);
  tare_free(spans);
  return status;
}

static tare_status read_bytes(const char *bytes, size_t size, tare_tensors *file, tare_error *error) {
  uint64_t length;
  json_error_t reason;
  if (size < PREFIX) return tare_fail(error, TARE_E_DATA, "%zu bytes, too short for a safetensors file", size);
  memcpy(&length, bytes, sizeof length);
  if (length > MOST_HEADER || length > size - PREFIX)
    return tare_fail(error, TARE_E_DATA, "not a safetensors file, or cut off: its header would have %llu bytes, the file has %zu",
                     (unsigned long long)length, size);
  const char *header = bytes + PREFIX;
  if (length == 0 || *header != '{') return tare_fail(error, TARE_E_DATA, "not a safetensors file: no header");
  file->header = json_loadb(header, (size_t)length, JSON_REJECT_DUPLICATES, &reason);
  if (!file->header) return tare_fail(error, TARE_E_DATA, "its header is not valid JSON: %s", reason.text);
  return read_tensors(header + length, size - PREFIX - length, file, error);
}

tare_status tare_safetensors_read(const char *path, tare_tensors **out, tare_error *error) {
  void *bytes;
  size_t size;
  if (!path || !out) return tare_fail(error, TARE_E_ARGUMENT, "a file to read needs a path and a place for the result; one is NULL");
  tare_status status = tare_file_read(path, MOST_BYTES, &bytes, &size, error);
  if (status) return status;
  tare_tensors *file = tare_alloc(1, sizeof *file);
  if (file) status = read_bytes(bytes, size, file, error);
  else status = tare_fail_memory(error, sizeof *file, "a file");
  tare_free(bytes);
  if (!status) return *out = file, TARE_OK;
  tare_tensors_free(file);
  tare_fail_prefix(error, status, "%s", path);
  tare_error_clean(error);
  return status;
}

void tare_tensors_free(tare_tensors *file) {
  if (!file) return;
  json_decref(file->header);
  tare_free(file->list);
  tare_free(file->data);
  tare_free(file);
}

size_t tare_tensors_count(const tare_tensors *file) { return file->count; }
const tare_tensor *tare_tensors_at(const tare_tensors *file, size_t index) { return index < file->count ? &file->list[index] : NULL; }

const tare_tensor *tare_tensors_find(const tare_tensors *file, const char *name) {
  for (size_t i = 0; i < file->count; i++)
    if (strcmp(file->list[i].name, name) == 0) return &file->list[i];
  return NULL;
}

const char *tare_tensors_metadata(const tare_tensors *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}
