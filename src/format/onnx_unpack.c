/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol-buffer bytes of anyone to messages. protobuf-c recurses as deep as the bytes say and allocates as much as they say (an empty
 * message of two bytes becomes a structure of a hundred), so depth is checked beforehand and memory is counted.
 * https://protobuf.dev/programming-guides/encoding/
 */
#include "base/alloc.h"
#include "base/error.h"
#include "format/onnx.h"

enum { MOST_DEPTH = 24 }; /* of messages in messages; a flat graph's attributes end at 5 */
enum { VARINT = 0, FIXED_64 = 1, LENGTH = 2, FIXED_32 = 5 }; /* wire types */
enum { GROWTH = 24, SLACK = 1 << 20 }; /* bytes of memory that a byte of the file may become; a model's own take less than 4 */

typedef struct bytes { const uint8_t *at, *end; } bytes;

static int take_varint(bytes *b, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (b->at == b->end) return 0;
    *value |= (uint64_t)(*b->at & 127) << shift;
    if (*b->at++ < 128) return 1;
  }
  return 0;
}

static int skip(bytes *b, uint64_t count) {
  if (count > (uint64_t)(b->end - b->at)) return 0;
  b->at += count;
  return 1;
}

/* 1 if the bytes are fields of `type`, nested no deeper than `depth`. */
static int is_sound(const ProtobufCMessageDescriptor *type, bytes b, int depth) {
  while (b.at < b.end) {
    uint64_t tag, value;
    if (!take_varint(&b, &tag)) return 0;
    int wire = (int)(tag & 7);
    if (wire == VARINT && take_varint(&b, &value)) continue;
    if ((wire == FIXED_64 && skip(&b, 8)) || (wire == FIXED_32 && skip(&b, 4))) continue;
    if (wire != LENGTH || !take_varint(&b, &value)) return 0;
    bytes inside = {b.at, NULL};
    if (!skip(&b, value)) return 0;
    inside.end = b.at;
    const ProtobufCFieldDescriptor *field = tag >> 3 <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3)) : NULL;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && (depth == 0 || !is_sound(field->descriptor, inside, depth - 1))) return 0;
  }
  return 1;
}

static void *count_alloc(void *left, size_t size) {
  size_t *rest = left;
  if (size > *rest) return NULL;
  *rest -= size;
  return tare_alloc(size, 1);
}

static void count_free(void *left, void *pointer) {
  (void)left;
  tare_free(pointer);
}

Onnx__ModelProto *tare_onnx_unpack(const void *data, size_t size, tare_error *error) {
  bytes all = {data, (const uint8_t *)data + size};
  if (size == 0 || !is_sound(&onnx__model_proto__descriptor, all, MOST_DEPTH)) {
    tare_fail(error, TARE_E_DATA, "not an ONNX file, or cut off, or graphs nested in graphs");
    return NULL;
  }
  size_t left = size > (SIZE_MAX - SLACK) / GROWTH ? SIZE_MAX : size * GROWTH + SLACK;
  ProtobufCAllocator counted = {count_alloc, count_free, &left};
  Onnx__ModelProto *model = onnx__model_proto__unpack(&counted, size, data);
  if (!model) tare_fail(error, TARE_E_DATA, "not an ONNX file: its messages are damaged");
  return model;
}

void tare_onnx_model_free(Onnx__ModelProto *model) {
  size_t left = 0;
  ProtobufCAllocator counted = {count_alloc, count_free, &left};
  if (model) onnx__model_proto__free_unpacked(model, &counted);
}
