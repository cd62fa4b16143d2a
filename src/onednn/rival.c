/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN with its own threads and layouts, for benchmarks. */
#include "onednn/own.h"

tare_status tare_onednn_rival_create(const tare_conv_problem *problem, tare_pass pass, int threads, int blocked, tare_onednn_conv **out,
                                     tare_error *error) {
  return tare_onednn_make(problem, pass, threads, blocked, 1, out, error);
}

const char *tare_onednn_conv_name(const tare_onednn_conv *c) { return c->name; }

size_t tare_onednn_conv_size(const tare_onednn_conv *c, tare_onednn_tensor which) {
  return dnnl_memory_desc_get_size(tare_onednn_layout(c, which)) / sizeof(float);
}

static tare_status copy(const tare_onednn_conv *c, view from, view to, const float *in, float *out) {
  dnnl_primitive_t reorder;
  if (tare_onednn_make_reorder(c->engine, from, to, &reorder) != dnnl_success) return TARE_E_LIBRARY;
  const struct tare_onednn_argument arguments[] = {{DNNL_ARG_FROM, from, in}, {DNNL_ARG_TO, to, out}};
  tare_status status = tare_onednn_execute(c, reorder, arguments, 2);
  dnnl_primitive_destroy(reorder);
  return status;
}

tare_status tare_onednn_conv_enter(const tare_onednn_conv *c, tare_onednn_tensor which, const float *plain, float *own) {
  return copy(c, see(&c->plain[which]), tare_onednn_layout(c, which), plain, own);
}

tare_status tare_onednn_conv_leave(const tare_onednn_conv *c, tare_onednn_tensor which, const float *own, float *plain) {
  return copy(c, tare_onednn_layout(c, which), see(&c->plain[which]), own, plain);
}

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
/* What a compiler makes of `#pragma omp parallel`: GCC's runtime and LLVM's both have it. */
extern void GOMP_parallel(void (*run)(void *data), void *data, unsigned threads, unsigned flags);
extern int omp_get_thread_num(void);

struct errand { void (*run)(void *user, int thread); void *user; };

static void do_errand(void *data) {
  const struct errand *errand = data;
  errand->run(errand->user, omp_get_thread_num());
}

void tare_onednn_each_thread(int threads, void (*run)(void *user, int thread), void *user) {
  struct errand errand = {run, user};
  GOMP_parallel(do_errand, &errand, (unsigned)threads, 0);
}
#else
void tare_onednn_each_thread(int threads, void (*run)(void *user, int thread), void *user) {
  (void)threads;
  run(user, 0);
}
#endif
