/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks: a chain of layers written as one line of text.
 *
 *   conv 8x7 sum=0 spectral; bn; relu; conv 16x3 /2; bn; relu; gap; dense 6
 *
 * Layers (doc/net.md has the whole list; the table is src/net/layers.c):
 *   conv OxK | OxKHxKW  [/stride] [RULE] [METHOD] [pad=same|N] [border=...] [groups=N] [dilation=N] [nobias]
 *        pad=same|zero|reflect|edge|valid: a border name alone pads by (K-1)/2 ("same" is "zero"); valid is the default
 *        A rule that holds a ';' or a space stands in braces: {derivative(2,0) accuracy=2; antisymmetric}
 *   bn; relu; sort; maxpool K [/stride]; avgpool K [/stride]; gap; flatten; dense N [nobias]; dropout P
 *   image-mean; local-mean K; laplacian; gradients      (fixed, nothing trained: the race's rivals)
 *
 * A method (the table is src/net/methods.c) says how the weights of a
 * convolution are held: none, penalty(S), projection, difference, centred,
 * orthonormal, pivot, spectral, spectral(P), dct, whitened, whitened-full,
 * weight-standardization, gradient-centralization. A rule without a method
 * means spectral.
 *
 * Images are nhwc. The batch is cut into shards of 8 images, whatever the
 * thread count; gradients and batch-norm sums are added in one fixed tree: the
 * same bits for any number of threads. A net is used by one thread at a time.
 */
#ifndef TARE_NET_H
#define TARE_NET_H

#include <stdint.h>
#include <tare/conv.h>
#include <tare/constraint.h>
#include <tare/ranks.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_net tare_net; /* a network with its weights and what a step needs */

/* How the weights start (doc: definitions). */
typedef enum tare_init {
  TARE_INIT_METHOD,   /* each method as its users start it: none, penalty, projection, difference as a framework does (Glorot uniform, zero bias), bases by unit response */
  TARE_INIT_RESPONSE  /* every method starts from the same filters: spectral's unit-response draw */
} tare_init;

/* What a network is made for. */
typedef struct tare_net_options {
  int height, width, channels; /* of the input images */
  int batch;                   /* the largest batch */
  int threads;                 /* 1 or more */
  uint64_t seed;               /* of the start and of dropout */
  tare_precision precision;    /* TARE_F64 runs the reference kernels (gradient checks) */
  tare_init init; /* how the weights start */
} tare_net_options;

/* Parse errors name the layer number, the column and the word. On success *out is the caller's. */
TARE_API tare_status tare_net_create(const char *line, const tare_net_options *options, tare_net **out, tare_error *error);
TARE_API void tare_net_free(tare_net *net);
TARE_API const char *tare_net_line(const tare_net *net); /* canonical; parsing it again gives the same line */
TARE_API const tare_net_options *tare_net_get_options(const tare_net *net);
/* Values of the output for one image: its length, and its shape as rows, columns, channels (1, 1, N after gap, flatten and dense). */
TARE_API size_t tare_net_output_size(const tare_net *net);
/* The first layer's convolution (batch 1, of images of the options' size; weights conv1.weight, conv1.bias); TARE_E_UNSUPPORTED if it is none. */
TARE_API tare_status tare_net_first_conv(const tare_net *net, tare_conv_problem *problem, tare_error *error);
TARE_API void tare_net_output_shape(const tare_net *net, int shape[3]);

/*
 * Draw the start and set the scale of every constrained layer from its own
 * input, so that its response on these images has variance 1; whitened
 * layers measure their covariance here. images: count x h x w x c floats (or doubles), count of
 * 1 or more (256 patches is what training uses). Must be called once before training;
 * the draw depends on the seed and on each layer's place, so that two networks
 * that differ in one layer's method start the other layers alike.
 */
TARE_API tare_status tare_net_start(tare_net *net, const void *images, size_t count, tare_error *error);

/*
 * What the start found that a user should know (input without detail, frequencies at the ridge of a measured basis; in a training, images whose
 * values are not finite), a line each; "" if nothing. With several ranks, rank 0's has them. The net's.
 */
TARE_API const char *tare_net_notes(const tare_net *net);

/*
 * Forward over `count` <= batch images; *output stays the net's, count x output_size.
 * training: batch statistics, dropout (drawn from seed and `step`); else running statistics.
 */
TARE_API tare_status tare_net_forward(tare_net *net, const void *images, int count, int training, uint64_t step, const void **output, tare_error *error);
/* After a training forward: fills the gradient array. doutput: count x output_size. Adds the penalties' gradients. */
TARE_API tare_status tare_net_backward(tare_net *net, const void *doutput, tare_error *error);
/* The penalties' share of the loss at the current weights (0 without a penalty method). */
TARE_API double tare_net_penalty(const tare_net *net);

/* Trained parameters (coefficients, not weights) and their gradients: flat arrays of the same length, of the net's precision, owned by the net. */
TARE_API size_t tare_net_parameter_count(const tare_net *net);
TARE_API void *tare_net_parameters(tare_net *net);
TARE_API void *tare_net_gradients(tare_net *net);
/* State that is not trained but must be in a checkpoint: batch-norm running statistics. */
TARE_API size_t tare_net_state_count(const tare_net *net);
TARE_API void *tare_net_state(tare_net *net);
/* What start() measured (scales, covariances), to be put into a checkpoint; set_ makes the same bases again. Doubles, the net's until the next call. */
TARE_API tare_status tare_net_get_scales(tare_net *net, const double **values, size_t *count, tare_error *error);
TARE_API tare_status tare_net_set_scales(tare_net *net, const double *values, size_t count, tare_error *error);
/* After the optimiser changed the parameters: projection, and the composed weights are made anew at the next forward. */
TARE_API tare_status tare_net_after_step(tare_net *net, tare_error *error);

/*
 * Training forwards and backwards from now on take the sums of all ranks (ranks.h): every batch this rank is given is its share, options.batch
 * images, always as many; outputs and their gradients are those of its images. `ranks` must outlive the net; NULL: alone again.
 * TARE_E_ARGUMENT unless options.batch is 8 times a power of two.
 */
TARE_API tare_status tare_net_set_ranks(tare_net *net, const tare_ranks *ranks, tare_error *error);

/* Composed tensors under plain names ("conv1.weight" [o, c/g, kh, kw], "conv1.bias", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "dense1.weight" [n, in] ...). float. */
typedef struct tare_net_tensor {
  char name[64]; /* "conv1.weight" */
  int dims; /* 1 to 4 */
  int64_t shape[4]; /* of its first dims axes */
  const tare_constraint *constraint; /* of a constrained convolution's weight, the net's; else NULL */
  int rule_trained;                  /* 1 if the method holds the rule during training (not penalty, not none) */
  size_t parameter, parameters;      /* where what is trained for it begins in tare_net_parameters, and how much (coefficients of a basis); 0: running statistics */
} tare_net_tensor;
TARE_API size_t tare_net_tensor_count(const tare_net *net);
TARE_API tare_status tare_net_tensor_info(const tare_net *net, size_t index, tare_net_tensor *info, tare_error *error);
TARE_API tare_status tare_net_tensor_get(tare_net *net, size_t index, float *values, tare_error *error);
/* Sets weights (through solve for a basis). Once every weight was set the net can run without start(). */
TARE_API tare_status tare_net_tensor_set(tare_net *net, size_t index, const float *values, tare_error *error);
/*
 * Replaces a convolution's weights used by forward with exactly these values
 * (rounded ones) instead of the composed ones, for evaluation only: a training
 * forward is refused until tare_net_tensor_set has taken the pin away.
 */
TARE_API tare_status tare_net_tensor_pin(tare_net *net, size_t index, const float *values, tare_error *error);

/*
 * Gradient check: random images and a random linear functional of the output
 * of `line`; `worst` gets the largest relative error |analytic - numeric| / (|analytic| + |numeric| + scale)
 * over every parameter and input pixel checked, in double on the reference
 * kernels; `worst_f32` the relative difference of the float gradient from the double one.
 * Either may be NULL. Of a layer with more than 96 parameters (and of the pixels) an even sample is checked.
 */
TARE_API tare_status tare_net_check_gradient(const char *line, const tare_net_options *options, double *worst, double *worst_f32, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
