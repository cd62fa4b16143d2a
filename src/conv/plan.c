/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: made, measured, freed. A border or a layout that a candidate cannot do is made by a copy of the images in the
 * workspace, and taken back by the adjoint of that copy.
 */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "conv/plan.h"

enum { MOST_PARTS = 8 };

const tare_pass tare_pass_bits[TARE_PASSES] = {TARE_FORWARD, TARE_BACKWARD_DATA, TARE_BACKWARD_WEIGHTS};

static tare_conv_problem padded_problem(const tare_conv_problem *p) {
  tare_conv_problem inner = *p;
  for (int i = 0; i < 2; i++) {
    inner.size[i] += 2 * p->pad[i];
    inner.pad[i] = 0;
  }
  inner.border = TARE_BORDER_VALID;
  return inner;
}

static size_t images_size(const tare_conv_problem *p) {
  return tare_aligned((size_t)p->batch * (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels);
}

static size_t outputs_size(const tare_conv_problem *p) {
  return tare_aligned((size_t)p->batch * (size_t)tare_conv_output_size(p, 0) * (size_t)tare_conv_output_size(p, 1) * (size_t)p->outputs);
}

/*
 * Equal parts of the batch for a candidate that does not use a pool itself: a fixed number for each
 * batch, so that the bits do not depend on the threads.
 */
static int parts_of(const tare_conv_plan *plan, const tare_candidate *how) {
  int parts = MOST_PARTS;
  if (!(plan->options.flags & TARE_CONV_SHARED) || how->flags & TARE_CONV_SHARED) return 1;
  while (plan->problem.batch % parts) parts--;
  return parts;
}

static size_t limit_of(const tare_conv_plan *plan) {
  return plan->options.workspace_limit ? plan->options.workspace_limit / plan->kernels->real : SIZE_MAX;
}

tare_query tare_conv_query(const tare_conv_plan *plan, const tare_candidate *how, int passes, int *parts) {
  int border = how->borders >> plan->problem.border & 1;
  tare_query query = {.problem = border ? plan->problem : padded_problem(&plan->problem), .passes = passes, .flags = plan->options.flags,
                      .threads = plan->options.threads, .limit = limit_of(plan)};
  *parts = parts_of(plan, how);
  query.problem.batch /= *parts;
  return query;
}

/* The areas of the plan's workspace that the group's copies need. */
static void add_copies(const tare_conv_plan *plan, tare_group *g) {
  const tare_query *q = &g->ready.query;
  tare_conv_problem whole = q->problem;
  whole.batch = plan->problem.batch;
  int nchw = plan->options.layout == TARE_NCHW;
  int border = whole.border != plan->problem.border && plan->problem.pad[0] + plan->problem.pad[1] > 0;
  size_t plain = nchw ? images_size(&plan->problem) : 0, bordered = border ? images_size(&whole) : 0;
  int reads = q->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS), writes = q->passes & TARE_BACKWARD_DATA;
  g->plain_x = reads ? plain : 0;
  g->bordered_x = reads ? bordered : 0;
  g->plain_dx = writes ? plain : 0;
  g->bordered_dx = writes ? bordered : 0;
  g->plain_y = nchw ? outputs_size(&plan->problem) : 0;
}

static size_t workspace_of(const tare_conv_plan *plan, const tare_group *g) {
  int threads = g->parts > 1 ? plan->options.threads : 1;
  return g->plain_x + g->bordered_x + g->plain_dx + g->bordered_dx + g->plain_y + g->partials + g->workspace_stride * (size_t)threads;
}

tare_status tare_conv_make_group(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_group *out, tare_error *error) {
  tare_group g = {.ready = {.how = how, .kernels = plan->kernels}};
  g.ready.query = tare_conv_query(plan, how, passes, &g.parts);
  tare_status status = how->create(&g.ready, error);
  add_copies(plan, &g);
  g.workspace_stride = tare_aligned(g.ready.workspace);
  g.partial_stride = tare_aligned(g.ready.partial);
  g.partials = g.parts > 1 ? g.partial_stride * (size_t)g.parts : 0;
  size_t need = workspace_of(plan, &g) + g.ready.kept;
  if (!status && need > limit_of(plan))
    status = tare_fail(error, TARE_E_UNSUPPORTED, "needs %zu bytes of workspace, %zu are allowed", need * plan->kernels->real,
                       plan->options.workspace_limit);
  if (status) tare_conv_free_group(&g);
  else *out = g;
  return status;
}

void tare_conv_free_group(tare_group *g) {
  if (g->ready.how && g->ready.how->free) g->ready.how->free(&g->ready);
  *g = (tare_group){0};
}

static void add_sizes(tare_conv_plan *plan) {
  for (int i = 0; i < plan->group_count; i++) {
    tare_group *g = &plan->groups[i];
    g->prepared = plan->prepared_size;
    g->partial = plan->partial_size;
    plan->prepared_size += tare_aligned(g->ready.prepared);
    plan->partial_size += g->ready.partial;
    plan->kept_size += g->ready.kept;
    size_t workspace = workspace_of(plan, g);
    if (workspace > plan->workspace_size) plan->workspace_size = workspace;
    for (int j = 0; j < TARE_PASSES; j++)
      if (g->ready.query.passes & (int)tare_pass_bits[j]) plan->group_of[j] = i;
  }
}

static tare_status check_name(const char *candidate, tare_error *error) {
  tare_text names = {0};
  for (int i = 0; tare_candidates[i]; i++) {
    if (strcmp(candidate, tare_candidates[i]->name) == 0) {
      tare_text_free(&names);
      return TARE_OK;
    }
    tare_text_add(&names, "%s%s", i ? ", " : "", tare_candidates[i]->name);
  }
  tare_fail(error, TARE_E_ARGUMENT, "unknown candidate '%.60s': expected one of %s", candidate, names.data ? names.data : "");
  tare_text_free(&names);
  return TARE_E_ARGUMENT;
}

static tare_status check_options(const tare_conv_options *o, tare_error *error) {
  enum { ALL_FLAGS = 31 };
  if (o->precision != TARE_F32 && o->precision != TARE_F64)
    return tare_fail(error, TARE_E_ARGUMENT, "precision %d is neither float nor double", (int)o->precision);
  if (o->layout != TARE_NHWC && o->layout != TARE_NCHW)
    return tare_fail(error, TARE_E_ARGUMENT, "layout %d is neither nhwc nor nchw", (int)o->layout);
  if (o->passes < 0 || o->passes > 7) return tare_fail(error, TARE_E_ARGUMENT, "passes must be 0 to 7, not %d", o->passes);
  if (o->flags & ~ALL_FLAGS) return tare_fail(error, TARE_E_ARGUMENT, "unknown flags: %#x", (unsigned)(o->flags & ~ALL_FLAGS));
  if (o->threads < 0 || o->threads > 256) return tare_fail(error, TARE_E_ARGUMENT, "threads must be 0 to 256, not %d", o->threads);
  return o->candidate ? check_name(o->candidate, error) : TARE_OK;
}

static tare_conv_options completed(const tare_conv_options *options) {
  tare_conv_options o = options ? *options : (tare_conv_options){0};
  if (!o.passes) o.passes = TARE_FORWARD | TARE_BACKWARD_DATA | TARE_BACKWARD_WEIGHTS;
  if (!o.threads) o.threads = 1;
  return o;
}

tare_status tare_conv_plan_create(const tare_conv_problem *problem, const tare_conv_options *options, tare_conv_plan **out,
                                  tare_error *error) {
  if (!problem || !out) return tare_fail(error, TARE_E_ARGUMENT, "a plan needs a problem and a place for the result");
  tare_status status = options ? check_options(options, error) : TARE_OK;
  if (!status) status = tare_conv_problem_check(problem, error);
  if (status) return status;
  tare_conv_plan *plan = tare_alloc(1, sizeof *plan);
  if (!plan) return tare_fail_memory(error, sizeof *plan, "a plan");
  *plan = (tare_conv_plan){.problem = *problem, .options = completed(options), .group_of = {-1, -1, -1}};
  plan->kernels = tare_kernels_get(plan->options.precision);
  tare_text notes = {0};
  status = tare_conv_choose(plan, &notes, error);
  add_sizes(plan);
  plan->options.candidate = NULL; /* the caller's string */
  plan->reasons = tare_text_take(&notes);
  if (!status && !plan->reasons) status = tare_fail_memory(error, 1, "a plan");
  if (status) tare_conv_plan_free(plan);
  else *out = plan;
  return status;
}

void tare_conv_plan_free(tare_conv_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < plan->group_count; i++) tare_conv_free_group(&plan->groups[i]);
  tare_free(plan->reasons);
  tare_free(plan);
}

static const tare_group *group_of(const tare_conv_plan *plan, tare_pass pass) {
  int i = plan->group_of[pass == TARE_FORWARD ? 0 : pass == TARE_BACKWARD_DATA ? 1 : 2];
  return i < 0 ? NULL : &plan->groups[i];
}

const char *tare_conv_plan_candidate(const tare_conv_plan *plan, tare_pass pass) {
  const tare_group *g = group_of(plan, pass);
  return g ? g->ready.how->name : NULL;
}

const char *tare_conv_plan_algorithm(const tare_conv_plan *plan, tare_pass pass) {
  const tare_group *g = group_of(plan, pass);
  return g ? g->algorithm : NULL;
}

const char *tare_conv_plan_reasons(const tare_conv_plan *plan) { return plan->reasons; }
size_t tare_conv_prepared_size(const tare_conv_plan *plan) { return plan->prepared_size; }
size_t tare_conv_partial_size(const tare_conv_plan *plan) { return plan->partial_size; }
size_t tare_conv_kept_size(const tare_conv_plan *plan) { return plan->kept_size; }
size_t tare_conv_workspace_size(const tare_conv_plan *plan) { return plan->workspace_size; }
