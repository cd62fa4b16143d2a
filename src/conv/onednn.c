/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate onednn: oneDNN's own convolutions. */
#include "onednn/onednn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "conv/candidate.h"

enum { OVERHEAD = 6500 }; /* cycles of a call, measured */

/*
 * oneDNN's implementations by the words in their names: the share of the machine's
 * peak that each pass (forward, backward data, backward weights) reaches with full vectors, and the cycles that each vector
 * of the result costs beside (doc/conv.md has the measurements); and the most that forward (and the depthwise kernels) reach for each
 * vector of channels: fewer accumulators, more loads.
 */
static const struct speed { const char *word; double share[3], vector[3], forward_share_a_vector; } speeds[] = {
  {"gemm", {0.12, 0.12, 0.12}, {0, 0, 0}, 1},
  {"jit_1x1:avx2", {0.85, 0.92, 0.6}, {2, 5, 0}, 0.5},
  {"jit_1x1", {0.98, 0.88, 0.7}, {2, 5, 0}, 1},
  {"jit:avx2", {0.72, 0.8, 0.77}, {4, 4, 4}, 0.4},
  {"jit_dw", {0.43, 0.43, 0.46}, {3, 3, 3}, 0.22},
  {"jit", {0.91, 0.91, 0.89}, {4, 4, 4}, 1},
  {"brgconv_1x1", {0.98, 0.88, 0.7}, {2, 5, 0}, 1},
  {"brgconv", {0.92, 0.91, 0.89}, {6, 4, 4}, 1},
  {"brdgmm", {0.43, 0.43, 0.43}, {3, 3, 3}, 0.22},
  {"", {0.005, 0.005, 0.005}, {0, 0, 0}, 1}, /* plain loops */
};

static int lanes_of(const char *name) {
  int lanes = tare_onednn_lanes();
  return lanes > 8 && strstr(name, "avx2") ? 8 : lanes;
}

/* The share of the filters' rows that lie on the image: oneDNN leaves out the others. */
static double rows_inside(const tare_conv_problem *p) {
  int outputs = tare_conv_output_size(p, 0), inside = 0;
  for (int i = 0; i < outputs; i++)
    for (int k = 0; k < p->kernel[0]; k++) {
      int row = i * p->stride[0] - p->pad[0] + k * p->dilation[0];
      inside += row >= 0 && row < p->size[0];
    }
  return (double)inside / ((double)outputs * p->kernel[0]);
}

/*
 * oneDNN lays the channels that are written across the vectors (backward
 * weights: the outputs). Channels of one group only, but for depthwise kernels, where the groups lie side by side.
 */
static double cycles_of(const tare_conv_problem *p, tare_pass pass, const char *name) {
  const struct speed *s = speeds;
  while (!strstr(name, s->word)) s++;
  int i = pass == TARE_FORWARD ? 0 : pass == TARE_BACKWARD_DATA ? 1 : 2, depthwise = strstr(name, "dw") != NULL;
  int lanes = lanes_of(name), across = depthwise ? p->groups : (i == 1 ? p->channels : p->outputs) / p->groups;
  int vectors = (across + lanes - 1) / lanes;
  double share = s->share[i], fill = (double)across / (vectors * lanes), places = (double)p->batch * (double)tare_conv_output_pixels(p);
  if ((i == 0 || depthwise) && s->forward_share_a_vector * vectors < share) share = s->forward_share_a_vector * vectors;
  if (i == 1) places = (double)p->batch * (double)tare_conv_pixels(p);
  double results = places * vectors * (depthwise ? 1 : p->groups);
  return tare_conv_flops(p) * rows_inside(p) / (4 * lanes * share * fill) + results * s->vector[i] + tare_conv_memory_cycles(p) + OVERHEAD;
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
  verdict->error = tare_conv_chain_error(tare_conv_terms(p, pass), strstr(name, "gemm") ? TARE_ONEDNN_SGEMM_CHAIN : INFINITY);
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
