/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the room: formats and dtypes; reading and writing by the ending of a file's name. */
#include "format/format.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

/* Numbers are copied to files as they lie in memory; formats are little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian machine needs byte swaps in src/format");

#define MOST_BYTES ((size_t)1 << 36) /* of a file */

static const tare_format formats[] = {
  {"safetensors", ".safetensors", tare_safetensors_parse, tare_safetensors_write},
  {"npy", ".npy", tare_npy_parse, tare_npy_write},
  {"ONNX", ".onnx", tare_onnx_parse, NULL},
};

const tare_format *tare_format_at(size_t index) { return index < sizeof formats / sizeof *formats ? &formats[index] : NULL; }

const tare_format *tare_format_of(const char *path) {
  size_t length = strlen(path);
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    size_t ending = strlen(formats[i].extension);
    if (length > ending && strcmp(path + length - ending, formats[i].extension) == 0) return &formats[i];
  }
  return NULL;
}

tare_status tare_format_parse(const tare_format *format, const void *data, size_t size, tare_tensors **out, tare_error *error) {
  tare_tensors *file = tare_alloc(1, sizeof *file);
  if (!file) return tare_fail_memory(error, sizeof *file, "a file");
  tare_status status = format->parse(data, size, file, error);
  if (!status) return *out = file, TARE_OK;
  tare_tensors_free(file);
  tare_error_clean(error);
  return status;
}

static tare_status read_file(const tare_format *format, const char *path, tare_tensors **out, tare_error *error) {
  void *bytes;
  size_t size;
  tare_status status = tare_file_read(path, MOST_BYTES, &bytes, &size, error);
  if (status) return status;
  status = tare_format_parse(format, bytes, size, out, error);
  tare_free(bytes);
  if (status) tare_fail_prefix(error, status, "%s", path);
  return status;
}

static const char no_path[] = "a file to read needs a path and a place for the result; one is NULL";

tare_status tare_safetensors_read(const char *path, tare_tensors **out, tare_error *error) {
  if (!path || !out) return tare_fail(error, TARE_E_ARGUMENT, no_path);
  return read_file(&formats[0], path, out, error);
}

tare_status tare_tensors_read(const char *path, tare_tensors **out, tare_error *error) {
  if (!path || !out) return tare_fail(error, TARE_E_ARGUMENT, no_path);
  const tare_format *format = tare_format_of(path);
  if (!format) return tare_fail(error, TARE_E_DATA, "%s: expected a file that ends in .safetensors, .npy or .onnx", path);
  return read_file(format, path, out, error);
}

tare_status tare_tensors_write(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata,
                               size_t metadata_count, tare_error *error) {
  const tare_format *format = path ? tare_format_of(path) : NULL;
  if (!format || !format->write)
    return tare_fail(error, TARE_E_ARGUMENT, "%s: expected a file to write that ends in .safetensors or .npy", path ? path : "(null)");
  return format->write(path, tensors, count, metadata, metadata_count, error);
}

static const struct { const char *name; size_t size; } dtypes[] = {
  [TARE_DTYPE_F32] = {"F32", 4}, [TARE_DTYPE_F64] = {"F64", 8},   [TARE_DTYPE_U64] = {"U64", 8},
  [TARE_DTYPE_F16] = {"F16", 2}, [TARE_DTYPE_BF16] = {"BF16", 2}, [TARE_DTYPE_I8] = {"I8", 1},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const char *tare_dtype_name(tare_dtype dtype) { return (unsigned)dtype < DTYPES ? dtypes[dtype].name : NULL; }
size_t tare_dtype_size(tare_dtype dtype) { return (unsigned)dtype < DTYPES ? dtypes[dtype].size : 0; }
const char *tare_dtype_list(void) { return "F32, F64, U64, F16, BF16 or I8"; }

int tare_dtype_find(const char *name, tare_dtype *dtype) {
  for (int i = 0; i < DTYPES; i++)
    if (strcmp(dtypes[i].name, name) == 0) return *dtype = (tare_dtype)i, 0;
  return -1;
}

int tare_tensor_bytes(const tare_tensor *tensor, size_t *bytes) {
  *bytes = tare_dtype_size(tensor->dtype);
  if (*bytes == 0 || tensor->dims < 0 || tensor->dims > TARE_TENSOR_DIMS) return -1;
  for (int d = 0; d < tensor->dims; d++)
    if (tensor->shape[d] < 0 || __builtin_mul_overflow(*bytes, (size_t)tensor->shape[d], bytes)) return -1;
  return 0;
}

void tare_error_clean(tare_error *error) {
  if (!error) return;
  for (char *c = error->message; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
}
