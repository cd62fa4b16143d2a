/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the format room: a file format is a row (table in formats.c), a dtype too. */
#ifndef TARE_FORMAT_FORMAT_H
#define TARE_FORMAT_FORMAT_H

#include <jansson.h>
#include <tare/format.h>

/* Its header holds every name as a key, and the metadata as the object "__metadata__"; names of tensors point into it. */
struct tare_tensors {
  json_t *header;
  tare_tensor *list;
  size_t count, capacity;
};

typedef struct tare_format {
  const char *name;
  const char *extension; /* ".safetensors" */
  /* Fills an empty file from bytes that anyone may have written; TARE_E_DATA for anything wrong with them. */
  tare_status (*parse)(const void *data, size_t size, tare_tensors *file, tare_error *error);
  /* NULL: not written from tensors alone. */
  tare_status (*write)(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata, size_t metadata_count,
                       tare_error *error);
} tare_format;
/* By its place in the table, NULL at the end. */
const tare_format *tare_format_at(size_t index);
/* By the ending of a path; NULL if it is none of them. */
const tare_format *tare_format_of(const char *path);
/* The bytes of a file in that format; what a fuzzer calls. On success *out is the caller's. */
tare_status tare_format_parse(const tare_format *format, const void *data, size_t size, tare_tensors **out, tare_error *error);

tare_status tare_safetensors_parse(const void *data, size_t size, tare_tensors *file, tare_error *error);
tare_status tare_npy_parse(const void *data, size_t size, tare_tensors *file, tare_error *error);
tare_status tare_npy_write(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata,
                           size_t metadata_count, tare_error *error);
tare_status tare_onnx_parse(const void *data, size_t size, tare_tensors *file, tare_error *error);

/* tensors.c: filling a file. Room for `count` tensors; then each added one gets zeroed, aligned memory for its data; its name must outlive the file. */
tare_status tare_tensors_reserve(tare_tensors *file, size_t count, tare_error *error);
tare_status tare_tensors_add(tare_tensors *file, const tare_tensor *tensor, void **data, tare_error *error);
/* The header's own copy of a name, which it must not hold yet. TARE_E_DATA: it does, or the text is not UTF-8. */
tare_status tare_tensors_name(tare_tensors *file, const char *text, const char **name, tare_error *error);
tare_status tare_tensors_set_metadata(tare_tensors *file, const char *key, const char *value, tare_error *error);

/* A dtype's name in files and its size in bytes; NULL and 0 for one that the library does not hold. */
const char *tare_dtype_name(tare_dtype dtype);
size_t tare_dtype_size(tare_dtype dtype);
int tare_dtype_find(const char *name, tare_dtype *dtype); /* 0 on success */
const char *tare_dtype_list(void);                        /* "F32, F64, ... or I8" */

/* Bytes of a tensor; -1: a negative size, too many dimensions, or more than a size_t holds. */
int tare_tensor_bytes(const tare_tensor *tensor, size_t *bytes);

/* Text of a file may stand in a message: control characters become '?', so that it stays one line and a terminal obeys no escapes in it. */
void tare_error_clean(tare_error *error);

#endif
