/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors files: named tensors and a table of text metadata (doc/formats.md).
 * Written to a temporary name in the same folder, synced and renamed: a file
 * is there whole or not at all. Files are little-endian, as the format asks.
 */
#ifndef TARE_FORMAT_H
#define TARE_FORMAT_H

#include <stdint.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_TENSOR_DIMS 5

typedef enum tare_dtype { TARE_DTYPE_F32, TARE_DTYPE_F64, TARE_DTYPE_U64 } tare_dtype;

typedef struct tare_tensor {
  const char *name;
  tare_dtype dtype;
  int dims;                        /* 0 to TARE_TENSOR_DIMS */
  int64_t shape[TARE_TENSOR_DIMS];
  const void *data;                /* row-major, aligned to its element when read */
} tare_tensor;

typedef struct tare_metadata { const char *key, *value; } tare_metadata; /* UTF-8 */

typedef struct tare_tensors tare_tensors; /* a file that was read */

/*
 * Tensors are stored in the order given, but those of 8-byte elements first, so that every one is aligned in the file.
 * TARE_E_ARGUMENT: a name or key twice, not UTF-8 or "__metadata__", a shape out of range.
 */
TARE_API tare_status tare_safetensors_write(const char *path, const tare_tensor *tensors, size_t count,
                                            const tare_metadata *metadata, size_t metadata_count, tare_error *error);
/*
 * Reads and checks the whole file: header length, JSON, dtypes, shapes, offsets without gap or overlap. Anything
 * wrong is TARE_E_DATA, "PATH: ..."; the values themselves are not looked at. The file is the caller's to free.
 */
TARE_API tare_status tare_safetensors_read(const char *path, tare_tensors **out, tare_error *error);
TARE_API void tare_tensors_free(tare_tensors *file);
TARE_API size_t tare_tensors_count(const tare_tensors *file);
/* One array, in the order of their data; NULL past its end. */
TARE_API const tare_tensor *tare_tensors_at(const tare_tensors *file, size_t index);
TARE_API const tare_tensor *tare_tensors_find(const tare_tensors *file, const char *name); /* NULL if absent */
TARE_API const char *tare_tensors_metadata(const tare_tensors *file, const char *key);     /* NULL if absent */

#ifdef __cplusplus
}
#endif
#endif
