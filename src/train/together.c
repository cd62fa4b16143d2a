/* SPDX-License-Identifier: Apache-2.0 */
/* A training with other ranks: what rank 0 knows reaches all, sums of the loss, a common stop. Alone, each does nothing. */
#include "train/together.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

int tare_together_count(const tare_trainer *t) { return t->ranks ? t->ranks->count : 1; }
int tare_together_leads(const tare_trainer *t) { return !t->ranks || t->ranks->rank == 0; }

/* What comes before the arrays. */
typedef struct header {
  tare_error error; /* of rank 0: then nothing follows */
  uint64_t step, scales, skipped;
  double last_loss;
  int found, in_a_row;
} header;

static tare_status from_first(const tare_trainer *t, void *data, size_t bytes, tare_error *error) {
  return bytes ? t->ranks->broadcast(t->ranks->self, data, bytes, error) : TARE_OK;
}

static tare_status share_scales(tare_trainer *t, size_t count, tare_error *error) {
  const double *own;
  double *scales = tare_alloc(count, sizeof *scales);
  if (!scales) return tare_fail_memory(error, count * sizeof *scales, "the scales of a start");
  tare_status status = TARE_OK;
  if (tare_together_leads(t)) {
    status = tare_net_get_scales(t->net, &own, &count, error);
    if (!status) memcpy(scales, own, count * sizeof *scales);
  }
  if (!status) status = from_first(t, scales, count * sizeof *scales, error);
  if (!status && !tare_together_leads(t)) status = tare_net_set_scales(t->net, scales, count, error);
  tare_free(scales);
  return status;
}

static tare_status share_arrays(tare_trainer *t, tare_error *error) {
  size_t parameters = tare_net_parameter_count(t->net) * sizeof(float);
  tare_status status = from_first(t, tare_net_parameters(t->net), parameters, error);
  if (!status) status = from_first(t, tare_net_state(t->net), tare_net_state_count(t->net) * sizeof(float), error);
  for (int i = 0; i < TARE_OPTIMIZER_STATES && t->state[i] && !status; i++) status = from_first(t, t->state[i], parameters, error);
  return status;
}

tare_status tare_together_share(tare_trainer *t, tare_status status, const tare_error *why, int *found, tare_error *error) {
  if (tare_together_count(t) == 1) {
    if (status && error) *error = *why;
    return status;
  }
  header h = {.step = t->step, .last_loss = t->last_loss, .found = *found, .skipped = t->skipped, .in_a_row = t->in_a_row};
  if (tare_together_leads(t)) {
    const double *scales;
    size_t count = 0;
    if (!status && *found) status = tare_net_get_scales(t->net, &scales, &count, &h.error);
    else if (status) h.error = *why;
    h.scales = count;
  }
  status = from_first(t, &h, sizeof h, error);
  if (status) return status;
  if (h.error.status) {
    if (error) *error = h.error;
    return h.error.status;
  }
  *found = h.found;
  if (!h.found) return TARE_OK;
  t->step = t->first = h.step;
  t->last_loss = h.last_loss;
  t->skipped = h.skipped;
  t->in_a_row = h.in_a_row;
  t->started = 1;
  status = share_scales(t, (size_t)h.scales, error);
  return status ? status : share_arrays(t, error);
}

tare_status tare_together_images(const tare_trainer *t, const tare_batch *share, size_t pixels, float *whole, tare_error *error) {
  size_t bytes = (size_t)share->count * pixels * sizeof *whole;
  if (tare_together_count(t) > 1) return t->ranks->gather(t->ranks->self, share->images, bytes, whole, error);
  memcpy(whole, share->images, bytes);
  return TARE_OK;
}

/* In the tree over ranks, of which each has summed its own subtree (losses.c). */
tare_status tare_together_sum(const tare_trainer *t, tare_loss_sum *sum, tare_error *error) {
  int count = tare_together_count(t);
  if (count == 1) return TARE_OK;
  tare_loss_sum *all = tare_alloc((size_t)count, sizeof *all);
  if (!all) return tare_fail_memory(error, (size_t)count * sizeof *all, "the losses of all ranks");
  tare_status status = t->ranks->gather(t->ranks->self, sum, sizeof *sum, all, error);
  for (int step = 1; step < count && !status; step *= 2)
    for (int i = 0; i + step < count; i += 2 * step) {
      all[i].loss += all[i + step].loss;
      all[i].right += all[i + step].right;
      all[i].images += all[i + step].images;
    }
  if (!status) *sum = all[0];
  tare_free(all);
  return status;
}

tare_status tare_together_any(const tare_trainer *t, int *flag, tare_error *error) {
  int count = tare_together_count(t), any = 0;
  if (count == 1) return TARE_OK;
  int *all = tare_alloc((size_t)count, sizeof *all);
  if (!all) return tare_fail_memory(error, (size_t)count * sizeof *all, "what the ranks say");
  tare_status status = t->ranks->gather(t->ranks->self, flag, sizeof *flag, all, error);
  for (int i = 0; i < count && !status; i++) any |= all[i] != 0;
  if (!status) *flag = any;
  tare_free(all);
  return status;
}
