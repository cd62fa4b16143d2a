/* SPDX-License-Identifier: Apache-2.0 */
/* An ONNX graph while it is made. A failed allocation is remembered and makes the write fail; text and data are copied. */
#ifndef TARE_FORMAT_ONNX_BUILD_H
#define TARE_FORMAT_ONNX_BUILD_H

#include <tare/format.h>

typedef struct tare_onnx tare_onnx;
typedef struct tare_onnx_node tare_onnx_node;

typedef enum tare_onnx_type { TARE_ONNX_FLOAT, TARE_ONNX_INT8, TARE_ONNX_INT64 } tare_onnx_type;

tare_onnx *tare_onnx_create(const char *graph_name, int64_t opset); /* NULL: out of memory */
void tare_onnx_free(tare_onnx *onnx);
void tare_onnx_initializer(tare_onnx *onnx, const char *name, tare_onnx_type type, int dims, const int64_t *shape, const void *data);
/* The graph's input or output, float; a size of -1 is free and gets the name beside it. */
void tare_onnx_value(tare_onnx *onnx, int output, const char *name, int dims, const int64_t *shape, const char *const *free_names);
/* A node called like its output; inputs end with NULL, "" leaves one out. */
tare_onnx_node *tare_onnx_add(tare_onnx *onnx, const char *op, const char *output, const char *const *inputs);
void tare_onnx_int(tare_onnx *onnx, tare_onnx_node *node, const char *name, int64_t value);
void tare_onnx_ints(tare_onnx *onnx, tare_onnx_node *node, const char *name, size_t count, const int64_t *values);
void tare_onnx_float(tare_onnx *onnx, tare_onnx_node *node, const char *name, float value);
void tare_onnx_text(tare_onnx *onnx, tare_onnx_node *node, const char *name, const char *value);
void tare_onnx_metadata(tare_onnx *onnx, const char *key, const char *value);
void tare_onnx_describe(tare_onnx *onnx, const char *text); /* the model's doc_string */
/* Whole or not at all. Files of 2 GiB and more are TARE_E_UNSUPPORTED: protocol buffers end there. */
tare_status tare_onnx_write(const tare_onnx *onnx, const char *path, tare_error *error);

#endif
