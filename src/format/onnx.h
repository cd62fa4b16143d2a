/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX inside the format room: messages of the distribution's onnx.proto, read with care. */
#ifndef TARE_FORMAT_ONNX_H
#define TARE_FORMAT_ONNX_H

#include "format/format.h"
#include "onnx.pb-c.h"

/* The message of a file's bytes; NULL with error filled. Nesting and memory are bounded before and while it is unpacked. */
Onnx__ModelProto *tare_onnx_unpack(const void *data, size_t size, tare_error *error);
void tare_onnx_model_free(Onnx__ModelProto *model);

/*
 * A stored tensor's dtype and shape into *tensor, and its values to `data` once that is not NULL: call twice. TARE_E_DATA: kept in another file, a
 * dtype that the library does not hold, more or fewer values than the shape needs.
 */
tare_status tare_onnx_tensor(const Onnx__TensorProto *from, tare_tensor *tensor, void *data, tare_error *error);

#endif
