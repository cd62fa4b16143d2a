/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto: values lie in raw_data (little-endian), or in the field of their type; 8- and 16-bit ones in int32_data. */
#include <string.h>

#include "base/error.h"
#include "format/onnx.h"

static const struct { Onnx__TensorProto__DataType type; tare_dtype dtype; } types[] = {
  {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, TARE_DTYPE_F32},   {ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, TARE_DTYPE_F64},
  {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, TARE_DTYPE_F16}, {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, TARE_DTYPE_BF16},
  {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, TARE_DTYPE_I8},
};
enum { TYPES = sizeof types / sizeof *types };

static tare_status find_dtype(const Onnx__TensorProto *from, tare_dtype *dtype, tare_error *error) {
  for (int i = 0; i < TYPES; i++)
    if ((int)types[i].type == from->data_type) return *dtype = types[i].dtype, TARE_OK;
  return tare_fail(error, TARE_E_DATA, "numbers of ONNX type %d, expected FLOAT, DOUBLE, FLOAT16, BFLOAT16 or INT8", from->data_type);
}

static tare_status read_shape(const Onnx__TensorProto *from, tare_tensor *tensor, tare_error *error) {
  if (from->n_dims > TARE_TENSOR_DIMS) return tare_fail(error, TARE_E_DATA, "%zu dimensions, expected at most %d", from->n_dims, TARE_TENSOR_DIMS);
  tensor->dims = (int)from->n_dims;
  if (from->n_dims) memcpy(tensor->shape, from->dims, from->n_dims * sizeof *from->dims);
  size_t bytes;
  return tare_tensor_bytes(tensor, &bytes) ? tare_fail(error, TARE_E_DATA, "its shape is out of range") : TARE_OK;
}

/* int32_data holds the numbers of int8, the bits of 16-bit floats. */
static int narrow(const Onnx__TensorProto *from, tare_dtype dtype, void *data) {
  for (size_t i = 0; i < from->n_int32_data; i++) {
    int32_t value = from->int32_data[i];
    if (dtype == TARE_DTYPE_I8 ? value < -128 || value > 127 : value < 0 || value > UINT16_MAX) return -1;
    if (!data) continue;
    if (dtype == TARE_DTYPE_I8) ((int8_t *)data)[i] = (int8_t)value;
    else ((uint16_t *)data)[i] = (uint16_t)value;
  }
  return 0;
}

/* The field that has the values: how many, and its bytes where they are as in memory. */
static size_t typed_count(const Onnx__TensorProto *from, tare_dtype dtype, const void **values) {
  if (dtype == TARE_DTYPE_F32) return *values = from->float_data, from->n_float_data;
  if (dtype == TARE_DTYPE_F64) return *values = from->double_data, from->n_double_data;
  return *values = NULL, from->n_int32_data;
}

tare_status tare_onnx_tensor(const Onnx__TensorProto *from, tare_tensor *tensor, void *data, tare_error *error) {
  if (from->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || from->n_external_data)
    return tare_fail(error, TARE_E_DATA, "its values are in another file (external data), expected them in this one: save the model as one file");
  if (from->segment) return tare_fail(error, TARE_E_DATA, "a part of a tensor (segment), expected whole ones");
  tare_status status = find_dtype(from, &tensor->dtype, error);
  if (!status) status = read_shape(from, tensor, error);
  if (status) return status;
  size_t bytes, size = tare_dtype_size(tensor->dtype);
  tare_tensor_bytes(tensor, &bytes);
  const void *values = from->raw_data.data;
  size_t have = from->has_raw_data ? from->raw_data.len : typed_count(from, tensor->dtype, &values) * size;
  if (have != bytes) return tare_fail(error, TARE_E_DATA, "%zu bytes of values, its shape and type need %zu", have, bytes);
  if (!from->has_raw_data && size < sizeof(float)) {
    if (narrow(from, tensor->dtype, data)) return tare_fail(error, TARE_E_DATA, "values out of the range of its type");
  } else if (data && bytes) memcpy(data, values, bytes);
  return TARE_OK;
}
