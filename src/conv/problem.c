/* SPDX-License-Identifier: Apache-2.0 */
/* Problem strings: parse, check, print. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "conv/candidate.h"

enum { LARGEST = 1 << 24 }; /* of any number in a problem */

/* The letters in canonical order, with what they stand for. `axes`: it stands for a number an axis. */
static const struct letter { char letter; size_t at; int axes, smallest, preset; const char *meaning; } letters[] = {
  {'g', offsetof(tare_conv_problem, groups), 0, 1, 1, "groups"},
  {'n', offsetof(tare_conv_problem, batch), 0, 1, 1, "images"},
  {'c', offsetof(tare_conv_problem, channels), 0, 1, 0, "input channels"},
  {'z', offsetof(tare_conv_problem, size[2]), 0, 1, 1, "planes"},
  {'h', offsetof(tare_conv_problem, size[0]), 0, 1, 1, "rows"},
  {'w', offsetof(tare_conv_problem, size[1]), 0, 1, 0, "columns"},
  {'o', offsetof(tare_conv_problem, outputs), 0, 1, 0, "output channels"},
  {'k', offsetof(tare_conv_problem, kernel), 1, 1, 1, "kernel size"},
  {'s', offsetof(tare_conv_problem, stride), 1, 1, 1, "stride"},
  {'p', offsetof(tare_conv_problem, pad), 1, 0, 0, "padding"},
  {'d', offsetof(tare_conv_problem, dilation), 1, 1, 1, "dilation"},
};
enum { LETTERS = sizeof letters / sizeof *letters, AXES = 3 };

/* Axes in the order in which a string names them; a problem uses the last one, two or three. */
static const int order[AXES] = {2, 0, 1};
static const char *const axis_names[AXES] = {"rows", "columns", "planes"};

/* What a string says: how many numbers each letter has (0: it is not there), and which. */
struct spelled { int count[LETTERS], numbers[LETTERS][AXES]; };

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

static int index_of(char letter) { return (int)(find_letter(letter) - letters); }

/* One letter with its numbers; NULL after the error otherwise, else what follows them. */
static const char *parse_letter(const char *all, const char *at, struct spelled *s, tare_error *error) {
  const struct letter *l = find_letter(*at);
  int i = l ? (int)(l - letters) : 0, width = index_of('w');
  if (!l || s->count[i]) {
    tare_fail(error, TARE_E_SYNTAX, "problem '%s', column %d: %s '%c'; expected one of g n c z h w o k s p d, each once", all,
              (int)(at - all) + 1, l ? "a second" : "unknown letter", isprint((unsigned char)*at) ? *at : '?');
    return NULL;
  }
  at = number(all, at + 1, l, &s->numbers[i][0], error);
  s->count[i] = 1;
  if (at && *at == 'x' && l->letter == 'h' && !s->count[width]) { /* h64x48 is h64w48 */
    s->count[width] = 1;
    return number(all, at + 1, find_letter('w'), &s->numbers[width][0], error);
  }
  for (; at && *at == 'x' && l->axes && s->count[i] < AXES; s->count[i]++) at = number(all, at + 1, l, &s->numbers[i][s->count[i]], error);
  return at;
}

static tare_status parse_letters(const char *text, struct spelled *s, tare_border *border, tare_error *error) {
  const char *at = text;
  while (*at && *at != '_') {
    at = parse_letter(text, at, s, error);
    if (!at) return TARE_E_SYNTAX;
  }
  int one_row = s->count[index_of('w')] && !s->count[index_of('z')];
  for (int i = 0; i < LETTERS; i++)
    if (!s->count[i] && strchr(one_row ? "cok" : "chok", letters[i].letter))
      return tare_fail(error, TARE_E_SYNTAX, "problem '%s': the %s are missing (a '%c' with a number)", text, letters[i].meaning,
                       letters[i].letter);
  return *at ? parse_border(text, at + 1, border, error) : TARE_OK;
}

/* A letter's numbers to its axes, the last `axes` of `order`: one for all, or one each. */
static tare_status spread(const char *text, const struct spelled *s, int i, int axes, tare_conv_problem *p, tare_error *error) {
  int count = s->count[i], *out = field(p, &letters[i]);
  if (count > 1 && count != axes)
    return tare_fail(error, TARE_E_SYNTAX, "problem '%s': the %s has %d numbers, expected one, or one for each axis (%s)", text,
                     letters[i].meaning, count, axes == 1 ? "columns" : axes == 2 ? "rows, columns" : "planes, rows, columns");
  for (int j = 0; j < AXES; j++) {
    int given = j - (AXES - axes);
    out[order[j]] = !count || given < 0 ? letters[i].preset : s->numbers[i][count > 1 ? given : 0];
  }
  return TARE_OK;
}

tare_status tare_conv_problem_parse(const char *text, tare_conv_problem *out, tare_error *error) {
  if (!text || !out) return tare_fail(error, TARE_E_ARGUMENT, "a problem needs a string and a place for the result; one is NULL");
  tare_conv_problem p = {.border = TARE_BORDER_ZERO};
  struct spelled s = {.count = {0}};
  tare_status status = parse_letters(text, &s, &p.border, error);
  int axes = 1 + (s.count[index_of('h')] > 0) + (s.count[index_of('z')] > 0);
  for (int i = 0; i < LETTERS && !status; i++)
    if (letters[i].axes) status = spread(text, &s, i, axes, &p, error);
    else *field(&p, &letters[i]) = s.count[i] ? s.numbers[i][0] : letters[i].preset;
  if (!s.count[index_of('w')]) p.size[1] = p.size[0];
  if (!status) status = tare_conv_problem_check(&p, error);
  if (!status) *out = p;
  return status;
}

tare_conv_problem tare_conv_problem_complete(const tare_conv_problem *p) {
  tare_conv_problem all = *p;
  int *planes[] = {&all.size[2], &all.kernel[2], &all.stride[2], &all.dilation[2]};
  for (int i = 0; i < 4; i++)
    if (!*planes[i]) *planes[i] = 1;
  return all;
}

int tare_conv_problem_is_flat(const tare_conv_problem *p) { return p->size[2] <= 1 && p->kernel[2] <= 1 && !p->pad[2]; }

static tare_status check_numbers(const tare_conv_problem *p, tare_error *error) {
  for (int i = 0; i < LETTERS; i++) {
    const int *v = value(p, &letters[i]);
    for (int axis = 0; axis < (letters[i].axes ? AXES : 1); axis++)
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
  int64_t pad = p->pad[axis], size = p->size[axis], reach = (int64_t)(p->kernel[axis] - 1) * p->dilation[axis] + 1;
  if (p->border == TARE_BORDER_VALID && pad)
    return tare_fail(error, TARE_E_SHAPE, "valid borders mean no padding, but %d is asked for", p->pad[axis]);
  if (p->border == TARE_BORDER_REFLECT && pad >= size)
    return tare_fail(error, TARE_E_SHAPE, "reflect padding of %d needs more than %d %s", p->pad[axis], p->size[axis], axis_names[axis]);
  if (reach > size + 2 * pad)
    return tare_fail(error, TARE_E_SHAPE, "a filter that spans %lld %s does not fit into %d%s: use a smaller kernel or more padding",
                     (long long)reach, axis_names[axis], p->size[axis], pad ? " with its padding" : "");
  return TARE_OK;
}

/* factor times a size of each axis, if it is less than 2^31, else 0. */
static int64_t product(int64_t a, int64_t b, const int64_t axes[AXES]) {
  int64_t factors[] = {b, axes[0], axes[1], axes[2]};
  for (int i = 0; i < 4; i++)
    if (__builtin_mul_overflow(a, factors[i], &a) || a > INT32_MAX) return 0;
  return a;
}

tare_status tare_conv_problem_check(const tare_conv_problem *problem, tare_error *error) {
  if (!problem) return tare_fail(error, TARE_E_ARGUMENT, "the problem to check is NULL");
  const tare_conv_problem all = tare_conv_problem_complete(problem), *p = &all;
  tare_status status = check_numbers(p, error);
  for (int axis = 0; axis < AXES && !status; axis++) status = check_axis(p, axis, error);
  if (status) return status;
  int64_t padded[AXES], outputs[AXES], taps[AXES];
  for (int axis = 0; axis < AXES; axis++) {
    padded[axis] = p->size[axis] + 2 * (int64_t)p->pad[axis];
    outputs[axis] = tare_conv_output_size(p, axis);
    taps[axis] = p->kernel[axis];
  }
  if (!product(p->batch, p->channels, padded) || !product(p->outputs, p->channels / p->groups, taps) ||
      !product(p->batch, p->outputs, outputs))
    return tare_fail(error, TARE_E_SHAPE,
                     "the problem is too large: each of its tensors must stay under 2^31 elements; use fewer images at a time");
  return TARE_OK;
}

/* As snprintf at buffer + used, which may lie past the end. */
static void add(char *buffer, size_t size, size_t *used, const char *format, int v) {
  int more = snprintf(*used < size ? buffer + *used : NULL, *used < size ? size - *used : 0, format, v);
  *used += more > 0 ? (size_t)more : 0;
}

/* The axis is as it would be if the string did not name it. */
static int is_preset(const tare_conv_problem *p, int axis) {
  return p->size[axis] == 1 && p->kernel[axis] == 1 && p->stride[axis] == 1 && p->pad[axis] == 0 && p->dilation[axis] == 1;
}

/* How many axes the text names: columns, rows, planes. */
static int axes_of(const tare_conv_problem *p) { return !is_preset(p, 2) ? 3 : is_preset(p, 0) && p->size[1] > 1 ? 1 : 2; }

/* One letter, if it must be there; each letter with axes has as many numbers as differ. */
static void add_letter(const tare_conv_problem *p, const struct letter *l, char *buffer, size_t size, size_t *used) {
  const int *v = value(p, l), axes = axes_of(p), first = l->axes ? order[AXES - axes] : 0;
  int same = 1, needed = !strchr("gspd", l->letter) || v[first] != l->preset;
  for (int i = AXES - axes; l->axes && i < AXES; i++) same &= v[order[i]] == v[first];
  if (l->letter == 'z') needed = axes == 3;
  if (l->letter == 'h') needed = axes > 1;
  if (l->letter == 'w') needed = p->size[0] != p->size[1];
  if (!needed && same) return;
  add(buffer, size, used, "%c", l->letter);
  add(buffer, size, used, "%d", v[first]);
  for (int i = AXES - axes + 1; !same && i < AXES; i++) add(buffer, size, used, "x%d", v[order[i]]);
}

size_t tare_conv_problem_text(const tare_conv_problem *problem, char *buffer, size_t size) {
  if (!problem) return 0;
  const tare_conv_problem all = tare_conv_problem_complete(problem);
  size_t used = 0;
  if (size) buffer[0] = 0;
  for (int i = 0; i < LETTERS; i++) add_letter(&all, &letters[i], buffer, size, &used);
  if (all.border == TARE_BORDER_ZERO || (unsigned)all.border > TARE_BORDER_VALID) return used;
  int more = snprintf(used < size ? buffer + used : NULL, used < size ? size - used : 0, "_%s", borders[all.border]);
  return used + (more > 0 ? (size_t)more : 0);
}

static int64_t least_one(int n) { return n > 0 ? n : 1; } /* planes that were left 0 */

int tare_conv_output_size(const tare_conv_problem *p, int axis) {
  if (!p || axis < 0 || axis >= AXES) return 0;
  int64_t padded = least_one(p->size[axis]) + 2 * (int64_t)p->pad[axis];
  int64_t reach = (least_one(p->kernel[axis]) - 1) * least_one(p->dilation[axis]) + 1;
  return padded < reach ? 0 : (int)((padded - reach) / least_one(p->stride[axis]) + 1);
}
