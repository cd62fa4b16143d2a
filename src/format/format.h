/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the format room: a file format is a row (table in formats.c), a dtype too. */
#ifndef TARE_FORMAT_FORMAT_H
#define TARE_FORMAT_FORMAT_H

#include <tare/format.h>

typedef struct tare_format {
  const char *name;
  const char *extension; /* ".safetensors" */
  tare_status (*read)(const char *path, tare_tensors **out, tare_error *error);
  tare_status (*write)(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata, size_t metadata_count,
                       tare_error *error);
} tare_format;
/* By its place in the table, NULL at the end. */
const tare_format *tare_format_at(size_t index);

/* A dtype's name in files and its size in bytes; NULL and 0 for one that the library does not hold. */
const char *tare_dtype_name(tare_dtype dtype);
size_t tare_dtype_size(tare_dtype dtype);
int tare_dtype_find(const char *name, tare_dtype *dtype); /* 0 on success */
const char *tare_dtype_list(void);                        /* "F32, F64 or U64" */

/* Bytes of a tensor; -1: a negative size, too many dimensions, or more than a size_t holds. */
int tare_tensor_bytes(const tare_tensor *tensor, size_t *bytes);

/* Text of a file may stand in a message: control characters become '?', so that it stays one line and a terminal obeys no escapes in it. */
void tare_error_clean(tare_error *error);

#endif
