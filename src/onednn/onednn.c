/* SPDX-License-Identifier: Apache-2.0 */
#include "onednn/own.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/pass.h"

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
/* The two functions of OpenMP's runtime that are needed; <omp.h> is there only with a compiler's own OpenMP. */
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int count);
#elif DNNL_CPU_RUNTIME == DNNL_RUNTIME_SEQ
static int omp_get_max_threads(void) { return 1; }
static void omp_set_num_threads(int count) { (void)count; }
#else
#error "tare runs oneDNN in the calling thread: it needs a oneDNN built for OpenMP or without threads"
#endif

/* What the two versions need to describe a convolution. */
struct shape {
  layout md[TARE_ONEDNN_TENSORS];
  dnnl_dims_t strides, dilates, pads;
};

/*
 * oneDNN asks OpenMP for its threads when a primitive is made and when it runs; with one it starts no parallel region. The
 * number belongs to the calling thread alone, so that other users of OpenMP in the process see no change.
 */
int tare_onednn_set_threads(int threads) {
  int before = omp_get_max_threads();
  if (before != threads) omp_set_num_threads(threads);
  return before;
}

static int describe(const tare_conv_problem *p, int blocked, struct shape *s, layout *plain) {
  int g = p->groups, dims = g > 1 ? 5 : 4;
  dnnl_dims_t image = {p->batch, p->channels, p->size[0], p->size[1]};
  dnnl_dims_t output = {p->batch, p->outputs, tare_conv_output_size(p, 0), tare_conv_output_size(p, 1)};
  dnnl_dims_t grouped = {g, p->outputs / g, p->channels / g, p->kernel[0], p->kernel[1]}, bias = {p->outputs};
  const dnnl_dim_t *weights = g > 1 ? grouped : grouped + 1;
  dnnl_format_tag_t images = blocked ? dnnl_format_tag_any : dnnl_nhwc;
  for (int i = 0; i < 2; i++) {
    s->strides[i] = p->stride[i];
    s->dilates[i] = p->dilation[i] - 1;
    s->pads[i] = p->pad[i];
  }
  return layout_make(&s->md[TARE_ONEDNN_X], 4, image, images) || layout_make(&s->md[TARE_ONEDNN_WEIGHTS], dims, weights, dnnl_format_tag_any) ||
         layout_make(&s->md[TARE_ONEDNN_BIAS], 1, bias, dnnl_a) || layout_make(&s->md[TARE_ONEDNN_Y], 4, output, images) ||
         layout_make(&plain[TARE_ONEDNN_X], 4, image, dnnl_nhwc) || layout_make(&plain[TARE_ONEDNN_Y], 4, output, dnnl_nhwc) ||
         layout_make(&plain[TARE_ONEDNN_WEIGHTS], dims, weights, g > 1 ? dnnl_goihw : dnnl_oihw);
}

/* oneDNN's implementations stand in its order of preference; make_desc takes the one after the first `skip`, dnnl_unimplemented behind the last. */
#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t make_first(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const struct shape *s, tare_pass pass,
                               const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr) {
  view image = s->md[TARE_ONEDNN_X], weights = s->md[TARE_ONEDNN_WEIGHTS], bias = s->md[TARE_ONEDNN_BIAS], output = s->md[TARE_ONEDNN_Y];
  if (pass == TARE_FORWARD)
    return dnnl_convolution_forward_primitive_desc_create(out, engine, dnnl_forward_training, dnnl_convolution_direct, image, weights,
                                                          bias, output, s->strides, s->dilates, s->pads, s->pads, attr);
  if (pass == TARE_BACKWARD_DATA)
    return dnnl_convolution_backward_data_primitive_desc_create(out, engine, dnnl_convolution_direct, image, weights, output, s->strides,
                                                                s->dilates, s->pads, s->pads, hint, attr);
  return dnnl_convolution_backward_weights_primitive_desc_create(out, engine, dnnl_convolution_direct, image, weights, NULL, output,
                                                                 s->strides, s->dilates, s->pads, s->pads, hint, attr);
}

static dnnl_status_t make_desc(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const struct shape *s, tare_pass pass,
                               const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr, int skip) {
  dnnl_status_t status = make_first(out, engine, s, pass, hint, attr);
  if (status != dnnl_success || !skip) return status;
  while (skip-- && status == dnnl_success) status = dnnl_primitive_desc_next_impl(*out);
  if (status != dnnl_success) dnnl_primitive_desc_destroy(*out);
  return status == dnnl_success ? status : dnnl_unimplemented;
}
#else
static dnnl_status_t make_desc(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const struct shape *s, tare_pass pass,
                               const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr, int skip) {
  view image = &s->md[TARE_ONEDNN_X], weights = &s->md[TARE_ONEDNN_WEIGHTS], bias = &s->md[TARE_ONEDNN_BIAS], output = &s->md[TARE_ONEDNN_Y];
  dnnl_convolution_desc_t op;
  dnnl_primitive_desc_iterator_t at;
  dnnl_status_t status;
  if (pass == TARE_FORWARD)
    status = dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_training, dnnl_convolution_direct, image, weights, bias, output,
                                                        s->strides, s->dilates, s->pads, s->pads);
  else if (pass == TARE_BACKWARD_DATA)
    status = dnnl_dilated_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, image, weights, output, s->strides,
                                                              s->dilates, s->pads, s->pads);
  else
    status = dnnl_dilated_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, image, weights, NULL, output, s->strides,
                                                                 s->dilates, s->pads, s->pads);
  if (status == dnnl_success) status = dnnl_primitive_desc_iterator_create(&at, &op, attr, engine, hint);
  if (status != dnnl_success) return status;
  while (skip-- && status == dnnl_success) status = dnnl_primitive_desc_iterator_next(at);
  *out = status == dnnl_success ? dnnl_primitive_desc_iterator_fetch(at) : NULL;
  dnnl_primitive_desc_iterator_destroy(at);
  return *out ? dnnl_success : status == dnnl_success ? dnnl_out_of_memory : dnnl_unimplemented;
}
#endif

dnnl_status_t tare_onednn_make_reorder(dnnl_engine_t engine, view from, view to, dnnl_primitive_t *out) {
  dnnl_primitive_desc_t desc;
  dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL);
  if (status != dnnl_success) return status;
  status = dnnl_primitive_create(out, desc);
  dnnl_primitive_desc_destroy(desc);
  return status;
}

static view tensor(const tare_onednn_conv *c, int argument) {
  return dnnl_primitive_desc_query_md(c->desc, dnnl_query_exec_arg_md, argument);
}

/* What oneDNN calls a tensor in each pass. */
static int argument_of(tare_pass pass, tare_onednn_tensor which) {
  static const int names[TARE_ONEDNN_TENSORS][3] = {
    [TARE_ONEDNN_X] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_SRC, DNNL_ARG_SRC},
    [TARE_ONEDNN_WEIGHTS] = {DNNL_ARG_WEIGHTS, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS},
    [TARE_ONEDNN_BIAS] = {DNNL_ARG_BIAS, 0, 0},
    [TARE_ONEDNN_Y] = {DNNL_ARG_DST, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_DST}};
  return names[which][tare_pass_index(pass)];
}

view tare_onednn_layout(const tare_onednn_conv *c, tare_onednn_tensor which) { return tensor(c, argument_of(c->pass, which)); }

static const char *name_of(dnnl_primitive_desc_t desc) {
  const char *name;
  return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success ? name : "";
}

/* For nhwc images oneDNN prefers small matrix products (brdgmm) to its depthwise kernels (jit_dw), which are faster (doc/conv.md). */
static void prefer_depthwise(tare_onednn_conv *c, const struct shape *s, const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr) {
  dnnl_primitive_desc_t next;
  if (!strstr(name_of(c->desc), "brdgmm") || make_desc(&next, c->engine, s, c->pass, hint, attr, 1) != dnnl_success) return;
  dnnl_primitive_desc_t better = strstr(name_of(next), "jit_dw") ? next : c->desc;
  dnnl_primitive_desc_destroy(better == next ? c->desc : next);
  c->desc = better;
}

/* Chooses oneDNN's implementation; cheap, for the code is generated with the primitive. */
static dnnl_status_t make_descriptor(tare_onednn_conv *c, const struct shape *s) {
  dnnl_primitive_attr_t attr;
  dnnl_primitive_desc_t hint = NULL;
  dnnl_status_t status = dnnl_primitive_attr_create(&attr);
  if (status != dnnl_success) return status;
  dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
  dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict); /* whatever ONEDNN_DEFAULT_FPMATH_MODE says */
  if (c->pass != TARE_FORWARD) status = make_desc(&hint, c->engine, s, TARE_FORWARD, NULL, attr, 0);
  if (status == dnnl_success) status = make_desc(&c->desc, c->engine, s, c->pass, hint, attr, 0);
  if (status == dnnl_success) prefer_depthwise(c, s, hint, attr);
  if (hint) dnnl_primitive_desc_destroy(hint);
  dnnl_primitive_attr_destroy(attr);
  if (status == dnnl_success) c->name = name_of(c->desc);
  return status;
}

static dnnl_status_t make_primitives(tare_onednn_conv *c) {
  dnnl_status_t status = dnnl_primitive_create(&c->primitive, c->desc);
  if (status != dnnl_success) return status;
  view own = tare_onednn_layout(c, TARE_ONEDNN_WEIGHTS), plain = see(&c->plain[TARE_ONEDNN_WEIGHTS]), scratch = tensor(c, DNNL_ARG_SCRATCHPAD);
  c->weights = dnnl_memory_desc_get_size(own) / sizeof(float);
  c->workspace = (dnnl_memory_desc_get_size(scratch) + 63) / 64 * 16;
  if (dnnl_memory_desc_equal(own, plain)) return dnnl_success;
  if (c->pass == TARE_BACKWARD_WEIGHTS) return tare_onednn_make_reorder(c->engine, own, plain, &c->unpack);
  return tare_onednn_make_reorder(c->engine, plain, own, &c->pack);
}

tare_status tare_onednn_status(dnnl_status_t status, tare_error *error) {
  if (status == dnnl_success) return TARE_OK;
  if (status == dnnl_out_of_memory) return tare_fail(error, TARE_E_MEMORY, "out of memory in oneDNN");
  if (status == dnnl_unimplemented) return tare_fail(error, TARE_E_UNSUPPORTED, "oneDNN has no implementation for this convolution");
  return tare_fail(error, TARE_E_LIBRARY, "oneDNN failed with status %d", (int)status);
}

/*
 * oneDNN (2.6 to 3.12 at least) writes past its scratchpad in the backward weights of strided 1x1 convolutions of nhwc images
 * with fewer channels than a vector holds: https://github.com/uxlfoundation/oneDNN/issues/6035
 */
static int is_unsafe(const tare_conv_problem *p, tare_pass pass) {
  int strided_point = p->kernel[0] * p->kernel[1] == 1 && p->stride[0] * p->stride[1] > 1;
  return pass == TARE_BACKWARD_WEIGHTS && strided_point && p->channels / p->groups < 16;
}

tare_status tare_onednn_make(const tare_conv_problem *problem, tare_pass pass, int threads, int blocked, int whole, tare_onednn_conv **out,
                             tare_error *error) {
  if (is_unsafe(problem, pass))
    return tare_fail(error, TARE_E_UNSUPPORTED, "oneDNN issue 6035: strided 1x1 with few channels writes past its memory");
  tare_onednn_conv *c = tare_alloc(1, sizeof *c);
  if (!c) return tare_fail_memory(error, sizeof *c, "a convolution");
  struct shape s;
  memset(&s, 0, sizeof s);
  c->pass = pass;
  c->threads = threads;
  int before = tare_onednn_set_threads(threads);
  dnnl_status_t status = dnnl_engine_create(&c->engine, dnnl_cpu, 0);
  if (status == dnnl_success) status = describe(problem, blocked, &s, c->plain) ? dnnl_invalid_arguments : make_descriptor(c, &s);
  if (status == dnnl_success && whole) status = make_primitives(c);
  for (int i = 0; i < TARE_ONEDNN_TENSORS; i++) layout_free(&s.md[i]);
  tare_onednn_set_threads(before);
  if (status == dnnl_success) *out = c;
  else tare_onednn_conv_free(c);
  return tare_onednn_status(status, error);
}

tare_status tare_onednn_conv_create(const tare_conv_problem *problem, tare_pass pass, tare_onednn_conv **out, tare_error *error) {
  return tare_onednn_make(problem, pass, 1, 0, 1, out, error);
}

tare_status tare_onednn_conv_probe(const tare_conv_problem *problem, tare_pass pass, char *name, size_t size, tare_error *error) {
  tare_onednn_conv *c;
  tare_status status = tare_onednn_make(problem, pass, 1, 0, 0, &c, error);
  if (status) return status;
  snprintf(name, size, "%s", c->name);
  tare_onednn_conv_free(c);
  return TARE_OK;
}

void tare_onednn_conv_free(tare_onednn_conv *c) {
  if (!c) return;
  if (c->primitive) dnnl_primitive_destroy(c->primitive);
  if (c->pack) dnnl_primitive_destroy(c->pack);
  if (c->unpack) dnnl_primitive_destroy(c->unpack);
  if (c->desc) dnnl_primitive_desc_destroy(c->desc);
  if (c->engine) dnnl_engine_destroy(c->engine);
  for (int i = 0; i < TARE_ONEDNN_TENSORS; i++) layout_free(&c->plain[i]);
  tare_free(c);
}

size_t tare_onednn_conv_weights(const tare_onednn_conv *c) { return c->weights; }
size_t tare_onednn_conv_workspace(const tare_onednn_conv *c) { return c->workspace; }

enum { MOST_ARGUMENTS = 5 };

tare_status tare_onednn_execute(const tare_onednn_conv *c, dnnl_primitive_t primitive, const struct tare_onednn_argument *arguments,
                                int count) {
  dnnl_exec_arg_t list[MOST_ARGUMENTS];
  dnnl_stream_t stream = NULL;
  int before = tare_onednn_set_threads(c->threads), made = 0;
  dnnl_status_t status = dnnl_stream_create(&stream, c->engine, dnnl_stream_default_flags);
  for (; made < count && status == dnnl_success; made++) {
    list[made].arg = arguments[made].name;
    status = dnnl_memory_create(&list[made].memory, arguments[made].md, c->engine, (void *)(size_t)arguments[made].data);
    if (status != dnnl_success) break;
  }
  if (status == dnnl_success) status = dnnl_primitive_execute(primitive, stream, count, list);
  if (status == dnnl_success) status = dnnl_stream_wait(stream);
  for (int i = 0; i < made; i++) dnnl_memory_destroy(list[i].memory);
  if (stream) dnnl_stream_destroy(stream);
  tare_onednn_set_threads(before);
  return status == dnnl_success ? TARE_OK : TARE_E_LIBRARY;
}

static tare_status reorder(const tare_onednn_conv *c, dnnl_primitive_t how, view from, view to, const float *in, float *out) {
  if (!how) {
    memcpy(out, in, c->weights * sizeof(float));
    return TARE_OK;
  }
  const struct tare_onednn_argument arguments[] = {{DNNL_ARG_FROM, from, in}, {DNNL_ARG_TO, to, out}};
  return tare_onednn_execute(c, how, arguments, 2);
}

tare_status tare_onednn_conv_pack(const tare_onednn_conv *c, const float *plain, float *packed) {
  return reorder(c, c->pack, see(&c->plain[TARE_ONEDNN_WEIGHTS]), tare_onednn_layout(c, TARE_ONEDNN_WEIGHTS), plain, packed);
}

tare_status tare_onednn_conv_unpack(const tare_onednn_conv *c, const float *packed, float *plain) {
  return reorder(c, c->unpack, tare_onednn_layout(c, TARE_ONEDNN_WEIGHTS), see(&c->plain[TARE_ONEDNN_WEIGHTS]), packed, plain);
}

tare_status tare_onednn_conv_run(const tare_onednn_conv *c, const float *a, const float *b, const float *bias, float *out,
                                 float *workspace) {
  static const tare_onednn_tensor order[3][3] = {{TARE_ONEDNN_X, TARE_ONEDNN_WEIGHTS, TARE_ONEDNN_Y},
                                                 {TARE_ONEDNN_Y, TARE_ONEDNN_WEIGHTS, TARE_ONEDNN_X},
                                                 {TARE_ONEDNN_X, TARE_ONEDNN_Y, TARE_ONEDNN_WEIGHTS}};
  const tare_onednn_tensor *which = order[tare_pass_index(c->pass)];
  const void *arrays[3] = {a, b, out};
  struct tare_onednn_argument arguments[MOST_ARGUMENTS] = {{DNNL_ARG_SCRATCHPAD, tensor(c, DNNL_ARG_SCRATCHPAD), workspace}};
  int count = 1;
  for (int i = 0; i < 3; i++)
    arguments[count++] = (struct tare_onednn_argument){argument_of(c->pass, which[i]), tare_onednn_layout(c, which[i]), arrays[i]};
  if (c->pass == TARE_FORWARD) arguments[count++] = (struct tare_onednn_argument){DNNL_ARG_BIAS, tensor(c, DNNL_ARG_BIAS), bias};
  return tare_onednn_execute(c, c->primitive, arguments, count);
}

tare_status tare_onednn_sgemm(char transa, char transb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                              float beta, float *c, int ldc) {
  int before = tare_onednn_set_threads(1);
  dnnl_status_t status = dnnl_sgemm(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  tare_onednn_set_threads(before);
  return status == dnnl_success ? TARE_OK : TARE_E_LIBRARY;
}

int tare_onednn_lanes(void) {
#if defined(__x86_64__) || defined(__i386__)
  unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(); /* a set of bits */
  return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : (isa & dnnl_cpu_isa_avx) == dnnl_cpu_isa_avx ? 8 : 4;
#else
  return 4;
#endif
}

void tare_onednn_version(char *buffer, size_t size) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(buffer, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}
