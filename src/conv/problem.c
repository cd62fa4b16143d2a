/* SPDX-License-Identifier: Apache-2.0 */
/* Problem strings: parse, check, print. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tare/conv.h>

#include "base/error.h"

enum { LARGEST = 1 << 24 }; /* of any number in a problem */

/* The letters in canonical order, with what they stand for. `second`: an 'x' and a number for the columns may follow. */
static const struct letter { char letter; size_t at; int second, smallest, preset; const char *meaning; } letters[] = {
  {'g', offsetof(tare_conv_problem, groups), 0, 1, 1, "groups"},
  {'n', offsetof(tare_conv_problem, batch), 0, 1, 1, "images"},
  {'c', offsetof(tare_conv_problem, channels), 0, 1, 0, "input channels"},
  {'h', offsetof(tare_conv_problem, size[0]), 1, 1, 0, "rows"},
  {'w', offsetof(tare_conv_problem, size[1]), 0, 1, 0, "columns"},
  {'o', offsetof(tare_conv_problem, outputs), 0, 1, 0, "output channels"},
  {'k', offsetof(tare_conv_problem, kernel), 1, 1, 0, "kernel size"},
  {'s', offsetof(tare_conv_problem, stride), 1, 1, 1, "stride"},
  {'p', offsetof(tare_conv_problem, pad), 1, 0, 0, "padding"},
  {'d', offsetof(tare_conv_problem, dilation), 1, 1, 1, "dilation"},
};
enum { LETTERS = sizeof letters / sizeof *letters };

static const char *const borders[] = {"zero", "reflect", "edge", "valid"};

static int *field(tare_conv_problem *p, const struct letter *l) { return (int *)((char *)p + l->at); }
static const int *value(const tare_conv_problem *p, const struct letter *l) { return (const int *)((const char *)p + l->at); }

/* A number of at most LARGEST at *text; NULL after the error otherwise, else what follows it. */
static const char *number(const char *all, const char *text, const struct letter *l, int *out, tare_error *error) {
  long long n = 0;
  const char *at = text;
  for (; isdigit((unsigned char)*at) && n <= LARGEST; at++) n = n * 10 + (*at - '0');
  if (at > text && n >= l->smallest && n <= LARGEST) {
    *out = (int)n;
    return at;
  }
  tare_fail(error, TARE_E_SYNTAX, "problem '%s', column %d: expected the %s as a number from %d to %d", all, (int)(text - all) + 1,
            l->meaning, l->smallest, LARGEST);
  return NULL;
}

static const struct letter *find_letter(char c) {
  for (int i = 0; i < LETTERS; i++)
    if (letters[i].letter == c) return &letters[i];
  return NULL;
}

static tare_status parse_border(const char *all, const char *text, tare_border *border, tare_error *error) {
  for (int i = 0; i < 4; i++)
    if (strcmp(text, borders[i]) == 0) {
      *border = (tare_border)i;
      return TARE_OK;
    }
  return tare_fail(error, TARE_E_SYNTAX, "problem '%s', column %d: expected a border (zero, reflect, edge or valid), found '%s'", all,
                   (int)(text - all) + 1, text);
}

/* One letter with its number(s); NULL after the error otherwise, else what follows it. */
static const char *parse_letter(const char *all, const char *at, tare_conv_problem *p, unsigned *seen, tare_error *error) {
  const struct letter *l = find_letter(*at);
  if (!l || (*seen & 1u << (l - letters))) {
    tare_fail(error, TARE_E_SYNTAX, "problem '%s', column %d: %s '%c'; expected one of g n c h w o k s p d, each once", all,
              (int)(at - all) + 1, l ? "a second" : "unknown letter", isprint((unsigned char)*at) ? *at : '?');
    return NULL;
  }
  *seen |= 1u << (l - letters);
  int *out = field(p, l);
  const char *next = number(all, at + 1, l, out, error);
  unsigned columns = 1u << (find_letter('w') - letters);
  if (!next || !l->second || (l->letter == 'h' && *seen & columns)) return next; /* the columns are known already */
  out[1] = out[0];
  if (*next != 'x') return next;
  if (l->letter == 'h') *seen |= columns;
  return number(all, next + 1, l, out + 1, error);
}

static tare_status parse_letters(const char *text, tare_conv_problem *p, tare_error *error) {
  unsigned seen = 0;
  const char *at = text;
  while (*at && *at != '_') {
    at = parse_letter(text, at, p, &seen, error);
    if (!at) return TARE_E_SYNTAX;
  }
  for (int i = 0; i < LETTERS; i++)
    if (!(seen & 1u << i) && strchr("chok", letters[i].letter))
      return tare_fail(error, TARE_E_SYNTAX, "problem '%s': the %s are missing (a '%c' with a number)", text, letters[i].meaning,
                       letters[i].letter);
  return *at ? parse_border(text, at + 1, &p->border, error) : TARE_OK;
}

tare_status tare_conv_problem_parse(const char *text, tare_conv_problem *out, tare_error *error) {
  if (!text) return tare_fail(error, TARE_E_ARGUMENT, "the problem string is NULL");
  tare_conv_problem p = {.border = TARE_BORDER_ZERO};
  for (int i = 0; i < LETTERS; i++) {
    field(&p, &letters[i])[0] = letters[i].preset;
    if (letters[i].second) field(&p, &letters[i])[1] = letters[i].preset;
  }
  tare_status status = parse_letters(text, &p, error);
  if (!status) status = tare_conv_problem_check(&p, error);
  if (!status) *out = p;
  return status;
}

static tare_status check_numbers(const tare_conv_problem *p, tare_error *error) {
  for (int i = 0; i < LETTERS; i++) {
    const int *v = value(p, &letters[i]);
    for (int axis = 0; axis < 1 + letters[i].second; axis++)
      if (v[axis] < letters[i].smallest || v[axis] > LARGEST)
        return tare_fail(error, TARE_E_ARGUMENT, "the %s must be %d to %d, not %d", letters[i].meaning, letters[i].smallest, LARGEST,
                         v[axis]);
  }
  if ((int)p->border < 0 || (int)p->border > 3)
    return tare_fail(error, TARE_E_ARGUMENT, "border %d is none of zero, reflect, edge, valid", (int)p->border);
  if (p->channels % p->groups || p->outputs % p->groups)
    return tare_fail(error, TARE_E_SHAPE, "%d groups must divide the %d input and the %d output channels", p->groups, p->channels,
                     p->outputs);
  return TARE_OK;
}

static tare_status check_axis(const tare_conv_problem *p, int axis, tare_error *error) {
  static const char *const what[] = {"rows", "columns"};
  int64_t pad = p->pad[axis], size = p->size[axis], reach = (int64_t)(p->kernel[axis] - 1) * p->dilation[axis] + 1;
  if (p->border == TARE_BORDER_VALID && pad)
    return tare_fail(error, TARE_E_SHAPE, "valid borders mean no padding, but %d is asked for", p->pad[axis]);
  if (p->border == TARE_BORDER_REFLECT && pad >= size)
    return tare_fail(error, TARE_E_SHAPE, "reflect padding of %d needs more than %d %s", p->pad[axis], p->size[axis], what[axis]);
  if (reach > size + 2 * pad)
    return tare_fail(error, TARE_E_SHAPE, "a filter that spans %lld %s does not fit into %d%s: use a smaller kernel or more padding",
                     (long long)reach, what[axis], p->size[axis], pad ? " with its padding" : "");
  return TARE_OK;
}

/* a b c d if it is less than 2^31, else 0. */
static int64_t product(int64_t a, int64_t b, int64_t c, int64_t d) {
  int64_t factors[] = {b, c, d};
  for (int i = 0; i < 3; i++)
    if (__builtin_mul_overflow(a, factors[i], &a) || a > INT32_MAX) return 0;
  return a;
}

tare_status tare_conv_problem_check(const tare_conv_problem *p, tare_error *error) {
  tare_status status = check_numbers(p, error);
  for (int axis = 0; axis < 2 && !status; axis++) status = check_axis(p, axis, error);
  if (status) return status;
  int64_t padded[2] = {p->size[0] + 2 * (int64_t)p->pad[0], p->size[1] + 2 * (int64_t)p->pad[1]};
  if (!product(p->batch, padded[0], padded[1], p->channels) || !product(p->outputs, p->channels / p->groups, p->kernel[0], p->kernel[1]) ||
      !product(p->batch, tare_conv_output_size(p, 0), tare_conv_output_size(p, 1), p->outputs))
    return tare_fail(error, TARE_E_SHAPE,
                     "the problem is too large: each of its tensors must stay under 2^31 elements; use fewer images at a time");
  return TARE_OK;
}

/* As snprintf at buffer + used, which may lie past the end. */
static void add(char *buffer, size_t size, size_t *used, const char *format, int v) {
  int more = snprintf(*used < size ? buffer + *used : NULL, *used < size ? size - *used : 0, format, v);
  *used += more > 0 ? (size_t)more : 0;
}

static int is_printed(const tare_conv_problem *p, const struct letter *l) {
  if (l->letter == 'w') return p->size[0] != p->size[1];
  if (!strchr("gspd", l->letter)) return 1;
  return value(p, l)[0] != l->preset || (l->second && value(p, l)[1] != l->preset);
}

size_t tare_conv_problem_text(const tare_conv_problem *p, char *buffer, size_t size) {
  size_t used = 0;
  if (size) buffer[0] = 0;
  for (int i = 0; i < LETTERS; i++) {
    if (!is_printed(p, &letters[i])) continue;
    const int *v = value(p, &letters[i]);
    add(buffer, size, &used, "%c", letters[i].letter);
    add(buffer, size, &used, "%d", v[0]);
    if (letters[i].second && letters[i].letter != 'h' && v[1] != v[0]) add(buffer, size, &used, "x%d", v[1]);
  }
  if (p->border == TARE_BORDER_ZERO) return used;
  int more = snprintf(used < size ? buffer + used : NULL, used < size ? size - used : 0, "_%s", borders[p->border]);
  return used + (more > 0 ? (size_t)more : 0);
}

int tare_conv_output_size(const tare_conv_problem *p, int axis) {
  int64_t padded = p->size[axis] + 2 * (int64_t)p->pad[axis], reach = (int64_t)(p->kernel[axis] - 1) * p->dilation[axis] + 1;
  return (int)((padded - reach) / p->stride[axis] + 1);
}
