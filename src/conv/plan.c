/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans. For each pass the candidates are asked in the order of the table; the
 * first that accepts does it. A border that it does not know is made by a
 * padded copy of the image, and taken back by the adjoint of that copy.
 */
#include <string.h>
#include <tare/conv.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "conv/candidate.h"

/* In order of preference; a candidate declines what another does faster (doc/conv.md has the measurements). */
static const tare_candidate *const candidates[] = {&tare_candidate_im2col, &tare_candidate_onednn, &tare_candidate_reference};
enum { CANDIDATES = sizeof candidates / sizeof *candidates, PASSES = 3 };

static const tare_pass pass_bits[PASSES] = {TARE_FORWARD, TARE_BACKWARD_DATA, TARE_BACKWARD_WEIGHTS};
static const char *const pass_names[PASSES] = {"forward", "backward data", "backward weights"};

struct tare_conv_plan {
  tare_conv_problem problem;
  const tare_kernels *kernels;
  tare_ready ready[PASSES];   /* how is NULL for a pass not covered */
  int padded[PASSES];         /* this pass works on a padded copy */
  size_t prepared[PASSES];    /* where its prepared weights begin */
  size_t prepared_size, partial_size, workspace_size, copy_size;
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

static size_t image_size(const tare_conv_problem *p) {
  return (size_t)p->batch * (size_t)p->size[0] * (size_t)p->size[1] * (size_t)p->channels;
}

/* TARE_E_UNSUPPORTED: this candidate does not do it; the reason is noted. */
static tare_status try_candidate(tare_conv_plan *plan, int pass, const tare_candidate *how, tare_precision precision, tare_text *notes) {
  const tare_conv_problem *p = &plan->problem;
  int native = how->borders >> p->border & 1;
  tare_ready ready = {.how = how, .problem = native ? *p : padded_problem(p), .kernels = plan->kernels, .pass = pass_bits[pass]};
  const char *no = how->precisions >> precision & 1 ? how->decline(&ready.problem, ready.pass) : "not in this precision";
  tare_error why = {.message = ""};
  tare_status status = no ? TARE_E_UNSUPPORTED : how->create(&ready, &why);
  tare_text_add(notes, "%s: %s %s%s\n", pass_names[pass], how->name, status ? "declines: " : "accepts", status ? (no ? no : why.message) : "");
  if (status) {
    if (how->free) how->free(&ready);
    return status;
  }
  plan->ready[pass] = ready;
  plan->padded[pass] = !native;
  return TARE_OK;
}

static tare_status choose(tare_conv_plan *plan, int pass, tare_precision precision, const char *name, tare_text *notes, tare_error *error) {
  for (int c = 0; c < CANDIDATES; c++) {
    if (name && strcmp(name, candidates[c]->name)) continue;
    tare_status status = try_candidate(plan, pass, candidates[c], precision, notes);
    if (status == TARE_OK) return TARE_OK;
    if (status != TARE_E_UNSUPPORTED) return tare_fail(error, status, "the %s pass could not be planned with %s", pass_names[pass], candidates[c]->name);
  }
  return tare_fail(error, TARE_E_UNSUPPORTED, "the %s pass: %s does not do this problem", pass_names[pass], name ? name : "no candidate");
}

static void add_sizes(tare_conv_plan *plan) {
  tare_conv_problem inner = padded_problem(&plan->problem);
  for (int i = 0; i < PASSES; i++) {
    const tare_ready *r = &plan->ready[i];
    if (!r->how) continue;
    plan->prepared[i] = plan->prepared_size;
    plan->prepared_size += aligned(r->prepared);
    plan->partial_size += r->partial;
    if (r->workspace > plan->workspace_size) plan->workspace_size = r->workspace;
    if (plan->padded[i]) plan->copy_size = aligned(image_size(&inner));
  }
  plan->workspace_size += plan->copy_size;
}

static int known(const char *name) {
  for (int c = 0; c < CANDIDATES; c++)
    if (strcmp(name, candidates[c]->name) == 0) return 1;
  return 0;
}

tare_status tare_conv_plan_create(const tare_conv_problem *problem, tare_precision precision, int passes, const char *candidate,
                                  tare_conv_plan **out, tare_error *error) {
  if (!out || (unsigned)precision > TARE_F64 || passes < 1 || passes > 7)
    return tare_fail(error, TARE_E_ARGUMENT, "a plan needs a place to go, a precision and passes of 1 to 7, found passes %d", passes);
  if (candidate && !known(candidate))
    return tare_fail(error, TARE_E_ARGUMENT, "unknown candidate '%s': expected im2col, onednn or reference", candidate);
  tare_status status = tare_conv_problem_check(problem, error);
  if (status) return status;
  tare_conv_plan *plan = tare_alloc(1, sizeof *plan);
  if (!plan) return tare_fail_memory(error, sizeof *plan, "a plan");
  plan->problem = *problem;
  plan->kernels = tare_kernels_get(precision);
  tare_text notes = {0};
  for (int i = 0; i < PASSES && status == TARE_OK; i++)
    if (passes & (int)pass_bits[i]) status = choose(plan, i, precision, candidate, &notes, error);
  add_sizes(plan);
  plan->reasons = tare_text_take(&notes);
  if (status == TARE_OK && !plan->reasons) status = tare_fail_memory(error, 1, "a plan");
  if (status) tare_conv_plan_free(plan);
  else *out = plan;
  return status;
}

void tare_conv_plan_free(tare_conv_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < PASSES; i++)
    if (plan->ready[i].how && plan->ready[i].how->free) plan->ready[i].how->free(&plan->ready[i]);
  tare_free(plan->reasons);
  tare_free(plan);
}

static int index_of(tare_pass pass) { return pass == TARE_FORWARD ? 0 : pass == TARE_BACKWARD_DATA ? 1 : 2; }

const char *tare_conv_plan_candidate(const tare_conv_plan *plan, tare_pass pass) {
  const tare_candidate *how = plan->ready[index_of(pass)].how;
  return how ? how->name : NULL;
}

const char *tare_conv_plan_reasons(const tare_conv_plan *plan) { return plan->reasons; }
size_t tare_conv_prepared_size(const tare_conv_plan *plan) { return plan->prepared_size; }
size_t tare_conv_partial_size(const tare_conv_plan *plan) { return plan->partial_size; }
size_t tare_conv_workspace_size(const tare_conv_plan *plan) { return plan->workspace_size; }

static void *element(const tare_conv_plan *plan, const void *array, size_t index) { return (char *)(size_t)array + index * plan->kernels->real; }

tare_status tare_conv_prepare(const tare_conv_plan *plan, const void *weights, void *prepared) {
  for (int i = 0; i < 2; i++) {
    const tare_ready *r = &plan->ready[i];
    if (!r->how) continue;
    tare_status status = r->how->prepare(r, weights, element(plan, prepared, plan->prepared[i]));
    if (status) return status;
  }
  return TARE_OK;
}

/* The image, or its padded copy at the head of the workspace. */
static const void *bordered(const tare_conv_plan *plan, int pass, const void *x, void *workspace) {
  if (!plan->padded[pass]) return x;
  plan->kernels->pad_image(&plan->problem, x, workspace);
  return workspace;
}

tare_status tare_conv_forward(const tare_conv_plan *plan, const void *x, const void *prepared, const void *bias, void *y, void *workspace) {
  const tare_ready *r = &plan->ready[0];
  return r->how->run(r, bordered(plan, 0, x, workspace), element(plan, prepared, plan->prepared[0]), bias, y, element(plan, workspace, plan->copy_size));
}

tare_status tare_conv_backward_data(const tare_conv_plan *plan, const void *dy, const void *prepared, void *dx, void *workspace) {
  const tare_ready *r = &plan->ready[1];
  void *target = plan->padded[1] ? workspace : dx;
  tare_status status = r->how->run(r, dy, element(plan, prepared, plan->prepared[1]), NULL, target, element(plan, workspace, plan->copy_size));
  if (status == TARE_OK && plan->padded[1]) plan->kernels->fold_image(&plan->problem, workspace, dx);
  return status;
}

tare_status tare_conv_backward_weights(const tare_conv_plan *plan, const void *x, const void *dy, void *partial, void *workspace) {
  const tare_ready *r = &plan->ready[2];
  return r->how->run(r, bordered(plan, 2, x, workspace), dy, NULL, partial, element(plan, workspace, plan->copy_size));
}

tare_status tare_conv_finish(const tare_conv_plan *plan, const void *partial, void *dweights) {
  const tare_ready *r = &plan->ready[2];
  return r->how->finish(r, partial, dweights);
}
