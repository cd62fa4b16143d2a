/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times: every method's step in turn, round after round, so that a machine
 * that slows down slows all of them. Batches are drawn before, not timed.
 */
#include "train/race.h"

#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"

enum { MIN_ROUNDS = 3, MAX_ROUNDS = 40, REPEATS = 3 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A network of one method, ready to take steps on one batch again and again: the whole one (trainer) or its head (doutput). */
typedef struct lane { tare_net *net; tare_trainer *trainer; float *doutput; double best, rounds[MAX_ROUNDS]; } lane;

typedef struct clock_work { const race_context *race; const race_field *field; race_feed feed; lane *lanes; size_t count; } clock_work;

static tare_status same_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  (void)index;
  (void)error;
  const race_feed *f = user;
  *batch = (tare_batch){.count = f->race->options->batch, .images = f->images, .labels = f->labels};
  return TARE_OK;
}

static tare_status take_step(clock_work *work, lane *l, tare_error *error) {
  const void *output;
  tare_progress progress;
  tare_status status;
  if (l->trainer) status = tare_trainer_step(l->trainer, &progress, error);
  else status = tare_net_forward(l->net, work->feed.images, work->race->options->batch, 1, 0, &output, error);
  if (!l->trainer && !status) status = tare_net_backward(l->net, l->doutput, error);
  return status == TARE_E_DIVERGED ? TARE_OK : status; /* images that are no numbers: the runs will say so */
}

/* The mean of REPEATS steps. */
static tare_status time_round(clock_work *work, lane *l, int round, tare_error *error) {
  double start = now();
  for (int i = 0; i < REPEATS; i++) {
    tare_status status = take_step(work, l, error);
    if (status) return status;
  }
  l->rounds[round] = (now() - start) / REPEATS;
  if (round == 0 || l->rounds[round] < l->best) l->best = l->rounds[round];
  return TARE_OK;
}

/* Rounds until `seconds` are over; *rounds gets how many. */
static tare_status time_lanes(clock_work *work, double seconds, int *rounds, tare_error *error) {
  double start = now();
  tare_status status = TARE_OK;
  /* warm caches, plans made at first use */
  for (size_t i = 0; i < work->count && !status; i++) status = take_step(work, &work->lanes[i], error);
  for (*rounds = 0; *rounds < MAX_ROUNDS && !status && (*rounds < MIN_ROUNDS || now() - start < seconds); ++*rounds) {
    for (size_t i = 0; i < work->count && !status; i++) status = time_round(work, &work->lanes[i], *rounds, error);
    if (!status && tare_race_crew_say(work->race->crew, "timing each method"))
      status = tare_fail(error, TARE_E_STOPPED, "the race was stopped");
  }
  return status;
}

/* A step takes as long at any rate; at this one no network diverges. */
static const double quiet_rate = 1e-6;

static tare_status open_step(clock_work *work, const race_entry *entry, lane *l, tare_error *error) {
  tare_status status = tare_race_net(work->race, entry->line, work->feed.seed, &l->net, error);
  if (!status && tare_net_output_size(l->net) != (size_t)work->race->info.classes)
    status = tare_fail(error, TARE_E_SHAPE, "the network '%s' has %zu outputs, the data %d classes: end it in 'dense %d'", entry->line,
                       tare_net_output_size(l->net), work->race->info.classes, work->race->info.classes);
  return status ? status : tare_race_trainer(work->race, l->net, quiet_rate, same_batch, &work->feed, &l->trainer, error);
}

static tare_status open_layer(clock_work *work, const race_entry *entry, lane *l, tare_error *error) {
  int batch = work->race->options->batch;
  tare_status status = tare_race_net(work->race, entry->head, work->feed.seed, &l->net, error);
  if (!status) status = tare_net_start(l->net, work->feed.images, (size_t)batch, error);
  if (status) return status;
  size_t values = (size_t)batch * tare_net_output_size(l->net);
  l->doutput = tare_alloc(values, sizeof(float));
  if (!l->doutput) return tare_fail_memory(error, values * sizeof(float), "the gradient of a layer's output");
  tare_rng rng;
  tare_rng_init(&rng, work->feed.seed, 0);
  for (size_t i = 0; i < values; i++) l->doutput[i] = (float)tare_rng_range(&rng, -1, 1);
  return TARE_OK;
}

static tare_status open_work(const race_context *race, const race_field *field, clock_work *work, tare_error *error) {
  tare_batch batch;
  *work = (clock_work){.race = race, .field = field, .count = field->count, .lanes = tare_alloc(field->count, sizeof *work->lanes)};
  if (!work->lanes) return tare_fail_memory(error, field->count * sizeof *work->lanes, "the timing of a race");
  tare_status status = tare_race_feed_create(race, race->options->seed, &work->feed, error);
  return status ? status : tare_race_train_batch(&work->feed, 0, &batch, error);
}

static void close_lane(lane *l) {
  tare_trainer_free(l->trainer);
  tare_net_free(l->net);
  tare_free(l->doutput);
  *l = (lane){0};
}

static void close_work(clock_work *work) {
  for (size_t i = 0; work->lanes && i < work->count; i++) close_lane(&work->lanes[i]);
  tare_free(work->lanes);
  tare_race_feed_free(&work->feed);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static tare_status time_steps(clock_work *work, double seconds, race_times *times, tare_error *error) {
  int rounds;
  tare_status status = TARE_OK;
  for (size_t i = 0; i < work->count && !status; i++) status = open_step(work, &work->field->entries[i], &work->lanes[i], error);
  if (!status) status = time_lanes(work, seconds, &rounds, error);
  for (size_t i = 0; i < work->count; i++) {
    if (!status) times[i].step_ms = 1000 * work->lanes[i].best;
    if (!status) times[i].step_ms_median = 1000 * median(work->lanes[i].rounds, rounds);
    close_lane(&work->lanes[i]);
  }
  return status;
}

static tare_status time_layers(clock_work *work, double seconds, double *layer_ms, tare_error *error) {
  int rounds;
  tare_status status = TARE_OK;
  for (size_t i = 0; i < work->count && !status; i++) status = open_layer(work, &work->field->entries[i], &work->lanes[i], error);
  if (!status) status = time_lanes(work, seconds, &rounds, error);
  for (size_t i = 0; i < work->count; i++) {
    if (!status) layer_ms[i] = 1000 * work->lanes[i].best;
    close_lane(&work->lanes[i]);
  }
  return status;
}

tare_status tare_race_time(const race_context *race, race_times *times, tare_error *error) {
  clock_work work;
  double seconds = race->options->timing_seconds, *layer_ms = tare_alloc(race->field.count, sizeof *layer_ms);
  tare_status status = open_work(race, &race->field, &work, error);
  if (!status && !layer_ms) status = tare_fail_memory(error, race->field.count * sizeof *layer_ms, "the timing of a race");
  if (!status) status = time_steps(&work, 0.7 * seconds, times, error);
  if (!status) status = time_layers(&work, 0.3 * seconds, layer_ms, error);
  for (size_t i = 0; i < race->field.count && !status; i++) times[i].layer_ms = layer_ms[i];
  close_work(&work);
  tare_free(layer_ms);
  return status;
}

tare_status tare_race_time_layers(const race_context *race, const race_field *field, double seconds, double *layer_ms, tare_error *error) {
  clock_work work;
  tare_status status = open_work(race, field, &work, error);
  if (!status) status = time_layers(&work, seconds, layer_ms, error);
  close_work(&work);
  return status;
}

/* One step to warm up and one that counts. */
static tare_status estimate_one(clock_work *work, race_entry *entry, tare_error *error) {
  lane l = {0};
  tare_status status = open_step(work, entry, &l, error);
  if (!status) status = take_step(work, &l, error);
  double start = now();
  if (!status) status = take_step(work, &l, error);
  entry->seconds = now() - start;
  close_lane(&l);
  return status;
}

tare_status tare_race_estimate(race_context *race, tare_error *error) {
  clock_work work;
  tare_status status = open_work(race, &race->field, &work, error);
  for (size_t i = 0; i < race->field.count && !status; i++) {
    status = estimate_one(&work, &race->field.entries[i], error);
    if (status) status = tare_fail_prefix(error, status, "method %s", race->field.entries[i].name);
  }
  close_work(&work);
  return status;
}
