/* SPDX-License-Identifier: Apache-2.0 */
/* Who races: the table of methods, and the list that picks from it. */
#include "train/race.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "net/line.h"

/* A new method is a line here (CONTRIBUTING.md); what its head means is the business of room net. */
static const tare_race_method methods[] = {
  {"none", "a plain convolution: no rule", 0, 1, "conv $ox$k"},
  {"penalty", "the loss gains S |A w - b|; S is 0.01, 1, 10 and 100 in turn, or the one of penalty(S)", 0, 1, "conv $ox$k $r $m", 1},
  {"projection", "after each step the weights move to the nearest that obey: a Keras constraint", 0, 1, "conv $ox$k $r $m"},
  {"difference", "two layers: a frozen convolution that gives x[i] - x[centre], then a trained 1x1", 0, 1, "conv $ox$k $r $m", .odd = 1},
  {"centred", "w - mean(w) in the forward pass (I - A^+ A for any rule)", 0, 1, "conv $ox$k $r $m"},
  {"orthonormal", "coefficients of an orthonormal basis of the weights that obey", 0, 1, "conv $ox$k $r $m"},
  {"pivot", "all taps but the centre are trained, the centre follows: the difference layer's function at a plain convolution's cost", 0, 1,
   "conv $ox$k $r $m"},
  {"spectral", "DCT coefficients scaled by frequency, as images ask for; spectral(P): scaled by its power P", 0, 1, "conv $ox$k $r $m", 1},
  {"whitened", "the same, each frequency scaled as measured on the layer's own input", 0, 1, "conv $ox$k $r $m"},
  {"whitened-full", "a basis that whitens the measured covariance of the input patches: dense, K up to 16", 0, 0, "conv $ox$k $r $m",
   .largest = 16},
  {"image-mean", "the mean of each image is subtracted before a plain convolution", 1, 0, "image-mean; conv $ox$k"},
  {"local-mean", "the KxK local mean is subtracted before a plain convolution", 1, 1, "local-mean $k; conv $ox$k", .odd = 1},
  {"laplacian", "a fixed 3x3 Laplacian, then a plain (K-2)x(K-2) convolution", 1, 1, "laplacian; conv $ox$i", .smallest = 3},
  {"gradients", "two fixed difference channels, then a plain (K-1)x(K-1) convolution", 1, 0, "gradients; conv $ox$j", .smallest = 2},
  {"dct", "DCT coefficients, unscaled (harmonic networks, Ulicny et al. 2019)", 1, 1, "conv $ox$k $r $m"},
  {"weight-standardization", "weights made mean 0, variance 1 in the forward pass (Qiao et al. 2019)", 1, 0, "conv $ox$k $m"},
  {"gradient-centralization", "the mean of each gradient is subtracted (Yong et al. 2020)", 1, 0, "conv $ox$k $m"},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* The question's strength, and 100 to 10,000 times it. */
static const char *const strengths[] = {"0.01", "1", "10", "100"};
enum { STRENGTHS = sizeof strengths / sizeof *strengths };

const tare_race_method *tare_race_methods(size_t *count) {
  if (count) *count = METHODS;
  return methods;
}

static const char *name_of(int i) { return i < METHODS ? methods[i].name : NULL; }

static tare_status unknown(const char *name, int length, tare_error *error) {
  char word[64];
  tare_text known = {0};
  for (size_t i = 0; i < METHODS; i++) tare_text_add(&known, "%s, ", methods[i].name);
  snprintf(word, sizeof word, "%.*s", length, name);
  const char *nearest = tare_nearest_name(word, name_of);
  tare_fail(error, TARE_E_ARGUMENT, "no method '%s'%s%s%s; there are %sdefault, rivals and all", word, nearest ? ", did you mean '" : "",
            nearest ? nearest : "", nearest ? "'?" : "", known.data ? known.data : "");
  tare_text_free(&known);
  return TARE_E_ARGUMENT;
}

/* "spectral(0.5):order=1" taken apart; lengths of 0 where a part is missing. */
typedef struct item { const char *name, *parameter, *rule; int name_length, parameter_length, rule_length; } item;

static tare_status take_apart(const char *text, size_t length, item *it, tare_error *error) {
  const char *end = text + length, *colon = memchr(text, ':', length), *stop = colon ? colon : end;
  *it = (item){.name = text};
  if (colon) it->rule = colon + 1, it->rule_length = (int)(end - it->rule);
  if (colon && !it->rule_length) return tare_fail(error, TARE_E_SYNTAX, "method '%.*s': no rule behind ':'", (int)length, text);
  const char *open = memchr(text, '(', (size_t)(stop - text));
  it->name_length = (int)((open ? open : stop) - text);
  if (!open) return TARE_OK;
  it->parameter = open + 1;
  it->parameter_length = (int)(stop - open - 2);
  char number[40];
  double value;
  if (it->parameter_length < 1 || it->parameter_length >= (int)sizeof number || stop[-1] != ')')
    return tare_fail(error, TARE_E_SYNTAX, "method '%.*s': a number in parentheses was expected behind its name", (int)length, text);
  memcpy(number, it->parameter, (size_t)it->parameter_length);
  number[it->parameter_length] = 0;
  if (tare_parse_double(number, -1e9, 1e9, &value))
    return tare_fail(error, TARE_E_ARGUMENT, "method '%.*s': '%s' is not a number", (int)length, text, number);
  return TARE_OK;
}

static tare_status check_size(const tare_race_method *method, int k, tare_error *error) {
  if (method->odd && k % 2 == 0)
    return tare_fail(error, TARE_E_SHAPE, "%s needs an odd kernel, not %d: choose another, or name the methods that shall race without it",
                     method->name, k);
  if (k < method->smallest)
    return tare_fail(error, TARE_E_SHAPE, "%s needs a kernel of at least %d, not %d", method->name, method->smallest, k);
  if (method->largest && k > method->largest)
    return tare_fail(error, TARE_E_SHAPE, "%s takes a kernel of at most %d, not %d", method->name, method->largest, k);
  return TARE_OK;
}

static char *write_head(const char *head, const race_shape *shape, const char *rule, const char *name) {
  tare_text text = {0};
  for (const char *p = head; *p; p++) {
    if (*p != '$') tare_text_add(&text, "%c", *p);
    else if (*++p == 'o') tare_text_add(&text, "%d", shape->filters);
    else if (*p == 'r') tare_text_add(&text, "{%s}", rule);
    else if (*p == 'm') tare_text_add(&text, "%s", name);
    else tare_text_add(&text, "%d", shape->kernel - ('k' - *p));
  }
  return tare_text_take(&text);
}

static char *write_line(const char *head, const race_shape *shape) {
  const char *bn = shape->batch_norm ? "bn; " : "";
  tare_text text = {0};
  tare_text_add(&text, "%s; %srelu; ", head, bn);
  if (shape->tail) tare_text_add(&text, "%s", shape->tail);
  else tare_text_add(&text, "conv 16x3 /2; %srelu; conv 32x3 /2; %srelu; gap; dense %d", bn, bn, shape->classes);
  return tare_text_take(&text);
}

static void free_entry(race_entry *entry) {
  tare_free(entry->name);
  tare_free(entry->head);
  tare_free(entry->line);
  tare_free(entry->rule);
}

void tare_race_field_free(race_field *field) {
  for (size_t i = 0; i < field->count; i++) free_entry(&field->entries[i]);
  tare_free(field->entries);
  *field = (race_field){0};
}

static int is_there(const race_field *field, const char *name) {
  for (size_t i = 0; i < field->count; i++)
    if (strcmp(field->entries[i].name, name) == 0) return 1;
  return 0;
}

/* Takes the entry over; a name that races already is not added again. */
static tare_status append(race_field *field, race_entry entry, tare_error *error) {
  int missing = !entry.name || !entry.head || !entry.line || !entry.rule, known = !missing && is_there(field, entry.name);
  race_entry *more = missing || known ? NULL : tare_alloc(field->count + 1, sizeof *more);
  if (!more) {
    free_entry(&entry);
    return known ? TARE_OK : tare_fail_memory(error, (field->count + 1) * sizeof *more, "the methods of a race");
  }
  if (field->count) memcpy(more, field->entries, field->count * sizeof *more);
  more[field->count] = entry;
  tare_free(field->entries);
  field->entries = more;
  field->count++;
  return TARE_OK;
}

static char *write_name(const tare_race_method *method, const item *it, int with_rule) {
  tare_text text = {0};
  tare_text_add(&text, "%s", method->name);
  if (it->parameter_length) tare_text_add(&text, "(%.*s)", it->parameter_length, it->parameter);
  if (it->rule_length && with_rule) tare_text_add(&text, ":%.*s", it->rule_length, it->rule);
  return tare_text_take(&text);
}

static char *write_rule(const tare_race_method *method, const item *it, const race_shape *shape) {
  tare_text text = {0};
  if (it->rule_length) tare_text_add(&text, "%.*s", it->rule_length, it->rule);
  else if (strstr(method->head, "$r")) tare_text_add(&text, "%s", shape->constraint);
  return tare_text_take(&text);
}

static tare_status add(race_field *field, const tare_race_method *method, const item *it, const race_shape *shape, tare_error *error) {
  tare_status status = check_size(method, shape->kernel, error);
  if (status) return status;
  race_entry entry = {.name = write_name(method, it, 1), .rule = write_rule(method, it, shape),
                      .penalty = strcmp(method->name, "penalty") == 0};
  char *layer_name = write_name(method, it, 0);
  if (layer_name && entry.rule) entry.head = write_head(method->head, shape, entry.rule, layer_name);
  if (entry.head) entry.line = write_line(entry.head, shape);
  tare_free(layer_name);
  return append(field, entry, error);
}

static tare_status add_strengths(race_field *field, const tare_race_method *method, item it, const race_shape *shape, tare_error *error) {
  if (strcmp(method->name, "penalty") || it.parameter_length) return add(field, method, &it, shape, error);
  tare_status status = TARE_OK;
  for (int i = 0; i < STRENGTHS && !status; i++) {
    it.parameter = strengths[i];
    it.parameter_length = (int)strlen(strengths[i]);
    status = add(field, method, &it, shape, error);
  }
  return status;
}

static int named(const char *text, size_t length, const char *name) { return strlen(name) == length && memcmp(text, name, length) == 0; }

/* A word that stands for many leaves out what is bound to smaller filters; that an even K has no difference layer is said, not passed over. */
static tare_status add_group(race_field *field, int rivals, int defaults, const race_shape *shape, tare_error *error) {
  tare_status status = TARE_OK;
  for (size_t i = 0; i < METHODS && !status; i++) {
    const tare_race_method *method = &methods[i];
    int wanted = defaults ? method->in_default : !rivals || method->rival;
    if (wanted && !(method->largest && shape->kernel > method->largest)) status = add_strengths(field, method, (item){0}, shape, error);
  }
  return status;
}

static tare_status add_item(race_field *field, const char *text, size_t length, const race_shape *shape, tare_error *error) {
  if (!length) return tare_fail(error, TARE_E_SYNTAX, "an empty name in the list of methods");
  if (named(text, length, "default")) return add_group(field, 0, 1, shape, error);
  if (named(text, length, "rivals")) return add_group(field, 1, 0, shape, error);
  if (named(text, length, "all")) return add_group(field, 0, 0, shape, error);
  item it;
  tare_status status = take_apart(text, length, &it, error);
  if (status) return status;
  size_t i = 0;
  while (i < METHODS && !named(it.name, (size_t)it.name_length, methods[i].name)) i++;
  if (i == METHODS) return unknown(it.name, it.name_length, error);
  if (it.parameter_length && !methods[i].parameter) return tare_fail(error, TARE_E_ARGUMENT, "method %s takes no number", methods[i].name);
  if (it.rule_length && !strstr(methods[i].head, "$r"))
    return tare_fail(error, TARE_E_ARGUMENT, "method %s takes no rule", methods[i].name);
  return add_strengths(field, &methods[i], it, shape, error);
}

/* Up to the next comma outside of parentheses and braces (rules hold commas: moment(1,0)=0). */
static size_t item_length(const char *text) {
  int depth = 0;
  size_t i = 0;
  for (; text[i] && (depth > 0 || text[i] != ','); i++) depth += (text[i] == '(' || text[i] == '{') - (text[i] == ')' || text[i] == '}');
  return i;
}

tare_status tare_race_field(const char *list, const race_shape *shape, race_field *field, tare_error *error) {
  race_field made = {0};
  tare_status status = TARE_OK;
  for (const char *p = list ? list : "default";; p++) {
    size_t length = item_length(p), lead = strspn(p, " "), used = length;
    while (used > lead && p[used - 1] == ' ') used--;
    status = add_item(&made, p + (lead < used ? lead : used), lead < used ? used - lead : 0, shape, error);
    p += length;
    if (status || !*p) break;
  }
  if (status) tare_race_field_free(&made);
  else *field = made;
  return status;
}
