/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command's test cases need and a shell lacks:
 *   helper idx DIR TRAIN TEST    an idx data set: 16x16 images of three classes (bars across, bars down, dots)
 *   helper png FILE W H SEED     a grey image: discs on noise
 *   helper shape FILE            the structure of a JSON text: keys, types (null counts as a number), lengths, no values
 *   helper get FILE KEY          one value of a JSON object
 *   helper bank FILE N K         a safetensors file of N filters of K x K whole numbers over 1024 that add up to 0, conv1.weight, under sum=0
 *   helper flip FILE FILTER TAP  the lowest bit of one weight of conv1.weight
 *   helper copy FILE SIZE OUT    its first bytes
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/format.h>
#include <tare/image.h>

static uint32_t state = 1;

static unsigned random_below(unsigned n) { /* Numerical Recipes' LCG */
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % n;
}

static FILE *create(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  if (!file) exit(1);
  return file;
}

static void big_endian(FILE *file, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(value >> shift & 255), file);
}

static int pixel(int label, int y, int x, int phase) {
  int on = label == 0 ? (y + phase) % 4 < 2 : label == 1 ? (x + phase) % 4 < 2 : ((x + phase) % 4 < 2) ^ ((y + phase) % 4 < 2);
  return 60 + on * 100 + (int)random_below(60);
}

static void idx_part(const char *folder, const char *images, const char *labels, int count) {
  enum { SIZE = 16 };
  FILE *x = create(folder, images), *y = create(folder, labels);
  big_endian(x, 0x803);
  big_endian(x, (uint32_t)count);
  big_endian(x, SIZE);
  big_endian(x, SIZE);
  big_endian(y, 0x801);
  big_endian(y, (uint32_t)count);
  for (int i = 0; i < count; i++) {
    int phase = (int)random_below(4);
    fputc(i % 3, y);
    for (int p = 0; p < SIZE * SIZE; p++) fputc(pixel(i % 3, p / SIZE, p % SIZE, phase), x);
  }
  fclose(x);
  fclose(y);
}

static int idx(char **args) {
  idx_part(args[0], "train-images-idx3-ubyte", "train-labels-idx1-ubyte", atoi(args[1]));
  idx_part(args[0], "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", atoi(args[2]));
  return 0;
}

static int png(char **args) {
  int width = atoi(args[1]), height = atoi(args[2]);
  state = (uint32_t)atoi(args[3]);
  unsigned char *pixels = malloc((size_t)width * (size_t)height);
  if (!pixels) return 1;
  for (int i = 0; i < width * height; i++) pixels[i] = (unsigned char)(100 + random_below(20));
  for (int disc = 0; disc < 200; disc++) {
    int cx = (int)random_below((unsigned)width), cy = (int)random_below((unsigned)height), r = 2 + (int)random_below(30);
    int grey = (int)random_below(230);
    for (int y = cy - r; y <= cy + r; y++)
      for (int x = cx - r; x <= cx + r; x++)
        if (x >= 0 && y >= 0 && x < width && y < height && (x - cx) * (x - cx) + (y - cy) * (y - cy) <= r * r)
          pixels[y * width + x] = (unsigned char)(grey + (int)random_below(20));
  }
  tare_status status = tare_png_write(args[0], pixels, width, height, 1, NULL);
  free(pixels);
  return status != TARE_OK;
}

static json_t *load(const char *path) {
  json_error_t error;
  json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (!json) printf("not JSON: line %d: %s\n", error.line, error.text);
  return json;
}

static void print_shape(const json_t *json, int depth) {
  /* which numbers are whole or missing is chance */
  static const char *const names[] = {"object", "array", "string", "number", "number", "boolean", "boolean", "number"};
  printf("%s", names[json_typeof(json)]);
  if (json_is_array(json)) printf(" of %zu", json_array_size(json));
  printf("\n");
  if (json_is_array(json) && json_array_size(json)) {
    printf("%*s- ", depth * 2, "");
    print_shape(json_array_get(json, 0), depth + 1);
  }
  const char *key;
  json_t *value, *object = json_is_object(json) ? (json_t *)(uintptr_t)json : NULL;
  json_object_foreach(object, key, value) {
    printf("%*s%s: ", depth * 2, "", key);
    print_shape(value, depth + 1);
  }
}

static int shape(char **args) {
  json_t *json = load(args[0]);
  if (json) print_shape(json, 0);
  json_decref(json);
  return !json;
}

static int get(char **args) {
  json_t *json = load(args[0]);
  char *text = json_dumps(json_object_get(json, args[1]), JSON_ENCODE_ANY | JSON_COMPACT);
  if (text) puts(text);
  free(text);
  json_decref(json);
  return !text;
}

static const tare_metadata bank_rules[] = {{"rules", "[{\"tensor\":\"conv1.weight\",\"rule\":\"sum=0\",\"exact\":true}]"}};

static int bank(char **args) {
  int filters = atoi(args[1]), kernel = atoi(args[2]), taps = kernel * kernel;
  float *w = calloc((size_t)filters * (size_t)taps, sizeof *w);
  if (!w) return 1;
  for (int f = 0; f < filters; f++)
    for (int i = 0; i < taps - 1; i++) {
      float value = ((float)random_below(2001) - 1000) / 1024;
      w[f * taps + i] = value;
      w[f * taps + taps - 1] -= value; /* multiples of 1/1024 under 2^14: exact */
    }
  const tare_tensor tensor = {"conv1.weight", TARE_DTYPE_F32, 4, {filters, 1, kernel, kernel}, w};
  tare_status status = tare_tensors_write(args[0], &tensor, 1, bank_rules, 1, NULL);
  free(w);
  return status != TARE_OK;
}

static int flip(char **args) {
  tare_tensors *file;
  if (tare_tensors_read(args[0], &file, NULL)) return 1;
  const tare_tensor *tensor = tare_tensors_find(file, "conv1.weight");
  long taps = (long)(tensor->shape[2] * tensor->shape[3]);
  ((uint32_t *)(uintptr_t)tensor->data)[atol(args[1]) * taps + atol(args[2])] ^= 1;
  tare_status status = tare_tensors_write(args[0], tensor, 1, bank_rules, 1, NULL);
  tare_tensors_free(file);
  return status != TARE_OK;
}

static int copy(char **args) {
  FILE *from = fopen(args[0], "rb"), *to = fopen(args[2], "wb");
  for (long left = atol(args[1]); from && to && left > 0; left--) fputc(fgetc(from), to);
  return !from || !to || fclose(from) || fclose(to);
}

int main(int argc, char **argv) {
  static const struct { const char *name; int words; int (*run)(char **args); } actions[] = {
    {"idx", 3, idx}, {"png", 4, png}, {"shape", 1, shape}, {"get", 2, get}, {"bank", 3, bank}, {"flip", 3, flip}, {"copy", 3, copy},
  };
  for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof *actions; i++)
    if (strcmp(argv[1], actions[i].name) == 0 && argc == 2 + actions[i].words) return actions[i].run(argv + 2);
  fprintf(stderr, "helper idx DIR TRAIN TEST | png FILE W H SEED | shape FILE | get FILE KEY | bank FILE N K | flip FILE FILTER TAP | copy FILE SIZE OUT\n");
  return 2;
}
