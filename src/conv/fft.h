/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidate fft: passes as products of the spectra of overlapping tiles. doc/engine.md has the algorithm. fft.c is
 * the candidate, fft_shape.c chooses how it is done and what that costs, fft_sizes.c its memory, fft_weights.c the filters' spectra, fft_dense.c and
 * fft_point.c the passes.
 */
#ifndef TARE_CONV_FFT_H
#define TARE_CONV_FFT_H

#include "conv/candidate.h"
#include "kernel/tile.h"

typedef enum tare_fft_mode {
  TARE_FFT_DENSE,     /* lanes are channels; a matrix product a frequency */
  TARE_FFT_FEW,       /* few input channels: their lanes are tiles, those of the outputs channels */
  TARE_FFT_DEPTHWISE, /* lanes are channels; pointwise products */
  TARE_FFT_MODES
} tare_fft_mode;

/* One axis of the images: tile t makes outputs from t * step on, and its pixel u is pixel t * step - pad + u of the image. */
typedef struct tare_fft_axis { int size, pad, kernel, out, tiles, step; } tare_fft_axis;

/* A way to do it. */
typedef struct tare_fft_shape {
  tare_fft_mode mode;
  int lanes, size, frequencies;     /* of a tile */
  tare_fft_axis axes[2];
  int tiles;                        /* of one image */
  int groups, inputs, outputs;      /* groups (depthwise: 1) and channels of one */
  int in_blocks, out_blocks;        /* vectors of lanes that hold them */
} tare_fft_shape;

/* Pixels of a tile along one axis: u from `first` to before `end`, and how many outputs it makes. */
typedef struct tare_fft_span { int first, end, outputs; } tare_fft_span;

/* The candidate's own: sizes in floats. */
typedef struct tare_fft {
  tare_fft_shape shape;
  tare_tile *tile;
  const tare_tile_kernels *kernels;
  int chunk;                        /* images at a time */
  int batch;                        /* dense: tiles of a column at a time */
  int x_rows, y_rows;               /* dense: of a half-transformed tile */
  size_t x_tile, y_tile;            /* dense: in a column, from a tile of images to the next, of outputs or of the images' gradients in their place */
  size_t x_stride, y_stride;        /* dense: from a column of a chunk to the next; others: a tile's spectrum */
  size_t w_stride[2];               /* dense: the same of the filters, [0] for forward, [1] for backward */
  size_t x_chunk, y_chunk;          /* half-transformed tiles, or spectra, of a chunk */
  size_t w_size[2], sums;           /* prepared: spectra for forward, for backward data (0: not needed), sums of the filters (doubles) */
  size_t means;                     /* of a chunk's tiles; 0: brightness stays on */
  size_t scratch;                   /* of a worker */
  int segments;                     /* not dense: parts of the batch that backward passes do at once */
  size_t sums_size;                 /* their sums of backward weights */
} tare_fft;

/*
 * What a shape does for a query, in units whose costs fft_shape.c has: operations of transforms, multiplications and additions of products (in vectors); vectors
 * read and written near (the L2 cache), far (the L3 cache) and beyond, but those of pixels (of images; those not in whole vectors; of filters) apart; tiles (calls).
 */
typedef struct tare_fft_work { double transforms, products, near, far, beyond, spectra, pixels, ragged, filters, tiles; } tare_fft_work;
tare_fft_work tare_fft_work_of(const tare_fft_shape *shape, const tare_query *query);

/* fft_shape.c. 0 if a tile of that size cannot do it. */
int tare_fft_shape_of(const tare_conv_problem *p, tare_fft_mode mode, int lanes, int size, tare_fft_shape *out);
tare_fft_span tare_fft_span_of(const tare_fft_axis *axis, int size, int tile);
/* The cheapest shape for a query, and its cycles; below 0: none. */
double tare_fft_choose(const tare_query *query, tare_fft_shape *out);

/* fft_sizes.c: all sizes of a shape; and floats rounded up to an odd number of cache lines, so that the same place of all lines does not
   fall into a few sets of the cache. */
tare_status tare_fft_set_sizes(tare_fft *fft, tare_ready *ready, tare_error *error);
size_t tare_fft_pitch(size_t floats);
size_t tare_fft_transform_scratch(const tare_fft *fft);

/* fft_weights.c */
tare_status tare_fft_prepare(const tare_ready *ready, const void *weights, void *prepared, void *workspace, tare_pool *pool);
tare_status tare_fft_finish(const tare_ready *ready, const void *partial, void *dweights, void *workspace, tare_pool *pool);

/* fft_dense.c, fft_point.c: a chunk of images from `first` on */
typedef struct tare_fft_call {
  const tare_ready *ready;
  const tare_fft *fft;
  const tare_call *call;
  int passes, first, images;
  float *x, *means;                 /* spectra of the chunk, kept or in the workspace, and its means */
  float *work, *scratch, *sums;     /* the rest of the workspace; the workers'; the segments' */
} tare_fft_call;
void tare_fft_dense(const tare_fft_call *c);
void tare_fft_point(const tare_fft_call *c);

/* fft_tiles.c: tiles as the transforms see them. tile: of one image; channel: the first lane. */
tare_tile_source tare_fft_image_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes);
tare_tile_source tare_fft_gradient_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes);
tare_tile_target tare_fft_output_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes);
tare_tile_target tare_fft_input_tile(const tare_fft_call *c, int image, int tile, int channel, int lanes);
/* Fills the chunk's means, on the pool: 0 for a tile that a zero border cuts. */
void tare_fft_find_means(const tare_fft_call *c);
/* x's gradient of the chunk set to 0, where several tiles add to it. */
void tare_fft_clear_gradient(const tare_fft_call *c);
/* Spectra are in the call's kept memory (no need to make them), or will be. */
int tare_fft_is_kept(const tare_fft_call *c);

/* Where they begin among the prepared weights: the spectra for backward data, and the sums (an even number of floats). */
static inline size_t tare_fft_backward_at(const tare_fft *f) { return tare_aligned(f->w_size[0]); }
static inline size_t tare_fft_sums_at(const tare_fft *f) { return tare_fft_backward_at(f) + tare_aligned(f->w_size[1]); }

/* Vectors of lanes that hold so many channels (or tiles), and all their lanes. */
static inline int tare_fft_blocks(const tare_fft_shape *s, int channels) { return (channels + s->lanes - 1) / s->lanes; }
static inline size_t tare_fft_padded(const tare_fft_shape *s, int channels) { return (size_t)(tare_fft_blocks(s, channels) * s->lanes); }
/* Input channels of one filter. */
static inline int tare_fft_slices(const tare_fft_shape *s) { return s->mode == TARE_FFT_DEPTHWISE ? 1 : s->inputs; }

static inline int tare_fft_lanes_of(const tare_fft *f, int channels, int block) {
  int left = channels - block * f->shape.lanes;
  return left < f->shape.lanes ? left : f->shape.lanes;
}

#endif
