/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stencils learned from solutions of a differential equation (PDE-Net: Long et al. 2018). A 5x5 filter sees a solution and must give its
 * change in time: of heat, u_t = u_xx + u_yy, and of transport, u_t = -u_x. The rule fixes the order of accuracy, training the rest.
 * Trained on one grid, the stencil is tested on grids up to 16 times as fine, in double.
 * cc pde.c $(pkg-config --cflags --libs tare-train) -lm; ./a.out [STEPS], beside upwind.json
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/train.h>

enum { SIZE = 16, OUT = SIZE - 4, BATCH = 16, WAVES = 6 };
#define LAPLACE "symmetric; order=1; moment(2,0)=1; moment(1,1)=0; moment(0,2)=1"
#define FOURTH "; moment(4,0)=0; moment(3,1)=0; moment(2,2)=0; moment(1,3)=0; moment(0,4)=0"

typedef struct stencil { const char *name, *line; int heat; double h; } stencil;
static const stencil stencils[] = {
  {"Laplacian, no rule", "conv 1x5 nobias", 1, 1},
  {"Laplacian, order 2", "conv 1x5 {" LAPLACE "} spectral nobias", 1, 1},
  {"Laplacian, order 4", "conv 1x5 {" LAPLACE FOURTH "} spectral nobias", 1, 1},
  {"upwind, no order", "conv 1x5 {rows=upwind.json} nobias", 0, 1},
  {"upwind, order 1", "conv 1x5 {derivative(0,1); rows=upwind.json} spectral nobias", 0, 1},
  {"upwind, order 2", "conv 1x5 {derivative(0,1) accuracy=2; rows=upwind.json} spectral nobias", 0, 1},
};
static double u[BATCH * SIZE * SIZE], change[BATCH * OUT * OUT];

static double draw(uint64_t *state, double low, double high) { /* Knuth's MMIX generator */
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return low + (high - low) * (double)(*state >> 11) / 9007199254740992.0;
}

/* Adds a wave of at least five points (at spacing 1) to u; what the filter must give of it, h^2 u_t or for transport -h u_t, to change. */
static void add_wave(const stencil *s, uint64_t *state, int image) {
  double angle = draw(state, 0, 6.283185307), phase = draw(state, 0, 6.283185307), a = draw(state, 0.2, 1);
  double k = draw(state, 0.2, 1.2) * s->h, ky = k * sin(angle), kx = k * cos(angle);
  for (int y = 0; y < SIZE; y++)
    for (int x = 0; x < SIZE; x++) {
      double at = ky * y + kx * x + phase;
      u[(image * SIZE + y) * SIZE + x] += a * cos(at);
      if (y >= 2 && x >= 2 && y < SIZE - 2 && x < SIZE - 2)
        change[(image * OUT + y - 2) * OUT + x - 2] -= a * (s->heat ? k * k * cos(at) : kx * sin(at));
    }
}

static void solve(const stencil *s, uint64_t index) {
  uint64_t state = index * 1000003 + 1;
  memset(u, 0, sizeof u), memset(change, 0, sizeof change);
  for (int wave = 0; wave < BATCH * WAVES; wave++) add_wave(s, &state, wave / WAVES);
}

static tare_status batch(void *user, uint64_t index, tare_batch *out, tare_error *error) {
  static float images[BATCH * SIZE * SIZE], targets[BATCH * OUT * OUT];
  (void)error;
  solve(user, index);
  for (int i = 0; i < BATCH * SIZE * SIZE; i++) images[i] = (float)u[i];
  for (int i = 0; i < BATCH * OUT * OUT; i++) targets[i] = (float)change[i];
  *out = (tare_batch){.count = BATCH, .images = images, .targets = targets};
  return TARE_OK;
}

/* Relative rms error on new solutions, on a grid of spacing h. */
static double error_at(tare_net *net, stencil s, double h) {
  double wrong = 0, all = 0;
  const void *output;
  s.h = h;
  solve(&s, 1000000);
  if (tare_net_forward(net, u, BATCH, 0, 0, &output, NULL)) return NAN;
  for (int j = 0; j < BATCH * OUT * OUT; j++) wrong += pow(((const double *)output)[j] - change[j], 2), all += pow(change[j], 2);
  return sqrt(wrong / all);
}

int main(int argc, char **argv) {
  tare_net_options size = {.height = SIZE, .width = SIZE, .channels = 1, .batch = BATCH, .threads = 1, .seed = 1};
  tare_train_options options;
  tare_error error;
  tare_train_defaults(&options);
  options.loss = TARE_LOSS_MSE, options.lr = 0.01, options.schedule = "cosine";
  options.steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
  printf("%-20s %9s %9s %9s %9s   order\n", "relative error at", "h", "h/4", "h/8", "h/16");
  for (size_t i = 0; i < sizeof stencils / sizeof *stencils; i++) {
    stencil s = stencils[i];
    tare_net *net = NULL, *exact = NULL;
    float w[25];
    size.precision = TARE_F32;
    tare_status status = tare_net_create(s.line, &size, &net, &error);
    if (!status) status = tare_train(net, batch, &s, &options, NULL, &error);
    if (!status) status = tare_net_tensor_get(net, 0, w, &error);
    size.precision = TARE_F64; /* the same filter in double: there it obeys to 1e-16 */
    if (!status) status = tare_net_create(s.line, &size, &exact, &error);
    if (!status) status = tare_net_tensor_set(exact, 0, w, &error);
    if (status) return fprintf(stderr, "%s\n", error.message), 1;
    double e[4] = {error_at(exact, s, 1), error_at(exact, s, 1. / 4), error_at(exact, s, 1. / 8), error_at(exact, s, 1. / 16)};
    printf("%-20s %9.2g %9.2g %9.2g %9.2g   %5.2f\n", s.name, e[0], e[1], e[2], e[3], log2(e[2] / e[3]));
    tare_net_free(net), tare_net_free(exact);
  }
  return 0;
}
