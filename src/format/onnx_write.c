/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "format/onnx.h"
#include "format/onnx_build.h"

enum { IR_VERSION = 8 }; /* what opset 17 came with */

struct tare_onnx {
  Onnx__ModelProto model;
  Onnx__GraphProto graph;
  Onnx__OperatorSetIdProto opset, *opsets[1];
  void **owned;
  size_t owned_count, owned_room;
  int failed;
};
struct tare_onnx_node { Onnx__NodeProto proto; };

/* Zeroed memory that lives as long as the graph; NULL once anything failed. */
static void *get(tare_onnx *o, size_t count, size_t size) {
  if (o->owned_count == o->owned_room) {
    size_t room = 2 * o->owned_room + 64;
    void **more = tare_alloc(room, sizeof *more);
    if (more && o->owned_count) memcpy(more, o->owned, o->owned_count * sizeof *more);
    if (more) {
      tare_free(o->owned);
      o->owned = more;
      o->owned_room = room;
    } else o->failed = 1;
  }
  void *memory = o->failed ? NULL : tare_alloc(count, size);
  if (memory) o->owned[o->owned_count++] = memory;
  else o->failed = 1;
  return memory;
}

static void *copy(tare_onnx *o, const void *from, size_t bytes) {
  void *memory = get(o, bytes, 1);
  if (memory && bytes) memcpy(memory, from, bytes);
  return memory;
}

static char *text_copy(tare_onnx *o, const char *text) { return copy(o, text, strlen(text) + 1); }

/* Appends to a list that doubles at every power of two; the old one stays owned until the end. */
static void append(tare_onnx *o, void *list, size_t *count, void *item) {
  void **items = *(void **)list;
  if (!item || o->failed) return;
  if ((*count & (*count - 1)) == 0) {
    void **more = get(o, *count ? 2 * *count : 1, sizeof *more);
    if (!more) return;
    if (*count) memcpy(more, items, *count * sizeof *more);
    *(void **)list = items = more;
  }
  items[(*count)++] = item;
}

tare_onnx *tare_onnx_create(const char *graph_name, int64_t opset) {
  tare_onnx *o = tare_alloc(1, sizeof *o);
  if (!o) return NULL;
  onnx__model_proto__init(&o->model);
  onnx__graph_proto__init(&o->graph);
  onnx__operator_set_id_proto__init(&o->opset);
  o->opset.domain = (char *)(uintptr_t)"";
  o->opset.has_version = 1;
  o->opset.version = opset;
  o->opsets[0] = &o->opset;
  o->model.opset_import = o->opsets;
  o->model.n_opset_import = 1;
  o->model.has_ir_version = 1;
  o->model.ir_version = IR_VERSION;
  o->model.producer_name = (char *)(uintptr_t)"tare";
  o->model.producer_version = (char *)(uintptr_t)TARE_VERSION;
  o->model.graph = &o->graph;
  o->graph.name = text_copy(o, graph_name);
  return o;
}

void tare_onnx_free(tare_onnx *o) {
  if (!o) return;
  for (size_t i = 0; i < o->owned_count; i++) tare_free(o->owned[i]);
  tare_free(o->owned);
  tare_free(o);
}

static const struct { Onnx__TensorProto__DataType type; size_t size; } types[] = {
  [TARE_ONNX_FLOAT] = {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 4},
  [TARE_ONNX_INT8] = {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, 1},
  [TARE_ONNX_INT64] = {ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 8},
};

void tare_onnx_initializer(tare_onnx *o, const char *name, tare_onnx_type type, int dims, const int64_t *shape, const void *data) {
  Onnx__TensorProto *t = get(o, 1, sizeof *t);
  size_t bytes = types[type].size;
  if (!t) return;
  onnx__tensor_proto__init(t);
  for (int d = 0; d < dims; d++) bytes *= (size_t)shape[d];
  t->name = text_copy(o, name);
  t->has_data_type = 1;
  t->data_type = (int32_t)types[type].type;
  t->n_dims = (size_t)dims;
  t->dims = copy(o, shape, (size_t)dims * sizeof *shape);
  t->has_raw_data = 1;
  t->raw_data = (ProtobufCBinaryData){bytes, copy(o, data, bytes)};
  append(o, &o->graph.initializer, &o->graph.n_initializer, t);
}

static Onnx__TensorShapeProto__Dimension *dimension(tare_onnx *o, int64_t size, const char *free_name) {
  Onnx__TensorShapeProto__Dimension *d = get(o, 1, sizeof *d);
  if (!d) return NULL;
  onnx__tensor_shape_proto__dimension__init(d);
  if (size < 0) {
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    d->dim_param = text_copy(o, free_name);
  } else {
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    d->dim_value = size;
  }
  return d;
}

void tare_onnx_value(tare_onnx *o, int output, const char *name, int dims, const int64_t *shape, const char *const *free_names) {
  Onnx__ValueInfoProto *value = get(o, 1, sizeof *value);
  Onnx__TypeProto *type = get(o, 1, sizeof *type);
  Onnx__TypeProto__Tensor *tensor = get(o, 1, sizeof *tensor);
  Onnx__TensorShapeProto *sizes = get(o, 1, sizeof *sizes);
  if (o->failed) return;
  onnx__value_info_proto__init(value);
  onnx__type_proto__init(type);
  onnx__type_proto__tensor__init(tensor);
  onnx__tensor_shape_proto__init(sizes);
  for (int d = 0; d < dims; d++) append(o, &sizes->dim, &sizes->n_dim, dimension(o, shape[d], free_names[d]));
  tensor->has_elem_type = 1;
  tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
  tensor->shape = sizes;
  type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  type->tensor_type = tensor;
  value->name = text_copy(o, name);
  value->type = type;
  if (output) append(o, &o->graph.output, &o->graph.n_output, value);
  else append(o, &o->graph.input, &o->graph.n_input, value);
}

tare_onnx_node *tare_onnx_add(tare_onnx *o, const char *op, const char *output, const char *const *inputs) {
  tare_onnx_node *node = get(o, 1, sizeof *node);
  if (!node) return NULL;
  onnx__node_proto__init(&node->proto);
  node->proto.op_type = text_copy(o, op);
  node->proto.name = text_copy(o, output);
  for (; *inputs; inputs++) append(o, &node->proto.input, &node->proto.n_input, text_copy(o, *inputs));
  append(o, &node->proto.output, &node->proto.n_output, text_copy(o, output));
  append(o, &o->graph.node, &o->graph.n_node, &node->proto);
  return node;
}

static Onnx__AttributeProto *attribute(tare_onnx *o, tare_onnx_node *node, const char *name, Onnx__AttributeProto__AttributeType type) {
  Onnx__AttributeProto *a = get(o, 1, sizeof *a);
  if (!a || !node) return NULL;
  onnx__attribute_proto__init(a);
  a->name = text_copy(o, name);
  a->has_type = 1;
  a->type = type;
  append(o, &node->proto.attribute, &node->proto.n_attribute, a);
  return a;
}

void tare_onnx_int(tare_onnx *o, tare_onnx_node *node, const char *name, int64_t value) {
  Onnx__AttributeProto *a = attribute(o, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  if (a) a->has_i = 1, a->i = value;
}

void tare_onnx_ints(tare_onnx *o, tare_onnx_node *node, const char *name, size_t count, const int64_t *values) {
  Onnx__AttributeProto *a = attribute(o, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  if (a) a->n_ints = count, a->ints = copy(o, values, count * sizeof *values);
}

void tare_onnx_float(tare_onnx *o, tare_onnx_node *node, const char *name, float value) {
  Onnx__AttributeProto *a = attribute(o, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
  if (a) a->has_f = 1, a->f = value;
}

void tare_onnx_text(tare_onnx *o, tare_onnx_node *node, const char *name, const char *value) {
  Onnx__AttributeProto *a = attribute(o, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
  if (a) a->has_s = 1, a->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)text_copy(o, value)};
}

void tare_onnx_metadata(tare_onnx *o, const char *key, const char *value) {
  Onnx__StringStringEntryProto *entry = get(o, 1, sizeof *entry);
  if (!entry) return;
  onnx__string_string_entry_proto__init(entry);
  entry->key = text_copy(o, key);
  entry->value = text_copy(o, value);
  append(o, &o->model.metadata_props, &o->model.n_metadata_props, entry);
}

void tare_onnx_describe(tare_onnx *o, const char *text) { o->model.doc_string = text_copy(o, text); }

tare_status tare_onnx_write(const tare_onnx *o, const char *path, tare_error *error) {
  if (o->failed) return tare_fail_memory(error, 1, "an ONNX graph");
  size_t size = onnx__model_proto__get_packed_size(&o->model);
  if (size > INT32_MAX) return tare_fail(error, TARE_E_UNSUPPORTED, "%s: an ONNX file of %zu bytes; its format ends at 2 GiB", path, size);
  uint8_t *bytes = tare_alloc(size, 1);
  if (!bytes) return tare_fail_memory(error, size, "an ONNX file");
  onnx__model_proto__pack(&o->model, bytes);
  tare_file *file;
  tare_status status = tare_file_begin(path, &file, error);
  if (!status) {
    status = tare_file_write(file, bytes, size, error);
    if (status) tare_file_abandon(file);
    else status = tare_file_commit(file, error);
  }
  tare_free(bytes);
  return status;
}
