/* SPDX-License-Identifier: Apache-2.0 */
/* The table of layers: one row a word of the line. To add one: see doc/net.md. */
#include "net/layers.h"

#include <string.h>

#include "base/alloc.h"

static const tare_layer_kind kinds[] = {
  {"conv", "OxK or OxKHxKW [/STRIDE] [RULE] [METHOD] [pad=same|N] [border=NAME] [groups=N] [dilation=N] [nobias]",
   tare_conv_parse, tare_conv_write, tare_conv_add},
  {"bn", "", NULL, NULL, tare_bn_add},
  {"relu", "", NULL, NULL, tare_relu_add},
  {"sort", "", NULL, NULL, tare_sort_add},
  {"maxpool", "K [/STRIDE]", tare_window_parse, tare_window_write, tare_maxpool_add},
  {"avgpool", "K [/STRIDE]", tare_window_parse, tare_window_write, tare_avgpool_add},
  {"gap", "", NULL, NULL, tare_gap_add},
  {"flatten", "", NULL, NULL, tare_flatten_add},
  {"dense", "N [nobias]", tare_dense_parse, tare_dense_write, tare_dense_add},
  {"dropout", "P", tare_dropout_parse, tare_dropout_write, tare_dropout_add},
  {"image-mean", "", NULL, NULL, tare_image_mean_add},
  {"local-mean", "K", tare_local_mean_parse, tare_local_mean_write, tare_local_mean_add},
  {"laplacian", "", NULL, NULL, tare_laplacian_add},
  {"gradients", "", NULL, NULL, tare_gradients_add},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const tare_layer_kind *find(const char *name) {
  for (int i = 0; i < KINDS; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  return NULL;
}

const char *tare_layer_kind_name(int i) { return i < KINDS ? kinds[i].name : NULL; }

static tare_status unknown_layer(const tare_words *words, tare_error *error) {
  const char *word = tare_words_peek(words), *near = tare_nearest_name(word, tare_layer_kind_name);
  if (near) return tare_words_fail(words, TARE_E_SYNTAX, error, "expected a layer, found '%.60s'; did you mean '%s'?", word, near);
  tare_text names = {0};
  for (int i = 0; i < KINDS; i++) tare_text_add(&names, "%s%s", i ? ", " : "", kinds[i].name);
  tare_words_fail(words, TARE_E_SYNTAX, error, "expected a layer (%s), found '%.60s'", names.data ? names.data : "", word);
  tare_text_free(&names);
  return TARE_E_SYNTAX;
}

static tare_status parse_item(tare_words *words, tare_item *item, tare_error *error) {
  item->number = words->layer;
  item->column = words->list[0].column;
  item->kind = find(tare_words_peek(words));
  if (!item->kind) return unknown_layer(words, error);
  tare_words_take(words);
  tare_status status = item->kind->parse ? item->kind->parse(words, item, error) : TARE_OK;
  return status ? status : tare_words_end(words, error);
}

tare_status tare_net_parse(tare_net *net, const char *line, tare_error *error) {
  tare_words *words;
  int count;
  tare_status status = tare_line_split(line, &words, &count, error);
  if (status) return status;
  net->items = tare_alloc((size_t)count, sizeof *net->items);
  if (!net->items) status = tare_fail_memory(error, sizeof *net->items * (size_t)count, "a network line");
  else net->item_count = count;
  for (int i = 0; i < count && !status; i++) {
    net->items[i].place = count - i;
    status = parse_item(&words[i], &net->items[i], error);
  }
  tare_line_free(words, count);
  return status;
}

char *tare_net_write_line(const tare_net *net) {
  tare_text text = {0};
  for (int i = 0; i < net->item_count; i++) {
    const tare_item *item = &net->items[i];
    tare_text_add(&text, "%s%s", i ? "; " : "", item->kind->name);
    if (item->kind->write) item->kind->write(item, &text);
  }
  return tare_text_take(&text);
}
