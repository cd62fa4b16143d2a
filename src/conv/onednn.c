/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate onednn: oneDNN's own convolutions. */
#include "onednn/onednn.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "conv/candidate.h"

enum { OVERHEAD = 4000 }; /* cycles of a call, measured */

/*
 * oneDNN's implementations by the words in their names: the share of the machine's
 * peak that each pass (forward, backward data, backward weights) reaches with full vectors (doc/conv.md has the measurements); and the
 * most that forward reaches for each vector of output channels in a group: fewer accumulators, more loads.
 */
static const struct speed { const char *word; double share[3], forward_share_a_vector; } speeds[] = {
  {"gemm", {0.12, 0.12, 0.12}, 1},
  {"jit_1x1:avx2", {0.85, 0.92, 0.6}, 0.5},
  {"jit_1x1", {0.7, 0.65, 0.6}, 1},
  {"jit:avx2", {0.72, 0.8, 0.77}, 0.4},
  {"jit_dw", {0.5, 0.5, 0.5}, 1},
  {"jit", {0.8, 0.8, 0.8}, 1},
  {"brgconv", {0.8, 0.8, 0.8}, 1},
  {"brdgmm", {0.4, 0.4, 0.4}, 1},
  {"", {0.005, 0.005, 0.005}, 1}, /* plain loops */
};

static int lanes_of(const char *name) {
  int lanes = tare_onednn_lanes();
  return lanes > 8 && strstr(name, "avx2") ? 8 : lanes;
}

/*
 * oneDNN lays the channels that are written across the vectors (backward
 * weights: the outputs). Channels of one group only, but for depthwise kernels, where the groups lie side by side.
 */
static double cycles_of(const tare_conv_problem *p, tare_pass pass, const char *name) {
  const struct speed *s = speeds;
  while (!strstr(name, s->word)) s++;
  int lanes = lanes_of(name), across = (pass == TARE_BACKWARD_DATA ? p->channels : p->outputs) / p->groups;
  if (strstr(name, "dw")) across = p->groups;
  int vectors = (across + lanes - 1) / lanes;
  double share = s->share[pass == TARE_FORWARD ? 0 : pass == TARE_BACKWARD_DATA ? 1 : 2], fill = (double)across / (vectors * lanes);
  if (pass == TARE_FORWARD && s->forward_share_a_vector * vectors < share) share = s->forward_share_a_vector * vectors;
  return tare_conv_flops(p) / (4 * lanes * share * fill) + OVERHEAD;
}

static void judge(const tare_query *query, tare_verdict *verdict) {
  const tare_conv_problem *p = &query->problem;
  tare_pass pass = (tare_pass)query->passes;
  char name[sizeof verdict->reason - 8];
  tare_error error;
  if (tare_onednn_conv_probe(p, pass, name, sizeof name, &error)) {
    verdict->cycles = -1;
    snprintf(verdict->reason, sizeof verdict->reason, "%.*s", (int)sizeof verdict->reason - 1, error.message);
    return;
  }
  verdict->cycles = cycles_of(p, pass, name);
  snprintf(verdict->reason, sizeof verdict->reason, "%s", name);
}

struct own { tare_onednn_conv *conv; float *no_bias; };

static void drop(tare_ready *r) {
  struct own *own = r->own;
  if (!own) return;
  tare_onednn_conv_free(own->conv);
  tare_free(own->no_bias);
  tare_free(own);
}

static tare_status create(tare_ready *r, tare_error *error) {
  struct own *own = r->own = tare_alloc(1, sizeof *own);
  if (own) own->no_bias = tare_alloc((size_t)r->query.problem.outputs, sizeof(float));
  if (!own || !own->no_bias) return tare_fail_memory(error, (size_t)r->query.problem.outputs * sizeof(float), "a convolution plan");
  tare_status status = tare_onednn_conv_create(&r->query.problem, (tare_pass)r->query.passes, &own->conv, error);
  if (status) return status;
  *(r->query.passes == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = tare_onednn_conv_weights(own->conv);
  r->workspace = tare_onednn_conv_workspace(own->conv);
  return TARE_OK;
}

static tare_status prepare(const tare_ready *r, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  const struct own *own = r->own;
  return tare_onednn_conv_pack(own->conv, weights, prepared);
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  (void)workspace, (void)pool;
  const struct own *own = r->own;
  return tare_onednn_conv_unpack(own->conv, partial, dweights);
}

static tare_status run(const tare_ready *r, int passes, const tare_call *c) {
  const struct own *own = r->own;
  if (passes == TARE_FORWARD)
    return tare_onednn_conv_run(own->conv, c->x, c->prepared, c->bias ? c->bias : own->no_bias, c->y, c->workspace);
  if (passes == TARE_BACKWARD_DATA) return tare_onednn_conv_run(own->conv, c->dy, c->prepared, NULL, c->dx, c->workspace);
  return tare_onednn_conv_run(own->conv, c->x, c->dy, NULL, c->partial, c->workspace);
}

const tare_candidate tare_candidate_onednn = {
  .name = "onednn", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_VALID,
  .judge = judge, .create = create, .free = drop, .prepare = prepare, .run = run, .finish = finish,
};
