/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the room: formats and dtypes. */
#include "format/format.h"

#include <string.h>

/* Numbers are copied to files as they lie in memory; formats are little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian machine needs byte swaps in src/format");

static const tare_format formats[] = {
  {"safetensors", ".safetensors", tare_safetensors_read, tare_safetensors_write},
};

const tare_format *tare_format_at(size_t index) { return index < sizeof formats / sizeof *formats ? &formats[index] : NULL; }

static const struct { const char *name; size_t size; } dtypes[] = {
  [TARE_DTYPE_F32] = {"F32", 4},
  [TARE_DTYPE_F64] = {"F64", 8},
  [TARE_DTYPE_U64] = {"U64", 8},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const char *tare_dtype_name(tare_dtype dtype) { return (unsigned)dtype < DTYPES ? dtypes[dtype].name : NULL; }
size_t tare_dtype_size(tare_dtype dtype) { return (unsigned)dtype < DTYPES ? dtypes[dtype].size : 0; }
const char *tare_dtype_list(void) { return "F32, F64 or U64"; }

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
