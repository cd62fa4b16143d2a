/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2-D convolutions: problem strings, plans, passes.
 *
 * A problem string has oneDNN's form: g (groups), n (batch), c, h, w, o, k,
 * s (stride), p (padding), d (dilation, 1 = none); h, w, k, s, p and d may be
 * followed by a second number for the columns as in "h64w48" or
 * "k3x5", else both axes are equal: "n8c32h64o32k15p7", "g32n8c32h64o32k7p3".
 * c, h, o and k must be there; the others are 1 (p: 0). doc/conv.md has the table.
 * The border is zero unless "reflect", "edge" or "valid" (p = 0) ends the string after a '_'.
 *
 * Tensors are nhwc floats (or doubles for a plan in double): x is
 * [n][h][w][c], y is [n][oh][ow][o]; the plain weights are [o][c/g][kh][kw]
 * as frameworks store them; cross-correlation.
 *
 * The weights enter a plan in a form of its own ("prepared": reordered,
 * transformed), made once a step; the gradient leaves it as a "partial"
 * in a form of its own: partials of several shards are added as float arrays,
 * then finished once into the plain gradient. A plan is immutable and may be
 * used by many threads at once, each with its own workspace. Every pass is
 * single-threaded and gives the same bits each time.
 */
#ifndef TARE_CONV_H
#define TARE_CONV_H

#include <stdint.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tare_border { TARE_BORDER_ZERO, TARE_BORDER_REFLECT, TARE_BORDER_EDGE, TARE_BORDER_VALID } tare_border;
typedef enum tare_precision { TARE_F32, TARE_F64 } tare_precision;
typedef enum tare_pass { TARE_FORWARD = 1, TARE_BACKWARD_DATA = 2, TARE_BACKWARD_WEIGHTS = 4 } tare_pass;

/* Sizes in elements; [0] rows, [1] columns. */
typedef struct tare_conv_problem {
  int groups, batch, channels, outputs;
  int size[2], kernel[2], stride[2], pad[2], dilation[2];
  tare_border border;
} tare_conv_problem;

/* Both check every size (positive, groups divide, an output of at least 1x1, reflect padding below the image size). */
TARE_API tare_status tare_conv_problem_parse(const char *text, tare_conv_problem *out, tare_error *error);
TARE_API tare_status tare_conv_problem_check(const tare_conv_problem *problem, tare_error *error);
/* Canonical text into buffer (always terminated); returns the length that the whole text has. */
TARE_API size_t tare_conv_problem_text(const tare_conv_problem *problem, char *buffer, size_t size);
/* Output rows (axis 0) or columns (axis 1). */
TARE_API int tare_conv_output_size(const tare_conv_problem *problem, int axis);

typedef struct tare_conv_plan tare_conv_plan;

/*
 * `passes`: a sum of tare_pass. In double the reference is the only candidate. `candidate`: a name to insist on ("onednn", "im2col",
 * "reference"; TARE_E_UNSUPPORTED with its reason if it declines a pass), or NULL for the planner's choice, which is not timed: the same on each run.
 */
TARE_API tare_status tare_conv_plan_create(const tare_conv_problem *problem, tare_precision precision, int passes, const char *candidate,
                                           tare_conv_plan **out, tare_error *error);
TARE_API void tare_conv_plan_free(tare_conv_plan *plan);
/* The candidate chosen for one pass ("onednn", "im2col", "reference"), NULL if the plan does not cover the pass. */
TARE_API const char *tare_conv_plan_candidate(const tare_conv_plan *plan, tare_pass pass);
/* For each pass every candidate with the reason it gave for accepting or declining and the time it expects, a line each; owned by the plan. */
TARE_API const char *tare_conv_plan_reasons(const tare_conv_plan *plan);

/* Sizes in elements of the plan's precision (float or double). */
TARE_API size_t tare_conv_prepared_size(const tare_conv_plan *plan);
TARE_API size_t tare_conv_partial_size(const tare_conv_plan *plan);
TARE_API size_t tare_conv_workspace_size(const tare_conv_plan *plan);

/* All arrays 64-byte aligned, never overlapping. bias: o values or NULL. Status is TARE_OK or TARE_E_LIBRARY. */
TARE_API tare_status tare_conv_prepare(const tare_conv_plan *plan, const void *weights, void *prepared);
TARE_API tare_status tare_conv_forward(const tare_conv_plan *plan, const void *x, const void *prepared, const void *bias, void *y, void *workspace);
TARE_API tare_status tare_conv_backward_data(const tare_conv_plan *plan, const void *dy, const void *prepared, void *dx, void *workspace);
/* Overwrites partial (does not add to it). */
TARE_API tare_status tare_conv_backward_weights(const tare_conv_plan *plan, const void *x, const void *dy, void *partial, void *workspace);
TARE_API tare_status tare_conv_finish(const tare_conv_plan *plan, const void *partial, void *dweights);

#ifdef __cplusplus
}
#endif
#endif
