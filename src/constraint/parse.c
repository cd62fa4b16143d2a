/* SPDX-License-Identifier: Apache-2.0 */
/* Rules from text: a table of forms, one token at a time, errors with their column. */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/rule.h"

typedef enum value_kind { NO_VALUE, RATIONAL, ORDER, PATH } value_kind;

static const struct form {
  const char *name;
  value_kind value;
  int powers;   /* one argument an axis */
  int accuracy; /* may be followed by accuracy=A */
  int odd;      /* needs a centre tap */
} forms[] = {
  [TARE_RULE_SUM] = {.name = "sum", .value = RATIONAL},
  [TARE_RULE_ORDER] = {.name = "order", .value = ORDER},
  [TARE_RULE_BAYAR] = {.name = "bayar", .odd = 1},
  [TARE_RULE_CENTRE] = {.name = "centre", .value = RATIONAL, .odd = 1},
  [TARE_RULE_MOMENT] = {.name = "moment", .value = RATIONAL, .powers = 1},
  [TARE_RULE_DERIVATIVE] = {.name = "derivative", .powers = 1, .accuracy = 1},
  [TARE_RULE_SYMMETRIC] = {.name = "symmetric"},
  [TARE_RULE_ANTISYMMETRIC] = {.name = "antisymmetric"},
  [TARE_RULE_ROWS] = {.name = "rows", .value = PATH},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

typedef struct parser {
  const char *text;
  size_t at;
  const tare_filter_shape *shape;
  tare_error *error;
} parser;

static const char *here(parser *p) {
  while (isspace((unsigned char)p->text[p->at])) p->at++;
  return p->text + p->at;
}

static tare_status expected(parser *p, const char *what) {
  const char *found = here(p);
  size_t length = strcspn(found, ";");
  if (length > 24) length = 24;
  if (*found == 0) return tare_fail(p->error, TARE_E_SYNTAX, "rule, column %zu: expected %s, found the end", p->at + 1, what);
  return tare_fail(p->error, TARE_E_SYNTAX, "rule, column %zu: expected %s, found \"%.*s\"", p->at + 1, what, (int)(length ? length : 1),
                   found);
}

static int accept(parser *p, char c) {
  if (*here(p) != c) return 0;
  p->at++;
  return 1;
}

/* Takes `word` if it stands here as a whole word. */
static int accept_word(parser *p, const char *word) {
  const char *text = here(p);
  size_t length = strlen(word);
  if (strncmp(text, word, length) || isalnum((unsigned char)text[length]) || text[length] == '_') return 0;
  p->at += length;
  return 1;
}

/* A whole number from `low` to TARE_MAX_ORDER. */
static tare_status read_count(parser *p, int low, const char *what, int *out) {
  const char *text = here(p);
  size_t length = strspn(text, "0123456789");
  int value = 0;
  for (size_t i = 0; i < length && value <= TARE_MAX_ORDER; i++) value = value * 10 + (text[i] - '0');
  if (length == 0 || value < low || value > TARE_MAX_ORDER) {
    char wanted[80];
    snprintf(wanted, sizeof wanted, "%s, a whole number from %d to %d", what, low, TARE_MAX_ORDER);
    return expected(p, wanted);
  }
  p->at += length;
  *out = value;
  return TARE_OK;
}

static tare_status read_form(parser *p, tare_rule *rule) {
  for (int i = 0; i < FORMS; i++)
    if (accept_word(p, forms[i].name)) {
      rule->kind = (tare_rule_kind)i;
      return TARE_OK;
    }
  tare_text names = {0};
  for (int i = 0; i < FORMS; i++) tare_text_add(&names, "%s%s", i ? ", " : "a rule: ", forms[i].name);
  char *list = tare_text_take(&names);
  tare_status status = expected(p, list ? list : "a rule");
  tare_free(list);
  return status;
}

static tare_status read_powers(parser *p, tare_rule *rule) {
  if (!accept(p, '(')) return expected(p, "'('");
  for (int axis = 0; axis < p->shape->dims; axis++) {
    if (axis > 0 && !accept(p, ',')) return expected(p, "',' and one power for each axis of the filter");
    tare_status status = read_count(p, 0, "a power", &rule->power[axis]);
    if (status) return status;
  }
  return accept(p, ')') ? TARE_OK : expected(p, "')' after one power for each axis of the filter");
}

/* A path runs to the ';' or the end; a scope at its end is left in place. */
static tare_status read_path(parser *p, tare_rule *rule) {
  const char *start = here(p);
  size_t length = strcspn(start, ";");
  for (size_t i = length; i-- > 0;)
    if (start[i] == '@') {
      parser scope = *p;
      scope.at += i + 1;
      if ((accept_word(&scope, "slice") || accept_word(&scope, "filter")) && here(&scope) == start + length) length = i;
      break;
    }
  p->at += length;
  while (length > 0 && isspace((unsigned char)start[length - 1])) length--;
  if (length == 0) return expected(p, "the name of a JSON file");
  rule->path = tare_alloc(length + 1, 1);
  if (!rule->path) return tare_fail_memory(p->error, length, "a file name");
  memcpy(rule->path, start, length);
  return TARE_OK;
}

static tare_status read_value(parser *p, tare_rule *rule) {
  if (!accept(p, '=')) return expected(p, "'='");
  value_kind kind = forms[rule->kind].value;
  if (kind == PATH) return read_path(p, rule);
  if (kind == ORDER) return read_count(p, 0, "an order", &rule->order);
  size_t length = tare_rational_read(rule->value, here(p));
  if (length == 0) return expected(p, "a number (1, -0.25 or 1/3)");
  p->at += length;
  return TARE_OK;
}

static tare_status read_accuracy(parser *p, tare_rule *rule) {
  rule->order = 1;
  if (accept_word(p, "accuracy")) {
    if (!accept(p, '=')) return expected(p, "'='");
    tare_status status = read_count(p, 1, "an accuracy", &rule->order);
    if (status) return status;
  }
  return TARE_OK;
}

static tare_status read_scope(parser *p, tare_rule *rule) {
  if (!accept(p, '@')) return TARE_OK;
  rule->filter = accept_word(p, "filter");
  return rule->filter || accept_word(p, "slice") ? TARE_OK : expected(p, "slice or filter");
}

/* What the grammar cannot say: a centre tap, and orders that stay sensible. */
static tare_status check_rule(parser *p, const tare_rule *rule, size_t column) {
  const tare_filter_shape *shape = p->shape;
  const struct form *form = &forms[rule->kind];
  for (int axis = 0; form->odd && axis < shape->dims; axis++)
    if (shape->size[axis] % 2 == 0)
      return tare_fail(p->error, TARE_E_SHAPE,
                       "rule, column %zu: %s needs a centre tap, so odd sizes; the filter has size %d along axis %d", column, form->name,
                       shape->size[axis], axis + 1);
  int total = form->accuracy ? rule->order - 1 : 0;
  for (int axis = 0; form->powers && axis < shape->dims; axis++) total += rule->power[axis];
  if (total > TARE_MAX_ORDER)
    return tare_fail(p->error, TARE_E_SYNTAX, "rule, column %zu: %s speaks of moments of total order %d; at most %d is supported",
                     column, form->name, total, TARE_MAX_ORDER);
  return TARE_OK;
}

static tare_status write_rule(const parser *p, tare_rule *rule) {
  const struct form *form = &forms[rule->kind];
  tare_text text = {0};
  tare_text_add(&text, "%s", form->name);
  for (int axis = 0; form->powers && axis < p->shape->dims; axis++)
    tare_text_add(&text, "%s%d%s", axis ? "," : "(", rule->power[axis], axis == p->shape->dims - 1 ? ")" : "");
  if (form->value != NO_VALUE) tare_text_add(&text, "=");
  if (form->value == RATIONAL) tare_rational_write(&text, rule->value);
  if (form->value == ORDER) tare_text_add(&text, "%d", rule->order);
  if (form->value == PATH) tare_text_add(&text, "%s", rule->path);
  if (form->accuracy && rule->order != 1) tare_text_add(&text, " accuracy=%d", rule->order);
  if (rule->filter) tare_text_add(&text, "@filter");
  rule->text = tare_text_take(&text);
  return rule->text ? TARE_OK : tare_fail_memory(p->error, 1, "a rule");
}

static tare_status read_rule(parser *p, tare_rule *rule) {
  here(p);
  size_t column = p->at + 1;
  tare_status status = read_form(p, rule);
  if (status) return status;
  const struct form *form = &forms[rule->kind];
  if (form->powers) status = read_powers(p, rule);
  if (!status && form->value != NO_VALUE) status = read_value(p, rule);
  if (!status && form->accuracy) status = read_accuracy(p, rule);
  if (!status) status = read_scope(p, rule);
  if (!status && *here(p) && *here(p) != ';') status = expected(p, "';' or the end");
  if (!status) status = check_rule(p, rule, column);
  return status ? status : write_rule(p, rule);
}

void tare_rules_free(tare_rules *rules) {
  for (int i = 0; i < rules->count; i++) {
    fmpq_clear(rules->rule[i].value);
    tare_free(rules->rule[i].path);
    tare_free(rules->rule[i].text);
  }
  tare_free(rules->rule);
  *rules = (tare_rules){0};
}

tare_status tare_rules_parse(const char *text, const tare_filter_shape *shape, tare_rules *out, tare_error *error) {
  parser p = {.text = text, .shape = shape, .error = error};
  if ((accept_word(&p, "none") || 1) && *here(&p) == 0) return TARE_OK;
  p.at = 0;
  size_t count = 1;
  for (const char *c = text; *c; c++) count += *c == ';';
  tare_rules rules = {.rule = tare_alloc(count, sizeof *rules.rule)};
  if (!rules.rule) return tare_fail_memory(error, count * sizeof *rules.rule, "rules");
  tare_status status;
  do {
    fmpq_init(rules.rule[rules.count].value);
    status = read_rule(&p, &rules.rule[rules.count++]);
  } while (!status && accept(&p, ';'));
  if (status) tare_rules_free(&rules);
  else *out = rules;
  return status;
}
