/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints: rules parsed, combined, kept as independent rows. */
#include "constraint/create.h"

#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

/* Enough for 31x31x31 and 500 channels; sums of taps stay far from overflow. */
static const long long max_taps = 1 << 24;

static tare_status check_shape(const tare_filter_shape *shape, tare_error *error) {
  if (shape->dims < 1 || shape->dims > TARE_MAX_DIMS)
    return tare_fail(error, TARE_E_ARGUMENT, "filter shape: expected 1 to %d axes, found %d", TARE_MAX_DIMS, shape->dims);
  if (shape->channels < 1) return tare_fail(error, TARE_E_ARGUMENT, "filter shape: expected at least 1 channel, found %d", shape->channels);
  long long taps = shape->channels;
  for (int axis = 0; axis < shape->dims; axis++) {
    int size = shape->size[axis];
    if (size < 1) return tare_fail(error, TARE_E_ARGUMENT, "filter shape: expected a size of at least 1, found %d", size);
    if (taps <= max_taps) taps *= shape->size[axis];
  }
  if (taps > max_taps) return tare_fail(error, TARE_E_ARGUMENT, "filter shape: more than %lld taps in all channels", max_taps);
  return TARE_OK;
}

/* Do the rules marked in `use` contradict each other? */
static tare_status contradict(const tare_rows *rows, int taps, const char *use, char *keep, int *answer, tare_error *error) {
  int conflict;
  tare_status status = tare_rows_combine(rows, taps, use, keep, &conflict, error);
  *answer = conflict >= 0;
  return status;
}

static tare_status fail_pair(const tare_rules *rules, int i, int j, tare_error *error) {
  int first = i < j ? i : j, second = i < j ? j : i;
  return tare_fail(error, TARE_E_CONFLICT, "the rules \"%s\" and \"%s\" contradict each other", rules->rule[first].text,
                   rules->rule[second].text);
}

/* No two rules contradict each other, yet all together do: leave out rule after rule while the rest still does. */
static tare_status fail_several(const tare_rules *rules, const tare_rows *rows, int taps, char *use, char *keep, tare_error *error) {
  memset(use, 1, (size_t)rules->count);
  for (int i = 0; i < rules->count; i++) {
    int answer;
    use[i] = 0;
    tare_status status = contradict(rows, taps, use, keep, &answer, error);
    if (status) return status;
    use[i] = !answer;
  }
  tare_text text = {0};
  int listed = 0;
  for (int i = 0; i < rules->count; i++)
    if (use[i]) tare_text_add(&text, "%s\"%s\"", listed++ ? ", " : "", rules->rule[i].text);
  char *names = tare_text_take(&text);
  tare_fail(error, TARE_E_CONFLICT, "the rules %s contradict each other%s", names ? names : "",
            listed > 2 ? " (any two of them do not)" : "");
  tare_free(names);
  return TARE_E_CONFLICT;
}

/* `culprit` is a rule that was found in a contradiction: name a rule that does not hold with it, or by itself. */
static tare_status explain(const tare_rules *rules, const tare_rows *rows, int taps, int culprit, tare_error *error) {
  char *use = tare_alloc((size_t)rules->count, 1), *keep = tare_alloc((size_t)rows->count, 1);
  int answer = 0;
  tare_status status = use && keep ? TARE_OK : tare_fail_memory(error, (size_t)rows->count, "rules");
  if (!status) {
    use[culprit] = 1;
    status = contradict(rows, taps, use, keep, &answer, error);
  }
  if (!status && answer)
    status = tare_fail(error, TARE_E_CONFLICT,
                       "the rule \"%s\" contradicts itself on a filter of this size; take a larger filter or ask for less",
                       rules->rule[culprit].text);
  for (int i = 0; i < rules->count && !status; i++) {
    if (i == culprit) continue;
    use[i] = 1;
    status = contradict(rows, taps, use, keep, &answer, error);
    if (!status && answer) status = fail_pair(rules, i, culprit, error);
    use[i] = 0;
  }
  if (!status) status = fail_several(rules, rows, taps, use, keep, error);
  tare_free(use);
  tare_free(keep);
  return status;
}

/* One line for each rule that lost rows. */
static char *write_notes(const tare_rules *rules, const tare_rows *rows, const char *keep) {
  tare_text text = {0};
  for (int rule = 0, row = 0; rule < rules->count; rule++) {
    int total = 0, dropped = 0;
    for (; row < rows->count && rows->row[row].rule == rule; row++) {
      total++;
      dropped += !keep[row];
    }
    if (!dropped) continue;
    const char *line = text.length ? "\n" : "";
    if (dropped == total) tare_text_add(&text, "%srule \"%s\" follows from the other rules: dropped", line, rules->rule[rule].text);
    else tare_text_add(&text, "%srule \"%s\": %d of its %d rows follow from the other rows: dropped", line, rules->rule[rule].text,
                       dropped, total);
  }
  return tare_text_take(&text);
}

static char *write_text(const tare_rules *rules) {
  tare_text text = {0};
  if (rules->count == 0) tare_text_add(&text, "none");
  for (int i = 0; i < rules->count; i++) tare_text_add(&text, "%s%s", i ? "; " : "", rules->rule[i].text);
  return tare_text_take(&text);
}

/* Moves the kept rows to the front; the others are freed. */
static void compact(tare_rows *rows, char *keep) {
  int kept = 0;
  for (int i = 0; i < rows->count; i++)
    if (keep[i]) {
      tare_row row = rows->row[kept];
      rows->row[kept++] = rows->row[i];
      rows->row[i] = row;
    }
  tare_rows_truncate(rows, kept);
}

static tare_status combine(tare_constraint *c, const tare_rules *rules, int allow_full, tare_error *error) {
  tare_rows *rows = &c->rows;
  char *keep = tare_alloc((size_t)rows->count, 1);
  if (!keep) return tare_fail_memory(error, (size_t)rows->count, "rows");
  int conflict;
  tare_status status = tare_rows_combine(rows, c->taps, NULL, keep, &conflict, error);
  if (!status && conflict >= 0) status = explain(rules, rows, c->taps, rows->row[conflict].rule, error);
  if (!status) {
    c->notes = write_notes(rules, rows, keep);
    c->text = write_text(rules);
    if (!c->notes || !c->text) status = tare_fail_memory(error, 1, "the text of rules");
    compact(rows, keep);
  }
  if (!status && rows->count == c->taps && !allow_full)
    status = tare_fail(error, TARE_E_CONFLICT,
                       "the rules \"%s\" leave no free weight: %d independent rows for %d taps; take a larger filter or fewer rules",
                       c->text, rows->count, c->taps);
  tare_free(keep);
  return status;
}

static tare_status build(tare_constraint *c, const tare_rules *rules, int allow_full, tare_error *error) {
  c->taps = 1;
  for (int axis = 0; axis < c->shape.dims; axis++) c->taps *= c->shape.size[axis];
  for (int i = 0; i < rules->count; i++) c->filter |= rules->rule[i].filter;
  if (c->filter) c->taps *= c->shape.channels;
  tare_status status = tare_rows_build(rules, &c->shape, c->filter, &c->rows, error);
  if (!status) status = combine(c, rules, allow_full, error);
  c->homogeneous = 1;
  for (int i = 0; i < c->rows.count; i++) c->homogeneous &= fmpz_is_zero(c->rows.row[i].b);
  return status;
}

tare_status tare_constraint_create(const char *text, const tare_filter_shape *shape, int allow_full, tare_constraint **out,
                                   tare_error *error) {
  if (!text || !shape || !out)
    return tare_fail(error, TARE_E_ARGUMENT, "a constraint needs a text, a filter shape and a place for the result; one is NULL");
  tare_status status = check_shape(shape, error);
  if (status) return status;
  tare_rules rules = {0};
  status = tare_rules_parse(text, shape, &rules, error);
  if (status) return status;
  tare_constraint *c = tare_alloc(1, sizeof *c);
  if (!c) status = tare_fail_memory(error, sizeof *c, "a constraint");
  else {
    c->shape = *shape;
    status = build(c, &rules, allow_full, error);
  }
  tare_rules_free(&rules);
  if (status) tare_constraint_free(c);
  else *out = c;
  return status;
}

void tare_constraint_free(tare_constraint *c) {
  if (!c) return;
  tare_rows_free(&c->rows);
  tare_free(c->text);
  tare_free(c->notes);
  tare_free(c);
}

int tare_constraint_taps(const tare_constraint *c) { return c ? c->taps : 0; }
int tare_constraint_rows(const tare_constraint *c) { return c ? c->rows.count : 0; }
int tare_constraint_is_filter(const tare_constraint *c) { return c ? c->filter : 0; }
int tare_constraint_is_homogeneous(const tare_constraint *c) { return c ? c->homogeneous : 0; }
const tare_filter_shape *tare_constraint_shape(const tare_constraint *c) { return c ? &c->shape : NULL; }
const char *tare_constraint_text(const tare_constraint *c) { return c ? c->text : NULL; }
const char *tare_constraint_notes(const tare_constraint *c) { return c ? c->notes : NULL; }
const tare_row *tare_constraint_row(const tare_constraint *c, int i) { return &c->rows.row[i]; }

void tare_constraint_matrix(const tare_constraint *c, double *a, double *b) {
  if (!c) return;
  size_t n = (size_t)c->taps;
  if (a) memset(a, 0, (size_t)c->rows.count * n * sizeof *a);
  for (int i = 0; i < c->rows.count; i++) {
    const tare_row *row = &c->rows.row[i];
    for (int k = 0; a && k < row->count; k++) a[(size_t)i * n + (size_t)row->tap[k]] = tare_rational_double(&row->a[k], row->den);
    if (b) b[i] = tare_rational_double(row->b, row->den);
  }
}
