/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans. For each pass every candidate of the table gives its verdict, and
 * the one that expects the shortest time is made ready. A border that it cannot do
 * is made by a copy of the images in the workspace, and taken back by the adjoint of that copy.
 */
#include <string.h>
#include <tare/conv.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "conv/candidate.h"

enum { PASSES = 3, MOST_CANDIDATES = 32 };

static const tare_pass pass_bits[PASSES] = {TARE_FORWARD, TARE_BACKWARD_DATA, TARE_BACKWARD_WEIGHTS};
static const char *const pass_names[PASSES] = {"forward", "backward data", "backward weights"};

/* One pass. `how` of an uncovered one is NULL. */
typedef struct step {
  tare_ready ready;
  size_t copy;     /* elements of the padded images, at the head of the workspace; 0: the candidate works on the images themselves */
  size_t prepared; /* where its prepared weights begin */
} step;

struct tare_conv_plan {
  tare_conv_problem problem;
  tare_precision precision;
  const tare_kernels *kernels;
  step steps[PASSES];
  size_t prepared_size, partial_size, workspace_size;
  char *reasons;
};

static size_t aligned(size_t elements) { return (elements + 15) / 16 * 16; }

static tare_conv_problem padded_problem(const tare_conv_problem *p) {
  tare_conv_problem inner = *p;
  for (int i = 0; i < 2; i++) {
    inner.size[i] += 2 * p->pad[i];
    inner.pad[i] = 0;
  }
  inner.border = TARE_BORDER_VALID;
  return inner;
}

/* The problem that a candidate would have to do. */
static tare_conv_problem problem_for(const tare_conv_plan *plan, const tare_candidate *how) {
  return how->borders >> plan->problem.border & 1 ? plan->problem : padded_problem(&plan->problem);
}

static void judge(const tare_conv_plan *plan, int pass, const tare_candidate *how, tare_verdict *verdict) {
  tare_conv_problem p = problem_for(plan, how);
  if (how->precisions >> plan->precision & 1) how->judge(&p, pass_bits[pass], verdict);
  else *verdict = (tare_verdict){.cycles = -1, .reason = "not in this precision"};
}

static tare_status make_ready(tare_conv_plan *plan, int pass, const tare_candidate *how, tare_error *error) {
  step *s = &plan->steps[pass];
  *s = (step){.ready = {.how = how, .problem = problem_for(plan, how), .kernels = plan->kernels, .pass = pass_bits[pass]}};
  const tare_conv_problem *p = &s->ready.problem;
  if (p->border != plan->problem.border && plan->problem.pad[0] + plan->problem.pad[1] > 0)
    s->copy = aligned((size_t)p->batch * (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels);
  tare_status status = how->create(&s->ready, error);
  if (status && how->free) how->free(&s->ready);
  if (status) *s = (step){0};
  return status;
}

/* The index of the candidate with the shortest time, -1 if all decline. */
static int shortest(const tare_verdict *verdicts) {
  int best = -1;
  for (int i = 0; tare_candidates[i]; i++)
    if (verdicts[i].cycles >= 0 && (best < 0 || verdicts[i].cycles < verdicts[best].cycles)) best = i;
  return best;
}

static void note(tare_text *notes, int pass, const tare_verdict *verdicts, int chosen) {
  for (int i = 0; tare_candidates[i]; i++) {
    const tare_verdict *v = &verdicts[i];
    tare_text_add(notes, "%s: %s %s: %s", pass_names[pass], tare_candidates[i]->name, v->cycles < 0 ? "declines" : "accepts", v->reason);
    if (v->cycles >= 0) tare_text_add(notes, ", about %.4g thousand cycles%s", v->cycles / 1000, i == chosen ? " (chosen)" : "");
    tare_text_add(notes, "\n");
  }
}

static tare_status choose(tare_conv_plan *plan, int pass, const char *only, tare_text *notes, tare_error *error) {
  tare_verdict verdicts[MOST_CANDIDATES];
  for (int i = 0; tare_candidates[i]; i++) {
    if (!only || strcmp(only, tare_candidates[i]->name) == 0) judge(plan, pass, tare_candidates[i], &verdicts[i]);
    else verdicts[i] = (tare_verdict){.cycles = -1, .reason = "not asked for"};
  }
  int chosen;
  tare_status status = TARE_E_UNSUPPORTED;
  while (status && (chosen = shortest(verdicts)) >= 0) {
    tare_error why = {.message = ""};
    status = make_ready(plan, pass, tare_candidates[chosen], &why);
    if (status == TARE_E_MEMORY) return tare_fail(error, status, "%s", why.message);
    if (!status) continue;
    verdicts[chosen].cycles = -1; /* the next best, then */
    memcpy(verdicts[chosen].reason, why.message, sizeof verdicts[chosen].reason - 1);
  }
  note(notes, pass, verdicts, chosen);
  for (int i = 0; status && tare_candidates[i]; i++)
    if (only && strcmp(only, tare_candidates[i]->name) == 0)
      return tare_fail(error, status, "%s cannot do the %s pass: %s", only, pass_names[pass], verdicts[i].reason);
  return status ? tare_fail(error, status, "no candidate does the %s pass", pass_names[pass]) : TARE_OK;
}

static void add_sizes(tare_conv_plan *plan) {
  for (int i = 0; i < PASSES; i++) {
    step *s = &plan->steps[i];
    s->prepared = plan->prepared_size;
    plan->prepared_size += aligned(s->ready.prepared);
    plan->partial_size += s->ready.partial;
    if (s->copy + s->ready.workspace > plan->workspace_size) plan->workspace_size = s->copy + s->ready.workspace;
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

tare_status tare_conv_plan_create(const tare_conv_problem *problem, tare_precision precision, int passes, const char *candidate,
                                  tare_conv_plan **out, tare_error *error) {
  if (!problem || !out || (precision != TARE_F32 && precision != TARE_F64) || passes < 1 || passes > 7)
    return tare_fail(error, TARE_E_ARGUMENT, "a plan needs a problem, a place for the result, a precision, and passes of 1 to 7");
  tare_status status = candidate ? check_name(candidate, error) : TARE_OK;
  if (!status) status = tare_conv_problem_check(problem, error);
  if (status) return status;
  tare_conv_plan *plan = tare_alloc(1, sizeof *plan);
  if (!plan) return tare_fail_memory(error, sizeof *plan, "a plan");
  plan->problem = *problem;
  plan->precision = precision;
  plan->kernels = tare_kernels_get(precision);
  tare_text notes = {0};
  for (int i = 0; i < PASSES && !status; i++)
    if (passes & (int)pass_bits[i]) status = choose(plan, i, candidate, &notes, error);
  add_sizes(plan);
  plan->reasons = tare_text_take(&notes);
  if (!status && !plan->reasons) status = tare_fail_memory(error, 1, "a plan");
  if (status) tare_conv_plan_free(plan);
  else *out = plan;
  return status;
}

void tare_conv_plan_free(tare_conv_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < PASSES; i++) {
    tare_ready *r = &plan->steps[i].ready;
    if (r->how && r->how->free) r->how->free(r);
  }
  tare_free(plan->reasons);
  tare_free(plan);
}

static int index_of(tare_pass pass) { return pass == TARE_FORWARD ? 0 : pass == TARE_BACKWARD_DATA ? 1 : 2; }

const char *tare_conv_plan_candidate(const tare_conv_plan *plan, tare_pass pass) {
  const tare_candidate *how = plan->steps[index_of(pass)].ready.how;
  return how ? how->name : NULL;
}

const char *tare_conv_plan_reasons(const tare_conv_plan *plan) { return plan->reasons; }
size_t tare_conv_prepared_size(const tare_conv_plan *plan) { return plan->prepared_size; }
size_t tare_conv_partial_size(const tare_conv_plan *plan) { return plan->partial_size; }
size_t tare_conv_workspace_size(const tare_conv_plan *plan) { return plan->workspace_size; }

static void *element(const tare_conv_plan *plan, void *array, size_t index) { return (char *)array + index * plan->kernels->real; }
static const void *constant_element(const tare_conv_plan *plan, const void *array, size_t index) {
  return (const char *)array + index * plan->kernels->real;
}

tare_status tare_conv_prepare(const tare_conv_plan *plan, const void *weights, void *prepared) {
  tare_status status = TARE_OK;
  for (int i = 0; i < 2 && !status; i++) {
    const step *s = &plan->steps[i];
    if (s->ready.how) status = s->ready.how->prepare(&s->ready, weights, element(plan, prepared, s->prepared));
  }
  return status;
}

/* The images, or their padded copy at the head of the workspace. */
static const void *bordered(const tare_conv_plan *plan, const step *s, const void *x, void *workspace) {
  if (!s->copy) return x;
  plan->kernels->pad_images(&plan->problem, x, workspace);
  return workspace;
}

tare_status tare_conv_forward(const tare_conv_plan *plan, const void *x, const void *prepared, const void *bias, void *y, void *workspace) {
  const step *s = &plan->steps[0];
  return s->ready.how->run(&s->ready, bordered(plan, s, x, workspace), constant_element(plan, prepared, s->prepared), bias, y,
                           element(plan, workspace, s->copy));
}

tare_status tare_conv_backward_data(const tare_conv_plan *plan, const void *dy, const void *prepared, void *dx, void *workspace) {
  const step *s = &plan->steps[1];
  tare_status status = s->ready.how->run(&s->ready, dy, constant_element(plan, prepared, s->prepared), NULL, s->copy ? workspace : dx,
                                         element(plan, workspace, s->copy));
  if (!status && s->copy) plan->kernels->fold_images(&plan->problem, workspace, dx);
  return status;
}

tare_status tare_conv_backward_weights(const tare_conv_plan *plan, const void *x, const void *dy, void *partial, void *workspace) {
  const step *s = &plan->steps[2];
  return s->ready.how->run(&s->ready, bordered(plan, s, x, workspace), dy, NULL, partial, element(plan, workspace, s->copy));
}

tare_status tare_conv_finish(const tare_conv_plan *plan, const void *partial, void *dweights) {
  const tare_ready *r = &plan->steps[2].ready;
  return r->how->finish(r, partial, dweights);
}
