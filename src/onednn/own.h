/* SPDX-License-Identifier: Apache-2.0 */
/* What the adapter's files share: the two versions of oneDNN made alike, and what a convolution holds. */
#ifndef TARE_ONEDNN_OWN_H
#define TARE_ONEDNN_OWN_H

#include <oneapi/dnnl/dnnl.h>

#include "onednn/onednn.h"

/* 3.x made memory descriptors opaque pointers (and dropped operation descriptors: make_desc in onednn.c). */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t view;
typedef dnnl_memory_desc_t layout;
static inline view see(const layout *md) { return *md; }
static inline int layout_make(layout *md, int dims, const dnnl_dims_t sizes, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(md, dims, sizes, dnnl_f32, tag) != dnnl_success;
}
static inline void layout_free(layout *md) {
  if (*md) dnnl_memory_desc_destroy(*md);
}
#else
typedef const dnnl_memory_desc_t *view;
typedef dnnl_memory_desc_t layout;
static inline view see(const layout *md) { return md; }
static inline int layout_make(layout *md, int dims, const dnnl_dims_t sizes, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(md, dims, sizes, dnnl_f32, tag) != dnnl_success;
}
static inline void layout_free(layout *md) { (void)md; }
#endif

struct tare_onednn_conv {
  tare_pass pass;
  int threads; /* of OpenMP: 1, but for a rival */
  dnnl_engine_t engine;
  dnnl_primitive_desc_t desc;
  dnnl_primitive_t primitive, pack, unpack; /* pack, unpack: NULL where the layout is the plain one */
  layout plain[TARE_ONEDNN_TENSORS];
  size_t weights, workspace;
  const char *name;
};

/* OpenMP's number of threads for what the calling thread does next; returns the number before. It starts no thread. */
int tare_onednn_set_threads(int threads);
tare_status tare_onednn_status(dnnl_status_t status, tare_error *error);
dnnl_status_t tare_onednn_make_reorder(dnnl_engine_t engine, view from, view to, dnnl_primitive_t *out);
/* The layout that the convolution chose for a tensor. */
view tare_onednn_layout(const tare_onednn_conv *conv, tare_onednn_tensor tensor);

struct tare_onednn_argument { int name; view md; const void *data; };
/* Streams and memory objects are made for each call, so that one plan serves many threads. */
tare_status tare_onednn_execute(const tare_onednn_conv *conv, dnnl_primitive_t primitive, const struct tare_onednn_argument *arguments,
                                int count);
/* Both kinds of convolution. `whole`: with the primitives, else only the descriptor, for its name; `blocked`: images in any layout. */
tare_status tare_onednn_make(const tare_conv_problem *problem, tare_pass pass, int threads, int blocked, int whole, tare_onednn_conv **out,
                             tare_error *error);

#endif
