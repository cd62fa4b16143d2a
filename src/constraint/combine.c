/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact Gaussian elimination on sparse integer rows.
 *
 * Rows enter one by one, those with few taps first (so that `symmetric` stays
 * sparse), and each is reduced by the rows before it: a row that vanishes
 * follows from them, or contradicts them if its right-hand side stays. Row
 * operations are u * row - v * line with u / v in lowest terms, and a reduced
 * row is divided by the gcd of its entries: no fractions, small numbers.
 */
#include <stdint.h>
#include <stdlib.h>

#include <flint/fmpz_vec.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/rule.h"

/* A reduced row: zero at the pivots of all lines before it. */
struct line {
  int count, pivot;
  int *column;
  fmpz *a;
  fmpz_t at_pivot, b;
};

/* The row at work is dense (`work`), with the list of columns it has touched. */
typedef struct elimination {
  int taps, lines, touched;
  struct line *line;
  int *owner;         /* for each column the line that has its pivot there, or -1 */
  int *column;
  char *is_touched;
  fmpz *work;
  fmpz_t b, u, v;
  uint64_t *pending;  /* lines whose pivot column is touched */
} elimination;

static void touch(elimination *e, int column) {
  if (e->is_touched[column]) return;
  e->is_touched[column] = 1;
  e->column[e->touched++] = column;
  int owner = e->owner[column];
  if (owner >= 0) e->pending[owner / 64] |= UINT64_C(1) << owner % 64;
}

static void load(elimination *e, const tare_row *row) {
  for (int i = 0; i < row->count; i++) {
    touch(e, row->tap[i]);
    fmpz_set(&e->work[row->tap[i]], &row->a[i]);
  }
  fmpz_set(e->b, row->b);
}

static void unload(elimination *e) {
  for (int i = 0; i < e->touched; i++) {
    fmpz_zero(&e->work[e->column[i]]);
    e->is_touched[e->column[i]] = 0;
  }
  e->touched = 0;
}

/* work = u * work - v * line with the entry at the pivot gone. */
static void subtract(elimination *e, const struct line *line) {
  fmpz_gcd(e->u, line->at_pivot, &e->work[line->pivot]);
  fmpz_divexact(e->v, &e->work[line->pivot], e->u);
  fmpz_divexact(e->u, line->at_pivot, e->u);
  if (fmpz_sgn(e->u) < 0) {
    fmpz_neg(e->u, e->u);
    fmpz_neg(e->v, e->v);
  }
  if (!fmpz_is_one(e->u)) {
    for (int i = 0; i < e->touched; i++) fmpz_mul(&e->work[e->column[i]], &e->work[e->column[i]], e->u);
    fmpz_mul(e->b, e->b, e->u);
  }
  for (int i = 0; i < line->count; i++) {
    touch(e, line->column[i]);
    fmpz_submul(&e->work[line->column[i]], e->v, &line->a[i]);
  }
  fmpz_submul(e->b, e->v, line->b);
}

/* Subtracting a line fills in columns of later lines only, so one pass forward is enough. */
static void reduce(elimination *e) {
  for (int word = 0; word * 64 < e->lines; word++)
    while (e->pending[word]) {
      int bit = __builtin_ctzll(e->pending[word]);
      e->pending[word] &= e->pending[word] - 1;
      const struct line *line = &e->line[word * 64 + bit];
      if (!fmpz_is_zero(&e->work[line->pivot])) subtract(e, line);
    }
}

static int count_nonzero(const elimination *e) {
  int count = 0;
  for (int i = 0; i < e->touched; i++) count += !fmpz_is_zero(&e->work[e->column[i]]);
  return count;
}

/* The smallest entry is the pivot: often 1, which multiplies nothing. */
static void choose_pivot(struct line *line) {
  int best = 0;
  for (int i = 1; i < line->count; i++)
    if (fmpz_cmpabs(&line->a[i], &line->a[best]) < 0) best = i;
  line->pivot = line->column[best];
  fmpz_set(line->at_pivot, &line->a[best]);
}

/* The reduced row becomes a line. */
static tare_status store(elimination *e, int count, tare_error *error) {
  struct line *line = &e->line[e->lines];
  line->column = tare_alloc((size_t)count, sizeof *line->column);
  line->a = tare_alloc((size_t)count, sizeof *line->a);
  e->lines++;
  if (!line->column || !line->a) return tare_fail_memory(error, (size_t)count * sizeof *line->a, "a reduced row");
  fmpz_set(e->u, e->b);
  for (int i = 0; i < e->touched; i++) {
    fmpz *a = &e->work[e->column[i]];
    if (fmpz_is_zero(a)) continue;
    line->column[line->count] = e->column[i];
    fmpz_swap(&line->a[line->count++], a);
    if (!fmpz_is_one(e->u)) fmpz_gcd(e->u, e->u, &line->a[line->count - 1]);
  }
  _fmpz_vec_scalar_divexact_fmpz(line->a, line->a, line->count, e->u);
  fmpz_divexact(line->b, e->b, e->u);
  choose_pivot(line);
  e->owner[line->pivot] = e->lines - 1;
  return TARE_OK;
}

static void finish(elimination *e) {
  for (int i = 0; e->line && i < e->lines; i++) {
    struct line *line = &e->line[i];
    for (int k = 0; line->a && k < line->count; k++) fmpz_clear(&line->a[k]);
    fmpz_clear(line->at_pivot);
    fmpz_clear(line->b);
    tare_free(line->column);
    tare_free(line->a);
  }
  for (int i = 0; e->work && i < e->taps; i++) fmpz_clear(&e->work[i]);
  fmpz_clear(e->b);
  fmpz_clear(e->u);
  fmpz_clear(e->v);
  tare_free(e->line);
  tare_free(e->owner);
  tare_free(e->column);
  tare_free(e->is_touched);
  tare_free(e->work);
  tare_free(e->pending);
}

static tare_status start(elimination *e, int taps, int rows, tare_error *error) {
  size_t n = (size_t)taps, most = (size_t)(rows < taps ? rows : taps);
  *e = (elimination){.taps = taps};
  e->line = tare_alloc(most, sizeof *e->line);
  e->owner = tare_alloc(n, sizeof *e->owner);
  e->column = tare_alloc(n, sizeof *e->column);
  e->is_touched = tare_alloc(n, 1);
  e->work = tare_alloc(n, sizeof *e->work);
  e->pending = tare_alloc(most / 64 + 1, sizeof *e->pending);
  if (!e->line || !e->owner || !e->column || !e->is_touched || !e->work || !e->pending)
    return tare_fail_memory(error, n * sizeof *e->work, "the elimination of rules");
  for (int i = 0; i < taps; i++) e->owner[i] = -1;
  return TARE_OK;
}

typedef struct place { int count, row; } place;

static int fewer_taps_first(const void *left, const void *right) {
  const place *a = left, *b = right;
  return a->count != b->count ? (a->count > b->count) - (a->count < b->count) : (a->row > b->row) - (a->row < b->row);
}

tare_status tare_rows_combine(const tare_rows *rows, int taps, const char *use, char *keep, int *conflict, tare_error *error) {
  elimination e;
  tare_status status = start(&e, taps, rows->count, error);
  place *order = tare_alloc((size_t)rows->count, sizeof *order);
  if (!order && !status) status = tare_fail_memory(error, (size_t)rows->count * sizeof *order, "the order of rows");
  for (int i = 0; i < rows->count && !status; i++) order[i] = (place){rows->row[i].count, i};
  if (!status) qsort(order, (size_t)rows->count, sizeof *order, fewer_taps_first);
  *conflict = -1;
  for (int i = 0; i < rows->count && !status && *conflict < 0; i++) {
    const tare_row *row = &rows->row[order[i].row];
    if (use && !use[row->rule]) continue;
    load(&e, row);
    reduce(&e);
    int count = count_nonzero(&e);
    keep[order[i].row] = count > 0;
    if (count > 0) status = store(&e, count, error);
    else if (!fmpz_is_zero(e.b)) *conflict = order[i].row;
    unload(&e);
  }
  tare_free(order);
  finish(&e);
  return status;
}
