/* SPDX-License-Identifier: Apache-2.0 */
/* npy and ONNX, tensors as filters, and every reader on damaged bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "folder.h"
#include "format/onnx.h"

static int make_folder(void **state) {
  (void)state;
  return make_folder_for("a.npy");
}

static const tare_format *format_of(const char *name) {
  const tare_format *format = tare_format_of(name);
  assert_non_null(format);
  return format;
}

static void refused(const char *name, const void *data, size_t size, const char *because) {
  tare_tensors *file = NULL;
  tare_error error = {0};
  tare_status status = tare_format_parse(format_of(name), data, size, &file, &error);
  if (status != TARE_E_DATA || !strstr(error.message, because)) fail_msg("status %d, '%s', expected '%s'", status, error.message, because);
  assert_null(file);
  for (const char *c = error.message; *c; c++) assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* npy of version `version` with a header as it is given. */
static size_t npy(char *to, int version, const char *header, size_t data) {
  size_t length = strlen(header), start = version > 1 ? 12 : 10;
  memcpy(to, "\x93NUMPY\0\0\0\0\0\0", 12);
  to[6] = (char)version;
  to[8] = (char)(length & 255);
  to[9] = (char)(length >> 8);
  memcpy(to + start, header, length);
  for (size_t i = 0; i < data; i++) to[start + length + i] = (char)(i * 37);
  return start + length + data;
}

static void npy_round_trips(void **state) {
  (void)state;
  static const tare_dtype dtypes[] = {TARE_DTYPE_F32, TARE_DTYPE_F64, TARE_DTYPE_F16, TARE_DTYPE_I8, TARE_DTYPE_U64};
  static const double values[12] = {1, -2, 3.5};
  for (int dims = 0; dims <= TARE_TENSOR_DIMS; dims++)
    for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
      tare_tensor tensor = {"any", dtypes[k], dims, {3, 2, 1, 2, 1}, values};
      tare_tensors *file;
      tare_error error = {0};
      size_t bytes, size;
      char *raw;
      assert_int_equal(tare_tensors_write(path, &tensor, 1, NULL, 0, &error), TARE_OK);
      assert_int_equal(tare_file_read(path, 1 << 20, (void **)&raw, &size, &error), TARE_OK);
      assert_int_equal(tare_tensors_read(path, &file, &error), TARE_OK);
      const tare_tensor *got = tare_tensors_find(file, "array");
      assert_int_equal(tare_tensor_bytes(&tensor, &bytes), 0);
      assert_int_equal((size - bytes) % 64, 0);
      assert_int_equal(got->dtype, tensor.dtype);
      assert_int_equal(got->dims, dims);
      assert_memory_equal(got->shape, tensor.shape, sizeof(int64_t) * (size_t)dims);
      assert_memory_equal(got->data, values, bytes);
      tare_tensors_free(file);
      tare_free(raw);
    }
}

static void npy_of_others_is_read(void **state) {
  (void)state;
  char bytes[400];
  tare_tensors *file;
  tare_error error = {0};
  static const char *const headers[] = {
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  \n", "{\"shape\":(2),\"fortran_order\":False,\"descr\":\"<f4\"}",
    "{'fortran_order': False, 'shape': (1, 2), 'descr': '<f4'}",
  };
  for (int i = 0; i < 3; i++)
    for (int version = 1; version <= 3; version++) {
      size_t size = npy(bytes, version, headers[i], 8);
      assert_int_equal(tare_format_parse(format_of("x.npy"), bytes, size, &file, &error), TARE_OK);
      assert_int_equal(((const unsigned char *)tare_tensors_at(file, 0)->data)[1], 37);
      tare_tensors_free(file);
    }
}

static void hostile_npy_is_refused(void **state) {
  (void)state;
  static const struct { const char *header; size_t data; const char *because; } cases[] = {
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, "Fortran order"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, "Python objects"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, "array of records"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, "type '>f4'"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", 4, "neither True nor False"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4, "not a tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 4, "not a tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 4, "not what its shape"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1), }", 4, "more than 5 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4, "not what its shape"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 8, "not what its shape"},
    {"{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", 4, "each once"},
    {"{'descr': '<f4', 'fortran_order': False}", 4, "header"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4, "more than descr"},
    {"{'descr': '\x1b[2J', 'fortran_order': False, 'shape': (1,)}", 4, "numbers of type '?[2J'"},
    {"[]", 0, "not a dictionary"},
    {"{'descr': 'no end", 0, "array of records"},
  };
  char bytes[400];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refused("x.npy", bytes, npy(bytes, 1, cases[i].header, cases[i].data), cases[i].because);
  refused("x.npy", bytes, npy(bytes, 4, "{}", 0), "version 4");
  memcpy(bytes, "\x93NUMPY\x02\0\xff\xff\xff\xff", 12);
  refused("x.npy", bytes, 12, "cut off");
  refused("x.npy", "", 0, "not an npy file");
}

/* An ONNX model of one node, packed. */
typedef struct model {
  Onnx__ModelProto model;
  Onnx__GraphProto graph;
  Onnx__NodeProto node[2], *nodes[2];
  Onnx__AttributeProto attribute, *attributes[1];
  Onnx__TensorProto tensor[3], *tensors[3];
  Onnx__StringStringEntryProto entry, *entries[1];
} model;

static int64_t filter_dims[4] = {2, 1, 1, 3}, pair[1] = {2};
static float filter_values[6] = {1, -2, 1, .5f, .25f, -.75f}, scale_values[2] = {.5f, .125f};
static int32_t integer_values[6] = {1, -2, 1, 127, -128, 1};
static char *inputs[4] = {(char *)"x", (char *)"conv1.weight", (char *)"b", NULL}, *outputs[1] = {(char *)"y"};
static char *scaled_inputs[3] = {(char *)"integers", (char *)"scales", (char *)"zeros"}, *scaled_outputs[1] = {(char *)"conv1.weight"};

static void set_tensor(Onnx__TensorProto *t, const char *name, int type, int64_t *dims, size_t count) {
  onnx__tensor_proto__init(t);
  t->name = (char *)(uintptr_t)name;
  t->has_data_type = 1;
  t->data_type = type;
  t->dims = dims;
  t->n_dims = count;
}

static void make_float(model *m) {
  memset(m, 0, sizeof *m);
  onnx__model_proto__init(&m->model);
  onnx__graph_proto__init(&m->graph);
  onnx__string_string_entry_proto__init(&m->entry);
  for (int i = 0; i < 2; i++) onnx__node_proto__init(m->nodes[i] = &m->node[i]);
  for (int i = 0; i < 3; i++) m->tensors[i] = &m->tensor[i];
  set_tensor(&m->tensor[0], "conv1.weight", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, filter_dims, 4);
  m->tensor[0].float_data = filter_values;
  m->tensor[0].n_float_data = 6;
  m->node[0].op_type = (char *)"Conv";
  m->node[0].name = (char *)"first";
  m->node[0].input = inputs;
  m->node[0].n_input = 2;
  m->node[0].output = outputs;
  m->node[0].n_output = 1;
  m->entry.key = (char *)"rules";
  m->entry.value = (char *)"[]";
  m->entries[0] = &m->entry;
  m->model.graph = &m->graph;
  m->model.metadata_props = m->entries;
  m->model.n_metadata_props = 1;
  m->graph.node = m->nodes;
  m->graph.n_node = 1;
  m->graph.initializer = m->tensors;
  m->graph.n_initializer = 1;
}

/* conv1.weight = DequantizeLinear(integers, scales, zeros) */
static void make_quantised(model *m) {
  make_float(m);
  set_tensor(&m->tensor[0], "integers", ONNX__TENSOR_PROTO__DATA_TYPE__INT8, filter_dims, 4);
  m->tensor[0].int32_data = integer_values;
  m->tensor[0].n_int32_data = 6;
  set_tensor(&m->tensor[1], "scales", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, pair, 1);
  m->tensor[1].float_data = scale_values;
  m->tensor[1].n_float_data = 2;
  set_tensor(&m->tensor[2], "zeros", ONNX__TENSOR_PROTO__DATA_TYPE__INT8, pair, 1);
  m->tensor[2].has_raw_data = 1;
  static uint8_t zeros[2];
  m->tensor[2].raw_data = (ProtobufCBinaryData){2, zeros};
  m->graph.n_initializer = 3;
  m->node[1].op_type = (char *)"DequantizeLinear";
  m->node[1].input = scaled_inputs;
  m->node[1].n_input = 3;
  m->node[1].output = scaled_outputs;
  m->node[1].n_output = 1;
  m->graph.n_node = 2;
}

static uint8_t *pack(const model *m, size_t *size) {
  *size = onnx__model_proto__get_packed_size(&m->model);
  uint8_t *bytes = malloc(*size);
  assert_non_null(bytes);
  onnx__model_proto__pack(&m->model, bytes);
  return bytes;
}

static void onnx_is(const model *m, const char *because) { /* NULL: good */
  size_t size;
  uint8_t *bytes = pack(m, &size);
  tare_tensors *file;
  tare_error error = {0};
  if (because) refused("x.onnx", bytes, size, because);
  else {
    assert_int_equal(tare_format_parse(format_of("x.onnx"), bytes, size, &file, &error), TARE_OK);
    tare_tensors_free(file);
  }
  free(bytes);
}

static void onnx_convolutions_are_read(void **state) {
  (void)state;
  model m;
  size_t size;
  tare_tensors *file;
  tare_filters f;
  tare_error error = {0};
  make_float(&m);
  uint8_t *bytes = pack(&m, &size);
  assert_int_equal(tare_format_parse(format_of("x.onnx"), bytes, size, &file, &error), TARE_OK);
  free(bytes);
  assert_int_equal(tare_tensors_count(file), 1);
  assert_string_equal(tare_tensors_metadata(file, "rules"), "[]");
  assert_int_equal(tare_filters_read(file, tare_tensors_find(file, "conv1.weight"), 0, &f, &error), TARE_OK);
  assert_int_equal(f.filters, 2);
  assert_int_equal(f.taps, 3);
  assert_memory_equal(f.weights, filter_values, sizeof filter_values);
  tare_filters_free(&f);
  tare_tensors_free(file);
  make_quantised(&m);
  bytes = pack(&m, &size);
  assert_int_equal(tare_format_parse(format_of("x.onnx"), bytes, size, &file, &error), TARE_OK);
  free(bytes);
  assert_int_equal(tare_tensors_count(file), 2);
  assert_int_equal(tare_filters_are(file, tare_tensors_find(file, "integers_scale")), 0);
  assert_int_equal(tare_filters_read(file, tare_tensors_find(file, "integers"), 0, &f, &error), TARE_OK);
  assert_int_equal(f.scales, 1);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(f.integers[i], integer_values[i]);
    assert_true(f.weights[i] == (float)integer_values[i] * scale_values[i / 3]);
  }
  tare_filters_free(&f);
  tare_tensors_free(file);
}

static void hostile_onnx_is_refused(void **state) {
  (void)state;
  model m;
  make_float(&m), m.tensor[0].has_data_location = 1, m.tensor[0].data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  onnx_is(&m, "external data");
  make_float(&m), m.tensor[0].n_float_data = 5;
  onnx_is(&m, "20 bytes of values, its shape and type need 24");
  make_float(&m), m.tensor[0].data_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
  onnx_is(&m, "ONNX type 8");
  make_float(&m), m.tensor[0].name = (char *)"other";
  onnx_is(&m, "convolution 'first': its weights are not stored");
  make_float(&m), m.node[0].n_input = 1;
  onnx_is(&m, "not stored");
  int64_t many[6] = {1, 1, 1, 1, 1, 6}, negative[1] = {-6}, huge[3] = {INT64_MAX, INT64_MAX, 6};
  make_float(&m), m.tensor[0].dims = many, m.tensor[0].n_dims = 6;
  onnx_is(&m, "6 dimensions");
  make_float(&m), m.tensor[0].dims = negative, m.tensor[0].n_dims = 1;
  onnx_is(&m, "out of range");
  make_float(&m), m.tensor[0].dims = huge, m.tensor[0].n_dims = 3;
  onnx_is(&m, "out of range");
  make_float(&m), m.model.graph = NULL;
  onnx_is(&m, "without a graph");
  make_float(&m), m.graph.node[1] = m.graph.node[0], m.graph.n_node = 2;
  onnx_is(&m, "two values are called 'y'");
  Onnx__GraphProto inner;
  onnx__graph_proto__init(&inner);
  make_float(&m), onnx__attribute_proto__init(&m.attribute);
  m.attribute.g = &inner, m.attributes[0] = &m.attribute, m.node[0].attribute = m.attributes, m.node[0].n_attribute = 1;
  onnx_is(&m, "a graph of its own");
  static uint8_t odd[2] = {0, 3};
  make_quantised(&m), m.tensor[2].raw_data.data = odd;
  onnx_is(&m, "zero-point 3, expected 0");
  make_quantised(&m), m.tensor[0].data_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
  onnx_is(&m, "ONNX type 2");
  make_quantised(&m), integer_values[3] = 128;
  onnx_is(&m, "out of the range of its type");
  integer_values[3] = 127;
  make_quantised(&m);
  onnx_is(&m, NULL);
}

/* A graph in an attribute in a node in a graph ..., a million times: three lengths a level, each of five bytes so that they need not shrink. */
static void deep_onnx_is_refused(void **state) {
  (void)state;
  enum { LEVELS = 300000, STEP = 18 }; /* bytes a level: graph's node, node's attribute, attribute's g */
  static const unsigned char tags[3] = {0x0a, 0x2a, 0x32};
  size_t size = 6 + (size_t)LEVELS * STEP, at = 0;
  unsigned char *bytes = malloc(size);
  assert_non_null(bytes);
  for (size_t i = 0; at < size; i++) {
    size_t left = size - at - 6;
    bytes[at++] = i == 0 ? 0x3a : tags[(i - 1) % 3];
    for (int k = 0; k < 5; k++) bytes[at++] = (unsigned char)((left >> (7 * k) & 127) | (k < 4 ? 128 : 0));
  }
  refused("x.onnx", bytes, size, "nested");
  free(bytes);
}

/* Empty nodes: two bytes each in the file, a hundred and more in memory. */
static void swollen_onnx_is_refused(void **state) {
  (void)state;
  enum { NODES = 2000000 };
  size_t size = 6 + 2 * (size_t)NODES;
  unsigned char *bytes = malloc(size);
  assert_non_null(bytes);
  bytes[0] = 0x3a;
  for (int k = 0; k < 5; k++) bytes[1 + k] = (unsigned char)(((size - 6) >> (7 * k) & 127) | (k < 4 ? 128 : 0));
  for (size_t i = 0; i < NODES; i++) bytes[6 + 2 * i] = 0x0a, bytes[7 + 2 * i] = 0;
  refused("x.onnx", bytes, size, "damaged");
  free(bytes);
}

/* Reads `data` with each byte position cut, and with bytes changed at random: any answer, but no harm, and one line. */
static void mutate(const char *name, const uint8_t *data, size_t size, uint64_t seed) {
  uint8_t *copy = malloc(size ? size : 1);
  assert_non_null(copy);
  int good = 0;
  tare_rng rng;
  tare_rng_init(&rng, 1, seed);
  for (size_t run = 0; run < size + 4000; run++) {
    size_t length = run < size ? run : size;
    memcpy(copy, data, size);
    for (size_t k = 0; run >= size && k <= run % 3; k++) {
      size_t at = tare_rng_below(&rng, size);
      uint64_t random = tare_rng_u64(&rng);
      const unsigned flipped = copy[at] ^ 1u << (random & 7);
      copy[at] = (uint8_t)((k % 2 ? flipped : (unsigned)random) & 255);
    }
    tare_tensors *file = NULL;
    tare_error error = {0};
    tare_status status = tare_format_parse(format_of(name), copy, length, &file, &error);
    if (status && status != TARE_E_DATA) fail_msg("%s: status %d: %s", name, status, error.message);
    for (size_t i = 0; !status && i < tare_tensors_count(file); i++) {
      tare_filters f;
      if (tare_filters_read(file, tare_tensors_at(file, i), 1, &f, &error) == TARE_OK) tare_filters_free(&f);
      else assert_int_equal(error.status, TARE_E_DATA);
    }
    for (const char *c = error.message; *c; c++) assert_true((unsigned char)*c >= 0x20);
    good += !status;
    tare_tensors_free(file);
  }
  assert_true(good > 0); /* the changes are not all fatal: something behind the first check was reached */
  free(copy);
}

static void damaged_files_do_no_harm(void **state) {
  (void)state;
  model m;
  size_t size;
  char bytes[400];
  make_float(&m);
  uint8_t *packed = pack(&m, &size);
  mutate("x.onnx", packed, size, 1);
  free(packed);
  make_quantised(&m);
  packed = pack(&m, &size);
  mutate("x.onnx", packed, size, 2);
  free(packed);
  size = npy(bytes, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3), }  \n", 24);
  mutate("x.npy", (uint8_t *)bytes, size, 3);
  const char header[] = "{\"w\":{\"dtype\":\"I8\",\"shape\":[2,1,3],\"data_offsets\":[8,14]},"
                        "\"w_scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
  const uint64_t length = sizeof header - 1;
  memcpy(bytes, &length, 8);
  memcpy(bytes + 8, header, length);
  memcpy(bytes + 8 + length, scale_values, 8);
  memset(bytes + 16 + length, 3, 6);
  mutate("x.safetensors", (uint8_t *)bytes, 8 + length + 14, 4);
}

static const tare_tensor filters[] = {
  {"half", TARE_DTYPE_F16, 4, {1, 1, 1, 4}, (const uint16_t[]){0x3c00, 0xc000, 0x0001, 0x7bff}},
  {"brain", TARE_DTYPE_BF16, 3, {1, 1, 2}, (const uint16_t[]){0x3f80, 0xbf00}},
  {"byte", TARE_DTYPE_I8, 4, {2, 2, 1, 1}, (const int8_t[]){1, -1, 127, -128}},
  {"byte_scale", TARE_DTYPE_F32, 2, {2, 2}, (const float[]){1, .5f, .25f, 2}},
  {"matrix", TARE_DTYPE_F64, 2, {1, 2}, (const double[]){.5, -.5}},
  {"third", TARE_DTYPE_F64, 2, {1, 2}, (const double[]){1. / 3, -.5}},
  {"nan", TARE_DTYPE_F32, 2, {1, 2}, (const float[]){1, NAN}},
  {"inf", TARE_DTYPE_F16, 2, {1, 1}, (const uint16_t[]){0x7c00}},
  {"flat", TARE_DTYPE_F32, 1, {2}, (const float[]){1, 2}},
  {"zero", TARE_DTYPE_I8, 3, {1, 1, 1}, (const int8_t[]){1}},
  {"zero_scale", TARE_DTYPE_F32, 1, {1}, (const float[]){0}},
  {"odd", TARE_DTYPE_I8, 3, {3, 2, 1}, (const int8_t[]){1, 1, 1, 1, 1, 1}},
  {"odd_scale", TARE_DTYPE_F32, 1, {2}, (const float[]){1, 1}},
};

static void tensors_become_filters(void **state) {
  (void)state;
  static const float half[4] = {1, -2, 0x1p-24f, 65504}, brain[2] = {1, -.5f}, byte[4] = {1, -.5f, 31.75f, -256}, matrix[2] = {.5f, -.5f}, third[2] = {1.f / 3, -.5f};
  static const struct { const char *name; int nearest; const float *weights; const char *because; } cases[] = {
    {"half", 0, half, NULL}, {"brain", 0, brain, NULL}, {"byte", 0, byte, NULL}, {"matrix", 0, matrix, NULL},
    {"third", 0, NULL, "weight 0 of filter 0 is a float64"}, {"third", 1, third, NULL},
    {"nan", 0, NULL, "not a finite"}, {"inf", 0, NULL, "not a finite"}, {"flat", 0, NULL, "shape or dtype"},
    {"byte_scale", 0, NULL, "shape or dtype"}, {"zero", 0, NULL, "scale 0 is not a positive"}, {"odd", 0, NULL, "one a filter or one a slice"},
  };
  char other[160];
  tare_tensors *file;
  tare_error error = {0};
  snprintf(other, sizeof other, "%s/a.safetensors", folder);
  assert_int_equal(tare_tensors_write(other, filters, sizeof filters / sizeof *filters, NULL, 0, &error), TARE_OK);
  assert_int_equal(tare_tensors_read(other, &file, &error), TARE_OK);
  unlink(other);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_filters f;
    tare_status status = tare_filters_read(file, tare_tensors_find(file, cases[i].name), cases[i].nearest, &f, &error);
    assert_int_equal(status, cases[i].because ? TARE_E_DATA : TARE_OK);
    if (cases[i].because) assert_non_null(strstr(error.message, cases[i].because));
    else {
      assert_memory_equal(f.weights, cases[i].weights, f.filters * f.taps * sizeof(float));
      tare_filters_free(&f);
    }
  }
  tare_tensors_free(file);
}

static void paths_choose_formats(void **state) {
  (void)state;
  tare_tensors *file;
  tare_error error = {0};
  assert_int_equal(tare_tensors_read("/nowhere.txt", &file, &error), TARE_E_DATA);
  assert_non_null(strstr(error.message, "ends in .safetensors, .npy or .onnx"));
  assert_int_equal(tare_tensors_read("/nowhere.npy", &file, &error), TARE_E_DATA);
  assert_int_equal(tare_tensors_write("/nowhere.onnx", filters, 1, NULL, 0, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_tensors_write(path, filters, 2, NULL, 0, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_tensors_write(path, filters + 1, 1, NULL, 0, &error), TARE_E_ARGUMENT);
  assert_non_null(strstr(error.message, "npy has no BF16"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(npy_round_trips),          cmocka_unit_test(npy_of_others_is_read),  cmocka_unit_test(hostile_npy_is_refused),
    cmocka_unit_test(onnx_convolutions_are_read), cmocka_unit_test(hostile_onnx_is_refused), cmocka_unit_test(deep_onnx_is_refused),
    cmocka_unit_test(swollen_onnx_is_refused),  cmocka_unit_test(damaged_files_do_no_harm), cmocka_unit_test(tensors_become_filters),
    cmocka_unit_test(paths_choose_formats),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
