/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays that a benchmark works on. */
#include "bench.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

float *bench_floats(size_t count) {
  float *floats = tare_alloc(count, sizeof *floats);
  if (floats) memset(floats, 0, count * sizeof *floats); /* the system hands out pages when they are written */
  return floats;
}

/* One channel of one image: a few waves and noise, values 0 to 255. */
static void fill_image(tare_rng *rng, const tare_conv_problem *p, double offset, float *x) {
  enum { WAVES = 3 };
  double wave[WAVES][4];
  for (int i = 0; i < WAVES; i++)
    for (int j = 0; j < 4; j++) wave[i][j] = j < 2 ? tare_rng_range(rng, -0.5, 0.5) : tare_rng_range(rng, 0, j == 2 ? 40 : 6.3);
  for (int row = 0; row < p->size[0]; row++)
    for (int column = 0; column < p->size[1]; column++) {
      double v = tare_rng_range(rng, 64, 192);
      for (int i = 0; i < WAVES; i++) v += wave[i][2] * sin(wave[i][0] * row + wave[i][1] * column + wave[i][3]);
      v = v < 0 ? 0 : v > 255 ? 255 : floor(v);
      x[((size_t)row * (size_t)p->size[1] + (size_t)column) * (size_t)p->channels] = (float)(v / 256 + offset);
    }
}

static void fill_normal(tare_rng *rng, size_t count, float *values) {
  for (size_t i = 0; i < count; i++) values[i] = (float)tare_rng_normal(rng);
}

/* A slice whose sum is 0 exactly: multiples of 1/4096, what is too much taken off evenly. */
static void fill_balanced(tare_rng *rng, int taps, float *w) {
  enum { UNIT = 4096 };
  int sum = 0;
  for (int i = 0; i < taps; i++) {
    int value = (int)tare_rng_below(rng, 2 * UNIT + 1) - UNIT;
    sum += value;
    w[i] = (float)value;
  }
  for (int i = 0; i < taps; i++) {
    int off = sum / (taps - i);
    sum -= off;
    w[i] = (w[i] - (float)off) / UNIT;
  }
}

int bench_data_fill(const tare_conv_problem *p, uint64_t seed, double offset, bench_data *d) {
  size_t taps = (size_t)p->kernel[0] * (size_t)p->kernel[1], image = (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels;
  *d = (bench_data){.problem = *p, .x_size = (size_t)p->batch * image,
                    .w_size = (size_t)p->outputs * (size_t)(p->channels / p->groups) * taps,
                    .y_size = (size_t)p->batch * (size_t)tare_conv_output_size(p, 0) * (size_t)tare_conv_output_size(p, 1) * (size_t)p->outputs};
  d->x = bench_floats(d->x_size);
  d->w = bench_floats(d->w_size);
  d->dy = bench_floats(d->y_size);
  if (!d->x || !d->w || !d->dy) return bench_data_free(d), -1;
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  for (int n = 0; n < p->batch; n++)
    for (int c = 0; c < p->channels; c++) fill_image(&rng, p, offset, d->x + (size_t)n * image + (size_t)c);
  if (offset != 0)
    for (size_t i = 0; i < d->w_size; i += taps) fill_balanced(&rng, (int)taps, d->w + i);
  else fill_normal(&rng, d->w_size, d->w);
  fill_normal(&rng, d->y_size, d->dy);
  return 0;
}

void bench_data_free(bench_data *d) {
  tare_free(d->x);
  tare_free(d->w);
  tare_free(d->dy);
  *d = (bench_data){0};
}

size_t bench_result_size(const bench_data *d, tare_pass pass) {
  return pass == TARE_FORWARD ? d->y_size : pass == TARE_BACKWARD_DATA ? d->x_size : d->w_size;
}

static size_t channels_of(const tare_conv_problem *p, int output) { return (size_t)(output ? p->outputs : p->channels); }
static size_t pixels_of(const tare_conv_problem *p, int output) {
  return output ? (size_t)tare_conv_output_size(p, 0) * (size_t)tare_conv_output_size(p, 1) : (size_t)p->size[0] * (size_t)p->size[1];
}

void bench_to_nchw(const tare_conv_problem *p, int output, const float *nhwc, float *nchw) {
  size_t channels = channels_of(p, output), pixels = pixels_of(p, output);
  for (size_t n = 0; n < (size_t)p->batch; n++, nhwc += channels * pixels, nchw += channels * pixels)
    for (size_t c = 0; c < channels; c++)
      for (size_t i = 0; i < pixels; i++) nchw[c * pixels + i] = nhwc[i * channels + c];
}

void bench_to_nhwc(const tare_conv_problem *p, int output, const float *nchw, float *nhwc) {
  size_t channels = channels_of(p, output), pixels = pixels_of(p, output);
  for (size_t n = 0; n < (size_t)p->batch; n++, nhwc += channels * pixels, nchw += channels * pixels)
    for (size_t c = 0; c < channels; c++)
      for (size_t i = 0; i < pixels; i++) nhwc[i * channels + c] = nchw[c * pixels + i];
}
