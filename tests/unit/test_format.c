/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "folder.h"
#include "format/format.h"

static int make_folder(void **state) {
  (void)state;
  return make_folder_for("a.safetensors");
}

/* Writes a file byte by byte, as an attacker would: any length, any header, any data. */
static void put_file(uint64_t length, const char *header, size_t header_size, size_t data) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fwrite(&length, 1, 8, file);
  fwrite(header, 1, header_size, file);
  for (size_t i = 0; i < data; i++) fputc((int)(i * 37 & 255), file);
  fclose(file);
}

static void put_header(const char *header, size_t data) { put_file(strlen(header), header, strlen(header), data); }

static void refused(const char *because) {
  tare_tensors *file = NULL;
  tare_error error = {0};
  tare_status status = tare_safetensors_read(path, &file, &error);
  if (status != TARE_E_DATA || !strstr(error.message, because)) fail_msg("status %d, '%s', expected '%s'", status, error.message, because);
  assert_null(file);
  assert_true(strncmp(error.message, path, strlen(path)) == 0 && error.message[strlen(path)] == ':');
  for (const char *c = error.message; *c; c++) assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
  assert_int_equal(tare_safetensors_read(path, &file, NULL), TARE_E_DATA);
}

static const float four[4] = {1.5f, -2, 3e-30f, INFINITY};
static const uint64_t two[2] = {0x0123456789abcdefu, UINT64_MAX};
static const double pi[1] = {3.141592653589793};
static const tare_tensor several[] = {
  {"conv1.weight", TARE_DTYPE_F32, 4, {1, 1, 2, 2}, four},
  {"odd", TARE_DTYPE_F32, 1, {3}, four},
  {"hashes", TARE_DTYPE_U64, 1, {2}, two},
  {"empty", TARE_DTYPE_F32, 2, {0, 7}, NULL},
  {"pi", TARE_DTYPE_F64, 0, {0}, pi},
  {"bytes", TARE_DTYPE_I8, 1, {5}, four},
  {"halves", TARE_DTYPE_F16, 2, {1, 3}, four},
  {"brains", TARE_DTYPE_BF16, 1, {1}, four},
};
static const tare_metadata words[] = {{"format", "tare \"quoted\"\n\\"}, {"länge", "1½ m"}, {"empty", ""}};

/* The format gives back what it was given. */
static void formats_round_trip(void **state) {
  (void)state;
  const tare_format *format;
  for (size_t f = 0; (format = tare_format_at(f)); f++) {
    tare_tensors *file;
    tare_error error = {0};
    assert_true(format->name[0] && format->extension[0] == '.');
    if (format->write != tare_safetensors_write) continue; /* the others: test_format_files.c */
    assert_int_equal(tare_tensors_write(path, several, 8, words, 3, &error), TARE_OK);
    assert_int_equal(tare_tensors_read(path, &file, &error), TARE_OK);
    assert_int_equal(tare_tensors_count(file), 8);
    for (size_t i = 0; i < 8; i++) {
      const tare_tensor *got = tare_tensors_find(file, several[i].name);
      size_t bytes;
      assert_non_null(got);
      assert_int_equal(got->dtype, several[i].dtype);
      assert_int_equal(got->dims, several[i].dims);
      assert_memory_equal(got->shape, several[i].shape, sizeof(int64_t) * (size_t)got->dims);
      assert_int_equal(tare_tensor_bytes(got, &bytes), 0);
      if (bytes) assert_memory_equal(got->data, several[i].data, bytes);
      assert_int_equal((uintptr_t)got->data % 64, 0);
    }
    for (size_t i = 0; i < 3; i++) assert_string_equal(tare_tensors_metadata(file, words[i].key), words[i].value);
    assert_null(tare_tensors_find(file, "absent"));
    assert_null(tare_tensors_metadata(file, "absent"));
    assert_null(tare_tensors_at(file, 8));
    tare_tensors_free(file);
  }
  tare_tensors_free(NULL);
}

/* The bytes themselves, decoded by hand: what another reader will see. */
static void written_bytes_are_safetensors(void **state) {
  (void)state;
  char *bytes;
  size_t size;
  tare_error error;
  assert_int_equal(tare_safetensors_write(path, several, 3, words, 1, &error), TARE_OK);
  assert_int_equal(tare_file_read(path, 1 << 20, (void **)&bytes, &size, &error), TARE_OK);
  uint64_t length = 0;
  for (int i = 0; i < 8; i++) length |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
  const char expected[] = "{\"__metadata__\":{\"format\":\"tare \\\"quoted\\\"\\n\\\\\"},"
                          "\"hashes\":{\"dtype\":\"U64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                          "\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[1,1,2,2],\"data_offsets\":[16,32]},"
                          "\"odd\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[32,44]}}";
  size_t text = strlen(expected);
  assert_int_equal(length, (text + 7) / 8 * 8);
  assert_memory_equal(bytes + 8, expected, text);
  for (size_t i = text; i < length; i++) assert_int_equal(bytes[8 + i], ' ');
  assert_int_equal(size, 8 + length + 44);
  assert_memory_equal(bytes + 8 + length, two, 16);
  assert_memory_equal(bytes + 8 + length + 16, four, 16);
  assert_memory_equal(bytes + 8 + length + 32, four, 12);
  tare_free(bytes);
}

/* Others write tensors at any offset, in any order of names, padded or not. */
static void files_of_others_are_read(void **state) {
  (void)state;
  tare_tensors *file;
  tare_error error = {0};
  put_header("{\"b\":{\"data_offsets\":[4,12],\"shape\":[1],\"dtype\":\"F64\"},"
             "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
             "\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}} \n", 12);
  assert_int_equal(tare_safetensors_read(path, &file, &error), TARE_OK);
  const unsigned char *b = tare_tensors_find(file, "b")->data;
  for (size_t i = 0; i < 8; i++) assert_int_equal(b[i], (i + 4) * 37 & 255);
  assert_int_equal((uintptr_t)b % 8, 0);
  assert_string_equal(tare_tensors_at(file, 0)->name, "a");
  tare_tensors_free(file);
  put_header("{}", 0);
  assert_int_equal(tare_safetensors_read(path, &file, &error), TARE_OK);
  assert_int_equal(tare_tensors_count(file), 0);
  tare_tensors_free(file);
}

#define T(dtype, shape, offsets) "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define AB(a, b) \
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" a "},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" b "}}"

static void hostile_headers_are_refused(void **state) {
  (void)state;
  static const struct { const char *header; size_t data; const char *because; } cases[] = {
    {T("I16", "[2]", "[0,4]"), 4, "dtype I16, expected F32, F64, U64, F16, BF16 or I8"},
    {T("f32", "[1]", "[0,4]"), 4, "dtype f32"},
    {T("F32", "[2]", "[0,4]"), 4, "need 8 bytes, data_offsets give it 4"},
    {T("F32", "[-1]", "[0,4]"), 4, "dimension 0"},
    {T("F32", "[1.0]", "[0,4]"), 4, "dimension 0"},
    {T("F32", "[1,\"1\"]", "[0,4]"), 4, "dimension 1"},
    {T("F32", "[1,1,1,1,1,1]", "[0,4]"), 4, "6 dimensions, expected at most 5"},
    {T("F32", "1", "[0,4]"), 4, "expected a shape"},
    {T("F32", "[4294967296,4294967296]", "[0,0]"), 0, "more values than memory"},
    {T("F32", "[4611686018427387905]", "[0,4]"), 4, "more values than memory"},
    {T("U64", "[9223372036854775807,9223372036854775807]", "[0,8]"), 8, "more values than memory"},
    {T("F32", "[99999999999999999999]", "[0,4]"), 4, "not valid JSON"},
    {T("F32", "[1]", "[0,8]"), 4, "bytes 0 to 8 of 4"},
    {T("F32", "[1]", "[4,0]"), 4, "bytes 4 to 0"},
    {T("F32", "[1]", "[-4,0]"), 4, "expected data_offsets"},
    {T("F32", "[1]", "[0]"), 4, "expected data_offsets"},
    {T("F32", "[1]", "[0,4,8]"), 4, "expected data_offsets"},
    {T("F32", "[1]", "{}"), 4, "expected data_offsets"},
    {T("F32", "[1]", "[0,9223372036854775807]"), 4, "of 4 bytes of data"},
    {T("F32", "[1]", "[0,4]"), 5, "5 bytes of data, its tensors have 4"},
    {T("F32", "[1]", "[1,5]"), 5, "expected 0: a gap"},
    {AB("[0,8]", "[0,8]"), 8, "an overlap"},
    {AB("[0,8]", "[4,12]"), 12, "an overlap"},
    {AB("[0,8]", "[9,17]"), 17, "a gap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "and no more"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", 4, "expected data_offsets"},
    {"{\"a\":{\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype"},
    {"{\"a\":7}", 0, "tensor 'a'"},
    {"{\"a\":{},\"a\":{}}", 0, "duplicate object key"},
    {"{\"__metadata__\":[]}", 0, "not a table"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "metadata 'k' is not text"},
    {"{\"\xff\":{}}", 0, "not valid JSON"},
    {"{\"a\\u0000b\":{}}", 0, "not valid JSON"},
    {"{\"\\u001b[31m\\n\":{}}", 0, "tensor '?[31m?'"},
    {"{} x", 0, "not valid JSON"},
    {"[]", 0, "no header"},
    {" {}", 0, "no header"},
    {"{\"a\":", 0, "not valid JSON"},
    {"{\"a\nb\":{}}", 0, "not valid JSON"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put_header(cases[i].header, cases[i].data);
    refused(cases[i].because);
  }
}

static void hostile_lengths_are_refused(void **state) {
  (void)state;
  const uint64_t lengths[] = {3, 100, 1u << 30, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX, UINT64_MAX - 7};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    put_file(lengths[i], "{}", 2, 0);
    refused("cut off");
  }
  put_file(0, "", 0, 0);
  refused("no header");
  for (size_t n = 0; n < 8; n++) {
    FILE *file = fopen(path, "wb");
    fwrite("12345678", 1, n, file);
    fclose(file);
    refused("too short");
  }
  unlink(path);
  refused("cannot be opened");
  mkdir(path, 0777);
  refused("");
  rmdir(path);
  char *deep = malloc(1 << 20);
  memset(deep, '[', 1 << 20);
  memcpy(deep, "{\"a\":", 5);
  put_file(1 << 20, deep, 1 << 20, 0);
  free(deep);
  refused("not valid JSON");
}

/* Every byte changed, every length: it may read or not, but never out of bounds (sanitizers watch). */
static void damaged_files_do_no_harm(void **state) {
  (void)state;
  char *bytes;
  size_t size, read = 0;
  tare_rng rng;
  tare_rng_init(&rng, 5, 0);
  assert_int_equal(tare_safetensors_write(path, several, 5, words, 3, NULL), TARE_OK);
  assert_int_equal(tare_file_read(path, 1 << 20, (void **)&bytes, &size, NULL), TARE_OK);
  for (size_t i = 0; i < 3 * size; i++) {
    char old = bytes[i % size];
    bytes[i % size] = (char)tare_rng_below(&rng, 256);
    FILE *file = fopen(path, "wb");
    fwrite(bytes, 1, i < size ? i : size, file);
    fclose(file);
    bytes[i % size] = old;
    tare_tensors *tensors = NULL;
    tare_error error = {0};
    tare_status status = tare_safetensors_read(path, &tensors, &error);
    assert_true(status == TARE_OK || status == TARE_E_DATA);
    if (i < size) assert_int_equal(status, TARE_E_DATA); /* cut off */
    assert_true((status == TARE_OK) == (error.message[0] == 0));
    read += status == TARE_OK;
    tare_tensors_free(tensors);
  }
  assert_true(read > 0); /* changed data still reads */
  tare_free(bytes);
}

static void refuses(const tare_tensor *tensors, size_t count, const tare_metadata *metadata, size_t metadata_count, const char *because) {
  tare_error error = {0};
  unlink(path);
  assert_int_equal(tare_safetensors_write(path, tensors, count, metadata, metadata_count, &error), TARE_E_ARGUMENT);
  if (!strstr(error.message, because)) fail_msg("'%s', expected '%s'", error.message, because);
  assert_int_not_equal(access(path, F_OK), 0);
}

static void wrong_tensors_are_not_written(void **state) {
  (void)state;
  const tare_tensor good = several[0];
  tare_tensor bad[2] = {good, good};
  refuses(bad, 2, NULL, 0, "tensor 'conv1.weight' is given twice");
  bad[1] = (tare_tensor){"\xc3(", TARE_DTYPE_F32, 0, {0}, four};
  refuses(bad, 2, NULL, 0, "is not UTF-8");
  bad[1] = (tare_tensor){NULL, TARE_DTYPE_F32, 0, {0}, four};
  refuses(bad, 2, NULL, 0, "has no name");
  bad[1] = (tare_tensor){"__metadata__", TARE_DTYPE_F32, 0, {0}, four};
  refuses(bad, 2, NULL, 0, "cannot be named");
  refuses(bad, 2, words, 1, "cannot be named");
  bad[1] = (tare_tensor){"x", TARE_DTYPE_F32, 6, {1, 1, 1, 1, 1}, four};
  refuses(bad, 2, NULL, 0, "out of range");
  bad[1] = (tare_tensor){"x", TARE_DTYPE_F32, 1, {-1}, four};
  refuses(bad, 2, NULL, 0, "out of range");
  bad[1] = (tare_tensor){"x", TARE_DTYPE_F32, 2, {INT64_MAX, 8}, four};
  refuses(bad, 2, NULL, 0, "out of range");
  bad[1] = (tare_tensor){"x", (tare_dtype)9, 1, {1}, four};
  refuses(bad, 2, NULL, 0, "out of range");
  bad[1] = (tare_tensor){"x", TARE_DTYPE_F32, 1, {1}, NULL};
  refuses(bad, 2, NULL, 0, "has no data");
  const tare_metadata twice[] = {{"k", "1"}, {"k", "2"}}, latin[] = {{"k", "\xe9"}}, null[] = {{NULL, "1"}};
  refuses(&good, 1, twice, 2, "metadata 'k' is given twice");
  refuses(&good, 1, latin, 1, "is not UTF-8");
  refuses(&good, 1, null, 1, "has no name");
  refuses(NULL, 1, NULL, 0, "NULL");
}

static void files_are_written_whole_or_not(void **state) {
  (void)state;
  tare_error error = {0};
  assert_int_equal(tare_safetensors_write(path, several, 1, NULL, 0, NULL), TARE_OK);
  const tare_tensor bad = {"x", TARE_DTYPE_F32, 1, {1}, NULL};
  assert_int_equal(tare_safetensors_write(path, &bad, 1, NULL, 0, &error), TARE_E_ARGUMENT);
  tare_tensors *file; /* the old one is still there */
  assert_int_equal(tare_safetensors_read(path, &file, &error), TARE_OK);
  tare_tensors_free(file);
  assert_int_equal(tare_safetensors_write("/nowhere/at/all.safetensors", several, 1, NULL, 0, &error), TARE_E_IO);
  assert_non_null(strstr(error.message, "/nowhere/at/all.safetensors"));
  assert_int_equal(tare_safetensors_write(folder, several, 1, NULL, 0, &error), TARE_E_IO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(formats_round_trip),
    cmocka_unit_test(written_bytes_are_safetensors),
    cmocka_unit_test(files_of_others_are_read),
    cmocka_unit_test(hostile_headers_are_refused),
    cmocka_unit_test(hostile_lengths_are_refused),
    cmocka_unit_test(damaged_files_do_no_harm),
    cmocka_unit_test(wrong_tensors_are_not_written),
    cmocka_unit_test(files_are_written_whole_or_not),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
