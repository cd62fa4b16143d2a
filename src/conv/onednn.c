/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate onednn: oneDNN's own convolutions. */
#include "onednn/onednn.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "conv/candidate.h"

/* oneDNN's implementations by the words in their names, and the share of the machine's peak that each was measured to reach (doc/conv.md). */
static const struct speed { const char *word; double share; } speeds[] = {
  {"gemm", 0.12},
  {"jit", 0.8},
  {"brg", 0.8},
  {"brd", 0.5},
  {"", 0.005}, /* plain loops */
};

static double share_of(const char *name) {
  const struct speed *s = speeds;
  while (!strstr(name, s->word)) s++;
  return s->share;
}

/* How much of the vectors is filled: oneDNN lays the channels that are written (forward, backward weights: outputs) across them; groups of one channel lie side by side. */
static double fill_of(const tare_conv_problem *p, tare_pass pass, int lanes) {
  int across = (pass == TARE_BACKWARD_DATA ? p->channels : p->outputs) / p->groups;
  if (p->channels == p->groups && p->outputs == p->groups && pass != TARE_BACKWARD_WEIGHTS) across = p->groups;
  return (double)across / ((across + lanes - 1) / lanes * lanes);
}

static void judge(const tare_conv_problem *p, tare_pass pass, tare_verdict *verdict) {
  char name[sizeof verdict->reason - 8];
  tare_error error;
  tare_status status = tare_onednn_conv_probe(p, pass, name, sizeof name, &error);
  if (status) {
    *verdict = (tare_verdict){.cycles = -1};
    snprintf(verdict->reason, sizeof verdict->reason, "%.*s", (int)sizeof verdict->reason - 1, error.message);
    return;
  }
  int lanes = tare_onednn_lanes();
  verdict->cycles = tare_conv_flops(p) / (4 * lanes * share_of(name) * fill_of(p, pass, lanes));
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
  if (own) own->no_bias = tare_alloc((size_t)r->problem.outputs, sizeof(float));
  if (!own || !own->no_bias) return tare_fail_memory(error, (size_t)r->problem.outputs * sizeof(float), "a convolution plan");
  tare_status status = tare_onednn_conv_create(&r->problem, r->pass, &own->conv, error);
  if (status) return status;
  *(r->pass == TARE_BACKWARD_WEIGHTS ? &r->partial : &r->prepared) = tare_onednn_conv_weights(own->conv);
  r->workspace = tare_onednn_conv_workspace(own->conv);
  return TARE_OK;
}

static tare_status prepare(const tare_ready *r, const void *weights, void *prepared) {
  const struct own *own = r->own;
  return tare_onednn_conv_pack(own->conv, weights, prepared);
}

static tare_status finish(const tare_ready *r, const void *partial, void *dweights) {
  const struct own *own = r->own;
  return tare_onednn_conv_unpack(own->conv, partial, dweights);
}

static tare_status run(const tare_ready *r, const void *a, const void *b, const void *bias, void *out, void *workspace) {
  const struct own *own = r->own;
  return tare_onednn_conv_run(own->conv, a, b, bias ? bias : own->no_bias, out, workspace);
}

const tare_candidate tare_candidate_onednn = {
  .name = "onednn", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_VALID,
  .judge = judge, .create = create, .free = drop, .prepare = prepare, .run = run, .finish = finish,
};
