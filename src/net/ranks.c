/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over ranks. A rank's shards form a subtree of the tree over all shards of the batch (its
 * share is a power of two of them), so adding the ranks' sums in the same
 * tree (neighbours, then neighbouring pairs, ...) gives the bits of one process with the whole batch.
 *
 * Gradients go in buckets: every rank sums one part of a bucket for all (an
 * exchange of parts, the sum in the tree), then the sums are
 * collected: twice the bucket's size over the wire for any number of ranks,
 * as in a ring (Patarasuk & Yuan 2009), but in an order that does not depend on their number.
 * A bucket leaves as soon as its layers have their gradients, while backward goes on below.
 */
#include "net/ranks.h"

#include <string.h>

#include "base/alloc.h"
#include "net/layers.h"

enum { BUCKET = 1 << 16 }; /* elements: 256 KB in float, which a message's latency does not dominate */
enum { FILLING, EXCHANGING, COLLECTING, READY };

const tare_ranks *tare_net_ranks(const tare_net *net) { return net->exchange ? net->exchange->ranks : NULL; }

int tare_net_all_images(const tare_net *net) { return net->count * (net->exchange ? net->exchange->ranks->count : 1); }
int tare_net_first_image(const tare_net *net) { return net->exchange ? net->count * net->exchange->ranks->rank : 0; }

/* Everybody's `bytes` bytes; NULL after a failure. The caller frees them. */
static void *gather(tare_net *net, const void *mine, size_t bytes) {
  struct tare_exchange *x = net->exchange;
  void *all = tare_alloc((size_t)x->ranks->count, bytes);
  tare_status status = all ? x->ranks->gather(x->ranks->self, mine, bytes, all, &x->error)
                           : tare_fail_memory(&x->error, (size_t)x->ranks->count * bytes, "the sums of all ranks");
  if (!status) return all;
  tare_net_note(net, status);
  tare_free(all);
  return NULL;
}

void tare_ranks_add(tare_net *net, double *values, size_t count) {
  const tare_ranks *ranks = tare_net_ranks(net);
  double *all = ranks ? gather(net, values, count * sizeof *values) : NULL;
  if (!all) return;
  tare_rows_tree(all, count, ranks->count);
  memcpy(values, all, count * sizeof *values);
  tare_free(all);
}

/* On the wire: mean, squares, count. */
void tare_ranks_moments(tare_net *net, int channels, tare_moments *moments) {
  const tare_ranks *ranks = tare_net_ranks(net);
  if (!ranks || ranks->own_statistics || net->mode != TARE_MODE_TRAIN) return;
  size_t c = (size_t)channels, each = 2 * c + 1;
  double *mine = tare_alloc(each, sizeof *mine), *all = NULL;
  tare_moments *list = tare_alloc((size_t)ranks->count, sizeof *list);
  if (!mine || !list) {
    tare_net_note(net, tare_fail_memory(&net->exchange->error, each * sizeof *mine, "the moments of all ranks"));
  } else {
    memcpy(mine, moments->mean, c * sizeof *mine);
    memcpy(mine + c, moments->squares, c * sizeof *mine);
    mine[2 * c] = moments->count;
    all = gather(net, mine, each * sizeof *mine);
  }
  for (int r = 0; all && r < ranks->count; r++) {
    double *at = all + (size_t)r * each;
    list[r] = (tare_moments){.count = at[2 * c], .mean = at, .squares = at + c};
  }
  if (all) {
    tare_moments_tree(channels, list, ranks->count);
    memcpy(moments->mean, list[0].mean, c * sizeof *mine);
    memcpy(moments->squares, list[0].squares, c * sizeof *mine);
    moments->count = list[0].count;
  }
  tare_free(mine);
  tare_free(all);
  tare_free(list);
}

/* One step further, if the transport is that far; `wait`: to the end. */
static void advance(tare_net *net, tare_bucket *bucket, int wait) {
  struct tare_exchange *x = net->exchange;
  const tare_ranks *ranks = x->ranks;
  size_t bytes = bucket->chunk * net->real;
  while (bucket->stage == EXCHANGING || bucket->stage == COLLECTING) {
    int done = 0;
    tare_status status = ranks->finish(ranks->self, &bucket->request, wait, &done, &x->error);
    if (!status && !done) return;
    if (!status && bucket->stage == EXCHANGING) {
      tare_net_tree(net, bucket->parts, bucket->chunk, bucket->chunk, ranks->count);
      status = ranks->collect(ranks->self, bucket->parts, bytes, bucket->values, &bucket->request, &x->error);
    }
    if (status) tare_net_note(net, status);
    bucket->stage = status ? READY : bucket->stage + 1;
  }
}

static void advance_all(tare_net *net) {
  for (int i = 0; i < net->exchange->count; i++) advance(net, &net->exchange->buckets[i], 0);
}

static void *place(const tare_net *net, const tare_layer *layer) {
  return tare_at(net, net->exchange->buckets[layer->bucket].values, layer->bucket_at);
}

void tare_ranks_send(tare_net *net, const tare_layer *layer, const void *values, size_t n) {
  struct tare_exchange *x = net->exchange;
  tare_bucket *bucket = &x->buckets[layer->bucket];
  memcpy(place(net, layer), values, n * net->real);
  bucket->stage = FILLING;
  if (++bucket->filled == bucket->layers) {
    bucket->filled = 0;
    tare_status status = x->ranks->exchange(x->ranks->self, bucket->values, bucket->chunk * net->real, bucket->parts, &bucket->request, &x->error);
    if (status) tare_net_note(net, status);
    bucket->stage = status ? READY : EXCHANGING;
  }
  advance_all(net);
}

void tare_ranks_receive(tare_net *net, const tare_layer *layer, void *values, size_t n) {
  advance(net, &net->exchange->buckets[layer->bucket], 1);
  memcpy(values, place(net, layer), n * net->real);
}

void tare_exchange_free(struct tare_exchange *x) {
  if (!x) return;
  for (int i = 0; i < x->count; i++) {
    tare_free(x->buckets[i].values);
    tare_free(x->buckets[i].parts);
  }
  tare_free(x->buckets);
  tare_free(x);
}

/* Layers from the top, as backward meets them, until a bucket is full. */
static void deal(tare_net *net, struct tare_exchange *x) {
  for (int i = net->layer_count - 1; i >= 0; i--) {
    tare_layer *layer = net->layers[i];
    size_t n = tare_layer_sent(layer);
    if (n == 0) continue;
    if (x->count == 0 || x->buckets[x->count - 1].size >= BUCKET) x->count++;
    tare_bucket *bucket = &x->buckets[x->count - 1];
    layer->bucket = x->count - 1;
    layer->bucket_at = bucket->size;
    bucket->size += n;
    bucket->layers++;
  }
}

static tare_status make_buckets(tare_net *net, struct tare_exchange *x, tare_error *error) {
  x->buckets = tare_alloc((size_t)net->layer_count, sizeof *x->buckets);
  if (!x->buckets) return tare_fail_memory(error, (size_t)net->layer_count * sizeof *x->buckets, "the gradients of all ranks");
  deal(net, x);
  for (int i = 0; i < x->count; i++) {
    tare_bucket *bucket = &x->buckets[i];
    size_t ranks = (size_t)x->ranks->count;
    bucket->chunk = ((bucket->size + ranks - 1) / ranks + 15) / 16 * 16;
    bucket->values = tare_alloc(bucket->chunk * ranks, net->real);
    bucket->parts = tare_alloc(bucket->chunk * ranks, net->real);
    if (!bucket->values || !bucket->parts) return tare_fail_memory(error, 2 * bucket->chunk * ranks * net->real, "the gradients of all ranks");
  }
  return TARE_OK;
}

tare_status tare_ranks_share(const tare_ranks *ranks, int batch, int *share, tare_error *error) {
  if (!ranks || !share || batch < 1 || ranks->count < 1 || ranks->rank < 0 || ranks->rank >= ranks->count)
    return tare_fail(error, TARE_E_ARGUMENT, "a share of %d images needs ranks 0 to count-1, a place for it, and an image", batch);
  int count = ranks->count, images = batch / count, shards = images / TARE_SHARD_IMAGES;
  int in_tree = images % TARE_SHARD_IMAGES == 0 && shards > 0 && (shards & (shards - 1)) == 0;
  if (batch % count || (count > 1 && !in_tree))
    return tare_fail(error, TARE_E_ARGUMENT,
                     "a batch of %d on %d ranks: expected %d, %d, %d, ...: each rank takes 8 times a power of two, so that the sum over ranks is that of one",
                     batch, count, TARE_SHARD_IMAGES * count, 2 * TARE_SHARD_IMAGES * count, 4 * TARE_SHARD_IMAGES * count);
  *share = images;
  return TARE_OK;
}

tare_status tare_net_set_ranks(tare_net *net, const tare_ranks *ranks, tare_error *error) {
  if (!net) return tare_fail(error, TARE_E_ARGUMENT, "ranks need a network; it is NULL");
  tare_exchange_free(net->exchange);
  net->exchange = NULL;
  struct tare_exchange *x = NULL;
  tare_status status = TARE_OK;
  if (ranks && ranks->count != 1) {
    int share;
    int64_t batch = (int64_t)net->options.batch * (ranks->count > 0 ? ranks->count : 1);
    status = tare_ranks_share(ranks, batch > INT32_MAX ? 0 : (int)batch, &share, error);
    if (!status && !(x = tare_alloc(1, sizeof *x))) status = tare_fail_memory(error, sizeof *x, "ranks");
    if (!status) {
      x->ranks = ranks;
      status = make_buckets(net, x, error);
    }
    if (status) tare_exchange_free(x);
    else net->exchange = x;
  }
  tare_status again = tare_net_stages(net, status ? NULL : error);
  return status ? status : again;
}
