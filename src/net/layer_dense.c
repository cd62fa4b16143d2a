/* SPDX-License-Identifier: Apache-2.0 */
/* dense: a 1x1 convolution of one pixel that has all the values of an image (rows, columns, channels in this order) as channels. */
#include <string.h>

#include "net/layers.h"

tare_status tare_dense_parse(tare_words *words, tare_item *item, tare_error *error) {
  item->bias = 1;
  tare_status status = tare_words_int(words, "", "the number of outputs", 1, 1 << 16, &item->outputs, error);
  const char *word = tare_words_peek(words);
  if (!status && word && strcmp(word, "nobias") == 0) {
    item->bias = 0;
    tare_words_take(words);
  }
  return status;
}

void tare_dense_write(const tare_item *item, tare_text *text) { tare_text_add(text, item->bias ? " %d" : " %d nobias", item->outputs); }

tare_status tare_dense_add(tare_net *net, tare_item *item, tare_error *error) {
  static const int point[2] = {1, 1};
  const int *shape = tare_net_shape(net);
  int inputs = shape[0] * shape[1] * shape[2];
  tare_conv conv = {.bias = item->bias};
  conv.problem = (tare_conv_problem){.groups = 1, .batch = tare_net_shard_capacity(net), .channels = inputs, .outputs = item->outputs,
                                     .size = {1, 1}, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .border = TARE_BORDER_VALID};
  conv.plain = conv.problem;
  tare_status status = tare_weights_create(&conv.weights, tare_method_find("none", 4), 0, NULL, item->outputs, inputs, point,
                                           net->options.precision, error);
  if (!status) status = tare_conv_problem_check(&conv.problem, error);
  if (status) {
    tare_weights_free(&conv.weights);
    return tare_item_prefix(item, item->column, status, error);
  }
  return tare_conv_add_trained(net, item, &conv, (const int64_t[]){item->outputs, inputs}, error);
}
