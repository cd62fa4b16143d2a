/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as handlers of XLA (its C API for foreign functions), for JAX on the CPU. Compiled against jaxlib's header, given the
 * engine's table by tareconv_xla_begin.
 *
 * Forward:  x, weights, bias -> y, saved. Backward: x, weights, dy, saved -> dx, dweights. Attribute "call": the call's string (engine.h).
 * An array without elements stands for none.
 */
#include <stdio.h>
#include <string.h>
#include <xla/ffi/api/c_api.h>

#include "engine.h"

#define EXPORT __attribute__((visibility("default")))

enum { CALL_LENGTH = 256 };
static const tareconv_engine *engine;

EXPORT void tareconv_xla_begin(const tareconv_engine *table) { engine = table; }

static XLA_FFI_Error *failure(const XLA_FFI_CallFrame *frame, const char *message) {
  XLA_FFI_Error_Create_Args args = {.struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE, .message = message,
                                    .errc = XLA_FFI_Error_Code_INVALID_ARGUMENT};
  return frame->api->XLA_FFI_Error_Create(&args);
}

/* XLA asks each handler once which version of the API it was compiled for. 1: this was the question. */
static int answer_version(const XLA_FFI_CallFrame *frame) {
  const XLA_FFI_Extension_Base *first = frame->extension_start;
  if (!first || first->type != XLA_FFI_Extension_Metadata) return 0;
  XLA_FFI_Metadata *metadata = ((const XLA_FFI_Metadata_Extension *)first)->metadata;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = XLA_FFI_API_MINOR;
  metadata->traits = 0;
  return 1;
}

static int read_call(const XLA_FFI_CallFrame *frame, char call[CALL_LENGTH]) {
  for (int64_t i = 0; i < frame->attrs.size; i++) {
    const XLA_FFI_ByteSpan *name = frame->attrs.names[i], *value = frame->attrs.attrs[i];
    if (name->len != 4 || memcmp(name->ptr, "call", 4) || frame->attrs.types[i] != XLA_FFI_AttrType_STRING) continue;
    if (value->len >= CALL_LENGTH) return 0;
    memcpy(call, value->ptr, value->len);
    call[value->len] = 0;
    return 1;
  }
  return 0;
}

/* The data of a buffer of `elements` floats; NULL if it is empty, which is right for what may be left out. 1 in *wrong otherwise. */
static void *data(const void *buffer, size_t elements, int *wrong) {
  const XLA_FFI_Buffer *b = buffer;
  size_t count = 1;
  for (int64_t i = 0; i < b->rank; i++) count *= (size_t)b->dims[i];
  if (b->dtype != XLA_FFI_DataType_F32 || (count && count != elements)) *wrong = 1;
  return count ? b->data : NULL;
}

/* What both handlers begin with; a message, or NULL. */
static const char *begin(const XLA_FFI_CallFrame *frame, int arguments, char call[CALL_LENGTH], tareconv_sizes *sizes, char *message) {
  if (frame->args.size != arguments || frame->rets.size != 2 || !read_call(frame, call)) return "tareconv: a call of an unknown form";
  return engine->sizes(call, sizes, message) ? message : NULL;
}

static const char wrong_sizes[] = "tareconv: arrays of float32 with the sizes of the problem were expected";

EXPORT XLA_FFI_Error *tareconv_xla_forward(XLA_FFI_CallFrame *frame) {
  char call[CALL_LENGTH];
  tareconv_sizes s;
  char message[TARECONV_MESSAGE];
  int wrong = 0;
  if (answer_version(frame)) return NULL;
  const char *bad = begin(frame, 3, call, &s, message);
  if (bad) return failure(frame, bad);
  void **in = frame->args.args, **out = frame->rets.rets;
  const tareconv_arrays arrays = {.x = data(in[0], s.x, &wrong), .weights = data(in[1], s.weights, &wrong), .bias = data(in[2], s.bias, &wrong),
                                  .y = data(out[0], s.y, &wrong), .saved = data(out[1], s.saved, &wrong)};
  if (wrong || !arrays.x || !arrays.weights || !arrays.y) return failure(frame, wrong_sizes);
  return engine->forward(call, 0, NULL, &arrays, message) ? failure(frame, message) : NULL;
}

EXPORT XLA_FFI_Error *tareconv_xla_backward(XLA_FFI_CallFrame *frame) {
  char call[CALL_LENGTH];
  tareconv_sizes s;
  char message[TARECONV_MESSAGE];
  int wrong = 0;
  if (answer_version(frame)) return NULL;
  const char *bad = begin(frame, 4, call, &s, message);
  if (bad) return failure(frame, bad);
  void **in = frame->args.args, **out = frame->rets.rets;
  const tareconv_arrays arrays = {.x = data(in[0], s.x, &wrong), .weights = data(in[1], s.weights, &wrong), .dy = data(in[2], s.y, &wrong),
                                  .saved = data(in[3], s.saved, &wrong), .dx = data(out[0], s.x, &wrong),
                                  .dweights = data(out[1], s.weights, &wrong)};
  if (wrong || !arrays.dy || (arrays.dx && !arrays.weights) || (arrays.dweights && !arrays.x)) return failure(frame, wrong_sizes);
  return engine->backward(call, 0, NULL, &arrays, message) ? failure(frame, message) : NULL;
}
