/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frequency response of what stands in front: waves of every frequency are shown to the layers up to the first convolution, and the
 * amplitude of what comes out in the middle is measured. So a fixed layer before the convolution counts with it.
 *
 *   |H(u, v)| = | out(cos) + i out(sin) |,  waves cos, sin(2 pi (u y + v x))
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/look.h"

enum { WAVE_ROWS = LOOK_WAVES / 2 + 1, WAVE_COUNT = WAVE_ROWS * LOOK_WAVES, TOGETHER = 16 }; /* waves in a batch: twice as many images */

/* Layers that may stand before it: they are linear, and nothing in them is trained. */
static int is_fixed(const char *layer) {
  static const char *const fixed[] = {"image-mean", "local-mean", "laplacian", "gradients"};
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
    if (strncmp(layer, fixed[i], strlen(fixed[i])) == 0) return 1;
  return 0;
}

/* Length of the line up to the end of its first convolution; 0 if another layer than a fixed one is before it. */
static size_t head_length(const char *line) {
  int depth = 0, is_conv = 0, begins = 1;
  size_t i = 0;
  for (; line[i]; i++) {
    if (begins && line[i] == ' ') continue;
    if (begins && !(is_conv = strncmp(line + i, "conv ", 5) == 0) && !is_fixed(line + i)) return 0;
    begins = 0;
    depth += (line[i] == '{') - (line[i] == '}');
    if (depth || line[i] != ';') continue;
    if (is_conv) return i;
    begins = 1;
  }
  return is_conv ? i : 0;
}

/* The head alone, with these weights and no bias. */
static tare_status set_weights(tare_net *head, const tare_net_tensor *info, const float *weights, tare_error *error) {
  for (size_t i = 0; i < tare_net_tensor_count(head); i++) {
    tare_net_tensor tensor;
    tare_status status = tare_net_tensor_info(head, i, &tensor, error);
    if (status) return status;
    if (strcmp(tensor.name, info->name) == 0) {
      status = tare_net_tensor_set(head, i, weights, error);
      if (!status) status = tare_net_tensor_pin(head, i, weights, error);
    } else {
      float *zeros = tare_alloc((size_t)tensor.shape[0], sizeof *zeros); /* its bias */
      status = zeros ? tare_net_tensor_set(head, i, zeros, error) : tare_fail_memory(error, sizeof *zeros, "a bias");
      tare_free(zeros);
    }
    if (status) return status;
  }
  return TARE_OK;
}

static tare_status open_head(const tare_net *net, size_t length, tare_net **head, tare_error *error) {
  tare_net_options options = *tare_net_get_options(net);
  char *line = tare_strdup(tare_net_line(net));
  if (!line) return tare_fail_memory(error, length, "the head of a network");
  line[length] = 0;
  options.batch = 2 * TOGETHER;
  options.precision = TARE_F32;
  tare_status status = tare_net_create(line, &options, head, error);
  tare_free(line);
  return status;
}

/* Wave `index`: a cosine, and behind it the sine. */
static void draw_wave(const tare_net_options *o, int index, float *images) {
  double u = (double)(index / LOOK_WAVES) / LOOK_WAVES, v = (double)(index % LOOK_WAVES) / LOOK_WAVES;
  size_t channels = (size_t)o->channels, size = (size_t)o->height * (size_t)o->width * channels;
  for (int y = 0; y < o->height; y++)
    for (int x = 0; x < o->width; x++)
      for (size_t c = 0; c < channels; c++) {
        size_t at = ((size_t)y * (size_t)o->width + (size_t)x) * channels + c;
        double phase = 2 * 3.14159265358979323846 * (u * y + v * x);
        images[at] = (float)cos(phase);
        images[size + at] = (float)sin(phase);
      }
}

/* What stands in the middle of the output image, of each filter. */
static void read_waves(const tare_net *head, const float *output, int first, int count, int filters, float *response) {
  int shape[3];
  tare_net_output_shape(head, shape);
  size_t size = tare_net_output_size(head), middle = ((size_t)(shape[0] / 2) * (size_t)shape[1] + (size_t)(shape[1] / 2)) * (size_t)filters;
  for (int w = 0; w < count; w++)
    for (int f = 0; f < filters; f++) {
      float even = output[2 * (size_t)w * size + middle + (size_t)f], odd = output[(2 * (size_t)w + 1) * size + middle + (size_t)f];
      response[(size_t)f * WAVE_COUNT + (size_t)(first + w)] = hypotf(even, odd);
    }
}

static tare_status show_waves(tare_net *head, int filters, float *images, float *response, tare_error *error) {
  const tare_net_options *o = tare_net_get_options(head);
  size_t size = (size_t)o->height * (size_t)o->width * (size_t)o->channels;
  for (int first = 0; first < WAVE_COUNT; first += TOGETHER) {
    int count = WAVE_COUNT - first < TOGETHER ? WAVE_COUNT - first : TOGETHER;
    const void *output;
    for (int w = 0; w < count; w++) draw_wave(o, first + w, images + 2 * (size_t)w * size);
    tare_status status = tare_net_forward(head, images, 2 * count, 0, 0, &output, error);
    if (status) return status;
    read_waves(head, output, first, count, filters, response);
  }
  return TARE_OK;
}

tare_status tare_look_response(const tare_net *net, const tare_net_tensor *info, const float *weights, float **response, tare_error *error) {
  size_t length = head_length(tare_net_line(net));
  if (!length) return TARE_OK;
  const tare_net_options *o = tare_net_get_options(net);
  size_t pixels = 2 * TOGETHER * (size_t)o->height * (size_t)o->width * (size_t)o->channels;
  int filters = (int)info->shape[0];
  float *images = tare_alloc(pixels, sizeof *images);
  tare_net *head = NULL;
  *response = tare_alloc((size_t)filters * WAVE_COUNT, sizeof **response);
  tare_status status = images && *response ? TARE_OK : tare_fail_memory(error, pixels * sizeof *images, "waves");
  if (!status) status = open_head(net, length, &head, error);
  if (!status) status = set_weights(head, info, weights, error);
  if (!status) status = show_waves(head, filters, images, *response, error);
  tare_net_free(head);
  tare_free(images);
  return status;
}
