/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/fft.h"

#include <stdint.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "conv/plan.h"

enum { ENOUGH = 1 << 24 };  /* floats of spectra at a time (64 MiB): more images at once make nothing faster */
enum { JOBS = 16 };         /* that backward weights is cut into, whatever the threads */
enum { LINE = 16 };         /* floats of a cache line */

static const char *const mode_names[TARE_FFT_MODES] = {"dense", "few channels", "depthwise"};

static void judge(const tare_query *query, tare_verdict *verdict) {
  const tare_conv_problem *p = &query->problem;
  tare_fft_shape shape;
  verdict->cycles = -1;
  if (p->stride[0] * p->stride[1] > 1) snprintf(verdict->reason, sizeof verdict->reason, "stride");
  else if (p->dilation[0] * p->dilation[1] > 1) snprintf(verdict->reason, sizeof verdict->reason, "dilation");
  else if ((verdict->cycles = tare_fft_choose(query, &shape)) < 0)
    snprintf(verdict->reason, sizeof verdict->reason, "no tile is large enough for the filter");
  else snprintf(verdict->reason, sizeof verdict->reason, "tiles of %d, %s, %d lanes", shape.size, mode_names[shape.mode], shape.lanes);
}

/* Up to an odd number of cache lines, so that the same place of all frequencies does not fall into a few sets of the cache. */
static size_t odd_lines(size_t floats) { return ((floats + LINE - 1) / LINE | 1) * LINE; }

static int is_dense(const tare_fft *f) { return f->shape.mode == TARE_FFT_DENSE; }
static size_t padded(const tare_fft *f, int channels) {
  return (size_t)((channels + f->shape.lanes - 1) / f->shape.lanes) * (size_t)f->shape.lanes;
}

/* Strides, and the spectra of the filters. */
static void set_filters(tare_fft *f, int passes) {
  const tare_fft_shape *s = &f->shape;
  size_t frequencies = (size_t)s->frequencies, groups = (size_t)s->groups, both = 2 * groups;
  int forward = passes & TARE_FORWARD, data = passes & TARE_BACKWARD_DATA;
  if (is_dense(f)) {
    f->w_stride[0] = odd_lines(both * (size_t)s->inputs * padded(f, s->outputs));
    f->w_stride[1] = odd_lines(both * (size_t)s->outputs * padded(f, s->inputs));
    f->w_size[0] = forward ? frequencies * f->w_stride[0] : 0;
    f->w_size[1] = data ? frequencies * f->w_stride[1] : 0;
  } else {
    f->x_stride = f->y_stride = frequencies * 2 * (size_t)s->lanes;
    f->w_size[0] = (size_t)s->out_blocks * (size_t)(s->mode == TARE_FFT_FEW ? s->inputs : 1) * f->x_stride;
  }
}

static void set_chunk(tare_fft *f, int chunk, int flags) {
  const tare_fft_shape *s = &f->shape;
  size_t tiles = (size_t)chunk * (size_t)s->tiles, lanes = (size_t)s->lanes, groups = (size_t)s->groups;
  f->chunk = chunk;
  f->means = flags & TARE_CONV_BRIGHTNESS ? tare_aligned(tiles * groups * padded(f, s->inputs)) : 0;
  if (is_dense(f)) {
    f->x_stride = odd_lines(2 * tiles * groups * padded(f, s->inputs));
    f->y_stride = odd_lines(2 * tiles * groups * padded(f, s->outputs));
    f->x_chunk = (size_t)s->frequencies * f->x_stride;
    f->y_chunk = (size_t)s->frequencies * f->y_stride;
  } else if (s->mode == TARE_FFT_FEW) f->x_chunk = (size_t)s->inputs * ((tiles + lanes - 1) / lanes) * f->x_stride;
  else f->x_chunk = tiles * (size_t)s->in_blocks * f->x_stride;
}

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

/* Spectra in the workspace while a call goes over one chunk. */
static size_t working_set(const tare_fft *f, int passes, int keep) {
  size_t x = (f->shape.mode != TARE_FFT_DEPTHWISE && !keep ? f->x_chunk : 0) + (keep ? 0 : f->means);
  size_t forward = passes & TARE_FORWARD ? x + f->y_chunk : 0, backward = 0;
  if (passes & TARE_BACKWARD_WEIGHTS) backward += x;
  if (passes & (TARE_BACKWARD_WEIGHTS | TARE_BACKWARD_DATA)) backward += f->y_chunk;
  if (passes & TARE_BACKWARD_DATA && is_dense(f)) backward += f->x_chunk;
  return largest(forward, backward);
}

static int segments_of(const tare_fft *f, int batch) {
  int units = f->shape.mode == TARE_FFT_FEW ? batch * f->shape.tiles : batch, wanted = (JOBS + f->shape.out_blocks - 1) / f->shape.out_blocks;
  return units < wanted ? units : wanted;
}

/* What does not depend on the chunk: workers' scratch, and sums of backward weights. */
static size_t fixed_set(tare_fft *f, const tare_query *q) {
  f->scratch = tare_aligned(tare_tile_scratch(f->tile, f->shape.lanes)) + (is_dense(f) ? 0 : 3 * f->x_stride);
  size_t filter = (size_t)(q->problem.kernel[0] * q->problem.kernel[1]) * (size_t)f->shape.lanes; /* one, packed */
  f->scratch = tare_aligned(f->scratch + filter);
  f->segments = is_dense(f) || q->passes == TARE_FORWARD ? 0 : segments_of(f, q->problem.batch);
  f->sums_size = q->passes & TARE_BACKWARD_WEIGHTS ? (size_t)f->segments * f->w_size[0] : 0;
  return f->scratch * (size_t)q->threads + f->sums_size;
}

static size_t kept_of(const tare_fft *f, int batch) {
  size_t chunks = (size_t)((batch + f->chunk - 1) / f->chunk);
  return chunks * (tare_aligned(f->x_chunk) + f->means);
}

/* The largest chunk that the limit and reason allow. 0 if one image is too large. */
static int find_chunk(tare_fft *f, tare_ready *r, int keep) {
  const tare_query *q = &r->query;
  size_t fixed = fixed_set(f, q);
  for (int chunk = q->problem.batch;; chunk = (chunk + 1) / 2) {
    set_chunk(f, chunk, q->flags);
    size_t working = tare_aligned(working_set(f, q->passes, 0)), all = fixed + working; /* a call may bring nothing kept */
    r->kept = keep ? kept_of(f, q->problem.batch) : 0;
    r->workspace = all;
    if (all + r->kept <= q->limit && (working <= ENOUGH || chunk == 1)) return 1;
    if (chunk == 1) return 0;
  }
}

static tare_status set_sizes(tare_fft *f, tare_ready *r, tare_error *error) {
  const tare_query *q = &r->query;
  int keep = q->passes & TARE_FORWARD && q->passes & TARE_BACKWARD_WEIGHTS;
  set_filters(f, q->passes);
  if (!find_chunk(f, r, keep) && !find_chunk(f, r, 0))
    return tare_fail(error, TARE_E_UNSUPPORTED, "one image needs %zu bytes of workspace, %zu are allowed", 4 * r->workspace, 4 * q->limit);
  size_t outputs = (size_t)f->shape.groups * (size_t)f->shape.inputs * padded(f, f->shape.outputs);
  f->sums = q->flags & TARE_CONV_BRIGHTNESS && q->passes & TARE_FORWARD ? 2 * outputs : 0;
  r->prepared = tare_aligned(f->w_size[0]) + tare_aligned(f->w_size[1]) + f->sums;
  if (q->passes & TARE_BACKWARD_WEIGHTS)
    r->partial = is_dense(f) ? (size_t)f->shape.frequencies * f->w_stride[1] : f->w_size[0];
  return TARE_OK;
}

static tare_status create(tare_ready *r, tare_error *error) {
  tare_fft *f = r->own = tare_alloc(1, sizeof *f);
  if (!f) return tare_fail_memory(error, sizeof *f, "a convolution plan");
  if (tare_fft_choose(&r->query, &f->shape) < 0) return tare_fail(error, TARE_E_UNSUPPORTED, "no tile is large enough for the filter");
  f->kernels = tare_tile_kernels_at(tare_cpu(), f->shape.lanes);
  tare_status status = tare_tile_create(f->shape.size, &f->tile, error);
  return status ? status : set_sizes(f, r, error);
}

static void drop(tare_ready *r) {
  tare_fft *f = r->own;
  if (f) tare_free(f->tile);
  tare_free(f);
}

static tare_status run(const tare_ready *r, int passes, const tare_call *call) {
  const tare_fft *f = r->own;
  size_t kept_chunk = tare_aligned(f->x_chunk) + f->means;
  tare_fft_call c = {.ready = r, .fft = f, .call = call, .passes = passes, .scratch = call->workspace};
  c.sums = c.scratch + f->scratch * (size_t)r->query.threads;
  float *free = c.sums + f->sums_size;
  size_t means = passes == TARE_BACKWARD_DATA ? 0 : f->means; /* of x, which that pass does not see */
  for (int chunk = 0; c.first < r->query.problem.batch; chunk++, c.first += f->chunk) {
    int left = r->query.problem.batch - c.first;
    c.images = left < f->chunk ? left : f->chunk;
    int kept = tare_fft_is_kept(&c), in_workspace = !kept && f->shape.mode != TARE_FFT_DEPTHWISE && passes != TARE_BACKWARD_DATA;
    c.x = kept ? (float *)call->kept + (size_t)chunk * kept_chunk : in_workspace ? free : NULL;
    c.means = kept ? c.x + tare_aligned(f->x_chunk) : in_workspace ? free + f->x_chunk : free;
    c.work = kept ? free : free + (in_workspace ? f->x_chunk : 0) + means;
    if (is_dense(f)) tare_fft_dense(&c);
    else tare_fft_point(&c);
  }
  return TARE_OK;
}

const tare_candidate tare_candidate_fft = {
  .name = "fft", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_VALID,
  .flags = TARE_CONV_BRIGHTNESS | TARE_CONV_SHARED, .joins = 1,
  .judge = judge, .create = create, .free = drop, .prepare = tare_fft_prepare, .run = run, .finish = tare_fft_finish,
};
