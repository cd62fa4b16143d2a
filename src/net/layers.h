/* SPDX-License-Identifier: Apache-2.0 */
/* What the layer families show to the table in layers.c and to each other. */
#ifndef TARE_NET_LAYERS_H
#define TARE_NET_LAYERS_H

#include "net/net.h"

/* item_conv.c, layer_dense.c, layer_fixed.c, layer_pool.c, layer_elementwise.c, layer_norm.c: parse, write and add of the table */
tare_status tare_conv_parse(tare_words *words, tare_item *item, tare_error *error);
void tare_conv_write(const tare_item *item, tare_text *text);
tare_status tare_conv_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_dense_parse(tare_words *words, tare_item *item, tare_error *error);
void tare_dense_write(const tare_item *item, tare_text *text);
tare_status tare_dense_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_window_parse(tare_words *words, tare_item *item, tare_error *error);
void tare_window_write(const tare_item *item, tare_text *text);
tare_status tare_maxpool_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_avgpool_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_gap_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_bn_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_relu_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_sort_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_flatten_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_dropout_parse(tare_words *words, tare_item *item, tare_error *error);
void tare_dropout_write(const tare_item *item, tare_text *text);
tare_status tare_dropout_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_image_mean_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_local_mean_parse(tare_words *words, tare_item *item, tare_error *error);
void tare_local_mean_write(const tare_item *item, tare_text *text);
tare_status tare_local_mean_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_laplacian_add(tare_net *net, tare_item *item, tare_error *error);
tare_status tare_gradients_add(tare_net *net, tare_item *item, tare_error *error);

/* layer_ends.c: the input, which copies the caller's images into aligned shards, and the output, which puts them together again */
extern const tare_layer_ops tare_input_ops, tare_output_ops;
/* layer_norm.c */
int tare_layer_is_bn(const tare_layer *layer);
void tare_bn_take_relu(tare_layer *layer); /* the layer does the work of the relu behind it */

/* layer_conv.c: a convolution and its weights; dense and the fixed layers are convolutions too. */
typedef struct tare_conv {
  tare_weights weights;        /* without a method: frozen, `composed` never changes */
  tare_conv_problem problem;   /* of one full shard */
  tare_conv_plan *plan;
  tare_conv_problem plain;     /* the problem of the plain weights: another one for the second layer of a split method */
  tare_layer *source;          /* whose input that problem sees */
  int bias, ready;             /* ready: frozen weights are prepared */
  void *composed, *prepared, *bias_values;
  void *kept;                  /* one a shard: what the plan's forward leaves for backward */
  void *partials;              /* one a shard: the plan's, then the bias's sums */
  size_t partial_stride, bias_at, kept_stride;
  void *dweights;
  float *pin;                  /* plain weights that stand in for the composed ones */
  tare_conv_plan *pin_plan;    /* their own plan, where `plain` is another problem */
  struct tare_probe *probe;    /* start.c: while its response is measured */
} tare_conv;
size_t tare_layer_sent(const tare_layer *layer); /* elements of its gradient sums that other ranks need */
tare_conv *tare_layer_conv(const tare_layer *layer); /* NULL if it is none, or frozen */
/* A convolution that is not trained; weights in double, copied. */
tare_status tare_conv_add_frozen(tare_net *net, const tare_item *item, const tare_conv_problem *problem, const double *weights,
                                 tare_error *error);
/* A trained one. The layer takes over conv's weights, also on failure. dense_shape NULL: the tensor has the plain problem's four axes. */
tare_status tare_conv_add_trained(tare_net *net, const tare_item *item, const tare_conv *conv, const int64_t dense_shape[2],
                                  tare_error *error);
/* The problem of `outputs` filters with the item's sizes on the chain so far. */
tare_conv_problem tare_conv_problem_of(const tare_net *net, const tare_item *item, int outputs, int groups);
/* A short shard fills its plan with zero images: the same plan, the same bits. x and dy both: 0 times what was left there could be NaN. */
void tare_conv_clear_rest(const tare_net *net, void *array, size_t image_size, int shard);
/* A plan in the net's precision. */
tare_status tare_net_plan(const tare_net *net, const tare_conv_problem *problem, int passes, tare_conv_plan **out, tare_error *error);
/* Every worker's scratch memory is at least so large. */
tare_status tare_net_need_scratch(tare_net *net, size_t bytes, tare_error *error);
/* start.c */
tare_status tare_conv_start(tare_net *net, tare_layer *layer, const void *images, size_t count, tare_error *error);

#endif
