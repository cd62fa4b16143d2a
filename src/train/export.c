/* SPDX-License-Identifier: Apache-2.0 */
/* A model as an ONNX graph: nchw, plain operators of opset 17, one function a layer of the line. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/layers.h"
#include "train/export.h"

enum { OPSET = 17 };

/* Where the walk stands: the item, its place among those of its kind, the value that the next node takes. */
typedef struct walk {
  tare_exporter *e;
  const tare_net *net;
  int item;
  char name[64], value[80]; /* "conv1"; what it reads */
  int flat;                 /* the value has two axes */
  int folded;               /* the next item, a bn, is in the filters already */
} walk;

/* The first layer of an item: its `in` is the item's input. */
static const tare_layer *layer_of(const walk *w) {
  for (int i = 0; i < w->net->layer_count; i++)
    if (w->net->layers[i]->item == &w->net->items[w->item]) return w->net->layers[i];
  return w->net->layers[0];
}

static int place_of(const walk *w, int item) {
  int place = 0;
  for (int i = 0; i <= item; i++) place += w->net->items[i].kind == w->net->items[item].kind;
  return place;
}

static int is_kind(const walk *w, int item, const char *kind) { return item < w->net->item_count && strcmp(w->net->items[item].kind->name, kind) == 0; }

/* A node called like the layer that takes the walk's value first, and is the value then. */
static tare_onnx_node *step(walk *w, const char *op, const char *second, const char *third) {
  const char *inputs[4] = {w->value, second, second ? third : NULL, NULL};
  tare_onnx_node *node = tare_onnx_add(w->e->onnx, op, w->name, inputs);
  snprintf(w->value, sizeof w->value, "%s", w->name);
  return node;
}

static void helper_step(walk *w, const char *op, const char *suffix, const char *second, const char *mode) {
  char output[80];
  snprintf(output, sizeof output, "%s.%s", w->name, suffix);
  tare_onnx_node *node = tare_onnx_add(w->e->onnx, op, output, (const char *[]){w->value, second, NULL});
  if (mode) tare_onnx_text(w->e->onnx, node, "mode", mode);
  snprintf(w->value, sizeof w->value, "%s", output);
}

/* Borders that Conv does not know become a Pad before it. */
static void add_pad(walk *w, const char *mode, int rows, int columns) {
  const int64_t pads[8] = {0, 0, rows, columns, 0, 0, rows, columns};
  char name[80];
  snprintf(name, sizeof name, "%s.pads", w->name);
  tare_onnx_initializer(w->e->onnx, name, TARE_ONNX_INT64, 1, (const int64_t[]){8}, pads);
  helper_step(w, "Pad", "padded", name, mode);
}

static void add_conv(walk *w, const tare_conv_problem *p, const char *weights, const char *bias) {
  int other = p->border == TARE_BORDER_REFLECT || p->border == TARE_BORDER_EDGE;
  const int64_t kernel[2] = {p->kernel[0], p->kernel[1]}, strides[2] = {p->stride[0], p->stride[1]};
  const int64_t dilations[2] = {p->dilation[0], p->dilation[1]}, pads[4] = {p->pad[0], p->pad[1], p->pad[0], p->pad[1]};
  tare_onnx *onnx = w->e->onnx;
  if (other && (p->pad[0] || p->pad[1])) add_pad(w, p->border == TARE_BORDER_REFLECT ? "reflect" : "edge", p->pad[0], p->pad[1]);
  tare_onnx_node *node = step(w, "Conv", weights, bias);
  tare_onnx_ints(onnx, node, "kernel_shape", 2, kernel);
  tare_onnx_ints(onnx, node, "strides", 2, strides);
  tare_onnx_ints(onnx, node, "dilations", 2, dilations);
  tare_onnx_int(onnx, node, "group", p->groups);
  if (!other && (p->pad[0] || p->pad[1])) tare_onnx_ints(onnx, node, "pads", 4, pads);
}

static const tare_constraint *rule_of(const walk *w, const char *name) {
  for (int i = 0; i < w->net->tensor_count; i++) {
    const tare_net_tensor *info = &w->net->tensors[i].info;
    size_t length = strlen(name);
    if (strncmp(info->name, name, length) == 0 && strcmp(info->name + length, ".weight") == 0) return info->constraint;
  }
  return NULL;
}

static tare_status export_conv(walk *w, tare_error *error) {
  const tare_item *item = &w->net->items[w->item];
  const tare_layer *layer = layer_of(w);
  char weights[80], bias[80], norm[32];
  int has_bias, fold = w->e->options->fold && is_kind(w, w->item + 1, "bn");
  tare_conv_problem p = {.groups = item->groups, .border = item->border};
  for (int axis = 0; axis < 2; axis++) {
    p.kernel[axis] = item->kernel[axis];
    p.stride[axis] = item->stride;
    p.dilation[axis] = item->dilation;
    p.pad[axis] = item->border == TARE_BORDER_VALID ? 0 : item->pad >= 0 ? item->pad : (item->kernel[axis] - 1) * item->dilation / 2;
  }
  (void)layer;
  snprintf(norm, sizeof norm, "bn%d", fold ? place_of(w, w->item + 1) : 0);
  tare_status status = tare_export_filters(w->e, w->name, fold ? norm : NULL, rule_of(w, w->name), w->e->pending, weights, &has_bias, error);
  if (status) return status;
  if (w->e->pending) snprintf(w->e->result->scaled, sizeof w->e->result->scaled, "%.50s.weight", w->name);
  w->e->pending = 0;
  w->folded = fold;
  w->e->result->folded += fold;
  snprintf(bias, sizeof bias, "%s.bias", w->name);
  add_conv(w, &p, weights, has_bias ? bias : NULL);
  return TARE_OK;
}

/* local-mean, laplacian, gradients: convolutions whose filters are the layer's own. */
static tare_status export_frozen(walk *w, tare_error *error) {
  (void)error;
  const tare_conv *conv = layer_of(w)->self;
  const tare_conv_problem *p = &conv->problem;
  const int64_t shape[4] = {p->outputs, p->channels / p->groups, p->kernel[0], p->kernel[1]};
  char weights[80];
  snprintf(weights, sizeof weights, "%s.weight", w->name);
  tare_onnx_initializer(w->e->onnx, weights, TARE_ONNX_FLOAT, 4, shape, conv->composed);
  add_conv(w, p, weights, NULL);
  return TARE_OK;
}

static tare_status add_stored(walk *w, const char *part, char name[80], tare_error *error) {
  float *values;
  size_t count;
  snprintf(name, 80, "%s.%s", w->name, part);
  tare_status status = tare_export_values(w->e->model, name, &values, &count, error);
  const tare_tensor *tensor = tare_tensors_find(tare_model_file(w->e->model), name);
  if (!status && values) tare_onnx_initializer(w->e->onnx, name, TARE_ONNX_FLOAT, tensor->dims, tensor->shape, values);
  if (!values) name[0] = 0;
  tare_free(values);
  return status;
}

static tare_status export_bn(walk *w, tare_error *error) {
  static const char *const parts[4] = {"weight", "bias", "running_mean", "running_var"};
  char names[4][80];
  tare_status status = TARE_OK;
  if (w->folded) return w->folded = 0, TARE_OK;
  for (int i = 0; i < 4 && !status; i++) status = add_stored(w, parts[i], names[i], error);
  const char *inputs[] = {w->value, names[0], names[1], names[2], names[3], NULL};
  tare_onnx_float(w->e->onnx, tare_onnx_add(w->e->onnx, "BatchNormalization", w->name, inputs), "epsilon", 1e-5f);
  snprintf(w->value, sizeof w->value, "%s", w->name);
  return status;
}

static tare_status export_relu(walk *w, tare_error *error) { return (void)error, step(w, "Relu", NULL, NULL), TARE_OK; }

/* One half of the channels: a Slice along axis 1. */
static void add_half(walk *w, const char *output, int64_t from, int64_t to) {
  const int64_t values[3] = {from, to, 1};
  static const char *const parts[3] = {"from", "to", "axis"};
  char names[3][100];
  for (int i = 0; i < 3; i++) {
    snprintf(names[i], sizeof names[i], "%s.%s", output, parts[i]);
    tare_onnx_initializer(w->e->onnx, names[i], TARE_ONNX_INT64, 1, (const int64_t[]){1}, &values[i]);
  }
  tare_onnx_add(w->e->onnx, "Slice", output, (const char *[]){w->value, names[0], names[1], names[2], NULL});
}

static tare_status export_sort(walk *w, tare_error *error) {
  (void)error;
  static const char *const parts[4] = {"first", "second", "larger", "smaller"};
  char names[4][80];
  const int64_t channels = layer_of(w)->in[2];
  for (int i = 0; i < 4; i++) snprintf(names[i], sizeof names[i], "%s.%s", w->name, parts[i]);
  add_half(w, names[0], 0, channels / 2);
  add_half(w, names[1], channels / 2, channels);
  tare_onnx_add(w->e->onnx, "Max", names[2], (const char *[]){names[0], names[1], NULL});
  tare_onnx_add(w->e->onnx, "Min", names[3], (const char *[]){names[0], names[1], NULL});
  tare_onnx_int(w->e->onnx, tare_onnx_add(w->e->onnx, "Concat", w->name, (const char *[]){names[2], names[3], NULL}), "axis", 1);
  snprintf(w->value, sizeof w->value, "%s", w->name);
  return TARE_OK;
}

static tare_status export_gap(walk *w, tare_error *error) { return (void)error, step(w, "GlobalAveragePool", NULL, NULL), TARE_OK; }
static tare_status export_nothing(walk *w, tare_error *error) { return (void)w, (void)error, TARE_OK; }

static tare_status export_pool(walk *w, tare_error *error) {
  (void)error;
  const tare_item *item = &w->net->items[w->item];
  const int64_t kernel[2] = {item->kernel[0], item->kernel[0]}, strides[2] = {item->stride, item->stride};
  tare_onnx_node *node = step(w, is_kind(w, w->item, "maxpool") ? "MaxPool" : "AveragePool", NULL, NULL);
  tare_onnx_ints(w->e->onnx, node, "kernel_shape", 2, kernel);
  tare_onnx_ints(w->e->onnx, node, "strides", 2, strides);
  return TARE_OK;
}

/* Rows, columns, channels: the order of the dense layer's weights, which were trained on nhwc. */
static void flatten(walk *w, const tare_layer *layer) {
  const int64_t order[4] = {0, 2, 3, 1};
  char output[80];
  if (w->flat) return;
  if (layer->in[0] * layer->in[1] > 1) {
    snprintf(output, sizeof output, "%s.nhwc", w->name);
    tare_onnx_ints(w->e->onnx, tare_onnx_add(w->e->onnx, "Transpose", output, (const char *[]){w->value, NULL}), "perm", 4, order);
    snprintf(w->value, sizeof w->value, "%s", output);
  }
  helper_step(w, "Flatten", "flat", NULL, NULL);
  w->flat = 1;
}

static tare_status export_flatten(walk *w, tare_error *error) { return (void)error, flatten(w, layer_of(w)), TARE_OK; }

static tare_status export_dense(walk *w, tare_error *error) {
  char weights[80], bias[80];
  flatten(w, layer_of(w));
  tare_status status = add_stored(w, "weight", weights, error);
  if (!status) status = add_stored(w, "bias", bias, error);
  if (!status) tare_onnx_int(w->e->onnx, step(w, "Gemm", weights, bias[0] ? bias : NULL), "transB", 1);
  return status;
}

static tare_status export_image_mean(walk *w, tare_error *error) {
  (void)error;
  const int64_t axes[2] = {2, 3};
  char mean[80];
  snprintf(mean, sizeof mean, "%s.mean", w->name);
  tare_onnx_ints(w->e->onnx, tare_onnx_add(w->e->onnx, "ReduceMean", mean, (const char *[]){w->value, NULL}), "axes", 2, axes);
  step(w, "Sub", mean, NULL);
  return TARE_OK;
}

/* linear: a factor on the layer's input is the same factor on its output, so that the pixels' may wait for a convolution behind it. */
static const struct { const char *kind; int linear; tare_status (*run)(walk *w, tare_error *error); } exports[] = {
  {"conv", 1, export_conv},         {"bn", 0, export_bn},           {"relu", 1, export_relu},         {"maxpool", 1, export_pool},
  {"avgpool", 1, export_pool},      {"gap", 1, export_gap},         {"flatten", 1, export_flatten},   {"dense", 0, export_dense},
  {"dropout", 1, export_nothing},   {"image-mean", 1, export_image_mean}, {"local-mean", 1, export_frozen}, {"laplacian", 1, export_frozen},
  {"gradients", 1, export_frozen},  {"sort", 1, export_sort},
};
enum { EXPORTS = sizeof exports / sizeof *exports };

static int find_export(const tare_item *item) {
  for (int i = 0; i < EXPORTS; i++)
    if (strcmp(exports[i].kind, item->kind->name) == 0) return i;
  return -1;
}

/* The factor cannot wait: a node of its own. */
static void scale_now(walk *w) {
  const float factor = 1 / (float)(1 << w->e->bits);
  tare_onnx_initializer(w->e->onnx, "pixel_scale", TARE_ONNX_FLOAT, 0, NULL, &factor);
  tare_onnx_add(w->e->onnx, "Mul", "pixels", (const char *[]){w->value, "pixel_scale", NULL});
  snprintf(w->value, sizeof w->value, "pixels");
  snprintf(w->e->result->scaled, sizeof w->e->result->scaled, "a node of its own");
  w->e->pending = 0;
}

static tare_status export_items(walk *w, tare_error *error) {
  tare_status status = TARE_OK;
  for (w->item = 0; w->item < w->net->item_count && !status; w->item++) {
    const tare_item *item = &w->net->items[w->item];
    int which = find_export(item);
    if (which < 0) return tare_fail(error, TARE_E_UNSUPPORTED, "layer %d, %s, cannot be exported", item->number, item->kind->name);
    if (w->e->pending && !exports[which].linear) scale_now(w);
    snprintf(w->name, sizeof w->name, "%s%d", item->kind->name, place_of(w, w->item));
    status = exports[which].run(w, error);
  }
  if (!status && w->e->pending) scale_now(w);
  return status;
}

/* Rows and columns may be any where nothing fixes them. */
static int is_any_size(const tare_net *net) {
  for (int i = 0; i < net->layer_count; i++) {
    const tare_layer *l = net->layers[i];
    const char *kind = l->item ? l->item->kind->name : "";
    if ((strcmp(kind, "dense") == 0 || strcmp(kind, "flatten") == 0) && l->in[0] * l->in[1] > 1) return 0;
  }
  return 1;
}

static tare_status export_graph(tare_exporter *e, tare_error *error) {
  static const char *const names[4] = {"batch", "channels", "rows", "columns"}, *const outs[4] = {"batch", "outputs", "out_rows", "out_columns"};
  const tare_net *net = tare_model_net(e->model);
  int any = is_any_size(net), shape[3];
  walk w = {.e = e, .net = net, .value = "pixels_in"};
  const int64_t in[4] = {-1, net->options.channels, any ? -1 : net->options.height, any ? -1 : net->options.width};
  tare_onnx_value(e->onnx, 0, w.value, 4, in, names);
  tare_status status = export_items(&w, error);
  tare_net_output_shape(net, shape);
  tare_onnx_add(e->onnx, "Identity", "output", (const char *[]){w.value, NULL});
  const int64_t out[4] = {-1, shape[2], any && shape[0] > 1 ? -1 : shape[0], any && shape[1] > 1 ? -1 : shape[1]};
  tare_onnx_value(e->onnx, 1, "output", w.flat ? 2 : 4, out, outs);
  return status;
}

static void describe(tare_exporter *e) {
  char text[400], range[32];
  snprintf(range, sizeof range, "0..%d", (1 << e->bits) - 1);
  snprintf(text, sizeof text, "Input: pixels as they are, %s, nchw; the factor 2^-%d that training had on them is in %s.", range, e->bits,
           e->result->scaled);
  tare_onnx_describe(e->onnx, text);
  tare_onnx_metadata(e->onnx, "format", "tare-onnx-1");
  tare_onnx_metadata(e->onnx, "net", tare_net_line(tare_model_net(e->model)));
  tare_onnx_metadata(e->onnx, "pixels", range);
  const char *classes = tare_tensors_metadata(tare_model_file(e->model), "classes");
  if (classes) tare_onnx_metadata(e->onnx, "classes", classes);
}

tare_status tare_model_export(tare_model *model, const char *path, const tare_export_options *options, tare_export_result *result,
                              tare_error *error) {
  tare_export_result unused;
  if (!model || !path || !options || options->format >= TARE_FORMATS || options->format < -1 || (unsigned)options->grade > TARE_GRADE_GRID)
    return tare_fail(error, TARE_E_ARGUMENT, "an export needs a model, a path and options with a known format and grade");
  if (options->pixel_bits != 0 && options->pixel_bits != 8 && options->pixel_bits != 16)
    return tare_fail(error, TARE_E_ARGUMENT, "an export is for pixels of 8 or 16 bits, not %d", options->pixel_bits);
  if (!result) result = &unused;
  *result = (tare_export_result){0};
  tare_exporter e = {.model = model, .options = options, .bits = options->pixel_bits == 16 ? 16 : 8, .pending = 1, .result = result};
  e.onnx = tare_onnx_create("tare", OPSET);
  e.rules = json_array();
  tare_status status = e.onnx && e.rules ? export_graph(&e, error) : tare_fail_memory(error, 1, "a graph");
  char *rules = status ? NULL : json_dumps(e.rules, JSON_COMPACT);
  if (!status) {
    describe(&e);
    tare_onnx_metadata(e.onnx, "rules", rules ? rules : "[]");
    status = tare_onnx_write(e.onnx, path, error);
  }
  free(rules);
  json_decref(e.rules);
  tare_onnx_free(e.onnx);
  return status;
}
