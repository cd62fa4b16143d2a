/* SPDX-License-Identifier: Apache-2.0 */
/* The look of a network as JSON (doc/report.md); arrays of many numbers are base64 (RFC 4648) of their bytes. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/look.h"
#include "train/written.h"

enum { SHOWN = 64 }; /* larger patches are shown shrunk to at most so many pixels */

static json_t *base64(const void *data, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *from = data;
  char *text = tare_alloc((size + 2) / 3 * 4 + 1, 1), *to = text;
  for (size_t i = 0; text && i < size; i += 3) {
    unsigned group = (unsigned)from[i] << 16 | (unsigned)(i + 1 < size ? from[i + 1] : 0) << 8 | (i + 2 < size ? from[i + 2] : 0);
    for (int k = 0; k < 4; k++) *to++ = k > 1 && i + (size_t)k > size ? '=' : digits[group >> (18 - 6 * k) & 63];
  }
  json_t *json = text ? json_string(text) : NULL;
  tare_free(text);
  return json ? json : json_null();
}

/* Floats, little-endian. */
static json_t *floats(const float *values, size_t count) {
  unsigned char *bytes = tare_alloc(count, 4);
  for (size_t i = 0; bytes && i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], 4);
    for (int k = 0; k < 4; k++) bytes[4 * i + (size_t)k] = (unsigned char)(bits >> 8 * k);
  }
  json_t *json = bytes ? base64(bytes, 4 * count) : json_null();
  tare_free(bytes);
  return json;
}

/* The mean of a square of the image, which is what one shown pixel stands for. */
static double shrunk(const look_examples *e, const float *image, int step, int y, int x, int c) {
  double sum = 0;
  int count = 0;
  for (int i = y * step; i < (y + 1) * step && i < e->height; i++)
    for (int j = x * step; j < (x + 1) * step && j < e->width; j++, count++)
      sum += (double)image[((size_t)i * (size_t)e->width + (size_t)j) * (size_t)e->channels + (size_t)c];
  return sum / count;
}

/* All examples on one scale, so that their brightness can be compared; the darkest pixel is black. */
static void scale_of(const look_examples *e, double *low, double *factor) {
  size_t values = (size_t)e->count * (size_t)e->height * (size_t)e->width * (size_t)e->channels;
  double high = -INFINITY;
  *low = INFINITY;
  for (size_t i = 0; i < values; i++) {
    *low = fmin(*low, (double)e->images[i]);
    high = fmax(high, (double)e->images[i]);
  }
  *factor = high > *low ? 255 / (high - *low) : 0;
}

static json_t *pictures(const look_examples *e, int step, int height, int width) {
  size_t image = (size_t)e->height * (size_t)e->width * (size_t)e->channels, at = 0;
  unsigned char *bytes = tare_alloc((size_t)e->count * (size_t)height * (size_t)width * (size_t)e->channels, 1);
  double low, factor;
  scale_of(e, &low, &factor);
  for (int i = 0; bytes && i < e->count; i++)
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        for (int c = 0; c < e->channels; c++)
          bytes[at++] = (unsigned char)lrint((shrunk(e, e->images + (size_t)i * image, step, y, x, c) - low) * factor);
  json_t *json = bytes ? base64(bytes, at) : json_null();
  tare_free(bytes);
  return json;
}

json_t *tare_look_examples_to_json(const look_examples *e) {
  int largest = e->height > e->width ? e->height : e->width, step = (largest + SHOWN - 1) / SHOWN;
  int height = (e->height + step - 1) / step, width = (e->width + step - 1) / step;
  json_t *names = json_array(), *labels = json_array();
  for (int c = 0; c < e->classes; c++) {
    json_t *name = json_string(e->class_names[c]);
    json_array_append_new(names, name ? name : json_string("?")); /* a folder's name need not be UTF-8 */
  }
  for (int i = 0; i < e->count; i++) json_array_append_new(labels, json_integer(e->labels[i]));
  return json_pack("{s:i, s:i, s:i, s:o, s:o, s:o}", "height", height, "width", width, "channels", e->channels, "classes", names, "labels",
                   labels, "pixels", pictures(e, step, height, width));
}

static json_t *filters_json(const look_seen *seen) {
  json_t *shape = json_array();
  for (int d = 0; d < seen->info.dims; d++) json_array_append_new(shape, json_integer(seen->info.shape[d]));
  return json_pack("{s:s, s:o, s:o}", "tensor", seen->info.name, "shape", shape, "values", floats(seen->weights, tare_written_values(&seen->info)));
}

json_t *tare_look_to_json(const look_seen *seen, const look_examples *examples) {
  json_t *says = json_array(), *sure = json_array();
  for (int i = 0; i < examples->count; i++) {
    json_array_append_new(says, json_integer(seen->says[i]));
    json_array_append_new(sure, json_real(round((double)seen->sure[i] * 1e4) / 1e4));
  }
  json_t *json = json_pack("{s:o, s:o}", "says", says, "sure", sure);
  json_object_set_new(json, "filters", seen->weights ? filters_json(seen) : json_null());
  int filters = seen->weights ? (int)seen->info.shape[0] : 0, rows = LOOK_WAVES / 2 + 1;
  json_object_set_new(json, "response", seen->response
    ? json_pack("{s:[i, i, i], s:o}", "shape", filters, rows, LOOK_WAVES, "values",
                floats(seen->response, (size_t)filters * (size_t)rows * LOOK_WAVES))
    : json_null());
  return json;
}

tare_status tare_look_json(tare_net *net, const tare_source *source, uint64_t seed, char **text, tare_error *error) {
  if (!net || !source || !text) return tare_fail(error, TARE_E_ARGUMENT, "a look needs a network, a source and a place for the text");
  look_examples examples = {0};
  look_seen seen = {0};
  tare_status status = tare_look_draw(source, seed, &examples, error);
  if (!status) status = tare_look_at(net, &examples, &seen, error);
  if (!status) {
    json_t *json = json_pack("{s:o, s:o}", "examples", tare_look_examples_to_json(&examples), "look", tare_look_to_json(&seen, &examples));
    char *made = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (made) *text = made;
    else status = tare_fail(error, TARE_E_MEMORY, "not enough memory for the JSON text of a network");
  }
  tare_look_free(&seen);
  tare_look_examples_free(&examples);
  return status;
}
