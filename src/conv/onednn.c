/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate onednn: oneDNN's own convolutions. */
#include "onednn/onednn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/pass.h"
#include "conv/candidate.h"

/*
 * Cycles of oneDNN's implementations, by the words in their names and by pass (forward, backward data, backward weights): a call;
 * a multiplication and addition of vectors (`alone`: where the result has one vector of channels, if that is slower); a vector of the result; a
 * step: each filter tap for each row of outputs, where a product of small matrices is begun; a weight, packed or unpacked;
 * images and outputs beyond the cache, in units of reading them once. A fit to measured times (doc/conv.md).
 */
typedef struct rate { double call, operation, alone, result, step, weight, beyond; } rate;
typedef struct speed { const char *word; rate passes[TARE_PASSES]; double older[TARE_PASSES]; } speed; /* older: tare_conv_cycles_here */
static const speed speeds[] = {
  /* a step: an element of the matrix of patches */
  {"gemm", {{5000, 1.3, 0, 0, 1, 4, 1}, {35000, 1.1, 0, 0, 0.6, 0.7, 1}, {5000, 0.65, 0, 0, 2.7, 5.8, 1}}, {0.85, 0.98, 1.09}},
  {"jit_1x1", {{5100, 0.52, 0, 0.6, 0, 1.2, 1}, {4500, 0.53, 0.8, 1.5, 0, 0, 1}, {4900, 0.51, 0, 1.2, 0, 0.8, 1}}, {1.19, 1.05, 1.12}},
  {"jit_dw", {{5600, 0.66, 0, 1.7, 2, 1.1, 1}, {8300, 0.51, 0, 1.45, 0, 0, 1}, {5500, 0.58, 0, 2.7, 0, 1, 1}}, {1.27, 1.32, 1.12}},
  {"jit", {{5500, 0.55, 1.25, 0.5, 0, 0.7, 1}, {7500, 0.54, 0, 3.5, 0, 0.8, 1}, {4200, 0.545, 0, 4.3, 0, 0.8, 12}}, {1.06, 1.12, 1.23}},
  {"brgconv_1x1", {{5400, 0.495, 0, 1.8, 0, 1.8, 1}, {4500, 0.53, 0.8, 1.5, 0, 0, 1}, {4900, 0.51, 0, 1.2, 0, 0.8, 1}}, {1, 1, 1}},
  {"brgconv", {{8800, 0.507, 0, 3.3, 3.2, 0.83, 1}, {7500, 0.54, 0, 3.5, 0, 0.8, 1}, {4200, 0.545, 0, 4.3, 0, 0.8, 12}}, {1, 1, 1}},
  {"brdgmm", {{6800, 0.895, 0, 2.8, 17, 0.6, 1}, {6800, 0.895, 0, 2.8, 17, 0.6, 1}, {6800, 0.895, 0, 2.8, 17, 0.6, 1}}, {1, 1, 1}},
  {"", {{0, 445, 0, 0, 0, 0, 1}, {0, 445, 0, 0, 0, 0, 1}, {0, 445, 0, 0, 0, 0, 1}}, {1, 1, 1}}, /* plain loops */
};
/* Backward weights of depthwise problems by `jit`: each group alone, its one weight a tap held as a block of lanes x lanes. */
static const rate lonely = {4000, 0.46, 0, 2.9, 1.2, 0.24, 12};
static const double far_weight = 0.5; /* more, if all weights are larger than the L2 cache */
enum { L2_FLOATS = 1 << 18, SIDE_BY_SIDE = 4 }; /* vectors of channels that depthwise kernels do side by side */
/* Depthwise backward data, pixels near the border, whose taps wait for each other: each tap of a vector, of a block, each pixel of a filter row. */
static const double edge_vector = 0.6, edge_block = 2.35, edge_pixel = 1.7;

static int lanes_of(const char *name) {
  int lanes = tare_onednn_lanes();
  return lanes > 8 && strstr(name, "avx2") ? 8 : lanes;
}

/* Pairs of a row of outputs and a filter row on the image: oneDNN leaves out the others. */
static double rows_inside(const tare_conv_problem *p) {
  double inside = 0;
  for (int i = 0, outputs = tare_conv_output_size(p, 0); i < outputs; i++)
    for (int k = 0; k < p->kernel[0]; k++) {
      int row = i * p->stride[0] - p->pad[0] + k * p->dilation[0];
      inside += row >= 0 && row < p->size[0];
    }
  return inside;
}

static int parts_of(int n, int most) { return (n + most - 1) / most; }

/* How an implementation goes through a problem; LONELY: groups of one channel, each alone. */
typedef enum kind { BLOCKS, GEMM, DEPTHWISE, LONELY } kind;
typedef struct work { int vectors; double operations, results, steps, weights, edges; } work;

static kind kind_of(const tare_conv_problem *p, tare_pass pass, const char *name) {
  if (strstr(name, "gemm")) return GEMM;
  if (strstr(name, "dw")) return DEPTHWISE;
  return p->groups > 1 && p->groups == p->channels && p->groups == p->outputs && pass == TARE_BACKWARD_WEIGHTS ? LONELY : BLOCKS;
}

/* Cycles that depthwise backward data takes longer at the sides; `rows` as above, of all images. */
static double edge_cycles(const tare_conv_problem *p, double rows, int vectors) {
  int width = p->size[1], beside = p->dilation[1] * (p->kernel[1] - 1) - p->pad[1], inner = width - 2 * (beside > 0 ? beside : 0);
  double taps = (double)tare_conv_output_size(p, 1) * p->kernel[1], blocks = parts_of(vectors, SIDE_BY_SIDE);
  double edge = taps - (inner > 0 ? (double)inner * p->kernel[1] / p->stride[1] : 0);
  return rows * ((edge > 0 ? edge : 0) * (edge_vector * vectors + edge_block * blocks) + width * blocks * edge_pixel);
}

/*
 * oneDNN lays the channels that are written across the vectors (backward weights, and gemm: the outputs). Channels
 * of one group only, but for depthwise kernels, where the groups lie side by side.
 */
static work work_of(const tare_conv_problem *p, tare_pass pass, kind k, int lanes) {
  int in = p->channels / p->groups, out = p->outputs / p->groups, to_data = pass == TARE_BACKWARD_DATA;
  int across = k == DEPTHWISE ? p->groups : to_data && k != GEMM ? in : out, groups = k == DEPTHWISE ? 1 : p->groups;
  double rows = p->batch * rows_inside(p), taps = rows * p->kernel[1], terms = k == DEPTHWISE ? 1 : to_data && k != GEMM ? out : in;
  double outputs = (double)p->batch * (double)tare_conv_output_pixels(p), written = to_data ? (double)p->batch * (double)tare_conv_pixels(p) : outputs;
  work w = {.vectors = parts_of(across, lanes), .weights = (double)tare_conv_weights_size(p)};
  double vectors = (double)w.vectors * groups;
  w.operations = taps * tare_conv_output_size(p, 1) * vectors * terms;
  w.results = written * vectors;
  w.steps = k == GEMM ? outputs * p->channels * p->kernel[0] * p->kernel[1] : k == DEPTHWISE ? taps : taps * vectors;
  if (k == LONELY) w.weights *= lanes * lanes;
  if (k == DEPTHWISE && to_data) w.edges = edge_cycles(p, rows, w.vectors);
  return w;
}

static double cycles_of(const tare_conv_problem *p, tare_pass pass, const char *name) {
  const speed *s = speeds;
  while (!strstr(name, s->word)) s++;
  kind k = kind_of(p, pass, name);
  int which = tare_pass_index(pass);
  const rate *r = k == LONELY ? &lonely : &s->passes[which];
  work w = work_of(p, pass, k, lanes_of(name));
  double operation = r->alone > 0 && w.vectors == 1 ? r->alone : r->operation;
  double weight = r->weight + (k != LONELY && w.weights > L2_FLOATS ? far_weight : 0);
  double cycles = r->call + w.operations * operation + w.results * r->result + w.steps * r->step + w.weights * weight + w.edges +
                  tare_conv_memory_cycles(p) * r->beyond;
  return tare_conv_cycles_here(cycles, s->older[which]);
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
