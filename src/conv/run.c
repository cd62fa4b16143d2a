/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of a plan: around its candidates the copies of images (layout, border) and the parts of the batch. */
#include <stdatomic.h>
#include <string.h>

#include "conv/plan.h"

void tare_conv_each(tare_pool *pool, int jobs, tare_job run, void *user) {
  if (pool) tare_pool_run(pool, jobs, run, user);
  else
    for (int job = 0; job < jobs; job++) run(user, job, 0);
}

static void *at(const tare_conv_plan *plan, const void *array, size_t index) {
  return array ? (char *)(size_t)array + index * plan->kernels->real : NULL;
}

/* One copy of all images, a job an image. `copy` sees the problem of one image. */
typedef struct copying {
  const tare_conv_plan *plan;
  tare_conv_problem image;
  size_t from_size, to_size; /* elements of an image */
  const void *from;
  void *to;
  void (*copy)(const struct copying *work, const void *from, void *to);
} copying;

static void copy_image(void *user, int job, int worker) {
  (void)worker;
  const copying *work = user;
  work->copy(work, at(work->plan, work->from, (size_t)job * work->from_size), at(work->plan, work->to, (size_t)job * work->to_size));
}

static void channels_last(const copying *work, const void *from, void *to) {
  work->plan->kernels->transpose_blocks(1, (size_t)work->image.channels, work->from_size / (size_t)work->image.channels, from, to);
}

static void channels_first(const copying *work, const void *from, void *to) {
  work->plan->kernels->transpose_blocks(1, work->from_size / (size_t)work->image.channels, (size_t)work->image.channels, from, to);
}

static void with_border(const copying *work, const void *from, void *to) { work->plan->kernels->pad_images(&work->image, from, to); }
static void without_border(const copying *work, const void *from, void *to) { work->plan->kernels->fold_images(&work->image, from, to); }

static size_t pixels(int rows, int columns, int channels) { return (size_t)rows * (size_t)columns * (size_t)channels; }

static void copy_images(const tare_conv_plan *plan, void (*copy)(const copying *, const void *, void *), size_t from_size, size_t to_size,
                        int channels, const void *from, void *to, tare_pool *pool) {
  copying work = {plan, plan->problem, from_size, to_size, from, to, copy};
  work.image.batch = 1;
  work.image.channels = channels;
  tare_conv_each(pool, plan->problem.batch, copy_image, &work);
}

/* x as the candidate wants it: in the areas at *free, which moves behind them. */
static const void *arranged(const tare_conv_plan *plan, const tare_group *g, const void *x, void **free, tare_pool *pool) {
  const tare_conv_problem *p = &plan->problem;
  size_t plain = pixels(p->size[0], p->size[1], p->channels);
  if (g->plain_x) {
    copy_images(plan, channels_last, plain, plain, p->channels, x, *free, pool);
    x = *free;
    *free = at(plan, *free, g->plain_x);
  }
  if (g->bordered_x) {
    const tare_conv_problem *inner = &g->ready.query.problem;
    copy_images(plan, with_border, plain, pixels(inner->size[0], inner->size[1], p->channels), p->channels, x, *free, pool);
    x = *free;
    *free = at(plan, *free, g->bordered_x);
  }
  return x;
}

static size_t output_image(const tare_conv_problem *p) {
  return pixels(tare_conv_output_size(p, 0), tare_conv_output_size(p, 1), p->outputs);
}

/* A call on each part of the batch. */
typedef struct parting {
  const tare_conv_plan *plan;
  const tare_group *group;
  int passes;
  const tare_call *call;
  atomic_int status;
} parting;

static void run_part(void *user, int job, int worker) {
  parting *work = user;
  const tare_conv_plan *plan = work->plan;
  const tare_group *g = work->group;
  const tare_conv_problem *p = &g->ready.query.problem;
  size_t part = (size_t)job * (size_t)p->batch, x = part * pixels(p->size[0], p->size[1], p->channels), y = part * output_image(p);
  tare_call call = *work->call;
  call.x = at(plan, call.x, x);
  call.dx = at(plan, call.dx, x);
  call.y = at(plan, call.y, y);
  call.dy = at(plan, call.dy, y);
  if (call.partial) call.partial = at(plan, call.workspace, g->partial_stride * (size_t)job);
  call.workspace = at(plan, call.workspace, g->partials + g->workspace_stride * (size_t)worker);
  call.pool = NULL;
  tare_status status = g->ready.how->run(&g->ready, work->passes, &call);
  if (status) atomic_store(&work->status, (int)status);
}

/* The candidate's call, in parts if the group has them; the parts' partials are added in their order. */
static tare_status run(const tare_conv_plan *plan, const tare_group *g, int passes, const tare_call *call) {
  if (g->parts == 1) return g->ready.how->run(&g->ready, passes, call);
  parting work = {plan, g, passes, call, TARE_OK};
  tare_conv_each(call->pool, g->parts, run_part, &work);
  if (call->partial && passes & TARE_BACKWARD_WEIGHTS) {
    for (int i = 0; i < g->parts; i++) {
      const void *from = at(plan, call->workspace, g->partial_stride * (size_t)i);
      if (i) plan->kernels->add(g->ready.partial, from, call->partial);
      else memcpy(call->partial, from, g->ready.partial * plan->kernels->real);
    }
  }
  return (tare_status)atomic_load(&work.status);
}

tare_status tare_conv_prepare(const tare_conv_plan *plan, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  tare_status status = TARE_OK;
  for (int i = 0; i < plan->group_count && !status; i++) {
    const tare_group *g = &plan->groups[i];
    if (g->ready.query.passes & (TARE_FORWARD | TARE_BACKWARD_DATA))
      status = g->ready.how->prepare(&g->ready, weights, at(plan, prepared, g->prepared), workspace, pool);
  }
  return status;
}

tare_status tare_conv_forward(const tare_conv_plan *plan, const void *x, const void *prepared, const void *bias, void *y, void *kept,
                              void *workspace, tare_pool *pool) {
  const tare_group *g = &plan->groups[plan->group_of[0]];
  tare_call call = {.prepared = at(plan, prepared, g->prepared), .bias = bias, .y = y, .kept = kept, .pool = pool};
  call.x = arranged(plan, g, x, &workspace, pool);
  if (g->plain_y) {
    call.y = workspace;
    workspace = at(plan, workspace, g->plain_y);
  }
  call.workspace = workspace;
  tare_status status = run(plan, g, TARE_FORWARD, &call);
  size_t image = output_image(&plan->problem);
  if (!status && g->plain_y) copy_images(plan, channels_first, image, image, plan->problem.outputs, call.y, y, pool);
  return status;
}

/* The gradient of the images as the candidate left it, back into the caller's array. */
static void give_back(const tare_conv_plan *plan, const tare_group *g, const void *got, void *plain, void *dx, tare_pool *pool) {
  const tare_conv_problem *p = &plan->problem, *inner = &g->ready.query.problem;
  size_t image = pixels(p->size[0], p->size[1], p->channels);
  if (g->bordered_dx) {
    void *to = g->plain_dx ? plain : dx;
    copy_images(plan, without_border, pixels(inner->size[0], inner->size[1], p->channels), image, p->channels, got, to, pool);
    got = to;
  }
  if (g->plain_dx) copy_images(plan, channels_first, image, image, p->channels, got, dx, pool);
}

/* Backward passes of one group: those of its passes that are wanted. */
static tare_status backward(const tare_conv_plan *plan, const tare_group *g, int passes, tare_call call, void *dx, void *workspace) {
  const tare_conv_problem *p = &plan->problem;
  size_t image = output_image(p);
  if (g->plain_y) {
    copy_images(plan, channels_last, image, image, p->outputs, call.dy, workspace, call.pool);
    call.dy = workspace;
    workspace = at(plan, workspace, g->plain_y);
  }
  if (passes & TARE_BACKWARD_WEIGHTS && !(call.kept && g->ready.kept)) call.x = arranged(plan, g, call.x, &workspace, call.pool);
  void *plain = workspace;
  workspace = at(plan, workspace, g->plain_dx);
  call.dx = g->bordered_dx ? workspace : g->plain_dx ? plain : dx;
  call.workspace = at(plan, workspace, g->bordered_dx);
  tare_status status = run(plan, g, passes, &call);
  if (!status && passes & TARE_BACKWARD_DATA) give_back(plan, g, call.dx, plain, dx, call.pool);
  return status;
}

tare_status tare_conv_backward(const tare_conv_plan *plan, const void *x, const void *dy, const void *prepared, const void *kept, void *dx,
                               void *partial, void *workspace, tare_pool *pool) {
  int wanted = (dx ? (int)TARE_BACKWARD_DATA : 0) | (partial ? (int)TARE_BACKWARD_WEIGHTS : 0);
  tare_status status = TARE_OK;
  for (int i = 0; i < plan->group_count && !status; i++) {
    const tare_group *g = &plan->groups[i];
    int passes = g->ready.query.passes & wanted;
    tare_call call = {.x = x, .dy = dy, .prepared = at(plan, prepared, g->prepared), .partial = at(plan, partial, g->partial),
                      .kept = (void *)(size_t)kept, .pool = pool};
    if (passes) status = backward(plan, g, passes, call, dx, workspace);
  }
  return status;
}

tare_status tare_conv_finish(const tare_conv_plan *plan, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  const tare_group *g = &plan->groups[plan->group_of[2]];
  return g->ready.how->finish(&g->ready, at(plan, partial, g->partial), dweights, workspace, pool);
}
