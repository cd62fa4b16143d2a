/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of a plan: around its candidates the parts of the batch, and copies of their images (layout, border, brightness). */
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

/* A copy of the images of a part, a job an image. `image` is the problem of one, with the channels of what is copied. */
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

/* A call of one group on all images, and what of it is to be done. */
typedef struct calling {
  const tare_conv_plan *plan;
  const tare_group *group;
  int passes;
  tare_call whole; /* the caller's arrays */
  atomic_int status;
} calling;

static void copy_images(const calling *work, void (*copy)(const copying *, const void *, void *), size_t from_size, size_t to_size,
                        int channels, const void *from, void *to, tare_pool *pool) {
  copying all = {work->plan, work->plan->problem, from_size, to_size, from, to, copy};
  all.image.batch = 1;
  all.image.channels = channels;
  tare_conv_each(pool, work->group->ready.query.problem.batch, copy_image, &all);
}

/* The areas of one part in the workspace; NULL: not needed. */
typedef struct areas { void *plain_x, *bordered_x, *plain_dx, *bordered_dx, *plain_y, *level_x, *means, *sums, *rest; } areas;

static void *take(const tare_conv_plan *plan, void **free, size_t size) {
  void *area = size ? *free : NULL;
  *free = at(plan, *free, size);
  return area;
}

static areas areas_of(const tare_conv_plan *plan, const tare_group *g, void *begin) {
  areas a;
  a.plain_x = take(plan, &begin, g->plain_x);
  a.bordered_x = take(plan, &begin, g->bordered_x);
  a.plain_dx = take(plan, &begin, g->plain_dx);
  a.bordered_dx = take(plan, &begin, g->bordered_dx);
  a.plain_y = take(plan, &begin, g->plain_y);
  a.level_x = take(plan, &begin, g->level.x);
  a.means = take(plan, &begin, g->level.means);
  a.sums = take(plan, &begin, g->level.sums);
  a.rest = begin;
  return a;
}

/* x as the candidate wants it. */
static const void *arranged(const calling *work, const areas *a, const void *x, tare_pool *pool) {
  const tare_conv_problem *p = &work->plan->problem;
  size_t plain = tare_conv_image_size(p);
  if (a->plain_x) {
    copy_images(work, channels_last, plain, plain, p->channels, x, a->plain_x, pool);
    x = a->plain_x;
  }
  if (a->bordered_x) {
    copy_images(work, with_border, plain, tare_conv_image_size(&work->group->ready.query.problem), p->channels, x, a->bordered_x, pool);
    x = a->bordered_x;
  }
  return x;
}

/* x less its brightness, in the last copy that was made of it. */
static tare_brightness_call levelled(const calling *work, const areas *a, tare_call *call) {
  const tare_group *g = work->group;
  void *own = a->level_x ? a->level_x : a->bordered_x ? a->bordered_x : a->plain_x;
  tare_brightness_call w = {.ready = &g->ready, .x = call->x, .bias = call->bias, .dy = call->dy, .levelled = own, .shifts = a->means, .sums = a->sums};
  w.filters = at(work->plan, call->prepared, g->filters);
  w.gradient = at(work->plan, call->partial, g->gradient);
  w.y = call->y;
  tare_brightness_images(&w, call->pool);
  call->x = own;
  call->bias = NULL;
  return w;
}

/* The gradient of the images as the candidate left it, back into the caller's array. */
static void give_back(const calling *work, const areas *a, void *dx, tare_pool *pool) {
  const tare_conv_problem *p = &work->plan->problem;
  size_t plain = tare_conv_image_size(p);
  if (a->bordered_dx)
    copy_images(work, without_border, tare_conv_image_size(&work->group->ready.query.problem), plain, p->channels, a->bordered_dx,
                a->plain_dx ? a->plain_dx : dx, pool);
  if (a->plain_dx) copy_images(work, channels_first, plain, plain, p->channels, a->plain_dx, dx, pool);
}

/* The arrays of one part, as the caller has them. */
static tare_call part_of(const calling *work, int part) {
  const tare_conv_problem *p = &work->plan->problem;
  size_t first = (size_t)part * (size_t)work->group->ready.query.problem.batch;
  tare_call call = work->whole;
  call.x = at(work->plan, call.x, first * tare_conv_image_size(p));
  call.dx = at(work->plan, call.dx, first * tare_conv_image_size(p));
  call.y = at(work->plan, call.y, first * tare_conv_result_size(p));
  call.dy = at(work->plan, call.dy, first * tare_conv_result_size(p));
  call.kept = at(work->plan, call.kept, (size_t)part * work->group->kept_stride);
  return call;
}

/* The candidate's call on one part, between the copies. `call` has the part's arrays; areas that the passes do not need stay unused. */
static tare_status between_copies(const calling *work, tare_call call, void *begin) {
  const tare_conv_plan *plan = work->plan;
  const tare_group *g = work->group;
  const areas a = areas_of(plan, g, begin);
  const size_t output = tare_conv_result_size(&plan->problem);
  void *y = call.y, *dx = call.dx;
  int reads_kept = call.kept && work->passes != TARE_FORWARD;
  if (!(work->passes & (TARE_FORWARD | TARE_BACKWARD_WEIGHTS)) || reads_kept) call.x = NULL;
  else call.x = arranged(work, &a, call.x, call.pool);
  if (a.plain_y && call.dy) {
    copy_images(work, channels_last, output, output, plan->problem.outputs, call.dy, a.plain_y, call.pool);
    call.dy = a.plain_y;
  }
  if (a.plain_y && y) call.y = a.plain_y;
  if (dx) call.dx = a.bordered_dx ? a.bordered_dx : a.plain_dx ? a.plain_dx : dx;
  call.workspace = a.rest;
  int level = g->level.on && call.x;
  tare_brightness_call brightness = level ? levelled(work, &a, &call) : (tare_brightness_call){0};
  tare_status status = g->ready.how->run(&g->ready, work->passes, &call);
  if (status) return status;
  if (level && y) tare_brightness_outputs(&brightness, call.pool);
  if (level && call.partial && g->level.partial) tare_brightness_gradient(&brightness, call.pool);
  if (y && a.plain_y) copy_images(work, channels_first, output, output, plan->problem.outputs, a.plain_y, y, call.pool);
  if (dx) give_back(work, &a, dx, call.pool);
  return TARE_OK;
}

/* Part `part` in the areas of `worker`; a partial of its own comes first in the workspace. */
static void run_part(void *user, int part, int worker) {
  calling *work = user;
  const tare_group *g = work->group;
  tare_call call = part_of(work, part);
  if (call.partial) call.partial = at(work->plan, call.workspace, g->jobs ? g->partial_stride * (size_t)part : 0);
  if (g->jobs) call.pool = NULL;
  tare_status status = between_copies(work, call, at(work->plan, call.workspace, g->partials + g->stride * (size_t)worker));
  if (status) atomic_store(&work->status, (int)status);
}

/* The partials of the parts in their order: the first is copied, the others are added. */
static void add_partial(const calling *work, int part) {
  const tare_kernels *k = work->plan->kernels;
  const tare_group *g = work->group;
  const void *from = at(work->plan, work->whole.workspace, g->jobs ? g->partial_stride * (size_t)part : 0);
  if (part) k->add(g->partial_size, from, work->whole.partial);
  else memcpy(work->whole.partial, from, g->partial_size * k->real);
}

static tare_status run(const tare_conv_plan *plan, const tare_group *g, int passes, const tare_call *whole) {
  calling work = {plan, g, passes, *whole, TARE_OK};
  if (g->parts == 1) {
    if (g->jobs) work.whole.pool = NULL;
    return between_copies(&work, work.whole, whole->workspace);
  }
  if (g->jobs) tare_conv_each(whole->pool, g->parts, run_part, &work);
  for (int part = 0; part < g->parts; part++) {
    if (!g->jobs) run_part(&work, part, 0);
    if (whole->partial) add_partial(&work, part);
  }
  return (tare_status)atomic_load(&work.status);
}

/* An array that a call needs, and that is not there. */
static int lacks(const void *array, size_t size) { return size > 0 && !array; }

/* What lies between parts of the prepared weights, to whole cache lines: nobody reads it, but whoever compares or stores them sees the same bytes each time. */
static void clear_gap(const tare_conv_plan *plan, void *prepared, size_t from) {
  memset(at(plan, prepared, from), 0, (tare_aligned(from) - from) * plan->kernels->real);
}

tare_status tare_conv_prepare(const tare_conv_plan *plan, const void *weights, void *prepared, void *workspace, tare_pool *pool) {
  if (!plan || !weights || lacks(prepared, plan->prepared_size) || lacks(workspace, plan->workspace_size)) return TARE_E_ARGUMENT;
  tare_status status = TARE_OK;
  for (int i = 0; i < plan->group_count && !status; i++) {
    const tare_group *g = &plan->groups[i];
    if (g->ready.query.passes & (TARE_FORWARD | TARE_BACKWARD_DATA))
      status = g->ready.how->prepare(&g->ready, weights, at(plan, prepared, g->prepared), workspace, pool);
    if (g->level.prepared) tare_brightness_prepare(&g->ready.query, weights, at(plan, prepared, g->prepared + g->filters));
    if (g->ready.prepared) clear_gap(plan, prepared, g->prepared + g->ready.prepared);
    if (g->level.prepared) clear_gap(plan, prepared, g->prepared + g->prepared_size);
  }
  return status;
}

tare_status tare_conv_forward(const tare_conv_plan *plan, const void *x, const void *prepared, const void *bias, void *y, void *kept,
                              void *workspace, tare_pool *pool) {
  if (!plan || plan->group_of[0] < 0 || !x || !prepared || !y || lacks(workspace, plan->workspace_size)) return TARE_E_ARGUMENT;
  const tare_group *g = &plan->groups[plan->group_of[0]];
  tare_call call = {.x = x, .prepared = at(plan, prepared, g->prepared), .bias = bias, .y = y, .kept = g->ready.kept ? kept : NULL,
                    .workspace = workspace, .pool = pool};
  return run(plan, g, TARE_FORWARD, &call);
}

tare_status tare_conv_backward(const tare_conv_plan *plan, const void *x, const void *dy, const void *prepared, const void *kept, void *dx,
                               void *partial, void *workspace, tare_pool *pool) {
  int wanted = (dx ? (int)TARE_BACKWARD_DATA : 0) | (partial ? (int)TARE_BACKWARD_WEIGHTS : 0);
  if (!plan || !dy || lacks(workspace, plan->workspace_size) || (dx && (!prepared || plan->group_of[1] < 0)) || (partial && (!x || plan->group_of[2] < 0))) return TARE_E_ARGUMENT;
  tare_status status = TARE_OK;
  for (int i = 0; i < plan->group_count && !status; i++) {
    const tare_group *g = &plan->groups[i];
    int passes = g->ready.query.passes & wanted;
    tare_call call = {.dy = dy, .prepared = at(plan, prepared, g->prepared), .workspace = workspace, .pool = pool};
    if (passes & TARE_BACKWARD_DATA) call.dx = dx;
    if (passes & TARE_BACKWARD_WEIGHTS) {
      call.x = x;
      call.partial = at(plan, partial, g->partial);
      call.kept = g->ready.kept ? (void *)(size_t)kept : NULL;
    }
    if (passes) status = run(plan, g, passes, &call);
  }
  return status;
}

tare_status tare_conv_finish(const tare_conv_plan *plan, const void *partial, void *dweights, void *workspace, tare_pool *pool) {
  if (!plan || plan->group_of[2] < 0 || !partial || !dweights || lacks(workspace, plan->workspace_size)) return TARE_E_ARGUMENT;
  const tare_group *g = &plan->groups[plan->group_of[2]];
  tare_status status = g->ready.how->finish(&g->ready, at(plan, partial, g->partial), dweights, workspace, pool);
  if (!status && g->level.partial) tare_brightness_finish(&g->ready.query, at(plan, partial, g->partial + g->gradient), dweights);
  return status;
}
