/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A denoiser that keeps brightness and contrast: f(a x + b) = a f(x) + b for a > 0 (Herbreteau, Moebel & Kervrann,
 * "Normalization-equivariant neural networks", NeurIPS 2023). Every layer must: filters sum to 1 over all their channels (sum=1@filter),
 * without bias; borders are mirrored; sort, which orders pairs of channels, stands in the place of relu; no batch norm. Beside it the
 * customary network of the same size.
 *
 * cc denoise.c $(pkg-config --cflags --libs tare-train) -lm; ./a.out [STEPS]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tare/train.h>

enum { SIZE = 48, BATCH = 16, PIXELS = BATCH * SIZE * SIZE };
#define KEEPS " sum=1@filter spectral pad=reflect nobias"
/* Each at its best learning rate of 0.0002, 0.0006, 0.002, 0.006 and 0.02. */
static const struct { const char *name; double lr; const char *line; } networks[] = {
  {"customary", 0.0006, "conv 16x5 pad=reflect; relu; conv 16x5 pad=reflect; relu; conv 16x5 pad=reflect; relu; conv 1x5 pad=reflect"},
  {"keeps brightness", 0.006, "conv 16x5" KEEPS "; sort; conv 16x5" KEEPS "; sort; conv 16x5" KEEPS "; sort; conv 1x5" KEEPS},
};

/* Of variance 1, near enough to normal: 12 uniform numbers (Knuth's MMIX generator) less 6. */
static double noise(uint64_t *state) {
  double sum = -6;
  for (int i = 0; i < 12; i++) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    sum += (double)(*state >> 11) / 9007199254740992.0;
  }
  return sum;
}

/* Patches with noise of 5 grey levels added, and without. */
static float noisy[PIXELS], clean[PIXELS];
static tare_status batch(void *source, uint64_t index, tare_batch *out, tare_error *error) {
  int32_t labels[BATCH];
  uint64_t state = index;
  tare_status status = tare_source_train_batch(source, 1, index, BATCH, clean, labels, NULL, error);
  for (int i = 0; i < PIXELS; i++) noisy[i] = clean[i] + (float)(5. / 256 * noise(&state));
  *out = (tare_batch){.count = BATCH, .images = noisy, .targets = clean};
  return status;
}

/* Signal to noise of y against a clean + b in dB, the peak being that of 8 bits times a. */
static double psnr(const float *y, double a, double b) {
  double wrong = 0;
  for (int i = 0; i < PIXELS; i++) wrong += pow(y[i] - (a * clean[i] + b), 2) / PIXELS;
  return 10 * log10(a * a / wrong);
}

/* The same images brighter, darker, with more or less contrast: how well they are denoised, how far f(a x + b) is from a f(x) + b. */
static tare_status measure(const char *name, tare_net *net, tare_source *source, tare_error *error) {
  static const double changes[][2] = {{1, 0}, {1, 0.5}, {1, 4}, {0.25, 0}, {3, -0.5}};
  static float x[PIXELS], plain[PIXELS];
  tare_batch b;
  tare_status status = batch(source, 1 << 20, &b, error);
  for (size_t c = 0; c < sizeof changes / sizeof *changes && !status; c++) {
    const void *output;
    double scale = changes[c][0], shift = changes[c][1], off = 0;
    for (int i = 0; i < PIXELS; i++) x[i] = (float)(scale * noisy[i] + shift);
    status = tare_net_forward(net, x, BATCH, 0, 0, &output, error);
    const float *y = output;
    for (int i = 0; i < PIXELS && !status; i++) {
      if (c == 0) plain[i] = y[i];
      off = fmax(off, fabs(y[i] - (scale * plain[i] + shift)) / scale);
    }
    if (!status) printf("%-17s %4.2f x %+4.1f  noisy %.2f dB  denoised %6.2f dB  off by %.1e\n", name, scale, shift,
                        psnr(x, scale, shift), psnr(y, scale, shift), off);
  }
  return status;
}

int main(int argc, char **argv) {
  const tare_net_options size = {.height = SIZE, .width = SIZE, .channels = 1, .batch = BATCH, .threads = 2, .seed = 1};
  tare_source_options data;
  tare_source *source;
  tare_train_options options;
  tare_error error;
  tare_source_defaults(&data);
  data.threads = 2;
  tare_train_defaults(&options);
  options.loss = TARE_LOSS_MSE;
  options.schedule = "cosine";
  options.steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 1500;
  tare_status status = tare_source_open("leaves", &data, &source, &error);
  for (int i = 0; i < 2 && !status; i++) {
    tare_net *net = NULL;
    options.lr = networks[i].lr;
    status = tare_net_create(networks[i].line, &size, &net, &error);
    if (!status) status = tare_train(net, batch, source, &options, NULL, &error);
    if (!status) status = measure(networks[i].name, net, source, &error);
    tare_net_free(net);
  }
  if (status) fprintf(stderr, "%s\n", error.message);
  tare_source_free(source);
  return status != TARE_OK;
}
