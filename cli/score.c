/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy on a source's test part, with an interval: whole images are drawn again, because patches of one image are alike. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/train.h>

typedef struct tester {
  const tare_source *source;
  tare_source_info info;
  uint64_t seed;
  int batch;
  float *images;
  int32_t *labels, *ids; /* ids: of every test patch */
} tester;

static tare_status stopped(tare_error *error) {
  error->status = TARE_E_STOPPED;
  snprintf(error->message, sizeof error->message, "stopped");
  return TARE_E_STOPPED;
}

/* A tare_batch_fn over the test part. */
static tare_status test_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  tester *t = user;
  size_t first = (size_t)index * (size_t)t->batch, all = t->info.patches[TARE_TEST];
  size_t left = all > first ? all - first : 0;
  int count = left < (size_t)t->batch ? (int)left : t->batch;
  if (cli_interrupted()) return stopped(error);
  cli_progress_draw((double)first / (double)all, 0, "testing, patch %zu of %zu", first, all);
  *batch = (tare_batch){.count = count, .images = t->images, .labels = t->labels};
  return tare_source_test_batch(t->source, t->seed, first, count, t->images, t->labels, t->ids + first, error);
}

static uint64_t splitmix(uint64_t *state) { /* Steele, Lea & Flood 2014 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct tally { int32_t id; int patches, correct; } tally;

static int by_id(const void *a, const void *b) {
  int32_t x = ((const tally *)a)->id, y = ((const tally *)b)->id;
  return (x > y) - (x < y);
}

/* One tally an image, in place; returns how many. */
static size_t merge(tally *tallies, size_t count) {
  size_t images = 0;
  qsort(tallies, count, sizeof *tallies, by_id);
  for (size_t i = 0; i < count; i++) {
    if (images && tallies[images - 1].id == tallies[i].id) {
      tallies[images - 1].patches += tallies[i].patches;
      tallies[images - 1].correct += tallies[i].correct;
    } else {
      tallies[images++] = tallies[i];
    }
  }
  return images;
}

/* The percentile interval of 1000 draws of as many images as there are. */
static void bootstrap(const tally *tallies, size_t images, cli_score *score) {
  enum { DRAWS = 1000 };
  double accuracy[DRAWS];
  uint64_t state = 1;
  for (int d = 0; d < DRAWS; d++) {
    double patches = 0, correct = 0;
    for (size_t i = 0; i < images; i++) {
      const tally *t = &tallies[splitmix(&state) % images];
      patches += t->patches;
      correct += t->correct;
    }
    accuracy[d] = correct / patches;
  }
  qsort(accuracy, DRAWS, sizeof *accuracy, ascending);
  score->low = accuracy[(int)(0.025 * DRAWS)];
  score->high = accuracy[(int)(0.975 * DRAWS) - 1];
}

static int run(tester *t, tare_net *net, tally *tallies, uint8_t *correct, cli_score *score) {
  tare_eval_result result;
  tare_error error;
  size_t patches = t->info.patches[TARE_TEST];
  uint64_t batches = (patches + (size_t)t->batch - 1) / (size_t)t->batch;
  tare_status status = tare_evaluate(net, test_batch, t, batches, TARE_LOSS_CROSS_ENTROPY, &result, correct, &error);
  cli_progress_clear();
  if (status) return cli_report(&error);
  for (size_t i = 0; i < patches; i++) tallies[i] = (tally){.id = t->ids[i], .patches = 1, .correct = correct[i]};
  *score = (cli_score){.accuracy = result.accuracy, .loss = result.loss, .patches = patches, .images = merge(tallies, patches)};
  bootstrap(tallies, score->images, score);
  return 0;
}

int cli_score_net(tare_net *net, const tare_source *source, uint64_t seed, cli_score *score) {
  tester t = {.source = source, .seed = seed, .batch = tare_net_get_options(net)->batch};
  tare_source_get_info(source, &t.info);
  size_t patches = t.info.patches[TARE_TEST], pixels = (size_t)t.info.height * (size_t)t.info.width * (size_t)t.info.channels;
  t.images = calloc((size_t)t.batch * pixels, sizeof *t.images);
  t.labels = calloc((size_t)t.batch, sizeof *t.labels);
  t.ids = calloc(patches + 1, sizeof *t.ids);
  tally *tallies = calloc(patches + 1, sizeof *tallies);
  uint8_t *correct = calloc(patches + 1, 1);
  int ready = t.images && t.labels && t.ids && tallies && correct;
  int code = ready ? run(&t, net, tallies, correct, score) : cli_fail(TARE_E_MEMORY, "out of memory for %zu test patches", patches);
  free(t.images);
  free(t.labels);
  free(t.ids);
  free(tallies);
  free(correct);
  return code;
}

void cli_score_print(FILE *file, const cli_score *score) {
  fprintf(file, "accuracy %.2f %% [%.2f, %.2f]  loss %.4f  ", score->accuracy * 100, score->low * 100, score->high * 100, score->loss);
  fprintf(file, "on %zu image%s", score->images, score->images == 1 ? "" : "s");
  if (score->patches != score->images) fprintf(file, ", %zu patches", score->patches);
  fprintf(file, score->images < 30 ? " (under 30 images: indicative)\n" : "\n");
}
