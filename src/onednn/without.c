/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the adapter where tare is built without oneDNN: the candidates onednn and im2col decline everything. */
#include <stdio.h>

#include "base/error.h"
#include "onednn/onednn.h"

static tare_status refuse(tare_error *error) { return tare_fail(error, TARE_E_UNSUPPORTED, "tare is built without oneDNN"); }

tare_status tare_onednn_conv_create(const tare_conv_problem *problem, tare_pass pass, tare_onednn_conv **out, tare_error *error) {
  (void)problem, (void)pass, (void)out;
  return refuse(error);
}

tare_status tare_onednn_conv_probe(const tare_conv_problem *problem, tare_pass pass, char *name, size_t size, tare_error *error) {
  (void)problem, (void)pass, (void)name, (void)size;
  return refuse(error);
}

tare_status tare_onednn_rival_create(const tare_conv_problem *problem, tare_pass pass, int threads, int blocked, tare_onednn_conv **out,
                                     tare_error *error) {
  (void)problem, (void)pass, (void)threads, (void)blocked, (void)out;
  return refuse(error);
}

/* There is no convolution to hand to these. */
void tare_onednn_conv_free(tare_onednn_conv *c) { (void)c; }
size_t tare_onednn_conv_weights(const tare_onednn_conv *c) { return (void)c, (size_t)0; }
size_t tare_onednn_conv_workspace(const tare_onednn_conv *c) { return (void)c, (size_t)0; }
const char *tare_onednn_conv_name(const tare_onednn_conv *c) { return (void)c, "none"; }
size_t tare_onednn_conv_size(const tare_onednn_conv *c, tare_onednn_tensor tensor) { return (void)c, (void)tensor, (size_t)0; }

tare_status tare_onednn_conv_pack(const tare_onednn_conv *c, const float *plain, float *packed) {
  return (void)c, (void)plain, (void)packed, TARE_E_UNSUPPORTED;
}

tare_status tare_onednn_conv_unpack(const tare_onednn_conv *c, const float *packed, float *plain) {
  return (void)c, (void)packed, (void)plain, TARE_E_UNSUPPORTED;
}

tare_status tare_onednn_conv_run(const tare_onednn_conv *c, const float *a, const float *b, const float *bias, float *out, float *workspace) {
  return (void)c, (void)a, (void)b, (void)bias, (void)out, (void)workspace, TARE_E_UNSUPPORTED;
}

tare_status tare_onednn_conv_enter(const tare_onednn_conv *c, tare_onednn_tensor tensor, const float *plain, float *own) {
  return (void)c, (void)tensor, (void)plain, (void)own, TARE_E_UNSUPPORTED;
}

tare_status tare_onednn_conv_leave(const tare_onednn_conv *c, tare_onednn_tensor tensor, const float *own, float *plain) {
  return (void)c, (void)tensor, (void)own, (void)plain, TARE_E_UNSUPPORTED;
}

tare_status tare_onednn_sgemm(char transa, char transb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                              float beta, float *c, int ldc) {
  (void)transa, (void)transb, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)lda, (void)b, (void)ldb, (void)beta, (void)c, (void)ldc;
  return TARE_E_UNSUPPORTED;
}

void tare_onednn_each_thread(int threads, void (*run)(void *user, int thread), void *user) { (void)threads, (void)run, (void)user; }
int tare_onednn_lanes(void) { return 0; }
void tare_onednn_version(char *buffer, size_t size) { snprintf(buffer, size, "no oneDNN"); }
