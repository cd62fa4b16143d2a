/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of an ONNX file's convolutions: stored as they are, or as integers behind a DequantizeLinear or in a quantised operator. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "format/onnx.h"

/* Operators with filters, and which of their inputs those are; 0: the operator has no such input. */
static const struct { const char *op; size_t weights, scale, zero; } convolutions[] = {
  {"Conv", 1, 0, 0}, {"QLinearConv", 3, 4, 5}, {"ConvInteger", 1, 0, 3},
};
enum { CONVOLUTIONS = sizeof convolutions / sizeof *convolutions, MOST_STEPS = 16 };

/* Where a value comes from: a stored tensor, or a node. */
typedef struct source { const char *name; const Onnx__TensorProto *tensor; const Onnx__NodeProto *node; } source;

typedef struct reader {
  source *sources; /* sorted by name */
  size_t count;
  tare_tensors *file;
} reader;

static int by_name(const void *a, const void *b) { return strcmp(((const source *)a)->name, ((const source *)b)->name); }

static const Onnx__TensorProto *constant(const Onnx__NodeProto *node) {
  if (strcmp(node->op_type ? node->op_type : "", "Constant")) return NULL;
  for (size_t i = 0; i < node->n_attribute; i++)
    if (node->attribute[i]->t) return node->attribute[i]->t;
  return NULL;
}

static void collect(reader *r, const Onnx__GraphProto *graph) {
  for (size_t i = 0; i < graph->n_initializer; i++)
    if (graph->initializer[i]->name) r->sources[r->count++] = (source){graph->initializer[i]->name, graph->initializer[i], NULL};
  for (size_t i = 0; i < graph->n_node; i++)
    for (size_t k = 0; k < graph->node[i]->n_output; k++)
      r->sources[r->count++] = (source){graph->node[i]->output[k], constant(graph->node[i]), graph->node[i]};
}

/* ONNX is in single-assignment form: a value has one source. */
static tare_status index_sources(reader *r, const Onnx__GraphProto *graph, tare_error *error) {
  size_t most = graph->n_initializer;
  for (size_t i = 0; i < graph->n_node; i++) most += graph->node[i]->n_output;
  r->sources = tare_alloc(most, sizeof *r->sources);
  if (!r->sources) return tare_fail_memory(error, most * sizeof *r->sources, "a graph");
  collect(r, graph);
  qsort(r->sources, r->count, sizeof *r->sources, by_name);
  for (size_t i = 1; i < r->count; i++)
    if (*r->sources[i].name && strcmp(r->sources[i].name, r->sources[i - 1].name) == 0)
      return tare_fail(error, TARE_E_DATA, "two values are called '%.80s'", r->sources[i].name);
  return TARE_OK;
}

static const source *find(const reader *r, const char *name) {
  const source key = {name, NULL, NULL};
  return name && *name ? bsearch(&key, r->sources, r->count, sizeof key, by_name) : NULL;
}

/* The source of a node's input, through Identity; NULL: a graph's input, or none. */
static const source *input_of(const reader *r, const Onnx__NodeProto *node, size_t which) {
  const source *s = which < node->n_input ? find(r, node->input[which]) : NULL;
  for (int i = 0; i < MOST_STEPS && s && !s->tensor && s->node->op_type && strcmp(s->node->op_type, "Identity") == 0 && s->node->n_input; i++)
    s = find(r, s->node->input[0]);
  return s;
}

static tare_status add(const reader *r, const Onnx__TensorProto *from, const char *name, const char *suffix, tare_dtype only, tare_tensor *out,
                       tare_error *error) {
  tare_text text = {0};
  void *data;
  tare_status status = tare_onnx_tensor(from, out, NULL, error);
  if (!status && *suffix && out->dtype != only)
    status = tare_fail(error, TARE_E_DATA, "scales of type %s, expected %s", tare_dtype_name(out->dtype), tare_dtype_name(only));
  if (status) return tare_fail_prefix(error, status, "tensor '%.80s'", name), status;
  tare_text_add(&text, "%s%s", name, suffix);
  status = text.failed ? tare_fail_memory(error, 1, "a name") : tare_tensors_name(r->file, text.data, &out->name, error);
  tare_text_free(&text);
  if (!status) status = tare_tensors_add(r->file, out, &data, error);
  if (!status) status = tare_onnx_tensor(from, out, data, error);
  return status;
}

/* Symmetric quantisation alone is a rule's business: with another zero-point the integers are not proportional to weights. */
static tare_status check_zero(const reader *r, const Onnx__NodeProto *node, size_t input, tare_error *error) {
  if (!input || input >= node->n_input || !*node->input[input]) return TARE_OK;
  const source *s = input_of(r, node, input);
  tare_tensor zero = {0};
  size_t bytes = 0;
  tare_status status = s && s->tensor ? tare_onnx_tensor(s->tensor, &zero, NULL, error) : TARE_E_DATA;
  if (status || zero.dtype != TARE_DTYPE_I8 || tare_tensor_bytes(&zero, &bytes)) return tare_fail(error, TARE_E_DATA, "a zero-point that is not stored as INT8");
  char *values = tare_alloc(bytes, 1);
  if (!values) return tare_fail_memory(error, bytes, "zero-points");
  status = tare_onnx_tensor(s->tensor, &zero, values, error);
  for (size_t i = 0; i < bytes && !status; i++)
    if (values[i]) status = tare_fail(error, TARE_E_DATA, "the zero-point %d, expected 0 (symmetric quantisation)", values[i]);
  tare_free(values);
  return status;
}

/* Integers whose scale and zero-point are inputs of `node`. */
static tare_status add_quantised(const reader *r, const Onnx__NodeProto *node, const source *weights, size_t scale, size_t zero,
                                 tare_error *error) {
  tare_tensor integers = {0}, scales = {0};
  const source *s = scale ? input_of(r, node, scale) : NULL;
  if (scale && (!s || !s->tensor)) return tare_fail(error, TARE_E_DATA, "scales that are not stored in the file");
  tare_status status = check_zero(r, node, zero, error);
  if (!status) status = add(r, weights->tensor, weights->name, "", TARE_DTYPE_I8, &integers, error);
  if (!status && integers.dtype != TARE_DTYPE_I8) status = tare_fail(error, TARE_E_DATA, "integers that are not INT8");
  if (!status && s) status = add(r, s->tensor, weights->name, "_scale", TARE_DTYPE_F32, &scales, error);
  return status;
}

static tare_status add_weights(const reader *r, const Onnx__NodeProto *node, int kind, tare_error *error) {
  const source *s = input_of(r, node, convolutions[kind].weights);
  const Onnx__NodeProto *scaled = node;
  size_t scale = convolutions[kind].scale, zero = convolutions[kind].zero;
  if (kind == 0 && s && !s->tensor && s->node->op_type && strcmp(s->node->op_type, "DequantizeLinear") == 0) {
    scaled = s->node;
    scale = 1, zero = 2;
    s = input_of(r, scaled, 0);
  }
  if (!s || !s->tensor) return tare_fail(error, TARE_E_DATA, "its weights are not stored in the file, but computed or given to the graph");
  if (json_object_get(r->file->header, s->name)) return TARE_OK; /* two convolutions may share them */
  tare_tensor floats = {0};
  return scale || zero ? add_quantised(r, scaled, s, scale, zero, error) : add(r, s->tensor, s->name, "", TARE_DTYPE_F32, &floats, error);
}

static int is_nested(const Onnx__NodeProto *node) {
  for (size_t i = 0; i < node->n_attribute; i++)
    if (node->attribute[i]->g || node->attribute[i]->n_graphs) return 1;
  return 0;
}

static tare_status read_node(const reader *r, const Onnx__NodeProto *node, tare_error *error) {
  const char *op = node->op_type ? node->op_type : "", *name = node->name && *node->name ? node->name : op;
  if (is_nested(node)) return tare_fail(error, TARE_E_DATA, "node '%.80s' holds a graph of its own, expected a flat graph", name);
  for (int i = 0; i < CONVOLUTIONS; i++)
    if (strcmp(convolutions[i].op, op) == 0) {
      tare_status status = add_weights(r, node, i, error);
      return status ? tare_fail_prefix(error, status, "convolution '%.80s'", name), status : TARE_OK;
    }
  return TARE_OK;
}

static tare_status read_graph(reader *r, const Onnx__GraphProto *graph, tare_error *error) {
  tare_status status = index_sources(r, graph, error);
  if (!status) status = tare_tensors_reserve(r->file, 2 * graph->n_node, error);
  for (size_t i = 0; i < graph->n_node && !status; i++) status = read_node(r, graph->node[i], error);
  return status;
}

static tare_status read_model(reader *r, const Onnx__ModelProto *model, tare_error *error) {
  if (!model->graph) return tare_fail(error, TARE_E_DATA, "an ONNX file without a graph");
  if (model->n_functions) return tare_fail(error, TARE_E_DATA, "a model with functions of its own, expected a flat graph");
  tare_status status = read_graph(r, model->graph, error);
  for (size_t i = 0; i < model->n_metadata_props && !status; i++) {
    const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
    if (entry->key && entry->value) status = tare_tensors_set_metadata(r->file, entry->key, entry->value, error);
  }
  return status;
}

tare_status tare_onnx_parse(const void *data, size_t size, tare_tensors *file, tare_error *error) {
  reader r = {.file = file};
  Onnx__ModelProto *model = tare_onnx_unpack(data, size, error);
  if (!model) return TARE_E_DATA;
  tare_status status = read_model(&r, model, error);
  tare_free(r.sources);
  tare_onnx_model_free(model);
  return status;
}
