/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command's test cases need and a shell lacks:
 *   helper idx DIR TRAIN TEST    an idx data set: 16x16 images of three classes (bars across, bars down, dots)
 *   helper png FILE W H SEED     a grey image: discs on noise
 *   helper shape FILE            the structure of a JSON text: keys, types (null counts as a number), lengths, no values
 *   helper get FILE KEY          one value of a JSON object
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv) {
  static const struct { const char *name; int words; int (*run)(char **args); } actions[] = {
    {"idx", 3, idx}, {"png", 4, png}, {"shape", 1, shape}, {"get", 2, get},
  };
  for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof *actions; i++)
    if (strcmp(argv[1], actions[i].name) == 0 && argc == 2 + actions[i].words) return actions[i].run(argv + 2);
  fprintf(stderr, "helper idx DIR TRAIN TEST | png FILE W H SEED | shape FILE | get FILE KEY\n");
  return 2;
}
