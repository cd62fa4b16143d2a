/* SPDX-License-Identifier: Apache-2.0 */
/* What is timed: our plans, and oneDNN's primitives with its own threads and layouts. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/pass.h"
#include "onednn/onednn.h"

enum { MOST_ARRAYS = 12 };

/* Arrays that are freed together; `failed` stays set. */
typedef struct shelf { float *arrays[MOST_ARRAYS]; int count, failed; } shelf;

static float *array(shelf *s, size_t size) {
  float *floats = bench_floats(size);
  if (!floats) s->failed = 1;
  else s->arrays[s->count++] = floats;
  return floats;
}

static void clear(shelf *s) {
  for (int i = 0; i < s->count; i++) tare_free(s->arrays[i]);
}

static tare_status no_memory(tare_error *error) { return tare_fail(error, TARE_E_MEMORY, "out of memory for the arrays of a benchmark"); }

void bench_engine_free(bench_engine *e) {
  if (e->free) e->free(e->own);
  e->free = NULL;
}

void bench_lower_onednn(void) {
  static const char *const names[TARE_LEVELS] = {"SSE41", "AVX2", "AVX512_CORE"};
  if (getenv("TARE_CPU")) setenv("ONEDNN_MAX_CPU_ISA", names[tare_cpu()], 0);
}

/* Ours. */
typedef struct plan_run {
  const bench_data *data;
  tare_conv_plan *plan;
  tare_pool *pool;
  int passes, nchw;
  shelf arrays;
  float *x, *dy, *prepared, *kept, *workspace, *partial, *y, *dx, *dw;
} plan_run;

static void free_plan(void *own) {
  plan_run *r = own;
  tare_conv_plan_free(r->plan);
  clear(&r->arrays);
  tare_free(r);
}

/* As a training step does it: from plain weights to outputs, from their gradient to those of pixels and plain weights. */
static tare_status run_plan(void *own) {
  plan_run *r = own;
  int backward = r->passes & (TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS);
  tare_status status = TARE_OK;
  if (r->passes & (TARE_FORWARD | TARE_BACKWARD_DATA)) status = tare_conv_prepare(r->plan, r->data->w, r->prepared, r->workspace, r->pool);
  if (!status && r->passes & TARE_FORWARD)
    status = tare_conv_forward(r->plan, r->x, r->prepared, NULL, r->y, backward ? r->kept : NULL, r->workspace, r->pool);
  if (!status && backward)
    status = tare_conv_backward(r->plan, r->x, r->dy, r->prepared, r->passes & TARE_FORWARD ? r->kept : NULL, r->dx, r->partial, r->workspace,
                                r->pool);
  if (!status && r->passes & TARE_BACKWARD_WEIGHTS) status = tare_conv_finish(r->plan, r->partial, r->dw, r->workspace, r->pool);
  return status;
}

static tare_status plan_result(void *own, tare_pass pass, float *plain) {
  const plan_run *r = own;
  const float *from = pass == TARE_FORWARD ? r->y : pass == TARE_BACKWARD_DATA ? r->dx : r->dw;
  if (r->nchw && pass != TARE_BACKWARD_WEIGHTS) bench_to_nhwc(&r->data->problem, pass == TARE_FORWARD, from, plain);
  else memcpy(plain, from, bench_result_size(r->data, pass) * sizeof *plain);
  return TARE_OK;
}

/* Images as the plan wants them: the data's own arrays, or a copy. */
static float *image(plan_run *r, int output) {
  float *plain = output ? r->data->dy : r->data->x;
  if (!r->nchw) return plain;
  float *copy = array(&r->arrays, output ? r->data->y_size : r->data->x_size);
  if (copy) bench_to_nchw(&r->data->problem, output, plain, copy);
  return copy;
}

static int make_arrays(plan_run *r) {
  r->x = image(r, 0);
  r->dy = image(r, 1);
  r->prepared = array(&r->arrays, tare_conv_prepared_size(r->plan));
  r->workspace = array(&r->arrays, tare_conv_workspace_size(r->plan));
  size_t kept = tare_conv_kept_size(r->plan);
  if (kept) r->kept = array(&r->arrays, kept);
  if (r->passes & TARE_FORWARD) r->y = array(&r->arrays, r->data->y_size);
  if (r->passes & TARE_BACKWARD_DATA) r->dx = array(&r->arrays, r->data->x_size);
  if (r->passes & TARE_BACKWARD_WEIGHTS) {
    r->partial = array(&r->arrays, tare_conv_partial_size(r->plan));
    r->dw = array(&r->arrays, r->data->w_size);
  }
  return r->arrays.failed;
}

/* "fft: tiles of 40"; of several passes the different ones, joined. */
static void name_plan(const tare_conv_plan *plan, char *text, size_t size) {
  char parts[3][150];
  int count = 0;
  text[0] = 0;
  for (int pass = 1; pass <= TARE_BACKWARD_WEIGHTS; pass *= 2) {
    const char *candidate = tare_conv_plan_candidate(plan, (tare_pass)pass);
    if (!candidate) continue;
    snprintf(parts[count], sizeof parts[count], "%s: %s", candidate, tare_conv_plan_algorithm(plan, (tare_pass)pass));
    if (count && strcmp(parts[count], parts[count - 1]) == 0) continue;
    size_t length = strlen(text);
    snprintf(text + length, size - length, "%s%s", count ? " | " : "", parts[count]);
    count++;
  }
}

tare_status bench_engine_tare(const bench_data *data, const tare_conv_options *options, tare_pool *pool, char **reasons, bench_engine *out,
                              tare_error *error) {
  tare_conv_plan *plan;
  tare_status status = tare_conv_plan_create(&data->problem, options, &plan, error);
  if (status) return status;
  plan_run *r = tare_alloc(1, sizeof *r);
  if (!r) return tare_conv_plan_free(plan), no_memory(error);
  *r = (plan_run){.data = data, .plan = plan, .pool = options->threads > 1 ? pool : NULL, .passes = options->passes,
                  .nchw = options->layout == TARE_NCHW};
  if (make_arrays(r)) return free_plan(r), no_memory(error);
  *out = (bench_engine){.name = "tare", .own = r, .run = run_plan, .result = plan_result, .free = free_plan};
  name_plan(plan, out->algorithm, sizeof out->algorithm);
  if (reasons) *reasons = strdup(tare_conv_plan_reasons(plan));
  return TARE_OK;
}

/* oneDNN's. */
typedef struct rival_run {
  tare_onednn_conv *conv;
  shelf arrays;
  float *tensors[TARE_ONEDNN_TENSORS], *workspace;
  const float *in[2];
  float *out;
} rival_run;

static void free_rival(void *own) {
  rival_run *r = own;
  tare_onednn_conv_free(r->conv);
  clear(&r->arrays);
  tare_free(r);
}

static tare_status run_rival(void *own) {
  rival_run *r = own;
  return tare_onednn_conv_run(r->conv, r->in[0], r->in[1], r->tensors[TARE_ONEDNN_BIAS], r->out, r->workspace);
}

/* What each pass reads and writes. */
static const struct flow { tare_pass pass; tare_onednn_tensor in[2], out; } flows[] = {
  {TARE_FORWARD, {TARE_ONEDNN_X, TARE_ONEDNN_WEIGHTS}, TARE_ONEDNN_Y},
  {TARE_BACKWARD_DATA, {TARE_ONEDNN_Y, TARE_ONEDNN_WEIGHTS}, TARE_ONEDNN_X},
  {TARE_BACKWARD_WEIGHTS, {TARE_ONEDNN_X, TARE_ONEDNN_Y}, TARE_ONEDNN_WEIGHTS},
};

enum { FLOWS = sizeof flows / sizeof *flows };

static const struct flow *flow_of(tare_pass pass) { return &flows[tare_pass_index(pass)]; }

static tare_status rival_result(void *own, tare_pass pass, float *plain) {
  const rival_run *r = own;
  return tare_onednn_conv_leave(r->conv, flow_of(pass)->out, r->out, plain);
}

static tare_status fill_rival(rival_run *r, const bench_data *data, tare_pass pass) {
  const struct flow *flow = flow_of(pass);
  const float *plain[TARE_ONEDNN_TENSORS] = {[TARE_ONEDNN_X] = data->x, [TARE_ONEDNN_WEIGHTS] = data->w, [TARE_ONEDNN_Y] = data->dy};
  static const tare_onednn_tensor all[] = {TARE_ONEDNN_X, TARE_ONEDNN_WEIGHTS, TARE_ONEDNN_Y};
  for (int i = 0; i < 3; i++) r->tensors[all[i]] = array(&r->arrays, tare_onednn_conv_size(r->conv, all[i]));
  r->tensors[TARE_ONEDNN_BIAS] = array(&r->arrays, (size_t)data->problem.outputs);
  r->workspace = array(&r->arrays, tare_onednn_conv_workspace(r->conv));
  if (r->arrays.failed) return TARE_E_MEMORY;
  r->out = r->tensors[flow->out];
  tare_status status = TARE_OK;
  for (int i = 0; i < 2 && !status; i++) {
    r->in[i] = r->tensors[flow->in[i]];
    status = tare_onednn_conv_enter(r->conv, flow->in[i], plain[flow->in[i]], r->tensors[flow->in[i]]);
  }
  return status;
}

static tare_status make_rival(const bench_data *data, tare_pass pass, int threads, int blocked, rival_run **out, tare_error *error) {
  const tare_conv_problem *p = &data->problem;
  if (p->border != TARE_BORDER_ZERO && p->border != TARE_BORDER_VALID) return tare_fail(error, TARE_E_UNSUPPORTED, "oneDNN knows zero borders only");
  rival_run *r = tare_alloc(1, sizeof *r);
  if (!r) return no_memory(error);
  tare_status status = tare_onednn_rival_create(p, pass, threads, blocked, &r->conv, error);
  if (status) return tare_free(r), status;
  status = fill_rival(r, data, pass);
  if (status) return free_rival(r), tare_fail(error, status, "oneDNN's arrays could not be made");
  *out = r;
  return TARE_OK;
}

tare_status bench_engine_onednn(const bench_data *data, tare_pass pass, int threads, int blocked, bench_engine *out, tare_error *error) {
  rival_run *r;
  tare_status status = make_rival(data, pass, threads, blocked, &r, error);
  if (status) return status;
  *out = (bench_engine){.name = "onednn", .blocked = blocked, .own = r, .run = run_rival, .result = rival_result, .free = free_rival};
  snprintf(out->algorithm, sizeof out->algorithm, "%s, %s", tare_onednn_conv_name(r->conv), blocked ? "its own layouts" : "nhwc");
  return TARE_OK;
}

/* Its passes one after another; by the order of `flows`, NULL: not in this step. */
typedef struct rival_step { rival_run *runs[FLOWS]; } rival_step;

static void free_rival_step(void *own) {
  rival_step *s = own;
  for (int i = 0; i < FLOWS; i++)
    if (s->runs[i]) free_rival(s->runs[i]);
  tare_free(s);
}

static tare_status run_rival_step(void *own) {
  const rival_step *s = own;
  tare_status status = TARE_OK;
  for (int i = 0; i < FLOWS && !status; i++)
    if (s->runs[i]) status = run_rival(s->runs[i]);
  return status;
}

static tare_status rival_step_result(void *own, tare_pass pass, float *plain) {
  return rival_result(((const rival_step *)own)->runs[flow_of(pass) - flows], pass, plain);
}

/* What an earlier pass reads in the same layout is read from there: the same numbers stand in it. */
static void share_inputs(const rival_step *s, int pass) {
  rival_run *r = s->runs[pass];
  for (int i = 0; i < pass * 2; i++) {
    const rival_run *before = s->runs[i / 2];
    for (int j = 0; j < 2 && before; j++) {
      size_t size = tare_onednn_conv_size(r->conv, flows[pass].in[j]);
      if (flows[i / 2].in[i % 2] != flows[pass].in[j] || tare_onednn_conv_size(before->conv, flows[pass].in[j]) != size) continue;
      if (memcmp(before->in[i % 2], r->in[j], size * sizeof(float)) == 0) r->in[j] = before->in[i % 2];
    }
  }
}

tare_status bench_engine_onednn_step(const bench_data *data, int passes, int threads, const int *blocked, bench_engine *out, tare_error *error) {
  rival_step *s = tare_alloc(1, sizeof *s);
  if (!s) return no_memory(error);
  for (int i = 0; i < FLOWS; i++) {
    if (!(passes & (int)flows[i].pass)) continue;
    tare_status status = make_rival(data, flows[i].pass, threads, blocked[i], &s->runs[i], error);
    if (status) return free_rival_step(s), status;
    share_inputs(s, i);
  }
  *out = (bench_engine){.name = "onednn", .own = s, .run = run_rival_step, .result = rival_step_result, .free = free_rival_step,
                        .algorithm = "its passes one after another"};
  return TARE_OK;
}
