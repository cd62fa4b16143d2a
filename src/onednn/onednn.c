/* SPDX-License-Identifier: Apache-2.0 */
#include "onednn/onednn.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

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

/* 3.x made memory descriptors opaque pointers and dropped operation descriptors; this block is the whole difference. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t view;
typedef dnnl_memory_desc_t layout;
static view see(const layout *md) { return *md; }
static int layout_make(layout *md, int dims, const dnnl_dims_t sizes, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(md, dims, sizes, dnnl_f32, tag) != dnnl_success;
}
static void layout_free(layout *md) {
  if (*md) dnnl_memory_desc_destroy(*md);
}
#else
typedef const dnnl_memory_desc_t *view;
typedef dnnl_memory_desc_t layout;
static view see(const layout *md) { return md; }
static int layout_make(layout *md, int dims, const dnnl_dims_t sizes, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(md, dims, sizes, dnnl_f32, tag) != dnnl_success;
}
static void layout_free(layout *md) { (void)md; }
#endif

enum { IMAGE, WEIGHTS, BIAS, OUTPUT, TENSORS };

struct tare_onednn_conv {
  tare_pass pass;
  dnnl_engine_t engine;
  dnnl_primitive_desc_t desc;
  dnnl_primitive_t primitive, pack, unpack; /* pack, unpack: NULL where the layout is the plain one */
  layout plain;                             /* of the weights */
  size_t weights, workspace;
  const char *name;
};

/* What the two versions need to describe a convolution. */
struct shape {
  layout md[TENSORS];
  dnnl_dims_t strides, dilates, pads;
};

/*
 * oneDNN asks OpenMP for its threads when a primitive is made and when it runs; with one it starts no parallel region. The
 * number belongs to the calling thread alone, so that other users of OpenMP in the process see no change.
 */
static int one_thread(void) {
  int before = omp_get_max_threads();
  if (before != 1) omp_set_num_threads(1);
  return before;
}

static void threads_back(int before) {
  if (before != 1) omp_set_num_threads(before);
}

static int describe(const tare_conv_problem *p, struct shape *s, layout *plain) {
  int g = p->groups, dims = g > 1 ? 5 : 4;
  dnnl_dims_t image = {p->batch, p->channels, p->size[0], p->size[1]};
  dnnl_dims_t output = {p->batch, p->outputs, tare_conv_output_size(p, 0), tare_conv_output_size(p, 1)};
  dnnl_dims_t grouped = {g, p->outputs / g, p->channels / g, p->kernel[0], p->kernel[1]}, bias = {p->outputs};
  const dnnl_dim_t *weights = g > 1 ? grouped : grouped + 1;
  for (int i = 0; i < 2; i++) {
    s->strides[i] = p->stride[i];
    s->dilates[i] = p->dilation[i] - 1;
    s->pads[i] = p->pad[i];
  }
  return layout_make(&s->md[IMAGE], 4, image, dnnl_nhwc) || layout_make(&s->md[WEIGHTS], dims, weights, dnnl_format_tag_any) ||
         layout_make(&s->md[BIAS], 1, bias, dnnl_a) || layout_make(&s->md[OUTPUT], 4, output, dnnl_nhwc) ||
         layout_make(plain, dims, weights, g > 1 ? dnnl_goihw : dnnl_oihw);
}

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t make_desc(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const struct shape *s, tare_pass pass,
                               const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr) {
  view image = s->md[IMAGE], weights = s->md[WEIGHTS], bias = s->md[BIAS], output = s->md[OUTPUT];
  if (pass == TARE_FORWARD)
    return dnnl_convolution_forward_primitive_desc_create(out, engine, dnnl_forward_training, dnnl_convolution_direct, image, weights,
                                                          bias, output, s->strides, s->dilates, s->pads, s->pads, attr);
  if (pass == TARE_BACKWARD_DATA)
    return dnnl_convolution_backward_data_primitive_desc_create(out, engine, dnnl_convolution_direct, image, weights, output, s->strides,
                                                                s->dilates, s->pads, s->pads, hint, attr);
  return dnnl_convolution_backward_weights_primitive_desc_create(out, engine, dnnl_convolution_direct, image, weights, NULL, output,
                                                                 s->strides, s->dilates, s->pads, s->pads, hint, attr);
}
#else
static dnnl_status_t make_desc(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const struct shape *s, tare_pass pass,
                               const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr) {
  view image = &s->md[IMAGE], weights = &s->md[WEIGHTS], bias = &s->md[BIAS], output = &s->md[OUTPUT];
  dnnl_convolution_desc_t op;
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
  return status != dnnl_success ? status : dnnl_primitive_desc_create(out, &op, attr, engine, hint);
}
#endif

static dnnl_status_t make_reorder(dnnl_engine_t engine, view from, view to, dnnl_primitive_t *out) {
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

static int weights_argument(tare_pass pass) { return pass == TARE_BACKWARD_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS; }

/* Chooses oneDNN's implementation; cheap, for the code is generated with the primitive. */
static dnnl_status_t make_descriptor(tare_onednn_conv *c, const struct shape *s) {
  dnnl_primitive_attr_t attr;
  dnnl_primitive_desc_t hint = NULL;
  dnnl_status_t status = dnnl_primitive_attr_create(&attr);
  if (status != dnnl_success) return status;
  dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
  dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict); /* whatever ONEDNN_DEFAULT_FPMATH_MODE says */
  if (c->pass != TARE_FORWARD) status = make_desc(&hint, c->engine, s, TARE_FORWARD, NULL, attr);
  if (status == dnnl_success) status = make_desc(&c->desc, c->engine, s, c->pass, hint, attr);
  if (hint) dnnl_primitive_desc_destroy(hint);
  dnnl_primitive_attr_destroy(attr);
  if (status == dnnl_success) status = dnnl_primitive_desc_query(c->desc, dnnl_query_impl_info_str, 0, &c->name);
  return status;
}

static dnnl_status_t make_primitives(tare_onednn_conv *c) {
  dnnl_status_t status = dnnl_primitive_create(&c->primitive, c->desc);
  if (status != dnnl_success) return status;
  view own = tensor(c, weights_argument(c->pass)), scratch = tensor(c, DNNL_ARG_SCRATCHPAD);
  c->weights = dnnl_memory_desc_get_size(own) / sizeof(float);
  c->workspace = (dnnl_memory_desc_get_size(scratch) + 63) / 64 * 16;
  if (dnnl_memory_desc_equal(own, see(&c->plain))) return dnnl_success;
  if (c->pass == TARE_BACKWARD_WEIGHTS) return make_reorder(c->engine, own, see(&c->plain), &c->unpack);
  return make_reorder(c->engine, see(&c->plain), own, &c->pack);
}

static tare_status status_of(dnnl_status_t status, tare_error *error) {
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

/* `whole`: with the primitives, else only the descriptor, for its name. */
static tare_status create(const tare_conv_problem *problem, tare_pass pass, int whole, tare_onednn_conv **out, tare_error *error) {
  if (is_unsafe(problem, pass))
    return tare_fail(error, TARE_E_UNSUPPORTED, "oneDNN issue 6035: strided 1x1 with few channels writes past its memory");
  tare_onednn_conv *c = tare_alloc(1, sizeof *c);
  if (!c) return tare_fail_memory(error, sizeof *c, "a convolution");
  struct shape s;
  memset(&s, 0, sizeof s);
  c->pass = pass;
  int before = one_thread();
  dnnl_status_t status = dnnl_engine_create(&c->engine, dnnl_cpu, 0);
  if (status == dnnl_success) status = describe(problem, &s, &c->plain) ? dnnl_invalid_arguments : make_descriptor(c, &s);
  if (status == dnnl_success && whole) status = make_primitives(c);
  for (int i = 0; i < TENSORS; i++) layout_free(&s.md[i]);
  threads_back(before);
  if (status == dnnl_success) *out = c;
  else tare_onednn_conv_free(c);
  return status_of(status, error);
}

tare_status tare_onednn_conv_create(const tare_conv_problem *problem, tare_pass pass, tare_onednn_conv **out, tare_error *error) {
  return create(problem, pass, 1, out, error);
}

tare_status tare_onednn_conv_probe(const tare_conv_problem *problem, tare_pass pass, char *name, size_t size, tare_error *error) {
  tare_onednn_conv *c;
  tare_status status = create(problem, pass, 0, &c, error);
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
  layout_free(&c->plain);
  tare_free(c);
}

size_t tare_onednn_conv_weights(const tare_onednn_conv *c) { return c->weights; }
size_t tare_onednn_conv_workspace(const tare_onednn_conv *c) { return c->workspace; }

enum { MOST_ARGUMENTS = 5 };
struct argument { int name; view md; const void *data; };

/* Streams and memory objects are made for each call, so that one plan serves many threads. */
static tare_status execute(const tare_onednn_conv *c, dnnl_primitive_t primitive, const struct argument *arguments, int count) {
  dnnl_exec_arg_t list[MOST_ARGUMENTS];
  dnnl_stream_t stream = NULL;
  int before = one_thread(), made = 0;
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
  threads_back(before);
  return status == dnnl_success ? TARE_OK : TARE_E_LIBRARY;
}

static tare_status reorder(const tare_onednn_conv *c, dnnl_primitive_t how, view from, view to, const float *in, float *out) {
  if (!how) {
    memcpy(out, in, c->weights * sizeof(float));
    return TARE_OK;
  }
  const struct argument arguments[] = {{DNNL_ARG_FROM, from, in}, {DNNL_ARG_TO, to, out}};
  return execute(c, how, arguments, 2);
}

tare_status tare_onednn_conv_pack(const tare_onednn_conv *c, const float *plain, float *packed) {
  return reorder(c, c->pack, see(&c->plain), tensor(c, DNNL_ARG_WEIGHTS), plain, packed);
}

tare_status tare_onednn_conv_unpack(const tare_onednn_conv *c, const float *packed, float *plain) {
  return reorder(c, c->unpack, tensor(c, DNNL_ARG_DIFF_WEIGHTS), see(&c->plain), packed, plain);
}

tare_status tare_onednn_conv_run(const tare_onednn_conv *c, const float *a, const float *b, const float *bias, float *out,
                                 float *workspace) {
  static const int names[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                  {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
                                  {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS}};
  const int *name = names[c->pass == TARE_FORWARD ? 0 : c->pass == TARE_BACKWARD_DATA ? 1 : 2];
  struct argument arguments[MOST_ARGUMENTS] = {{name[0], tensor(c, name[0]), a}, {name[1], tensor(c, name[1]), b},
                                               {name[2], tensor(c, name[2]), out}, {DNNL_ARG_SCRATCHPAD, tensor(c, DNNL_ARG_SCRATCHPAD), workspace}};
  int count = 4;
  if (c->pass == TARE_FORWARD) arguments[count++] = (struct argument){DNNL_ARG_BIAS, tensor(c, DNNL_ARG_BIAS), bias};
  return execute(c, c->primitive, arguments, count);
}

tare_status tare_onednn_sgemm(char transa, char transb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                              float beta, float *c, int ldc) {
  int before = one_thread();
  dnnl_status_t status = dnnl_sgemm(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  threads_back(before);
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
