/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of named tensors: safetensors and npy read and written, the convolutions of ONNX files read (doc/formats.md).
 * Written to a temporary name in the same folder, synced and renamed: a file
 * is there whole or not at all. Nothing of a file that is read is believed: whatever is wrong with it is TARE_E_DATA.
 */
#ifndef TARE_FORMAT_H
#define TARE_FORMAT_H

#include <stdint.h>
#include <tare/constraint.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_TENSOR_DIMS 5 /* axes of a tensor, at most */

/* The types of elements that files may hold. */
typedef enum tare_dtype {
  TARE_DTYPE_F32, TARE_DTYPE_F64, TARE_DTYPE_U64, TARE_DTYPE_F16, TARE_DTYPE_BF16, TARE_DTYPE_I8
} tare_dtype;

/* One tensor of a file. */
typedef struct tare_tensor {
  const char *name; /* unique in its file */
  tare_dtype dtype; /* of its elements */
  int dims;                        /* 0 to TARE_TENSOR_DIMS */
  int64_t shape[TARE_TENSOR_DIMS]; /* of its first dims axes */
  const void *data;                /* row-major, aligned to its element when read */
} tare_tensor;

/* A line of text about a file, UTF-8. */
typedef struct tare_metadata {
  const char *key, *value; /* a key stands once in a file */
} tare_metadata;

typedef struct tare_tensors tare_tensors; /* a file that was read */

/*
 * Tensors are stored in the order given, but the widest elements first, so that every one is aligned in the file.
 * TARE_E_ARGUMENT: a name or key twice, not UTF-8 or "__metadata__", a shape out of range.
 */
TARE_API tare_status tare_safetensors_write(const char *path, const tare_tensor *tensors, size_t count,
                                            const tare_metadata *metadata, size_t metadata_count, tare_error *error);
/*
 * Reads and checks the whole file: header length, JSON, dtypes, shapes, offsets without gap or overlap. Anything
 * wrong is TARE_E_DATA, "PATH: ..."; the values themselves are not looked at. The file is the caller's to free.
 */
TARE_API tare_status tare_safetensors_read(const char *path, tare_tensors **out, tare_error *error);
/*
 * Any of the formats, by the ending of its name: .safetensors; .npy (one tensor, called "array"; little-endian, C order); .onnx (the
 * weights of its convolutions, under the names of their initialisers, beside int8 ones their scales as NAME_scale; the
 * file's metadata_props). TARE_E_DATA: another ending, or anything wrong with the file.
 */
TARE_API tare_status tare_tensors_read(const char *path, tare_tensors **out, tare_error *error);
/*
 * .safetensors as above; .npy holds one tensor and neither its name nor metadata. TARE_E_ARGUMENT: another ending, several tensors
 * or a dtype that the format lacks.
 */
TARE_API tare_status tare_tensors_write(const char *path, const tare_tensor *tensors, size_t count, const tare_metadata *metadata,
                                        size_t metadata_count, tare_error *error);
TARE_API void tare_tensors_free(tare_tensors *file);
TARE_API size_t tare_tensors_count(const tare_tensors *file);
/* One array, in the order of their data; NULL past its end. */
TARE_API const tare_tensor *tare_tensors_at(const tare_tensors *file, size_t index);
TARE_API const tare_tensor *tare_tensors_find(const tare_tensors *file, const char *name); /* NULL if absent */
TARE_API const char *tare_tensors_metadata(const tare_tensors *file, const char *key);     /* NULL if absent */
/* Each key once, in the file's order: fills at most `size`, returns how many there are. Pointers are the file's. */
TARE_API size_t tare_tensors_all_metadata(const tare_tensors *file, tare_metadata *list, size_t size);

/*
 * The filters of a convolution's weights: a tensor of 3 to 5 axes (filters, channels of a group, taps along each axis), or one of 2
 * axes, which is a single filter. I8 tensors are integers with the scales of the F32 tensor NAME_scale: one, one a filter, or
 * one a slice; weight = integer * scale. Without it the scale is 1.
 */
typedef struct tare_filters {
  const tare_tensor *tensor;   /* the file's */
  size_t filters, taps;        /* taps of one filter: all its channels */
  tare_filter_shape shape; /* of one filter */
  float *weights;              /* filters x taps: exact for float dtypes, to the nearest float for integers */
  int32_t *integers;           /* I8: filters x taps; else NULL */
  size_t scales;               /* I8: scales a filter, 1 or the channels */
  float *scale;                /* I8: filters x scales; else NULL */
} tare_filters;
/* The I8 tensor whose scales a tensor holds by its name; NULL if it is none. */
TARE_API const tare_tensor *tare_filters_scale_of(const tare_tensors *file, const tare_tensor *tensor);
/* 1 if the tensor has the axes and the dtype of a convolution's weights, and is no tensor of scales. */
TARE_API int tare_filters_are(const tare_tensors *file, const tare_tensor *tensor);
/*
 * TARE_E_DATA: not such a tensor, NaN or infinite, F64 that no float holds (unless `nearest`), scales of another shape, not finite or not
 * positive. Free with tare_filters_free.
 */
TARE_API tare_status tare_filters_read(const tare_tensors *file, const tare_tensor *tensor, int nearest, tare_filters *out,
                                       tare_error *error);
TARE_API void tare_filters_free(tare_filters *filters); /* the arrays; `filters` itself is the caller's */

#ifdef __cplusplus
}
#endif
#endif
