/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as operators of TensorFlow on the CPU (its C API for kernels): TareconvConv, TareconvConvBackward. Compiled against the
 * installed version, given the engine's table by tareconv_tf_begin.
 *
 * A batch, or an image's size, may be unknown while a graph is made: attribute "problem" is a problem string without n, h and w, which are
 * taken from the images. "last": channels of images are last. "passes", "wanted": sums of passes (tare/conv.h).
 * Forward: x, weights, bias (without elements: none) -> y, saved. Backward: x, weights, dy, saved (without elements: none) -> dx, dweights (without elements where
 * not wanted). Weights are [o][c/g][k...]. All floats.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/kernels.h>
/* ops.h says struct X; and then X, as C++ may. */
typedef struct TF_DimensionHandle TF_DimensionHandle;
typedef struct TF_OpDefinitionBuilder TF_OpDefinitionBuilder;
typedef struct TF_ShapeHandle TF_ShapeHandle;
typedef struct TF_ShapeInferenceContext TF_ShapeInferenceContext;
#include <tensorflow/c/ops.h>
#include <tensorflow/c/tf_status.h>
#include <tensorflow/c/tf_tensor.h>

#include "engine.h"

enum { CALL_LENGTH = 256, MOST_AXES = 5, FORWARD = 1, DATA = 2, WEIGHTS = 4 };
static const tareconv_engine *engine;

__attribute__((visibility("default"))) void tareconv_tf_begin(const tareconv_engine *table) { engine = table; }

typedef struct attributes { char problem[CALL_LENGTH]; int32_t passes, wanted; unsigned char last; } attributes;

/* One run of a kernel: what TensorFlow gave, what is to be given back. */
typedef struct running {
  TF_OpKernelContext *context;
  TF_Status *status;
  const attributes *attributes;
  TF_Tensor *inputs[4], *outputs[2];
  char call[CALL_LENGTH + 128];
  tareconv_sizes sizes;
} running;

static int ok(const TF_Status *status) { return TF_GetCode(status) == TF_OK; }

static void *create(TF_OpKernelConstruction *construction) {
  attributes *a = calloc(1, sizeof *a);
  TF_Status *status = TF_NewStatus();
  if (!a) TF_SetStatus(status, TF_RESOURCE_EXHAUSTED, "tareconv: out of memory");
  if (ok(status)) TF_OpKernelConstruction_GetAttrString(construction, "problem", a->problem, sizeof a->problem - 1, status);
  if (ok(status)) TF_OpKernelConstruction_GetAttrInt32(construction, "passes", &a->passes, status);
  if (ok(status)) TF_OpKernelConstruction_GetAttrInt32(construction, "wanted", &a->wanted, status);
  if (ok(status)) TF_OpKernelConstruction_GetAttrBool(construction, "last", &a->last, status);
  if (!ok(status)) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return a;
}

static void delete(void *kernel) { free(kernel); }

static int fail(running *r, const char *message) {
  TF_SetStatus(r->status, TF_INVALID_ARGUMENT, message);
  return 0;
}

static size_t elements(const TF_Tensor *t) { return (size_t)TF_TensorElementCount(t); }
static void *data(const TF_Tensor *t) { return elements(t) ? TF_TensorData(t) : NULL; }

/* The call's string and sizes, from the problem and the images' shape. */
static int find_call(running *r) {
  const attributes *a = r->attributes;
  const TF_Tensor *x = r->inputs[0];
  int axes = TF_NumDims(x) - 2, first = a->last ? 1 : 2, length = 0;
  char sizes[64], message[TARECONV_MESSAGE];
  if (axes < 1 || axes > 2) return fail(r, "tareconv: images of 3 or 4 axes were expected");
  for (int i = 0; i < axes; i++)
    length += snprintf(sizes + length, sizeof sizes - (size_t)length, "%c%lld", i == axes - 1 ? 'w' : 'h', (long long)TF_Dim(x, first + i));
  const char *layout = a->last ? "nhwc" : "nchw";
  snprintf(r->call, sizeof r->call, "n%lld%s%s %s f32 %d 0", (long long)TF_Dim(x, 0), sizes, a->problem, layout, a->passes);
  if (engine->sizes(r->call, &r->sizes, message)) return fail(r, message);
  if (elements(x) != r->sizes.x || elements(r->inputs[1]) != r->sizes.weights)
    return fail(r, "tareconv: images and weights with the sizes of the problem were expected");
  return 1;
}

static int begin(running *r, int inputs) {
  for (int i = 0; i < inputs; i++) {
    TF_GetInput(r->context, i, &r->inputs[i], r->status);
    if (!ok(r->status)) return 0;
  }
  return find_call(r);
}

/* Output `index` of so many elements. */
static void *output(running *r, int index, const int64_t *dims, int count, size_t size) {
  TF_Tensor *made = TF_AllocateOutput(r->context, index, TF_FLOAT, dims, count, size * sizeof(float), r->status);
  if (!ok(r->status)) return NULL;
  r->outputs[index] = made;
  return size ? TF_TensorData(made) : NULL;
}

static void *flat_output(running *r, int index, size_t size) { return output(r, index, &(int64_t){(int64_t)size}, 1, size); }

static void *output_like(running *r, int index, const TF_Tensor *like, int wanted) {
  int64_t dims[MOST_AXES];
  for (int i = 0; i < TF_NumDims(like) && i < MOST_AXES; i++) dims[i] = TF_Dim(like, i);
  return wanted ? output(r, index, dims, TF_NumDims(like), elements(like)) : flat_output(r, index, 0);
}

static void *result(running *r) {
  int axes = TF_NumDims(r->inputs[0]) - 2, last = r->attributes->last;
  int64_t dims[MOST_AXES] = {TF_Dim(r->inputs[0], 0)};
  for (int i = 0; i < axes; i++) dims[(last ? 1 : 2) + i] = (int64_t)r->sizes.result[3 - axes + i];
  dims[last ? axes + 1 : 1] = (int64_t)r->sizes.bias;
  return output(r, 0, dims, axes + 2, r->sizes.y);
}

static void end(running *r) {
  if (!ok(r->status)) TF_OpKernelContext_Failure(r->context, r->status);
  for (int i = 0; i < 4; i++)
    if (r->inputs[i]) TF_DeleteTensor(r->inputs[i]);
  for (int i = 0; i < 2; i++)
    if (r->outputs[i]) TF_DeleteTensor(r->outputs[i]);
  TF_DeleteStatus(r->status);
}

static void forward(void *kernel, TF_OpKernelContext *context) {
  running r = {.context = context, .status = TF_NewStatus(), .attributes = kernel};
  char message[TARECONV_MESSAGE];
  if (begin(&r, 3)) {
    tareconv_arrays arrays = {.x = data(r.inputs[0]), .weights = data(r.inputs[1]), .bias = data(r.inputs[2])};
    if (arrays.bias && elements(r.inputs[2]) != r.sizes.bias) fail(&r, "tareconv: a bias for each output was expected");
    if (ok(r.status)) arrays.y = result(&r);
    if (arrays.y) arrays.saved = flat_output(&r, 1, r.attributes->passes == FORWARD ? 0 : r.sizes.saved);
    if (ok(r.status) && engine->forward(r.call, 0, NULL, &arrays, message)) fail(&r, message);
  }
  end(&r);
}

static void backward(void *kernel, TF_OpKernelContext *context) {
  running r = {.context = context, .status = TF_NewStatus(), .attributes = kernel};
  char message[TARECONV_MESSAGE];
  if (begin(&r, 4)) {
    size_t saved = elements(r.inputs[3]);
    tareconv_arrays arrays = {.x = data(r.inputs[0]), .weights = data(r.inputs[1]), .dy = data(r.inputs[2]), .saved = data(r.inputs[3])};
    if (elements(r.inputs[2]) != r.sizes.y || (saved && saved != r.sizes.saved))
      fail(&r, "tareconv: a gradient of the result's size was expected");
    if (ok(r.status)) arrays.dx = output_like(&r, 0, r.inputs[0], r.attributes->wanted & DATA);
    if (ok(r.status)) arrays.dweights = output_like(&r, 1, r.inputs[1], r.attributes->wanted & WEIGHTS);
    if (ok(r.status) && engine->backward(r.call, 0, NULL, &arrays, message)) fail(&r, message);
  }
  end(&r);
}

/* Shapes of results are the business of the Python side, which knows them. */
static void unknown_shapes(TF_ShapeInferenceContext *context, TF_Status *status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

static void define(const char *name, const char *const inputs[], const char *const outputs[],
                   void (*compute)(void *, TF_OpKernelContext *)) {
  TF_Status *status = TF_NewStatus();
  TF_OpDefinitionBuilder *op = TF_NewOpDefinitionBuilder(name);
  for (int i = 0; inputs[i]; i++) TF_OpDefinitionBuilderAddInput(op, inputs[i]);
  for (int i = 0; outputs[i]; i++) TF_OpDefinitionBuilderAddOutput(op, outputs[i]);
  TF_OpDefinitionBuilderAddAttr(op, "problem: string");
  TF_OpDefinitionBuilderAddAttr(op, "last: bool");
  TF_OpDefinitionBuilderAddAttr(op, "passes: int");
  TF_OpDefinitionBuilderAddAttr(op, "wanted: int");
  TF_OpDefinitionBuilderSetShapeInferenceFunction(op, unknown_shapes);
  TF_RegisterOpDefinition(op, status);
  TF_KernelBuilder *builder = TF_NewKernelBuilder(name, "CPU", create, compute, delete);
  if (ok(status)) TF_RegisterKernelBuilder(name, builder, status);
  if (!ok(status)) fprintf(stderr, "tareconv: %s: %s\n", name, TF_Message(status));
  TF_DeleteStatus(status);
}

/* TensorFlow lists the operators that a library defines while it is loaded. */
__attribute__((constructor)) static void define_all(void) {
  static const char *const forward_in[] = {"x: float", "weights: float", "bias: float", NULL}, *const forward_out[] = {"y: float", "saved: float", NULL};
  static const char *const backward_in[] = {"x: float", "weights: float", "dy: float", "saved: float", NULL};
  static const char *const backward_out[] = {"dx: float", "dweights: float", NULL};
  define("TareconvConv", forward_in, forward_out, forward);
  define("TareconvConvBackward", backward_in, backward_out, backward);
}
