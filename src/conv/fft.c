/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/fft.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"

static const char *const mode_names[TARE_FFT_MODES] = {"dense", "few channels", "depthwise"};

/*
 * In doubt another: with cold caches, between the passes of a step or beside other work, spectra and workspaces lose more than registers do.
 * (A first layer of 7 x 7 filters: alone 5 % faster than direct, in a step 10 % slower.)
 */
static const double doubt = 1.06;

static void judge(const tare_query *query, tare_verdict *verdict) {
  const tare_conv_problem *p = &query->problem;
  tare_fft_shape shape;
  verdict->cycles = -1;
  verdict->error = 2.5e-7; /* measured: 1.4 to 2.4 */
  if (p->stride[0] * p->stride[1] > 1) snprintf(verdict->reason, sizeof verdict->reason, "stride");
  else if (p->dilation[0] * p->dilation[1] > 1) snprintf(verdict->reason, sizeof verdict->reason, "dilation");
  else if ((verdict->cycles = tare_fft_choose(query, &shape)) < 0)
    snprintf(verdict->reason, sizeof verdict->reason, "no tile is large enough for the filter");
  else snprintf(verdict->reason, sizeof verdict->reason, "tiles of %d, %s, %d lanes", shape.size, mode_names[shape.mode], shape.lanes);
  if (verdict->cycles > 0) verdict->cycles *= doubt;
}

static tare_status create(tare_ready *r, tare_error *error) {
  tare_fft *f = r->own = tare_alloc(1, sizeof *f);
  if (!f) return tare_fail_memory(error, sizeof *f, "a convolution plan");
  if (tare_fft_choose(&r->query, &f->shape) < 0) return tare_fail(error, TARE_E_UNSUPPORTED, "no tile is large enough for the filter");
  f->kernels = tare_tile_kernels_at(tare_cpu(), f->shape.lanes);
  tare_status status = tare_tile_create(f->shape.size, &f->tile, error);
  return status ? status : tare_fft_set_sizes(f, r, error);
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
    if (f->shape.mode == TARE_FFT_DENSE) tare_fft_dense(&c);
    else tare_fft_point(&c);
  }
  return TARE_OK;
}

const tare_candidate tare_candidate_fft = {
  .name = "fft", .precisions = 1 << TARE_F32, .borders = 1 << TARE_BORDER_ZERO | 1 << TARE_BORDER_VALID,
  .flags = TARE_CONV_BRIGHTNESS | TARE_CONV_SHARED, .joins = 1,
  .judge = judge, .create = create, .free = drop, .prepare = tare_fft_prepare, .run = run, .finish = tare_fft_finish,
};
