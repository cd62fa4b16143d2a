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

enum { USUAL_PARTS = 8, FEWEST_PARTS = 4 };
/* What moving a float costs in arithmetic; and the least of a job, some 30 microseconds, beside which waking it and calling the candidate are small. */
enum { FLOPS_A_FLOAT = 120, LEAST_WORK = 64000000 };

static tare_conv_problem padded_problem(const tare_conv_problem *p) {
  tare_conv_problem inner = *p;
  for (int i = 0; i < 3; i++) {
    inner.size[i] += 2 * p->pad[i];
    inner.pad[i] = 0;
  }
  inner.border = TARE_BORDER_VALID;
  return inner;
}

static size_t images_size(const tare_conv_problem *p) {
  return tare_aligned((size_t)p->batch * tare_conv_image_size(p));
}

static size_t outputs_size(const tare_conv_problem *p) {
  return tare_aligned((size_t)p->batch * tare_conv_result_size(p));
}

static int next_divisor(int n, int after) {
  do after++;
  while (n % after);
  return after;
}

/*
 * Jobs for a candidate that does not use a pool itself: a fixed number for each batch, so that the bits
 * do not depend on the threads, and fewer where they would be small. A batch such as 11, whose usual parts are too few, has more of them.
 */
static int jobs_of(const tare_conv_problem *p) {
  double floats = (double)tare_conv_image_size(p) + (double)tare_conv_result_size(p);
  double work = tare_conv_flops(p) + p->batch * floats * FLOPS_A_FLOAT;
  int parts = USUAL_PARTS;
  while (parts > FEWEST_PARTS && work / parts < LEAST_WORK) parts--;
  while (p->batch % parts) parts--;
  return parts >= FEWEST_PARTS || parts == p->batch ? parts : next_divisor(p->batch, parts);
}

size_t tare_conv_limit(const tare_conv_plan *plan) {
  return plan->options.workspace_limit ? plan->options.workspace_limit / plan->kernels->real : SIZE_MAX;
}

/* The areas of the group's copies for one part of the plan's batch. */
static size_t add_copies(const tare_conv_plan *plan, tare_group *g) {
  const tare_query *q = &g->ready.query;
  tare_conv_problem outer = plan->problem;
  outer.batch = q->problem.batch;
  int nchw = plan->options.layout == TARE_NCHW;
  int border = q->problem.border != outer.border && outer.pad[0] + outer.pad[1] + outer.pad[2] > 0;
  size_t plain = nchw ? images_size(&outer) : 0, bordered = border ? images_size(&q->problem) : 0;
  int reads = q->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS), writes = q->passes & TARE_BACKWARD_DATA;
  g->plain_x = reads ? plain : 0;
  g->bordered_x = reads ? bordered : 0;
  g->plain_dx = writes ? plain : 0;
  g->bordered_dx = writes ? bordered : 0;
  g->plain_y = nchw ? outputs_size(&outer) : 0;
  g->level = (tare_brightness){0};
  if (plan->options.precision == TARE_F32 && tare_brightness_is_on(&outer, q, g->ready.how))
    g->level = tare_brightness_sizes(q, g->plain_x || g->bordered_x);
  return g->plain_x + g->bordered_x + g->plain_dx + g->bordered_dx + g->plain_y + g->level.x + g->level.means + g->level.sums;
}

/* Parts that run at the same time. */
static size_t at_a_time(const tare_conv_plan *plan, const tare_group *g) { return g->jobs ? (size_t)plan->options.threads : 1; }

/* `cut`: copies take at most half of the limit, if more parts can make that so; the rest is for the candidate. */
static void outline(const tare_conv_plan *plan, const tare_candidate *how, int passes, int cut, tare_group *out) {
  int border = how->borders >> plan->problem.border & 1, batch = plan->problem.batch;
  tare_group g = {.ready = {.how = how, .kernels = plan->kernels}};
  g.ready.query = (tare_query){.problem = border ? plan->problem : padded_problem(&plan->problem), .passes = passes,
                               .flags = plan->options.flags, .threads = plan->options.threads};
  g.jobs = plan->options.flags & TARE_CONV_SHARED && !(how->flags & TARE_CONV_SHARED);
  if (g.jobs) g.ready.query.threads = 1;
  size_t limit = tare_conv_limit(plan) / at_a_time(plan, &g), copies;
  for (g.parts = g.jobs ? jobs_of(&plan->problem) : 1;; g.parts = next_divisor(batch, g.parts)) {
    g.ready.query.problem.batch = batch / g.parts;
    copies = add_copies(plan, &g);
    if (!cut || copies <= limit / 2 || g.parts == batch) break;
  }
  g.ready.query.limit = limit == SIZE_MAX ? limit : copies < limit ? limit - copies : 0;
  g.stride = copies;
  *out = g;
}

static size_t workspace_of(const tare_conv_plan *plan, const tare_group *g) { return g->partials + g->stride * at_a_time(plan, g); }

static size_t kept_of(const tare_group *g) { return g->kept_stride * (size_t)g->parts; }

void tare_conv_outline(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_group *out) {
  outline(plan, how, passes, 1, out);
}

/* Makes an outlined group ready; it is empty after a failure. */
static tare_status make(const tare_conv_plan *plan, tare_group *g, tare_error *error) {
  tare_status status = g->ready.how->create(&g->ready, error);
  g->stride += tare_aligned(g->ready.workspace);
  g->filters = tare_aligned(g->ready.prepared);
  g->gradient = g->ready.partial;
  g->prepared_size = g->level.prepared ? g->filters + g->level.prepared : g->ready.prepared;
  g->partial_size = g->ready.partial + g->level.partial;
  g->partial_stride = tare_aligned(g->partial_size);
  if (g->parts > 1) g->partials = g->partial_stride * (size_t)(g->jobs ? g->parts : 1);
  g->kept_stride = tare_aligned(g->ready.kept);
  size_t need = workspace_of(plan, g) + kept_of(g);
  if (!status && need > tare_conv_limit(plan))
    status = tare_fail(error, TARE_E_UNSUPPORTED, "needs %zu bytes of workspace, %zu are allowed", need * plan->kernels->real,
                       plan->options.workspace_limit);
  if (status) tare_conv_free_group(g);
  return status;
}

tare_status tare_conv_make_group(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_group *out, tare_error *error) {
  outline(plan, how, passes, 1, out);
  int parts = out->parts;
  tare_status status = make(plan, out, error);
  if (status != TARE_E_UNSUPPORTED) return status;
  outline(plan, how, passes, 0, out); /* parts have partials of their own, which may be larger than what they save */
  if (out->parts != parts) return make(plan, out, error);
  *out = (tare_group){0};
  return status;
}

void tare_conv_free_group(tare_group *g) {
  if (g->ready.how && g->ready.how->free) g->ready.how->free(&g->ready);
  *g = (tare_group){0};
}

void tare_conv_add_sizes(tare_conv_plan *plan) {
  plan->prepared_size = plan->partial_size = plan->kept_size = plan->workspace_size = 0;
  for (int i = 0; i < plan->group_count; i++) {
    tare_group *g = &plan->groups[i];
    g->prepared = plan->prepared_size;
    g->partial = plan->partial_size;
    plan->prepared_size += tare_aligned(g->prepared_size);
    plan->partial_size += g->partial_size;
    plan->kept_size += kept_of(g);
    size_t workspace = workspace_of(plan, g);
    if (workspace > plan->workspace_size) plan->workspace_size = workspace;
    for (int j = 0; j < TARE_PASSES; j++)
      if (g->ready.query.passes & (int)tare_pass_at(j)) plan->group_of[j] = i;
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
  *plan = (tare_conv_plan){.problem = tare_conv_problem_complete(problem), .options = completed(options), .group_of = {-1, -1, -1}};
  plan->kernels = tare_kernels_get(plan->options.precision);
  tare_text notes = {0};
  status = tare_conv_choose(plan, &notes, error);
  plan->options.candidate = NULL; /* the caller's */
  plan->options.wisdom = NULL;
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
  for (int j = 0; plan && j < TARE_PASSES; j++)
    if (tare_pass_at(j) == pass && plan->group_of[j] >= 0) return &plan->groups[plan->group_of[j]];
  return NULL;
}

const char *tare_conv_plan_candidate(const tare_conv_plan *plan, tare_pass pass) {
  const tare_group *g = group_of(plan, pass);
  return g ? g->ready.how->name : NULL;
}

const char *tare_conv_plan_algorithm(const tare_conv_plan *plan, tare_pass pass) {
  const tare_group *g = group_of(plan, pass);
  return g ? g->algorithm : NULL;
}

const char *tare_conv_plan_reasons(const tare_conv_plan *plan) { return plan ? plan->reasons : NULL; }
size_t tare_conv_prepared_size(const tare_conv_plan *plan) { return plan ? plan->prepared_size : 0; }
size_t tare_conv_partial_size(const tare_conv_plan *plan) { return plan ? plan->partial_size : 0; }
size_t tare_conv_kept_size(const tare_conv_plan *plan) { return plan ? plan->kept_size : 0; }
size_t tare_conv_workspace_size(const tare_conv_plan *plan) { return plan ? plan->workspace_size : 0; }
