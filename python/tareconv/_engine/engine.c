/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "plans.h"

_Static_assert(sizeof((tare_error *)0)->message == TARECONV_MESSAGE, "one length of messages");

enum { LINE = 64 };

/* What a call says beside its string. */
typedef struct wish { int threads; tareconv_parallel parallel; const tareconv_arrays *arrays; } wish;

/* A call at work: its plan, its crew, and what is still free of the crew's memory (areas of whole lines). */
typedef struct work { tareconv_plan *plan; tareconv_crew *crew; char *free; } work;

/* An array as the plan wants it, aligned; `own` is the caller's. */
typedef struct array { void *own, *aligned; size_t bytes; } array;

static size_t lines(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }
static int askew(const void *at) { return ((uintptr_t)at & (LINE - 1)) != 0; }

static void *take(work *w, size_t bytes) {
  void *area = w->free;
  w->free += lines(bytes);
  return area;
}

static size_t bytes_of(const work *w, size_t elements) { return elements * w->plan->real; }

static const void *aligned_input(work *w, const void *own, size_t elements) {
  if (!own || !askew(own)) return own;
  return memcpy(take(w, bytes_of(w, elements)), own, bytes_of(w, elements));
}

static array aligned_output(work *w, void *own, size_t elements) {
  array a = {own, own, bytes_of(w, elements)};
  if (own && askew(own)) a.aligned = take(w, a.bytes);
  return a;
}

static void deliver(const array *a) {
  if (a->own != a->aligned) memcpy(a->own, a->aligned, a->bytes);
}

/* Room for what the plan needs, and for a copy of each array that lies askew. */
static size_t bytes_needed(const work *w, const tareconv_arrays *a) {
  const tareconv_sizes *s = &w->plan->sizes;
  const tare_conv_plan *plan = w->plan->plan;
  const struct { const void *array; size_t elements; } all[] = {
    {a->x, s->x}, {a->weights, s->weights}, {a->bias, s->bias}, {a->dy, s->y},
    {a->saved, s->saved}, {a->y, s->y}, {a->dx, s->x}, {a->dweights, s->weights}};
  size_t bytes = lines(bytes_of(w, tare_conv_workspace_size(plan))) + lines(bytes_of(w, tare_conv_partial_size(plan))) +
                 lines(bytes_of(w, tare_conv_prepared_size(plan))) + LINE;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (askew(all[i].array)) bytes += lines(bytes_of(w, all[i].elements));
  return bytes;
}

/* Whether the plan has the passes that are asked of it. */
static tare_status check_passes(const work *w, int passes, tare_error *error) {
  for (int pass = TARE_FORWARD; pass <= TARE_BACKWARD_WEIGHTS; pass *= 2)
    if ((passes & pass) && !tare_conv_plan_candidate(w->plan->plan, (tare_pass)pass))
      return tareconv_fail(error, TARE_E_ARGUMENT, "expected a call whose passes have %d among them, found '%s'", pass, w->plan->call);
  return TARE_OK;
}

static tare_status begin(work *w, const char *call, const wish *how, int passes, tare_error *error) {
  tare_status status = tareconv_plan_get(call, &w->plan, error);
  if (status) return status;
  status = check_passes(w, passes, error);
  if (!status) status = tareconv_crew_get(how->threads, how->parallel, bytes_needed(w, how->arrays), &w->crew, error);
  if (status) tareconv_plan_put(w->plan);
  else w->free = w->crew->memory;
  return status;
}

static tare_status end(work *w, tare_status status, tare_error *error) {
  if (status) tareconv_fail(error, status, "convolution %s: the library underneath failed (%s)", w->plan->call, tare_status_name(status));
  tareconv_crew_put(w->crew);
  tareconv_plan_put(w->plan);
  return status;
}

static void *kept_in(const work *w, const void *saved) {
  return saved ? (char *)(uintptr_t)saved + bytes_of(w, w->plan->kept_at) : NULL;
}

static tare_status forward(const char *call, const wish *how, tare_error *error) {
  work w;
  tare_status status = begin(&w, call, how, TARE_FORWARD, error);
  if (status) return status;
  const tareconv_arrays *a = how->arrays;
  const tareconv_sizes *s = &w.plan->sizes;
  const tare_conv_plan *plan = w.plan->plan;
  void *workspace = take(&w, bytes_of(&w, tare_conv_workspace_size(plan)));
  array y = aligned_output(&w, a->y, s->y), saved = aligned_output(&w, a->saved, s->saved);
  void *prepared = a->saved ? saved.aligned : take(&w, bytes_of(&w, tare_conv_prepared_size(plan)));
  status = tare_conv_prepare(plan, aligned_input(&w, a->weights, s->weights), prepared, workspace, w.crew->pool);
  if (!status)
    status = tare_conv_forward(plan, aligned_input(&w, a->x, s->x), prepared, aligned_input(&w, a->bias, s->bias), y.aligned,
                               kept_in(&w, saved.aligned), workspace, w.crew->pool);
  deliver(&y);
  deliver(&saved);
  return end(&w, status, error);
}

/* Prepared weights: those of the forward pass, or made again. */
static tare_status prepared_of(work *w, const void *saved, const void *weights, void *workspace, const void **prepared) {
  const tare_conv_plan *plan = w->plan->plan;
  *prepared = saved;
  if (saved || !weights) return TARE_OK;
  void *fresh = take(w, bytes_of(w, tare_conv_prepared_size(plan)));
  *prepared = fresh;
  return tare_conv_prepare(plan, aligned_input(w, weights, w->plan->sizes.weights), fresh, workspace, w->crew->pool);
}

static tare_status backward(const char *call, const wish *how, tare_error *error) {
  work w;
  const tareconv_arrays *a = how->arrays;
  int passes = (a->dx ? TARE_BACKWARD_DATA : 0) | (a->dweights ? TARE_BACKWARD_WEIGHTS : 0);
  tare_status status = begin(&w, call, how, passes, error);
  if (status) return status;
  const tareconv_sizes *s = &w.plan->sizes;
  const tare_conv_plan *plan = w.plan->plan;
  void *workspace = take(&w, bytes_of(&w, tare_conv_workspace_size(plan)));
  void *partial = a->dweights ? take(&w, bytes_of(&w, tare_conv_partial_size(plan))) : NULL;
  array dx = aligned_output(&w, a->dx, s->x), dweights = aligned_output(&w, a->dweights, s->weights);
  const void *prepared, *saved = aligned_input(&w, a->saved, s->saved);
  status = prepared_of(&w, saved, a->dx ? a->weights : NULL, workspace, &prepared);
  if (!status)
    status = tare_conv_backward(plan, aligned_input(&w, a->x, s->x), aligned_input(&w, a->dy, s->y), prepared, kept_in(&w, saved),
                                dx.aligned, partial, workspace, w.crew->pool);
  if (!status && a->dweights) status = tare_conv_finish(plan, partial, dweights.aligned, workspace, w.crew->pool);
  deliver(&dx);
  deliver(&dweights);
  return end(&w, status, error);
}

/* The message of a failure to the caller. */
static int told(tare_status status, const tare_error *error, char *message) {
  if (status) memcpy(message, error->message, TARECONV_MESSAGE);
  return (int)status;
}

int tareconv_sizes_of(const char *call, tareconv_sizes *out, char *message) {
  tareconv_plan *plan;
  tare_error error;
  tare_status status = tareconv_plan_get(call, &plan, &error);
  if (status) return told(status, &error, message);
  *out = plan->sizes;
  tareconv_plan_put(plan);
  return 0;
}

int tareconv_forward(const char *call, int threads, tareconv_parallel parallel, const tareconv_arrays *arrays, char *message) {
  tare_error error;
  return told(forward(call, &(wish){threads, parallel, arrays}, &error), &error, message);
}

int tareconv_backward(const char *call, int threads, tareconv_parallel parallel, const tareconv_arrays *arrays, char *message) {
  tare_error error;
  return told(backward(call, &(wish){threads, parallel, arrays}, &error), &error, message);
}

size_t tareconv_describe(const char *call, char *text, size_t size, char *message) {
  static const struct { tare_pass pass; const char *name; } passes[] = {
    {TARE_FORWARD, "forward"}, {TARE_BACKWARD_DATA, "backward data"}, {TARE_BACKWARD_WEIGHTS, "backward weights"}};
  tareconv_plan *plan;
  tare_error error;
  if (told(tareconv_plan_get(call, &plan, &error), &error, message)) return 0;
  size_t length = 0;
  for (int i = 0; i < 3; i++) {
    const char *candidate = tare_conv_plan_candidate(plan->plan, passes[i].pass);
    if (!candidate) continue;
    int added = snprintf(length < size ? text + length : NULL, length < size ? size - length : 0, "%s: %s, %s\n", passes[i].name, candidate,
                         tare_conv_plan_algorithm(plan->plan, passes[i].pass));
    length += added > 0 ? (size_t)added : 0;
  }
  tareconv_plan_put(plan);
  return length;
}

const tareconv_engine *tareconv_engine_table(void) {
  static const tareconv_engine table = {tareconv_sizes_of, tareconv_forward, tareconv_backward};
  return &table;
}
