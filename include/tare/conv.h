/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of images (2-D), signals (1-D) and volumes (3-D): problem strings, plans, passes.
 *
 * A problem string has oneDNN's form: g (groups), n (batch), c, h, w, o, k,
 * s (stride), p (padding), d (dilation, 1 = none): "n8c32h64o32k15p7", "g32n8c32h64o32k7p3".
 * c, h, o and k must be there; w is h, the others are 1 (p: 0) unless given. k, s, p and d have one number for all axes, or one
 * for each joined by x: "k3x5" is 3 rows, 5 columns. "h64x48" is "h64w48".
 * Without h but with w: one row, a 1-D problem, whose k, s, p and d are those of the columns: "c8w1000o8k15p7".
 * With z: planes, a 3-D problem, whose k, s, p and d have one number or three, planes first: "c8z16h64o8k3x5x5p1x2x2".
 * The border is zero unless "reflect", "edge" or "valid" (p = 0) ends the string after a '_'. doc/conv.md has the table.
 *
 * Tensors are nhwc floats (or doubles for a plan in double): x is
 * [n][h][w][c], y is [n][oh][ow][o]; the plain weights are [o][c/g][kh][kw]
 * as frameworks store them; cross-correlation. With planes: [n][z][h][w][c] and [o][c/g][kz][kh][kw].
 *
 * The weights enter a plan in a form of its own ("prepared": reordered,
 * transformed), made once a step; the gradient leaves it as a "partial"
 * in a form of its own: partials of several shards are added as float arrays,
 * then finished once into the plain gradient. What forward computed of x that a backward pass can use (spectra)
 * is "kept". A plan is immutable and may be used by many threads at once, each with its own arrays and workspace.
 * The calling thread does the work, with the threads of a pool if it brings one; the bits of a result
 * depend on the plan alone, never on the number of threads.
 */
#ifndef TARE_CONV_H
#define TARE_CONV_H

#include <stdint.h>
#include <tare/pool.h>
#include <tare/status.h>
#include <tare/wisdom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What lies outside of an image: zeros; its pixels mirrored, without the edge; the edge; nothing (padding 0). */
typedef enum tare_border { TARE_BORDER_ZERO, TARE_BORDER_REFLECT, TARE_BORDER_EDGE, TARE_BORDER_VALID } tare_border;
/* Of the elements of all arrays: float; double, which the reference alone computes. */
typedef enum tare_precision { TARE_F32, TARE_F64 } tare_precision;
/* Passes of a training step, which may be added up: y of x and w; dx of dy and w; dw of x and dy. */
typedef enum tare_pass { TARE_FORWARD = 1, TARE_BACKWARD_DATA = 2, TARE_BACKWARD_WEIGHTS = 4 } tare_pass;

/* Sizes in elements; [0] rows, [1] columns, [2] planes: all 0 (or 1, and 0 for pad) in a 2-D problem. */
typedef struct tare_conv_problem {
  int groups, batch, channels, outputs; /* channels and outputs of all groups together */
  int size[3], kernel[3], stride[3], pad[3], dilation[3]; /* of the image, of the filter, and how it is moved; pad on each side */
  tare_border border; /* what the padding holds */
} tare_conv_problem;

/* Both check every size (positive, groups divide, an output of at least one pixel, reflect padding below the image size). */
TARE_API tare_status tare_conv_problem_parse(const char *text, tare_conv_problem *out, tare_error *error);
TARE_API tare_status tare_conv_problem_check(const tare_conv_problem *problem, tare_error *error);
/* Canonical text into buffer (always terminated); returns the length that the whole text has. */
TARE_API size_t tare_conv_problem_text(const tare_conv_problem *problem, char *buffer, size_t size);
/* Output rows (axis 0), columns (axis 1) or planes (axis 2). */
TARE_API int tare_conv_output_size(const tare_conv_problem *problem, int axis);

typedef struct tare_conv_plan tare_conv_plan; /* how one problem is done here */

/* Of x, y, dx and dy. */
typedef enum tare_layout { TARE_NHWC, TARE_NCHW } tare_layout;

/* What may change the result's last bits or what the gradient holds; a sum of these. */
typedef enum tare_conv_flag {
  TARE_CONV_ACCURATE = 1,   /* no candidate whose error rms may pass 5e-7 of the output's */
  /*
   * Brightness is taken off before and put back exactly (doc/engine.md): large offsets of x cost no accuracy. But for outputs near zero padding: there
   * the image really steps from its brightness to 0, nothing is taken off (fft: of tiles that reach it, others: of the whole image).
   */
  TARE_CONV_BRIGHTNESS = 2,
  /*
   * With TARE_CONV_BRIGHTNESS: backward weights may leave out the part of the gradient that brightness makes: a
   * multiple of the constant filter on each slice (MODULO_SLICE), or of one constant on all channels of a filter
   * (MODULO_FILTER). Right for weights under a rule that fixes that sum: the basis's transpose removes this part anyway, and what is left is as accurate as
   * without the offset. Wrong for free weights.
   */
  TARE_CONV_MODULO_SLICE = 4,
  TARE_CONV_MODULO_FILTER = 8,
  TARE_CONV_SHARED = 16,    /* calls bring a pool: passes are cut into parts that its threads share */
} tare_conv_flag;

/* What a plan is asked for; all zero: every pass in float, one thread. */
typedef struct tare_conv_options {
  tare_precision precision; /* of all arrays */
  tare_layout layout; /* of the images and their gradients */
  int passes;             /* a sum of tare_pass; 0: all three */
  int flags;              /* a sum of tare_conv_flag */
  const char *candidate;  /* a name to insist on (TARE_E_UNSUPPORTED with its reason if it declines a pass), or NULL: the planner chooses */
  size_t workspace_limit; /* bytes of workspace and kept together, 0: no limit. TARE_E_UNSUPPORTED if no candidate can do with it */
  int threads;            /* the most that a pool of a call will have, for the sizes of workspaces; 0 is 1 */
  int measure;            /* 1: the planner times the candidates (tens of milliseconds for each and each group of passes) and keeps the fastest */
  tare_wisdom *wisdom;    /* or NULL. A plan whose problem it knows takes that choice untimed; what is measured is added to it. Used by plan_create alone */
} tare_conv_options;

/*
 * In double the reference is the only candidate. Without `measure` the planner's choice is not timed: the same on each run of one machine. options NULL:
 * all three passes in float.
 */
TARE_API tare_status tare_conv_plan_create(const tare_conv_problem *problem, const tare_conv_options *options, tare_conv_plan **out,
                                           tare_error *error);
TARE_API void tare_conv_plan_free(tare_conv_plan *plan);
/* The candidate chosen for one pass ("onednn", "fft", ..., "reference"), NULL if the plan does not cover the pass. */
TARE_API const char *tare_conv_plan_candidate(const tare_conv_plan *plan, tare_pass pass);
/* How it does it ("jit:avx512", "tiles of 40"); owned by the plan. */
TARE_API const char *tare_conv_plan_algorithm(const tare_conv_plan *plan, tare_pass pass);
/* For each group of passes every candidate with the reason it gave for accepting or declining and the time it expects, a line each; owned by the plan. */
TARE_API const char *tare_conv_plan_reasons(const tare_conv_plan *plan);

/* Sizes in elements of the plan's precision (float or double). */
TARE_API size_t tare_conv_prepared_size(const tare_conv_plan *plan);
TARE_API size_t tare_conv_partial_size(const tare_conv_plan *plan);
TARE_API size_t tare_conv_kept_size(const tare_conv_plan *plan); /* 0 where backward works on x itself */
TARE_API size_t tare_conv_workspace_size(const tare_conv_plan *plan);

/*
 * All arrays 64-byte aligned, never overlapping. bias: o values or NULL. pool: NULL, or at most options.threads threads. Status is TARE_OK or TARE_E_LIBRARY.
 * kept: filled by forward, read by the backward pass of the same x; NULL in forward: nothing is kept;
 * NULL in backward: what is needed is computed again from x, in the workspace.
 */
TARE_API tare_status tare_conv_prepare(const tare_conv_plan *plan, const void *weights, void *prepared, void *workspace, tare_pool *pool);
TARE_API tare_status tare_conv_forward(const tare_conv_plan *plan, const void *x, const void *prepared, const void *bias, void *y, void *kept,
                                       void *workspace, tare_pool *pool);
/* dx or partial may be NULL: that gradient is not computed. partial is overwritten, not added to; x may be NULL if it is NULL. */
TARE_API tare_status tare_conv_backward(const tare_conv_plan *plan, const void *x, const void *dy, const void *prepared, const void *kept,
                                        void *dx, void *partial, void *workspace, tare_pool *pool);
TARE_API tare_status tare_conv_finish(const tare_conv_plan *plan, const void *partial, void *dweights, void *workspace, tare_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
