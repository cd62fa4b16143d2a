/* SPDX-License-Identifier: Apache-2.0 */
/* One step after another: batch, forward, loss, backward, optimiser. */
#include "train/trainer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/net.h"
#include "train/together.h"

enum { START_IMAGES = 256, MOST_LOOKED_AT = 16 * START_IMAGES, SETTLING = 50 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tare_status configure(tare_trainer *t, const tare_train_options *options, tare_error *error) {
  t->loss = tare_loss_kind_at(options->loss);
  t->steps = options->steps;
  t->most_skipped = options->most_skipped;
  if (!t->loss) return tare_fail(error, TARE_E_ARGUMENT, "no loss %d", (int)options->loss);
  if (t->steps < 1) return tare_fail(error, TARE_E_ARGUMENT, "a training needs 1 step or more, not 0");
  tare_status status = tare_optimizer_find(options->optimizer, &t->optimizer, error);
  if (!status) status = tare_hyper_set(options, t->optimizer, &t->hyper, error);
  return status ? status : tare_schedule_parse(options->schedule, &t->schedule, error);
}

static tare_status make_arrays(tare_trainer *t, tare_error *error) {
  size_t parameters = tare_net_parameter_count(t->net);
  size_t outputs = (size_t)tare_net_get_options(t->net)->batch * tare_net_output_size(t->net);
  int missing = (t->gradient = tare_alloc(outputs, sizeof(float))) == NULL;
  missing |= (t->kept = tare_alloc(tare_net_state_count(t->net), sizeof(float))) == NULL;
  for (int i = 0; i < TARE_OPTIMIZER_STATES && t->optimizer->states[i]; i++)
    missing |= (t->state[i] = tare_alloc(parameters, sizeof(float))) == NULL;
  return missing ? tare_fail_memory(error, (outputs + parameters) * sizeof(float), "a training") : TARE_OK;
}

tare_status tare_trainer_create(tare_net *net, tare_batch_fn batches, void *user, const tare_train_options *options, tare_trainer **out,
                                tare_error *error) {
  if (!net || !batches || !options || !out)
    return tare_fail(error, TARE_E_ARGUMENT, "a training needs a network, a callback for batches and options; one is NULL");
  if (tare_net_get_options(net)->precision != TARE_F32)
    return tare_fail(error, TARE_E_UNSUPPORTED, "a network in double is for gradient checks: create it with TARE_F32 to train it");
  tare_trainer *t = tare_alloc(1, sizeof *t);
  if (!t) return tare_fail_memory(error, sizeof *t, "a training");
  t->net = net;
  t->batches = batches;
  t->user = user;
  t->ranks = options->ranks && options->ranks->count > 1 ? options->ranks : NULL;
  t->last_loss = NAN;
  t->began = now();
  t->started = options->started;
  tare_status status = configure(t, options, error);
  if (!status) status = make_arrays(t, error);
  if (!status) status = tare_net_set_ranks(net, t->ranks, error);
  if (status) tare_trainer_free(t);
  else *out = t;
  return status;
}

void tare_trainer_free(tare_trainer *t) {
  if (!t) return;
  if (t->ranks) (void)tare_net_set_ranks(t->net, NULL, NULL);
  for (int i = 0; i < TARE_OPTIMIZER_STATES; i++) tare_free(t->state[i]);
  tare_free(t->gradient);
  tare_free(t->kept);
  tare_free(t);
}

static tare_status fetch(const tare_trainer *t, uint64_t index, tare_batch *batch, tare_error *error) {
  return tare_fetch_batch(t->net, t->loss, t->batches, t->user, index, batch, error);
}

static int all_finite(size_t n, const float *values) {
  int bad = 0;
  for (size_t i = 0; i < n; i++) bad |= !(fabsf(values[i]) <= FLT_MAX);
  return !bad;
}

/*
 * The first START_IMAGES images whose values are finite, however they are cut into batches (and these into ranks' shares); fewer where there
 * are not so many. *seen: how many were looked at.
 */
static tare_status collect(const tare_trainer *t, size_t pixels, float *images, size_t *have, size_t *seen, tare_error *error) {
  size_t most = (size_t)tare_net_get_options(t->net)->batch * (size_t)tare_together_count(t);
  *have = *seen = 0;
  float *whole = tare_alloc(most * pixels, sizeof *whole);
  tare_status status = whole ? TARE_OK : tare_fail_memory(error, most * pixels * sizeof *whole, "a batch");
  for (uint64_t index = 0; *have < START_IMAGES && *seen < MOST_LOOKED_AT && !status; index++) {
    tare_batch batch;
    status = fetch(t, index, &batch, error);
    if (!status) status = tare_together_images(t, &batch, pixels, whole, error);
    if (status) break;
    for (size_t i = 0; i < (size_t)batch.count * (size_t)tare_together_count(t) && *have < START_IMAGES; i++, (*seen)++)
      if (all_finite(pixels, whole + i * pixels)) memcpy(images + (*have)++ * pixels, whole + i * pixels, pixels * sizeof *images);
  }
  if (!status && *have == 0) status = tare_fail(error, TARE_E_DATA, "each of the first %zu images has values that are not finite numbers", *seen);
  tare_free(whole);
  return status;
}

/* With other ranks, rank 0 starts a network of the whole batch, as it would alone: batch norm then sees the same images at once. */
static tare_status start_whole(tare_trainer *t, const float *images, size_t count, tare_error *error) {
  tare_net_options options = *tare_net_get_options(t->net);
  int batch = options.batch * tare_together_count(t);
  if (batch == options.batch) return tare_net_start(t->net, images, count, error);
  tare_net *net;
  const double *scales;
  size_t all;
  options.batch = batch < START_IMAGES ? batch : START_IMAGES;
  tare_status status = tare_net_create(tare_net_line(t->net), &options, &net, error);
  if (status) return status;
  status = tare_net_start(net, images, count, error);
  if (!status) status = tare_net_get_scales(net, &scales, &all, error);
  if (!status) status = tare_net_set_scales(t->net, scales, all, error);
  memcpy(tare_net_parameters(t->net), tare_net_parameters(net), tare_net_parameter_count(net) * sizeof(float));
  memcpy(tare_net_state(t->net), tare_net_state(net), tare_net_state_count(net) * sizeof(float));
  tare_net_add_note(t->net, tare_net_notes(net));
  tare_net_free(net);
  return status;
}

static void note_passed(tare_trainer *t, size_t passed, size_t seen) {
  char note[120];
  snprintf(note, sizeof note, "%zu of the first %zu images hold values that are not finite numbers: the start passes over them", passed, seen);
  if (passed) tare_net_add_note(t->net, note);
}

static tare_status start(tare_trainer *t, tare_error *error) {
  if (t->started) return TARE_OK;
  const tare_net_options *o = tare_net_get_options(t->net);
  size_t pixels = (size_t)o->height * (size_t)o->width * (size_t)o->channels;
  float *images = tare_alloc(START_IMAGES * pixels, sizeof *images);
  if (!images) return tare_fail_memory(error, START_IMAGES * pixels * sizeof *images, "the first images");
  tare_error why;
  int found = 1;
  size_t have = 0, seen = 0;
  tare_status status = collect(t, pixels, images, &have, &seen, error);
  if (!status) {
    if (tare_together_leads(t)) status = start_whole(t, images, have, &why);
    status = tare_together_share(t, status, &why, &found, error);
  }
  if (!status && tare_together_leads(t)) note_passed(t, seen - have, seen);
  tare_free(images);
  t->started = status == TARE_OK;
  return status;
}

static tare_status diverged(const tare_trainer *t, const char *what, tare_error *error) {
  char before[60] = "";
  if (t->in_a_row) snprintf(before, sizeof before, ", nor in the %d steps before, which were skipped", t->in_a_row);
  return tare_fail(error, TARE_E_DIVERGED, "step %llu: %s%s; try a smaller learning rate than %g", (unsigned long long)t->step + 1, what,
                   before, t->hyper.lr);
}

static void keep_state(tare_trainer *t) { memcpy(t->kept, tare_net_state(t->net), tare_net_state_count(t->net) * sizeof *t->kept); }
static void restore_state(tare_trainer *t) { memcpy(tare_net_state(t->net), t->kept, tare_net_state_count(t->net) * sizeof *t->kept); }

/* Forward, loss and its gradient; *penalty too, at the same weights. */
static tare_status measure(tare_trainer *t, tare_loss_sum *sum, double *penalty, tare_error *error) {
  tare_batch batch;
  const void *output;
  tare_status status = fetch(t, t->step, &batch, error);
  if (!status) status = tare_net_forward(t->net, batch.images, batch.count, 1, t->step, &output, error);
  if (!status) status = tare_loss_batch(t->loss, tare_net_output_size(t->net), &batch, tare_together_count(t), output, t->gradient, sum, NULL, error);
  if (!status) status = tare_together_sum(t, sum, error);
  if (status) return status;
  *penalty = tare_net_penalty(t->net);
  return isfinite(sum->loss) && isfinite(*penalty) ? TARE_OK : diverged(t, "the loss is not a finite number", error);
}

/* The gradient of the step's batch. A network can hide what is not finite from its loss: a rectifier may take it for 0. */
static tare_status differentiate(tare_trainer *t, tare_loss_sum *sum, double *penalty, tare_error *error) {
  tare_status status = measure(t, sum, penalty, error);
  if (!status) status = tare_net_backward(t->net, t->gradient, error);
  if (status) return status;
  if (!all_finite(tare_net_parameter_count(t->net), tare_net_gradients(t->net))) return diverged(t, "the gradient is not finite", error);
  return all_finite(tare_net_state_count(t->net), tare_net_state(t->net)) ? TARE_OK : diverged(t, "batch norm's statistics are not finite", error);
}

static tare_status update(tare_trainer *t, double lr, tare_error *error) {
  size_t n = tare_net_parameter_count(t->net);
  t->optimizer->update(&t->hyper, lr, t->step + 1, n, tare_net_gradients(t->net), tare_net_parameters(t->net), t->state);
  tare_status status = tare_net_after_step(t->net, error);
  if (status) return status;
  return all_finite(n, tare_net_parameters(t->net)) ? TARE_OK : diverged(t, "the parameters are not finite numbers", error);
}

/* The gradient of a step. TARE_E_DIVERGED: something is not finite, here or on another rank; the state is then as before. */
static tare_status try_step(tare_trainer *t, tare_loss_sum *sum, double *penalty, tare_error *error) {
  keep_state(t);
  tare_status status = differentiate(t, sum, penalty, error);
  int bad = status == TARE_E_DIVERGED;
  if (status && !bad) return status;
  tare_status talk = tare_together_any(t, &bad, error); /* with statistics of its own one rank may see what the others do not */
  if (talk || !bad) return talk;
  restore_state(t);
  return status ? status : diverged(t, "another rank's numbers are not finite", error);
}

tare_status tare_trainer_step(tare_trainer *t, tare_progress *progress, tare_error *error) {
  tare_loss_sum sum = {0};
  tare_error why;
  double penalty = 0, lr = t->hyper.lr * tare_schedule_factor(&t->schedule, t->step, t->steps);
  tare_status status = start(t, error);
  if (status) return status;
  status = try_step(t, &sum, &penalty, &why);
  int skip = status == TARE_E_DIVERGED && t->in_a_row < t->most_skipped;
  if (status && !skip && error) *error = why;
  if (!status) status = update(t, lr, error);
  if (status && !skip) return status;
  t->step++;
  t->in_a_row = skip ? t->in_a_row + 1 : 0;
  t->skipped += (uint64_t)skip;
  if (!skip) t->last_loss = sum.loss / (double)sum.images;
  *progress = (tare_progress){.first = t->first, .step = t->step, .steps = t->steps, .loss = skip ? (double)NAN : t->last_loss,
                              .penalty = skip ? (double)NAN : penalty, .lr = lr, .skipped = t->skipped, .seconds = now() - t->began,
                              .accuracy = t->loss->classifies && !skip ? (double)sum.right / (double)sum.images : (double)NAN};
  return TARE_OK;
}

/* As Wu & Johnson 2021, Rethinking "Batch" in BatchNorm, section 3, with the running mean that the net has: 0.9^50 is 0.5 %. */
tare_status tare_trainer_settle(tare_trainer *t, tare_error *error) {
  tare_status status = TARE_OK;
  if (tare_net_state_count(t->net) == 0) return TARE_OK;
  for (uint64_t i = t->step > SETTLING ? t->step - SETTLING : 0; i < t->step && !status; i++) {
    tare_batch batch;
    status = fetch(t, i, &batch, error);
    if (!status) keep_state(t);
    if (!status) status = tare_net_forward(t->net, batch.images, batch.count, 1, i, NULL, error);
    if (!status && !all_finite(tare_net_state_count(t->net), tare_net_state(t->net))) restore_state(t); /* a batch whose step was skipped */
  }
  return status;
}
