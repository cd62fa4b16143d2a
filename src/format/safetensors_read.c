/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading safetensors that anyone may have written: nothing of the header is
 * believed before it is checked, and the tensors must cover the data exactly.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "format/format.h"

#define MOST_HEADER ((uint64_t)100 << 20)   /* what the reference implementation allows (100 MB) */
enum { PREFIX = 8 };

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

/* Files of others may have their tensors anywhere: each is copied to an aligned place. */
static tare_status copy_tensors(const span *spans, const char *data, tare_tensors *file, size_t count, tare_error *error) {
  tare_status status = TARE_OK;
  for (size_t i = 0; i < count && !status; i++) {
    void *to;
    status = tare_tensors_add(file, &spans[i].tensor, &to, error);
    if (!status) memcpy(to, data + spans[i].begin, (size_t)(spans[i].end - spans[i].begin));
  }
  return status;
}

static tare_status read_tensors(const char *data, uint64_t data_size, tare_tensors *file, tare_error *error) {
  size_t most = json_object_size(file->header), count = 0;
  span *spans = tare_alloc(most, sizeof *spans);
  if (!spans) return tare_fail_memory(error, most * sizeof *spans, "a file header");
  tare_status status = read_spans(file->header, data_size, spans, &count, error);
  if (!status) status = tare_tensors_reserve(file, count, error);
  if (!status) status = copy_tensors(spans, data, file, count, error);
  tare_free(spans);
  return status;
}

tare_status tare_safetensors_parse(const void *data, size_t size, tare_tensors *file, tare_error *error) {
  const char *bytes = data;
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
