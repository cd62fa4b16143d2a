/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a convolution in the line: read, checked, written, made into layers. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/layers.h"

enum { MAX_OUTPUTS = 1 << 16, MAX_KERNEL = 1023, MAX_STEP = 1 << 10 };

static const struct { const char *name; tare_border border; } borders[] = {
  {"same", TARE_BORDER_ZERO}, {"zero", TARE_BORDER_ZERO}, {"reflect", TARE_BORDER_REFLECT}, {"edge", TARE_BORDER_EDGE},
  {"valid", TARE_BORDER_VALID},
};
enum { BORDERS = sizeof borders / sizeof *borders, BORDERS_ALONE = BORDERS - 1 }; /* valid is no choice beside a number */

/* "8x7" or "8x3x5". */
static tare_status parse_size(tare_words *words, tare_item *item, tare_error *error) {
  const char *word = tare_words_peek(words);
  int fields[3], count = 0, used = 0;
  item->argument_column = words->next < words->count ? words->list[words->next].column : words->end;
  char tail;
  if (word) count = sscanf(word, "%5dx%5dx%5d%n%c", &fields[0], &fields[1], &fields[2], &used, &tail);
  if (count == 2) count = sscanf(word, "%5dx%5d%n%c", &fields[0], &fields[1], &used, &tail);
  int good = (count == 2 || count == 3) && word[used] == 0 && strspn(word, "0123456789x") == strlen(word);
  for (int i = 0; i < count && good; i++) good = fields[i] >= 1 && fields[i] <= (i ? MAX_KERNEL : MAX_OUTPUTS);
  if (!good) return tare_words_expected(words, "FILTERSxSIZE or FILTERSxROWSxCOLUMNS, such as 8x7 or 8x3x5 (sizes 1 to 1023)", error);
  item->outputs = fields[0];
  item->kernel[0] = fields[1];
  item->kernel[1] = fields[count - 1];
  tare_words_take(words);
  return TARE_OK;
}

static int find_border(const char *name, int among) {
  for (int i = 0; i < among; i++)
    if (strcmp(borders[i].name, name) == 0) return i;
  return -1;
}

static tare_status parse_pad(tare_words *words, tare_item *item, tare_error *error) {
  int which = find_border(tare_words_peek(words) + strlen("pad="), BORDERS);
  if (which >= 0) {
    item->border = borders[which].border;
    item->pad = -1;
    tare_words_take(words);
    return TARE_OK;
  }
  tare_status status = tare_words_int(words, "pad=", "the padding (or same, reflect, edge, valid)", 0, MAX_STEP, &item->pad, error);
  if (!status && item->border == TARE_BORDER_VALID) item->border = TARE_BORDER_ZERO;
  return status;
}

static tare_status parse_border(tare_words *words, tare_item *item, tare_error *error) {
  int which = find_border(tare_words_peek(words) + strlen("border="), BORDERS_ALONE);
  if (which < 0) return tare_words_expected(words, "border=zero, border=reflect or border=edge", error);
  item->border = borders[which].border;
  tare_words_take(words);
  return TARE_OK;
}

static tare_status parse_stride(tare_words *words, tare_item *item, tare_error *error) {
  return tare_words_int(words, "/", "the stride", 1, MAX_STEP, &item->stride, error);
}

static tare_status parse_groups(tare_words *words, tare_item *item, tare_error *error) {
  return tare_words_int(words, "groups=", "the groups", 1, MAX_OUTPUTS, &item->groups, error);
}

static tare_status parse_dilation(tare_words *words, tare_item *item, tare_error *error) {
  return tare_words_int(words, "dilation=", "the dilation", 1, MAX_STEP, &item->dilation, error);
}

static tare_status parse_nobias(tare_words *words, tare_item *item, tare_error *error) {
  if (strcmp(tare_words_peek(words), "nobias")) return tare_words_expected(words, "nobias", error);
  item->bias = 0;
  tare_words_take(words);
  return TARE_OK;
}

static const struct { const char *prefix; tare_status (*parse)(tare_words *words, tare_item *item, tare_error *error); } options[] = {
  {"pad=", parse_pad}, {"border=", parse_border}, {"groups=", parse_groups}, {"dilation=", parse_dilation}, {"nobias", parse_nobias},
  {"/", parse_stride},
};
enum { OPTIONS = sizeof options / sizeof *options };

/* Methods, then options: what a word that is no rule may have been meant to be. */
static const char *known_name(int i) {
  int methods = 0;
  while (tare_method_name(methods)) methods++;
  return i < methods ? tare_method_name(i) : i - methods < OPTIONS - 1 ? options[i - methods].prefix : NULL;
}

/* The known name near a word's head ("spectrel(0.5)", "padd=2"), NULL if none is. */
static const char *near_miss(const char *word) {
  char head[48];
  size_t length = strcspn(word, "(=");
  if (word[length] == '=') length++;
  if (length >= sizeof head) return NULL;
  memcpy(head, word, length);
  head[length] = 0;
  return tare_nearest_name(head, known_name);
}

static tare_status parse_method(tare_words *words, tare_item *item, const tare_method *method, tare_error *error) {
  const char *word = tare_words_peek(words);
  size_t name = strlen(method->name), length = strlen(word);
  if (item->method) return tare_words_fail(words, TARE_E_SYNTAX, error, "a second method '%.60s' beside '%s'", word, item->method->name);
  item->argument = method->argument;
  if (length > name) {
    char number[48], wanted[120], range[2][32];
    int good = method->takes_argument && word[length - 1] == ')' && length - name - 2 < sizeof number;
    if (good) {
      memcpy(number, word + name + 1, length - name - 2);
      number[length - name - 2] = 0;
      good = tare_parse_double(number, method->low, method->high, &item->argument) == 0;
    }
    snprintf(wanted, sizeof wanted, "%s(S) with a number S from %s to %s", method->name, tare_number_text(method->low, range[0]),
             tare_number_text(method->high, range[1]));
    if (!good) return tare_words_expected(words, method->takes_argument ? wanted : method->name, error);
  }
  item->method = method;
  tare_words_take(words);
  return TARE_OK;
}

/* Does it read as a rule, whether or not it fits this filter? */
static int is_rule(const char *word) {
  static const tare_filter_shape shape = {.dims = 2, .size = {9, 9}, .channels = 1};
  tare_constraint *rule = NULL;
  tare_status status = tare_constraint_create(word, &shape, 1, &rule, NULL);
  tare_constraint_free(rule);
  return status != TARE_E_SYNTAX;
}

static tare_status parse_rule(tare_words *words, tare_item *item, tare_error *error) {
  const char *word = tare_words_peek(words), *near = *word == '{' ? NULL : near_miss(word);
  if (item->rule && near && !is_rule(word))
    return tare_words_fail(words, TARE_E_SYNTAX, error, "expected a method or an option, found '%.60s'; did you mean '%s'?", word, near);
  if (item->rule)
    return tare_words_fail(words, TARE_E_SYNTAX, error, "a second rule '%.60s': join rules in braces, as {sum=0; symmetric}", word);
  int braces = *word == '{';
  size_t length = strlen(word) - 2 * (size_t)braces;
  if (braces && word[length + 1] != '}') return tare_words_expected(words, "a rule in braces", error);
  item->rule_column = words->list[words->next].column;
  item->rule = tare_alloc(length + 1, 1);
  if (!item->rule) return tare_fail_memory(error, length, "a rule");
  memcpy(item->rule, word + braces, length);
  item->bare_rule = !braces;
  tare_words_take(words);
  return TARE_OK;
}

static tare_status parse_word(tare_words *words, tare_item *item, tare_error *error) {
  const char *word = tare_words_peek(words);
  for (int i = 0; i < OPTIONS; i++)
    if (strncmp(word, options[i].prefix, strlen(options[i].prefix)) == 0) return options[i].parse(words, item, error);
  const tare_method *method = tare_method_find(word, strcspn(word, "("));
  return method ? parse_method(words, item, method, error) : parse_rule(words, item, error);
}

tare_status tare_conv_parse(tare_words *words, tare_item *item, tare_error *error) {
  item->stride = item->groups = item->dilation = item->bias = 1;
  item->pad = -1;
  item->border = TARE_BORDER_VALID;
  tare_status status = parse_size(words, item, error);
  while (!status && tare_words_peek(words)) status = parse_word(words, item, error);
  if (!status && item->pad == 0) item->border = TARE_BORDER_VALID;
  if (!status && !item->method) {
    const char *standard = item->rule ? "spectral" : "none";
    item->method = tare_method_find(standard, strlen(standard));
    item->argument = item->method->argument;
  }
  return status;
}

static void write_method(const tare_item *item, tare_text *text) {
  const tare_method *method = item->method;
  char number[32];
  if (!item->rule && strcmp(method->name, "none") == 0) return;
  tare_text_add(text, " %s", method->name);
  if (method->takes_argument && (method->penalises || item->argument != method->argument))
    tare_text_add(text, "(%s)", tare_number_text(item->argument, number));
}

static void write_border(const tare_item *item, tare_text *text) {
  if (item->border == TARE_BORDER_VALID) return;
  int which = 0; /* the first name of this border */
  while (borders[which].border != item->border) which++;
  if (item->pad < 0) tare_text_add(text, " pad=%s", borders[which].name);
  else if (which == 0) tare_text_add(text, " pad=%d", item->pad);
  else tare_text_add(text, " pad=%d border=%s", item->pad, borders[which].name);
}

void tare_conv_write(const tare_item *item, tare_text *text) {
  tare_text_add(text, " %dx%d", item->outputs, item->kernel[0]);
  if (item->kernel[1] != item->kernel[0]) tare_text_add(text, "x%d", item->kernel[1]);
  if (item->stride > 1) tare_text_add(text, " /%d", item->stride);
  if (item->rule) tare_text_add(text, strpbrk(item->rule, "; \t") || tare_method_find(item->rule, strlen(item->rule)) ? " {%s}" : " %s", item->rule);
  write_method(item, text);
  write_border(item, text);
  if (item->groups > 1) tare_text_add(text, " groups=%d", item->groups);
  if (item->dilation > 1) tare_text_add(text, " dilation=%d", item->dilation);
  if (!item->bias) tare_text_add(text, " nobias");
}

/* The item's convolution with `outputs` filters on `batch` images of rows x columns x channels. */
static tare_conv_problem problem_on(const tare_item *item, const int shape[3], int batch, int outputs, int groups) {
  tare_conv_problem p = {.groups = groups, .batch = batch, .channels = shape[2], .outputs = outputs, .border = item->border};
  for (int axis = 0; axis < 2; axis++) {
    p.size[axis] = shape[axis];
    p.kernel[axis] = item->kernel[axis];
    p.stride[axis] = item->stride;
    p.dilation[axis] = item->dilation;
    p.pad[axis] = item->border == TARE_BORDER_VALID ? 0 : item->pad >= 0 ? item->pad : (item->kernel[axis] - 1) * item->dilation / 2;
  }
  return p;
}

tare_conv_problem tare_conv_problem_of(const tare_net *net, const tare_item *item, int outputs, int groups) {
  return problem_on(item, tare_net_shape(net), tare_net_shard_capacity(net), outputs, groups);
}

static tare_status check_fit(const tare_item *item, const tare_conv_problem *p, tare_error *error) {
  int column = item->argument_column;
  if (p->channels % item->groups || item->outputs % item->groups)
    return tare_item_fail(item, column, TARE_E_SHAPE, error, "%d groups do not divide %d input channels and %d filters", item->groups,
                          p->channels, item->outputs);
  for (int axis = 0; axis < 2; axis++)
    if ((p->kernel[axis] - 1) * p->dilation[axis] + 1 > p->size[axis] + 2 * p->pad[axis])
      return tare_item_fail(item, column, TARE_E_SHAPE, error, "the %dx%d filter%s is larger than its %dx%d input%s", p->kernel[0],
                            p->kernel[1], item->dilation > 1 ? " (spread by its dilation)" : "", p->size[0], p->size[1],
                            p->pad[0] + p->pad[1] ? " with its border" : "; a border helps: pad=same");
  tare_status status = tare_conv_problem_check(p, error);
  return status ? tare_item_prefix(item, column, status, error) : TARE_OK;
}

static tare_status explain_weights(const tare_item *item, tare_status status, tare_error *error) {
  const char *near = item->bare_rule && status == TARE_E_SYNTAX ? near_miss(item->rule) : NULL;
  if (near)
    return tare_item_fail(item, item->rule_column, status, error,
                          "expected a rule, a method or an option, found '%.60s'; did you mean '%s'?", item->rule, near);
  return tare_item_prefix(item, item->rule ? item->rule_column : item->argument_column, status, error);
}

static tare_status keep_canonical(tare_item *item, const tare_weights *weights, tare_error *error) {
  if (!weights->constraint) return TARE_OK;
  char *text = tare_strdup(tare_constraint_text(weights->constraint));
  if (!text) return tare_fail_memory(error, 1, "a rule");
  tare_free(item->rule);
  item->rule = text;
  return TARE_OK;
}

/*
 * difference, the first of its two layers: the n-m columns of pivot's B as filters of every slice (or of every group's channels, for
 * a rule on whole filters), and w0 as one more where b is not 0.
 */
static tare_status add_responses(tare_net *net, const tare_item *item, const tare_weights *weights, tare_error *error) {
  int taps = weights->taps, columns = weights->coefficients, filters = weights->composed;
  int groups = tare_constraint_is_filter(weights->constraint) ? item->groups : tare_net_shape(net)[2];
  size_t cells = (size_t)taps * filters;
  double *matrix = tare_alloc((size_t)taps * columns, sizeof *matrix), *rows = tare_alloc(cells * groups, sizeof *rows);
  tare_status status = matrix && rows ? TARE_OK : tare_fail_memory(error, cells * groups * sizeof *rows, "a difference layer");
  if (!status) {
    tare_basis_matrix(weights->basis, matrix);
    for (int tap = 0; tap < taps; tap++) {
      for (int k = 0; k < columns; k++) rows[(size_t)k * taps + tap] = matrix[(size_t)tap * columns + k];
      if (filters > columns) rows[(size_t)columns * taps + tap] = tare_basis_offset(weights->basis)[tap];
    }
    for (int g = 1; g < groups; g++) memcpy(rows + g * cells, rows, cells * sizeof *rows);
    tare_conv_problem problem = tare_conv_problem_of(net, item, filters * groups, groups);
    status = tare_conv_add_frozen(net, item, &problem, rows, error);
  }
  tare_free(matrix);
  tare_free(rows);
  return status;
}

tare_status tare_conv_add(tare_net *net, tare_item *item, tare_error *error) {
  tare_conv conv = {.bias = item->bias, .plain = tare_conv_problem_of(net, item, item->outputs, item->groups)};
  tare_status status = check_fit(item, &conv.plain, error);
  if (status) return status;
  status = tare_weights_create(&conv.weights, item->method, item->argument, item->rule, item->outputs, conv.plain.channels / item->groups,
                               item->kernel, net->options.precision, error);
  if (status) status = explain_weights(item, status, error);
  else status = keep_canonical(item, &conv.weights, error);
  conv.problem = conv.plain;
  if (!status && item->method->split) {
    status = add_responses(net, item, &conv.weights, error);
    conv.source = status ? NULL : net->layers[net->layer_count - 1];
    static const tare_item mixing = {.kernel = {1, 1}, .stride = 1, .dilation = 1, .pad = -1, .border = TARE_BORDER_VALID};
    conv.problem = tare_conv_problem_of(net, &mixing, item->outputs, item->groups);
  }
  if (!status) return tare_conv_add_trained(net, item, &conv, NULL, error);
  tare_weights_free(&conv.weights);
  return status;
}

tare_status tare_net_first_conv(const tare_net *net, tare_conv_problem *problem, tare_error *error) {
  const tare_item *item = net ? &net->items[0] : NULL;
  if (!item || !problem) return tare_fail(error, TARE_E_ARGUMENT, "the first convolution needs a network and a place for it; one is NULL");
  if (item->kind->add != tare_conv_add)
    return tare_fail(error, TARE_E_UNSUPPORTED, "the network begins with %s, expected a convolution", item->kind->name);
  const tare_net_options *o = &net->options;
  *problem = problem_on(item, (const int[3]){o->height, o->width, o->channels}, 1, item->outputs, item->groups);
  return TARE_OK;
}
