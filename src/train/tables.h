/* SPDX-License-Identifier: Apache-2.0 */
/* The three tables of training: optimisers, schedules, losses. Formulas, sources and how to add a row: doc/train.md. */
#ifndef TARE_TRAIN_TABLES_H
#define TARE_TRAIN_TABLES_H

#include <tare/train.h>

enum { TARE_OPTIMIZER_STATES = 2 };

/* What an optimiser is set to; each uses what it knows. */
typedef struct tare_hyper { double lr, momentum, beta1, beta2, epsilon, weight_decay; } tare_hyper;

typedef struct tare_optimizer {
  const char *name;
  double lr;                                 /* unless another is given */
  const char *states[TARE_OPTIMIZER_STATES]; /* names of its arrays, each as long as the parameters, zero at the start; NULL: no more */
  /* One step on n parameters p with gradients g; `step` is 1 for the first, `lr` the scheduled rate. */
  void (*update)(const tare_hyper *hyper, double lr, uint64_t step, size_t n, const float *g, float *p, float *const *state);
} tare_optimizer;
tare_status tare_optimizer_find(const char *name, const tare_optimizer **out, tare_error *error);
/* Defaults for what `options` leaves open, and every number checked. */
tare_status tare_hyper_set(const tare_train_options *options, const tare_optimizer *optimizer, tare_hyper *hyper, tare_error *error);

typedef struct tare_schedule {
  double (*factor)(const struct tare_schedule *schedule, uint64_t step, uint64_t steps);
  uint64_t every;   /* of step(N,F) */
  double times;
  char text[48];    /* canonical */
} tare_schedule;
tare_status tare_schedule_parse(const char *text, tare_schedule *out, tare_error *error); /* NULL: constant */
/* What the rate is multiplied by at `step` = 0, 1, ... of `steps`. */
double tare_schedule_factor(const tare_schedule *schedule, uint64_t step, uint64_t steps);

typedef struct tare_loss_kind {
  const char *name;
  int classifies;   /* 1: labels, and an accuracy; 0: targets */
  /* The loss of one image of `size` outputs. `gradient` (may be NULL) gets d loss / d output times `scale`; *right 1 or 0. */
  double (*image)(size_t size, const float *output, int32_t label, const float *target, double scale, float *gradient, int *right);
} tare_loss_kind;
const tare_loss_kind *tare_loss_kind_at(tare_loss loss); /* NULL: no such loss */

/* Sums over a batch, in double. */
typedef struct tare_loss_sum { double loss; size_t right, images; } tare_loss_sum;
/*
 * Adds a batch's images to `sum`. `gradient` (may be NULL) gets the gradient of the mean loss of as many images on each of `ranks` ranks;
 * `correct` (may be NULL) 1 or 0 an image. Labels out of range are TARE_E_DATA.
 */
tare_status tare_loss_batch(const tare_loss_kind *kind, size_t size, const tare_batch *batch, int ranks, const float *output, float *gradient,
                            tare_loss_sum *sum, uint8_t *correct, tare_error *error);
/* Asks for batch `index` and checks what came; failures of the callback pass through. */
tare_status tare_fetch_batch(const tare_net *net, const tare_loss_kind *kind, tare_batch_fn batches, void *user, uint64_t index,
                             tare_batch *batch, tare_error *error);

#endif
