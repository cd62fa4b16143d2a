/* SPDX-License-Identifier: Apache-2.0 */
/* How large everything is, and how many images are done at a time. */
#include "base/error.h"
#include "conv/fft.h"

enum { ENOUGH = 1 << 24 };      /* floats of spectra at a time (64 MiB): more images at once make nothing faster */
enum { BATCH_FLOATS = 1 << 17 }; /* floats of a column's spectra of images and outputs (512 KiB): they stay in the L2 cache */
enum { JOBS = 16 };             /* that backward weights is cut into, whatever the threads */
enum { LINE = 16 };             /* floats of a cache line */
enum { BLOCK = 6 };             /* tiles: rows of a block of the matrix product */

size_t tare_fft_pitch(size_t floats) { return ((floats + LINE - 1) / LINE | 1) * LINE; }
size_t tare_fft_transform_scratch(const tare_fft *f) { return tare_aligned(tare_tile_scratch(f->tile, f->shape.lanes)); }

static int is_dense(const tare_fft *f) { return f->shape.mode == TARE_FFT_DENSE; }
static size_t columns_of(const tare_fft *f) { return (size_t)f->shape.size / 2 + 1; }

/* Strides, and the spectra of the filters. */
static void set_filters(tare_fft *f, int passes) {
  const tare_fft_shape *s = &f->shape;
  size_t rows = 2 * (size_t)s->groups * (size_t)s->axes[0].kernel;
  if (is_dense(f)) {
    f->w_stride[0] = tare_fft_pitch(rows * (size_t)s->inputs * tare_fft_padded(s, s->outputs));
    f->w_stride[1] = tare_fft_pitch(rows * (size_t)s->outputs * tare_fft_padded(s, s->inputs));
    f->w_size[0] = passes & TARE_FORWARD ? columns_of(f) * f->w_stride[0] : 0;
    f->w_size[1] = passes & TARE_BACKWARD_DATA ? columns_of(f) * f->w_stride[1] : 0;
  } else {
    f->x_stride = (size_t)s->frequencies * 2 * (size_t)s->lanes;
    f->w_size[0] = (size_t)s->out_blocks * (size_t)tare_fft_slices(s) * f->x_stride;
  }
}

/* Rows of the half-transformed tiles: the most that any tile has. */
static void set_rows(tare_fft *f) {
  const tare_fft_axis *axis = &f->shape.axes[0];
  f->x_rows = 0;
  for (int i = 0; i < axis->tiles; i++) {
    int end = tare_fft_span_of(axis, f->shape.size, i).end;
    if (end > f->x_rows) f->x_rows = end;
  }
  f->y_rows = axis->step < axis->out ? axis->step : axis->out;
}

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

/* Floats of a half-transformed tile in a column. A gradient of the images takes the place of the outputs' that it is made of. */
static void set_tiles(tare_fft *f, int passes) {
  const tare_fft_shape *s = &f->shape;
  f->x_tile = 2 * (size_t)f->x_rows * tare_fft_padded(s, s->inputs);
  f->y_tile = 2 * (size_t)f->y_rows * tare_fft_padded(s, s->outputs);
  if (passes & TARE_BACKWARD_DATA) f->y_tile = largest(f->x_tile, f->y_tile);
}

static void set_chunk(tare_fft *f, int chunk, int flags) {
  const tare_fft_shape *s = &f->shape;
  size_t tiles = (size_t)chunk * (size_t)s->tiles, all = tiles * (size_t)s->groups;
  f->chunk = chunk;
  f->means = flags & TARE_CONV_BRIGHTNESS ? tare_aligned(tiles * (size_t)s->groups * tare_fft_padded(s, s->inputs)) : 0;
  if (is_dense(f)) {
    f->x_stride = tare_fft_pitch(all * f->x_tile);
    f->y_stride = tare_fft_pitch(all * f->y_tile);
    f->x_chunk = columns_of(f) * f->x_stride;
    f->y_chunk = columns_of(f) * f->y_stride;
  } else if (s->mode == TARE_FFT_FEW) f->x_chunk = (size_t)(s->inputs * tare_fft_blocks(s, chunk * s->tiles)) * f->x_stride;
  else f->x_chunk = tiles * (size_t)s->in_blocks * f->x_stride;
}

/* Spectra in the workspace while a call goes over one chunk. */
static size_t working_set(const tare_fft *f, int passes, int keep) {
  size_t x = (f->shape.mode != TARE_FFT_DEPTHWISE && !keep ? f->x_chunk : 0) + (keep ? 0 : f->means);
  size_t forward = passes & TARE_FORWARD ? x + f->y_chunk : 0, backward = 0;
  if (passes & TARE_BACKWARD_WEIGHTS) backward += x;
  if (passes & (TARE_BACKWARD_WEIGHTS | TARE_BACKWARD_DATA)) backward += f->y_chunk;
  return largest(forward, backward);
}

static int segments_of(const tare_fft *f, int batch) {
  int units = f->shape.mode == TARE_FFT_FEW ? batch * f->shape.tiles : batch, wanted = (JOBS + f->shape.out_blocks - 1) / f->shape.out_blocks;
  return units < wanted ? units : wanted;
}

/* A column of a batch of tiles, of the filters and of their gradients (fft_dense.c, column_of). */
static size_t column_set(tare_fft *f, const tare_query *q) {
  const tare_fft_shape *s = &f->shape;
  size_t in = tare_fft_padded(s, s->inputs), out = tare_fft_padded(s, s->outputs), tile = 2 * (size_t)s->size * (in + out);
  int most = q->problem.batch * s->tiles;
  f->batch = (int)(BATCH_FLOATS / tile) / BLOCK * BLOCK;
  if (f->batch < BLOCK) f->batch = BLOCK;
  if (f->batch > most) f->batch = most;
  size_t xs = tare_fft_pitch(2 * (size_t)f->batch * in), ys = tare_fft_pitch(2 * (size_t)f->batch * out);
  size_t forward = q->passes & TARE_FORWARD ? xs + ys + tare_fft_pitch(2 * (size_t)s->inputs * out) : 0;
  size_t backward = q->passes != TARE_FORWARD ? 2 * xs + ys + 2 * tare_fft_pitch(2 * (size_t)s->outputs * in) : 0;
  return (size_t)s->size * largest(forward, backward);
}

/* What does not depend on the chunk: workers' scratch, and sums of backward weights. */
static size_t fixed_set(tare_fft *f, const tare_query *q) {
  size_t filter = (size_t)(q->problem.kernel[0] * q->problem.kernel[1]) * (size_t)f->shape.lanes; /* one, packed */
  size_t spectra = is_dense(f) ? column_set(f, q) : 3 * f->x_stride;
  f->scratch = tare_aligned(tare_fft_transform_scratch(f) + largest(spectra, filter));
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

tare_status tare_fft_set_sizes(tare_fft *f, tare_ready *r, tare_error *error) {
  const tare_query *q = &r->query;
  int keep = q->passes & TARE_FORWARD && q->passes & TARE_BACKWARD_WEIGHTS;
  set_filters(f, q->passes);
  set_rows(f);
  set_tiles(f, q->passes);
  if (!find_chunk(f, r, keep) && !find_chunk(f, r, 0))
    return tare_fail(error, TARE_E_UNSUPPORTED, "one image needs %zu bytes of workspace, %zu are allowed", 4 * r->workspace, 4 * q->limit);
  size_t outputs = (size_t)f->shape.groups * (size_t)f->shape.inputs * tare_fft_padded(&f->shape, f->shape.outputs);
  f->sums = q->flags & TARE_CONV_BRIGHTNESS && q->passes & TARE_FORWARD ? 2 * outputs : 0;
  r->prepared = tare_fft_sums_at(f) + f->sums;
  if (q->passes & TARE_BACKWARD_WEIGHTS) r->partial = is_dense(f) ? columns_of(f) * f->w_stride[1] : f->w_size[0];
  return TARE_OK;
}
