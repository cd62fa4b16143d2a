/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npy, NumPy's file of one array: "\x93NUMPY", version, the length of the header, the header (a Python dictionary of
 * descr, fortran_order and shape, padded to 64 bytes), the numbers. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "format/format.h"

enum { MAGIC = 6, VERSION_1 = 10, VERSION_2 = 12, ALIGNMENT = 64 }; /* where the header of a version begins */
static const char magic[MAGIC] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

static const struct { const char *descr; tare_dtype dtype; } kinds[] = {
  {"<f4", TARE_DTYPE_F32}, {"<f8", TARE_DTYPE_F64}, {"<f2", TARE_DTYPE_F16}, {"|i1", TARE_DTYPE_I8}, {"<u8", TARE_DTYPE_U64},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The header as text, and how far it has been read. */
typedef struct scanner { const char *at, *end; } scanner;

static void skip(scanner *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

/* 1 and past it if `text` comes next. */
static int take(scanner *s, const char *text) {
  size_t length = strlen(text);
  skip(s);
  if ((size_t)(s->end - s->at) < length || memcmp(s->at, text, length)) return 0;
  s->at += length;
  return 1;
}

/* 'text' or "text" without escapes; 0 if it is none or too long. */
static int take_string(scanner *s, char *text, size_t size) {
  skip(s);
  if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return 0;
  const char *close = memchr(s->at + 1, *s->at, (size_t)(s->end - s->at - 1));
  if (!close || (size_t)(close - s->at) > size) return 0;
  size_t length = (size_t)(close - s->at - 1);
  memcpy(text, s->at + 1, length);
  text[length] = 0;
  s->at = close + 1;
  return 1;
}

static int take_size(scanner *s, int64_t *size) {
  skip(s);
  const char *from = s->at;
  for (*size = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
    if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, *s->at - '0', size)) return 0;
  return s->at > from;
}

static tare_status read_descr(scanner *s, tare_tensor *tensor, tare_error *error) {
  char descr[16];
  if (!take_string(s, descr, sizeof descr)) return tare_fail(error, TARE_E_DATA, "an array of records, expected numbers of one type");
  for (int i = 0; i < KINDS; i++)
    if (strcmp(kinds[i].descr, descr) == 0) return tensor->dtype = kinds[i].dtype, TARE_OK;
  return tare_fail(error, TARE_E_DATA, "numbers of type '%s'%s, expected little-endian float32, float64, float16, int8 or uint64", descr,
                   descr[0] && strchr(descr, 'O') ? " (Python objects)" : "");
}

static tare_status read_order(scanner *s, tare_tensor *tensor, tare_error *error) {
  (void)tensor;
  if (take(s, "False")) return TARE_OK;
  if (take(s, "True")) return tare_fail(error, TARE_E_DATA, "Fortran order, expected C order: numpy.ascontiguousarray gives it");
  return tare_fail(error, TARE_E_DATA, "fortran_order is neither True nor False");
}

static tare_status read_shape(scanner *s, tare_tensor *tensor, tare_error *error) {
  int open = take(s, "(");
  for (tensor->dims = 0; open && !take(s, ")"); tensor->dims++) {
    if (tensor->dims == TARE_TENSOR_DIMS) return tare_fail(error, TARE_E_DATA, "more than %d dimensions", TARE_TENSOR_DIMS);
    if (!take_size(s, &tensor->shape[tensor->dims])) open = 0;
    else if (!take(s, ",") && !(s->at < s->end && *s->at == ')')) open = 0;
  }
  return open ? TARE_OK : tare_fail(error, TARE_E_DATA, "its shape is not a tuple of whole numbers");
}

static const struct { const char *key; tare_status (*read)(scanner *s, tare_tensor *tensor, tare_error *error); } fields[] = {
  {"descr", read_descr}, {"fortran_order", read_order}, {"shape", read_shape},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static tare_status read_field(scanner *s, int seen[FIELDS], tare_tensor *tensor, tare_error *error) {
  char key[32];
  if (take_string(s, key, sizeof key) && take(s, ":"))
    for (int i = 0; i < FIELDS; i++)
      if (strcmp(fields[i].key, key) == 0 && !seen[i]++) return fields[i].read(s, tensor, error);
  return tare_fail(error, TARE_E_DATA, "expected descr, fortran_order and shape in its header, each once");
}

static tare_status read_header(scanner *s, tare_tensor *tensor, tare_error *error) {
  int seen[FIELDS] = {0};
  tare_status status = take(s, "{") ? TARE_OK : tare_fail(error, TARE_E_DATA, "its header is not a dictionary");
  for (int i = 0; i < FIELDS && !status; i++) {
    status = read_field(s, seen, tensor, error);
    int comma = !status && take(s, ",");
    if (!status && i < FIELDS - 1 && !comma) status = tare_fail(error, TARE_E_DATA, "its header is cut short");
  }
  if (status) return status;
  int closed = take(s, "}");
  skip(s);
  return closed && s->at == s->end ? TARE_OK : tare_fail(error, TARE_E_DATA, "its header has more than descr, fortran_order and shape");
}

/* Where the header and where the numbers begin. */
static tare_status find_parts(const unsigned char *bytes, size_t size, size_t *header, size_t *data, tare_error *error) {
  if (size < VERSION_2 || memcmp(bytes, magic, MAGIC)) return tare_fail(error, TARE_E_DATA, "not an npy file");
  if (bytes[MAGIC] < 1 || bytes[MAGIC] > 3) return tare_fail(error, TARE_E_DATA, "npy of version %d, expected 1 to 3", bytes[MAGIC]);
  size_t length = bytes[8] | (size_t)bytes[9] << 8;
  *header = VERSION_1;
  if (bytes[MAGIC] > 1) {
    length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    *header = VERSION_2;
  }
  if (length > size - *header)
    return tare_fail(error, TARE_E_DATA, "cut off: its header would have %zu bytes, the file has %zu", length, size);
  *data = *header + length;
  return TARE_OK;
}

tare_status tare_npy_parse(const void *data, size_t size, tare_tensors *file, tare_error *error) {
  size_t header = 0, numbers = 0, bytes;
  tare_tensor tensor = {0};
  tare_status status = find_parts(data, size, &header, &numbers, error);
  if (status) return status;
  const char *base = data;
  scanner s = {base + header, base + numbers};
  status = read_header(&s, &tensor, error);
  if (!status && (tare_tensor_bytes(&tensor, &bytes) || bytes != size - numbers))
    status = tare_fail(error, TARE_E_DATA, "%zu bytes of numbers, not what its shape and type need: cut off or damaged", size - numbers);
  void *to;
  if (!status) status = tare_tensors_reserve(file, 1, error);
  if (!status) status = tare_tensors_name(file, "array", &tensor.name, error);
  if (!status) status = tare_tensors_add(file, &tensor, &to, error);
  if (!status) memcpy(to, base + numbers, bytes);
  return status;
}

/* Version 1.0, spaces and a newline behind the dictionary so that the numbers begin at a multiple of 64. */
static tare_status write_header(tare_file *file, const char *descr, const tare_tensor *tensor, tare_error *error) {
  tare_text text = {0};
  tare_text_add(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (int d = 0; d < tensor->dims; d++) tare_text_add(&text, "%lld,%s", (long long)tensor->shape[d], d + 1 < tensor->dims ? " " : "");
  tare_text_add(&text, "), }");
  size_t used = VERSION_1 + text.length + 1;
  tare_text_add(&text, "%*s\n", (int)((ALIGNMENT - used % ALIGNMENT) % ALIGNMENT), "");
  unsigned char head[VERSION_1] = {[MAGIC] = 1, [8] = (unsigned char)(text.length & 255), [9] = (unsigned char)(text.length >> 8)};
  memcpy(head, magic, MAGIC);
  tare_status status = text.failed ? tare_fail_memory(error, used, "a file header") : tare_file_write(file, head, sizeof head, error);
  if (!status) status = tare_file_write(file, text.data, text.length, error);
  tare_text_free(&text);
  return status;
}

static tare_status write_file(const char *path, const char *descr, const tare_tensor *tensor, size_t bytes, tare_error *error) {
  tare_file *file;
  tare_status status = tare_file_begin(path, &file, error);
  if (status) return status;
  status = write_header(file, descr, tensor, error);
  if (!status) status = tare_file_write(file, tensor->data, bytes, error);
  if (!status) return tare_file_commit(file, error);
  tare_file_abandon(file);
  return status;
}

tare_status tare_npy_write(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata,
                           size_t metadata_count, tare_error *error) {
  (void)metadata, (void)metadata_count;
  size_t bytes;
  if (!path || !tensors || count != 1)
    return tare_fail(error, TARE_E_ARGUMENT, "%s: an npy file holds one array, not %zu: write .safetensors", path ? path : "(null)", count);
  if (tare_tensor_bytes(tensors, &bytes) || (bytes && !tensors->data))
    return tare_fail(error, TARE_E_ARGUMENT, "%s: the array has no data, or its shape or dtype is out of range", path);
  for (int i = 0; i < KINDS; i++)
    if (kinds[i].dtype == tensors->dtype) return write_file(path, kinds[i].descr, tensors, bytes, error);
  return tare_fail(error, TARE_E_ARGUMENT, "%s: npy has no %s: write .safetensors", path, tare_dtype_name(tensors->dtype));
}
