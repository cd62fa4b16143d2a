/* SPDX-License-Identifier: Apache-2.0 */
/* How a pass runs: stages shard by shard on the pool, joins between, sums in a fixed tree. */
#include "base/alloc.h"
#include "net/ranks.h"

int tare_shard_images(const tare_net *net, int shard) {
  int left = net->count - shard * TARE_SHARD_IMAGES;
  return left < TARE_SHARD_IMAGES ? left : TARE_SHARD_IMAGES;
}

void *tare_at(const tare_net *net, const void *array, size_t elements) { return (char *)array + elements * net->real; }

void *tare_layer_y(const tare_net *net, const tare_layer *layer, int shard) {
  return tare_at(net, layer->output, (size_t)shard * layer->stride);
}
void *tare_layer_x(const tare_net *net, const tare_layer *layer, int shard) { return tare_layer_y(net, layer->below, shard); }

static void *gradient_at(const tare_net *net, int slot, int shard) {
  return tare_at(net, net->gradient[slot], (size_t)shard * net->gradient_stride);
}

void *tare_layer_dy(const tare_net *net, const tare_layer *layer, int shard) { return gradient_at(net, layer->slot_dy, shard); }
void *tare_layer_dx(const tare_net *net, const tare_layer *layer, int shard) { return gradient_at(net, layer->slot_dx, shard); }

void tare_net_note(tare_net *net, tare_status status) {
  if (status) atomic_store(&net->failed, (int)status);
}

static void add_stage(tare_stages *stages, tare_layer *layer, tare_shard_fn shard, tare_join_fn join) {
  if (shard || join) stages->list[stages->count++] = (tare_stage){layer, shard, join};
}

/* The lowest layer that backward reaches. */
static int lowest(const tare_net *net) {
  for (int i = 1; i < net->layer_count; i++)
    if (net->layers[i]->trains || net->layers[i]->needs_dx) return i;
  return net->layer_count;
}

tare_status tare_net_stages(tare_net *net, tare_error *error) {
  size_t most = 2 * (size_t)net->layer_count;
  tare_free(net->forward.list);
  tare_free(net->backward.list);
  net->forward.count = net->backward.count = 0;
  net->forward.list = tare_alloc(most, sizeof(tare_stage));
  net->backward.list = tare_alloc(most, sizeof(tare_stage));
  if (!net->forward.list || !net->backward.list) return tare_fail_memory(error, most * sizeof(tare_stage), "the stages of a network");
  for (int i = 0; i < net->layer_count; i++) {
    tare_layer *layer = net->layers[i];
    if (layer->skip) continue;
    add_stage(&net->forward, layer, layer->ops->forward, layer->ops->forward_join);
    add_stage(&net->forward, layer, layer->ops->forward_after, NULL);
  }
  for (int i = net->layer_count - 1; i >= lowest(net); i--) {
    tare_layer *layer = net->layers[i];
    if (layer->skip) continue;
    add_stage(&net->backward, layer, layer->ops->backward, net->exchange && layer->ops->send ? layer->ops->send : layer->ops->backward_join);
    add_stage(&net->backward, layer, layer->ops->backward_after, NULL);
  }
  return TARE_OK;
}

static void run_shard(void *user, int shard, int worker) {
  tare_net *net = user;
  for (int i = 0; i < net->running_count; i++) {
    const tare_stage *stage = &net->running[i];
    if (stage->shard) stage->shard(net, stage->layer, shard, worker);
  }
}

static tare_status run_stages(tare_net *net, const tare_stage *list, int count, tare_error *error) {
  atomic_store(&net->failed, TARE_OK);
  for (int first = 0, end; first < count; first = end) {
    for (end = first + 1; end < count && !list[end - 1].join; end++) continue;
    net->running = list + first;
    net->running_count = end - first;
    tare_pool_run(net->pool, net->shards, run_shard, net);
    if (list[end - 1].join) list[end - 1].join(net, list[end - 1].layer);
  }
  tare_status failed = (tare_status)atomic_load(&net->failed);
  if (failed && net->exchange && net->exchange->error.status) {
    if (error) *error = net->exchange->error;
    return failed;
  }
  return failed ? tare_fail(error, failed, "a convolution failed in the library underneath") : TARE_OK;
}

tare_status tare_net_run(tare_net *net, const tare_stages *stages, tare_error *error) {
  return run_stages(net, stages->list, stages->count, error);
}

tare_status tare_net_forward_to(tare_net *net, const tare_layer *layer, const void *images, int count, tare_mode mode, uint64_t step,
                                tare_error *error) {
  net->images = images;
  net->count = count;
  net->shards = (count + TARE_SHARD_IMAGES - 1) / TARE_SHARD_IMAGES;
  net->mode = mode;
  net->step = step;
  int stages = 0;
  while (stages < net->forward.count && net->forward.list[stages].layer != layer) stages++;
  return run_stages(net, net->forward.list, stages, error);
}

tare_status tare_net_refresh(tare_net *net, tare_error *error) {
  if (!net->stale) return TARE_OK;
  for (int i = 0; i < net->layer_count; i++) {
    tare_layer *layer = net->layers[i];
    tare_status status = layer->ops->refresh ? layer->ops->refresh(net, layer, error) : TARE_OK;
    if (status) return status;
  }
  net->stale = 0;
  return TARE_OK;
}

typedef struct pieces { size_t total, chunk; tare_piece_fn run; void *user; } pieces;

static void run_piece(void *user, int job, int worker) {
  (void)worker;
  const pieces *p = user;
  size_t first = (size_t)job * p->chunk, left = p->total - first;
  p->run(p->user, first, left < p->chunk ? left : p->chunk);
}

void tare_net_pieces(tare_net *net, size_t total, size_t chunk, tare_piece_fn run, void *user) {
  pieces p = {total, chunk ? chunk : 1, run, user};
  tare_pool_run(net->pool, (int)((total + p.chunk - 1) / p.chunk), run_piece, &p);
}

typedef struct tree { const tare_net *net; void *base; size_t stride; int arrays; } tree;

static void add_piece(void *user, size_t first, size_t count) {
  const tree *t = user;
  for (int step = 1; step < t->arrays; step *= 2)
    for (int i = 0; i + step < t->arrays; i += 2 * step)
      t->net->kernels->add(count, tare_at(t->net, t->base, (size_t)(i + step) * t->stride + first),
                           tare_at(t->net, t->base, (size_t)i * t->stride + first));
}

void tare_net_tree(tare_net *net, void *base, size_t stride, size_t n, int arrays) {
  enum { CHUNK = 1 << 14 }; /* elements: a few microseconds of work */
  tree t = {net, base, stride, arrays};
  if (arrays > 1) tare_net_pieces(net, n, CHUNK, add_piece, &t);
}
