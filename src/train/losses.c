/* SPDX-License-Identifier: Apache-2.0 */
/* Losses: one row each. In double, image after image within a shard of 8, shards in a fixed tree: the same sum for any number of threads and ranks. */
#include <math.h>

#include "base/error.h"
#include "train/tables.h"

static size_t largest(size_t size, const float *values) {
  size_t at = 0;
  for (size_t i = 1; i < size; i++)
    if (values[i] > values[at]) at = i;
  return at;
}

/* log sum exp(z) - z[label], the largest z taken out first; d / dz = softmax(z) - 1 at the label. */
static double cross_entropy(size_t size, const float *z, int32_t label, const float *target, double scale, float *gradient, int *right) {
  (void)target;
  size_t top = largest(size, z);
  double most = (double)z[top], sum = 0;
  for (size_t i = 0; i < size; i++) sum += exp((double)z[i] - most);
  for (size_t i = 0; gradient && i < size; i++)
    gradient[i] = (float)(scale * (exp((double)z[i] - most) / sum - (i == (size_t)label)));
  *right = top == (size_t)label;
  return log(sum) + most - (double)z[label];
}

/* The mean over the image's values of (y - target)^2. */
static double squared_error(size_t size, const float *y, int32_t label, const float *target, double scale, float *gradient, int *right) {
  (void)label;
  double sum = 0;
  for (size_t i = 0; i < size; i++) {
    double difference = (double)y[i] - (double)target[i];
    sum += difference * difference;
    if (gradient) gradient[i] = (float)(scale * 2 * difference / (double)size);
  }
  *right = 0;
  return sum / (double)size;
}

static const tare_loss_kind losses[] = {
  [TARE_LOSS_CROSS_ENTROPY] = {"cross-entropy", 1, cross_entropy},
  [TARE_LOSS_MSE] = {"mean-squared-error", 0, squared_error},
};

const tare_loss_kind *tare_loss_kind_at(tare_loss loss) { return (unsigned)loss < sizeof losses / sizeof *losses ? &losses[loss] : NULL; }

/* Shards of the net: a rank's share is a subtree of the batch's tree. */
enum { SHARD = 8, LEVELS = 32 };

/* A tree over shards: sums of 1, 2, 4, ... shards wait for their neighbours, as a binary counter's digits do. */
typedef struct tree { double waiting[LEVELS]; size_t shards; } tree;

static void add_shard(tree *t, double sum) {
  int level = 0;
  for (size_t n = t->shards++; n & 1; n >>= 1) sum += t->waiting[level++];
  t->waiting[level] = sum;
}

static double whole(const tree *t) {
  double sum = 0;
  for (int level = 0; level < LEVELS; level++)
    if (t->shards >> level & 1) sum += t->waiting[level];
  return sum;
}

tare_status tare_loss_batch(const tare_loss_kind *kind, size_t size, const tare_batch *batch, int ranks, const float *output, float *gradient,
                            tare_loss_sum *sum, uint8_t *correct, tare_error *error) {
  double scale = 1.0 / ((double)batch->count * ranks), shard = 0;
  tree t = {.shards = 0};
  for (size_t i = 0; i < (size_t)batch->count; i++) {
    int32_t label = kind->classifies ? batch->labels[i] : 0;
    int right;
    if (label < 0 || (size_t)label >= size)
      return tare_fail(error, TARE_E_DATA, "image %zu of a batch has label %d, the network gives %zu values: expected 0 to %zu", i,
                       (int)label, size, size - 1);
    shard += kind->image(size, output + i * size, label, kind->classifies ? NULL : batch->targets + i * size, scale,
                             gradient ? gradient + i * size : NULL, &right);
    sum->right += (size_t)right;
    if (correct) correct[i] = (uint8_t)right;
    if ((i + 1) % SHARD && i + 1 < (size_t)batch->count) continue;
    add_shard(&t, shard);
    shard = 0;
  }
  sum->loss += whole(&t);
  sum->images += (size_t)batch->count;
  return TARE_OK;
}

tare_status tare_fetch_batch(const tare_net *net, const tare_loss_kind *kind, tare_batch_fn batches, void *user, uint64_t index,
                             tare_batch *batch, tare_error *error) {
  int most = tare_net_get_options(net)->batch;
  unsigned long long number = index;
  *batch = (tare_batch){0};
  tare_status status = batches(user, index, batch, error);
  if (status) return status;
  if (batch->count < 1 || batch->count > most)
    return tare_fail(error, TARE_E_ARGUMENT, "batch %llu has %d images, this network takes 1 to %d", number, batch->count, most);
  if (!batch->images) return tare_fail(error, TARE_E_ARGUMENT, "batch %llu has no images", number);
  if (!(kind->classifies ? (const void *)batch->labels : batch->targets))
    return tare_fail(error, TARE_E_ARGUMENT, "batch %llu has no %s: %s needs them", number, kind->classifies ? "labels" : "targets",
                     kind->name);
  return TARE_OK;
}
