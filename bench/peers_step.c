/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-step NETWORK SIZE BATCH THREADS: times training steps of a network on one batch of random images that is in memory
 * already (one channel, SIZE x SIZE): forward, loss, backward, Adam, composing the weights. Each line of standard input
 * is a number of steps to take; the answer is a line with the JSON list of their milliseconds. When the input ends, the
 * last line is {"trained": S, "written": S}: max |sum w| over the first convolution's filters, as they are and as `tare train` writes them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/round.h>
#include <tare/train.h>
#include <time.h>

typedef struct run { tare_batch batch; float *images; int32_t *labels; tare_net *net; double began; uint64_t taken; int started; } run;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int fail(const tare_error *error) {
  fprintf(stderr, "bench-step: %s\n", error->message);
  return 1;
}

static tare_status same_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  (void)index;
  (void)error;
  run *r = user;
  *batch = r->batch;
  r->began = now();
  return TARE_OK;
}

/* From the batch's arrival to the end of the step. Stopping after the last leaves out what tare_train does at a training's end. */
static int after_step(void *user, const tare_progress *progress) {
  run *r = user;
  printf("%s%.4f", r->taken++ ? ", " : "[", now() - r->began);
  return progress->step == progress->steps - 1;
}

static int take(run *r, uint64_t steps) {
  tare_error error;
  tare_train_options options;
  tare_train_defaults(&options);
  options.lr = 1e-4;
  options.steps = steps + 1;
  options.started = r->started;
  options.progress = after_step;
  options.user = r;
  r->taken = 0;
  if (tare_train(r->net, same_batch, r, &options, NULL, &error) != TARE_E_STOPPED) return fail(&error);
  r->started = 1;
  puts("]");
  return fflush(stdout);
}

static int fill(run *r, size_t pixels, size_t classes) {
  size_t count = (size_t)r->batch.count;
  r->images = malloc(count * pixels * sizeof *r->images);
  r->labels = malloc(count * sizeof *r->labels);
  if (!r->images || !r->labels) return fputs("bench-step: out of memory\n", stderr), 1;
  srand(1);
  for (size_t i = 0; i < count * pixels; i++) r->images[i] = (float)rand() / (float)RAND_MAX;
  for (size_t i = 0; i < count; i++) r->labels[i] = (int32_t)((size_t)rand() % classes);
  r->batch.images = r->images;
  r->batch.labels = r->labels;
  return 0;
}

static double largest_sum(const float *w, size_t filters, size_t taps) {
  double largest = 0;
  for (size_t f = 0; f < filters; f++) {
    double sum = 0;
    for (size_t i = 0; i < taps; i++) sum += (double)w[f * taps + i];
    largest = fmax(largest, fabs(sum));
  }
  return largest;
}

/* The first tensor is the first convolution's weight. */
static int tell_sums(const run *r) {
  tare_error error;
  tare_net_tensor info;
  if (tare_net_tensor_info(r->net, 0, &info, &error)) return fail(&error);
  size_t filters = (size_t)info.shape[0], taps = (size_t)(info.shape[1] * info.shape[2] * info.shape[3]);
  float *w = malloc(filters * taps * sizeof *w);
  if (!w) return fputs("bench-step: out of memory\n", stderr), 1;
  tare_status status = tare_net_tensor_get(r->net, 0, w, &error);
  double trained = status ? 0 : largest_sum(w, filters, taps);
  if (!status && info.constraint && info.rule_trained) /* a slice a filter: one channel */
    status = tare_round_fp32(info.constraint, filters * taps / (size_t)tare_constraint_taps(info.constraint), w, w, &error);
  if (!status) printf("{\"trained\": %.9g, \"written\": %.9g}\n", trained, largest_sum(w, filters, taps));
  free(w);
  return status ? fail(&error) : 0;
}

static int serve(run *r) {
  char line[32];
  while (fgets(line, sizeof line, stdin)) {
    uint64_t steps = strtoull(line, NULL, 10);
    if (steps < 1) return fputs("bench-step: expected a number of steps\n", stderr), 2;
    if (take(r, steps)) return 1;
  }
  return tell_sums(r);
}

int main(int argc, char **argv) {
  if (argc != 5) return fputs("usage: bench-step NETWORK SIZE BATCH THREADS < STEPS\n", stderr), 2;
  int size = atoi(argv[2]), batch = atoi(argv[3]);
  run r = {.batch.count = batch};
  tare_error error;
  tare_net_options options = {.height = size, .width = size, .channels = 1, .batch = batch, .threads = atoi(argv[4]), .seed = 1,
                              .precision = TARE_F32, .init = TARE_INIT_METHOD};
  if (tare_net_create(argv[1], &options, &r.net, &error)) return fail(&error);
  int code = fill(&r, (size_t)size * (size_t)size, tare_net_output_size(r.net));
  if (!code) code = serve(&r);
  free(r.images);
  free(r.labels);
  tare_net_free(r.net);
  return code;
}
