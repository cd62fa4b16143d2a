/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place that sees oneDNN (2.6 or 3.x). Convolutions of nhwc floats with zero
 * borders, and the single-precision matrix product. Everything runs in the
 * calling thread alone, no OpenMP thread is ever started; but for rivals. A build without oneDNN (option onednn) refuses everything: TARE_E_UNSUPPORTED.
 */
#ifndef TARE_ONEDNN_H
#define TARE_ONEDNN_H

#include <stddef.h>
#include <tare/conv.h>

typedef struct tare_onednn_conv tare_onednn_conv; /* one pass of one problem; immutable, used by many threads at once */

/* The border must be zero or valid. TARE_E_UNSUPPORTED when oneDNN has no implementation, TARE_E_LIBRARY when it fails. */
tare_status tare_onednn_conv_create(const tare_conv_problem *problem, tare_pass pass, tare_onednn_conv **out, tare_error *error);
void tare_onednn_conv_free(tare_onednn_conv *conv);
/*
 * The name of the implementation that create would get ("jit:avx2"), without generating its code: tens
 * of microseconds. Errors as create.
 */
tare_status tare_onednn_conv_probe(const tare_conv_problem *problem, tare_pass pass, char *name, size_t size, tare_error *error);
size_t tare_onednn_conv_weights(const tare_onednn_conv *conv);   /* floats of the weights in oneDNN's own layout */
size_t tare_onednn_conv_workspace(const tare_onednn_conv *conv); /* floats of scratch */

/* Plain weights [o][c/g][kh][kw] to oneDNN's layout, and a weights gradient back. */
tare_status tare_onednn_conv_pack(const tare_onednn_conv *conv, const float *plain, float *packed);
tare_status tare_onednn_conv_unpack(const tare_onednn_conv *conv, const float *packed, float *plain);
/*
 * Forward: (x, packed weights, bias) to y. Backward data: (dy, packed weights,
 * NULL) to dx. Backward weights: (x, dy, NULL) to the packed gradient.
 */
tare_status tare_onednn_conv_run(const tare_onednn_conv *conv, const float *a, const float *b, const float *bias, float *out,
                                 float *workspace);

/*
 * A rival: oneDNN as it is at its best, to be measured against, with OpenMP's threads and
 * (`blocked`) images in the layouts that it likes; else nhwc. Run by tare_onednn_conv_run with arrays of its own layouts.
 */
typedef enum tare_onednn_tensor { TARE_ONEDNN_X, TARE_ONEDNN_WEIGHTS, TARE_ONEDNN_BIAS, TARE_ONEDNN_Y, TARE_ONEDNN_TENSORS } tare_onednn_tensor;
tare_status tare_onednn_rival_create(const tare_conv_problem *problem, tare_pass pass, int threads, int blocked, tare_onednn_conv **out,
                                     tare_error *error);
const char *tare_onednn_conv_name(const tare_onednn_conv *conv); /* of the implementation */
size_t tare_onednn_conv_size(const tare_onednn_conv *conv, tare_onednn_tensor tensor); /* floats, in its own layout */
/* x, weights or y (or their gradients) from the plain layout to its own, or back. */
tare_status tare_onednn_conv_enter(const tare_onednn_conv *conv, tare_onednn_tensor tensor, const float *plain, float *own);
tare_status tare_onednn_conv_leave(const tare_onednn_conv *conv, tare_onednn_tensor tensor, const float *own, float *plain);
/* run(user, thread) once on each of OpenMP's threads, which the rivals run on: to pin them. */
void tare_onednn_each_thread(int threads, void (*run)(void *user, int thread), void *user);

enum { TARE_ONEDNN_SGEMM_CHAIN = 384 }; /* products that sgemm adds up before it adds the sum to others */
/* C = alpha op(A) op(B) + beta C, row-major; op is transposed where trans is 'T', else 'N'. */
tare_status tare_onednn_sgemm(char transa, char transb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                              float beta, float *c, int ldc);
/* Floats in one vector of the instruction set that oneDNN uses here (ONEDNN_MAX_CPU_ISA lowers it); 0 where tare is built without oneDNN. */
int tare_onednn_lanes(void);
/* "oneDNN 2.6.3" or "no oneDNN" into buffer. */
void tare_onednn_version(char *buffer, size_t size);

#endif
