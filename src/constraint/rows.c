/* SPDX-License-Identifier: Apache-2.0 */
/* Rows from rules: what each rule means, tap by tap. */
#include <stdlib.h>
#include <string.h>

#include <flint/fmpz_vec.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/rule.h"

/* `pattern` is the row at work: `count` taps of one slice (or of the whole filter if `whole`), coefficients a / den. */
typedef struct builder {
  const tare_filter_shape *shape;
  int filter;   /* the unit is a whole filter */
  int slice;    /* taps of one slice */
  const tare_rule *rule;
  int rule_index, part;
  int count, whole;
  int *tap;
  fmpz *a;
  fmpz_t den;
  tare_rows *rows;
  tare_error *error;
} builder;

static void row_free(tare_row *row) {
  for (int i = 0; i < row->count; i++) fmpz_clear(&row->a[i]);
  fmpz_clear(row->b);
  fmpz_clear(row->den);
  tare_free(row->tap);
  tare_free(row->a);
}

void tare_rows_truncate(tare_rows *rows, int count) {
  while (rows->count > count) row_free(&rows->row[--rows->count]);
}

void tare_rows_free(tare_rows *rows) {
  tare_rows_truncate(rows, 0);
  tare_free(rows->row);
  *rows = (tare_rows){0};
}

/* Zeroed numbers are initialised ones for FLINT. */
static tare_status new_row(builder *b, int count, tare_row **out) {
  tare_rows *rows = b->rows;
  if (rows->count == rows->capacity) {
    int capacity = rows->capacity * 2 + 16;
    tare_row *grown = tare_alloc((size_t)capacity, sizeof *grown);
    if (!grown) return tare_fail_memory(b->error, (size_t)capacity * sizeof *grown, "rows");
    if (rows->count) memcpy(grown, rows->row, (size_t)rows->count * sizeof *grown);
    tare_free(rows->row);
    rows->row = grown;
    rows->capacity = capacity;
  }
  tare_row row = {.rule = b->rule_index, .part = b->part};
  row.tap = tare_alloc((size_t)count, sizeof *row.tap);
  row.a = tare_alloc((size_t)count, sizeof *row.a);
  if (!row.tap || !row.a) {
    tare_free(row.tap);
    tare_free(row.a);
    return tare_fail_memory(b->error, (size_t)count * sizeof *row.a, "a row");
  }
  row.count = count;
  rows->row[rows->count] = row;
  *out = &rows->row[rows->count++];
  return TARE_OK;
}

static void count_bits(tare_row *row) {
  fmpz_t sum, size;
  fmpz_init(sum);
  fmpz_init(size);
  int small = 1;
  for (int i = 0; i < row->count; i++) {
    small &= !COEFF_IS_MPZ(row->a[i]);
    fmpz_abs(size, &row->a[i]);
    fmpz_add(sum, sum, size);
  }
  row->bits = small ? (int)fmpz_bits(sum) : 0;
  fmpz_clear(sum);
  fmpz_clear(size);
}

/* a / den w = value as integers with no common divisor. */
static void set_right_side(tare_row *row, const fmpz_t den, const fmpq_t value) {
  fmpz_mul(row->b, fmpq_numref(value), den);
  fmpz_mul(row->den, fmpq_denref(value), den);
  if (!fmpz_is_one(fmpq_denref(value))) _fmpz_vec_scalar_mul_fmpz(row->a, row->a, row->count, fmpq_denref(value));
  fmpz_t divisor;
  fmpz_init(divisor);
  fmpz_gcd(divisor, row->b, row->den);
  for (int i = 0; i < row->count && !fmpz_is_one(divisor); i++) fmpz_gcd(divisor, divisor, &row->a[i]);
  if (!fmpz_is_one(divisor)) {
    _fmpz_vec_scalar_divexact_fmpz(row->a, row->a, row->count, divisor);
    fmpz_divexact(row->b, row->b, divisor);
    fmpz_divexact(row->den, row->den, divisor);
  }
  fmpz_clear(divisor);
  count_bits(row);
}

/* The pattern becomes a row: over every channel for a filter rule, one row a channel for a slice rule in a filter. */
static tare_status emit(builder *b, const fmpq_t value) {
  int spread = b->rule->filter && !b->whole ? b->shape->channels : 1;
  int copies = b->filter && !b->rule->filter ? b->shape->channels : 1;
  for (int copy = 0; copy < copies; copy++) {
    tare_row *row = NULL;
    tare_status status = new_row(b, b->count * spread, &row);
    if (status) return status;
    for (int channel = 0; channel < spread; channel++)
      for (int i = 0; i < b->count; i++) {
        int at = channel * b->count + i;
        row->tap[at] = b->tap[i] + (copy + channel) * b->slice;
        fmpz_set(&row->a[at], &b->a[i]);
      }
    set_right_side(row, b->den, value);
  }
  b->part++;
  return TARE_OK;
}

static void pattern_clear(builder *b) {
  b->count = b->whole = 0;
  fmpz_one(b->den);
}

static void pattern_add(builder *b, int tap, slong coefficient) {
  b->tap[b->count] = tap;
  fmpz_set_si(&b->a[b->count++], coefficient);
}

/*
 * sum of i^p j^q w(i,j) / (p! q!), i and j counted from the centre of the filter.
 * In half steps (2i is whole for every size), so the denominator has 2^(p+q) too.
 */
static tare_status emit_moment(builder *b, const int *power, const fmpq_t value) {
  const tare_filter_shape *shape = b->shape;
  pattern_clear(b);
  fmpz_t factor;
  fmpz_init(factor);
  for (int tap = 0; tap < b->slice; tap++) {
    fmpz *a = &b->a[b->count];
    fmpz_one(a);
    for (int axis = shape->dims - 1, rest = tap; axis >= 0; rest /= shape->size[axis--]) {
      fmpz_set_si(factor, 2 * (rest % shape->size[axis]) - (shape->size[axis] - 1));
      fmpz_pow_ui(factor, factor, (ulong)power[axis]);
      fmpz_mul(a, a, factor);
    }
    if (!fmpz_is_zero(a)) b->tap[b->count++] = tap;
  }
  for (int axis = 0; axis < shape->dims; axis++) {
    fmpz_fac_ui(factor, (ulong)power[axis]);
    fmpz_mul(b->den, b->den, factor);
    fmpz_mul_2exp(b->den, b->den, (ulong)power[axis]);
  }
  fmpz_clear(factor);
  return emit(b, value);
}

/* The next tuple of powers of the same total, or 0 after the last: (2,0) (1,1) (0,2). */
static int next_powers(int dims, int *power) {
  int last = power[dims - 1];
  power[dims - 1] = 0;
  for (int axis = dims - 2; axis >= 0; axis--)
    if (power[axis] > 0) {
      power[axis]--;
      power[axis + 1] = last + 1;
      return 1;
    }
  return 0;
}

/* Every moment of total order 0..top: 1 for `one` (NULL: none), 0 for the others. */
static tare_status emit_moments(builder *b, int top, const int *one) {
  size_t bytes = (size_t)b->shape->dims * sizeof(int);
  tare_status status = TARE_OK;
  fmpq_t value;
  fmpq_init(value);
  for (int total = 0; total <= top && !status; total++) {
    int power[TARE_MAX_DIMS] = {total};
    do {
      fmpq_set_si(value, one && memcmp(power, one, bytes) == 0, 1);
      status = emit_moment(b, power, value);
    } while (!status && next_powers(b->shape->dims, power));
  }
  fmpq_clear(value);
  return status;
}

/*
 * w(i) - sign w(-i) = 0 for each pair; the tap at the origin, its own mirror, is 0 if antisymmetric.
 * In row-major order the mirror of t is n-1-t.
 */
static tare_status emit_mirror(builder *b, slong sign) {
  tare_status status = TARE_OK;
  fmpq_t zero;
  fmpq_init(zero);
  for (int tap = 0; 2 * tap < b->slice && !status; tap++) {
    int mirror = b->slice - 1 - tap;
    if (tap == mirror && sign > 0) break;
    pattern_clear(b);
    pattern_add(b, tap, 1);
    if (tap != mirror) pattern_add(b, mirror, -sign);
    status = emit(b, zero);
  }
  fmpq_clear(zero);
  return status;
}

static tare_status emit_centre(builder *b, const fmpq_t value) {
  pattern_clear(b);
  pattern_add(b, b->slice / 2, 1);
  return emit(b, value);
}

/* Bayar and Stamm 2016, equation 3: the centre is -1, the others add up to 1. */
static tare_status emit_bayar(builder *b) {
  fmpq_t value;
  fmpq_init(value);
  fmpq_set_si(value, -1, 1);
  tare_status status = emit_centre(b, value);
  if (!status) {
    pattern_clear(b);
    for (int tap = 0; tap < b->slice; tap++)
      if (tap != b->slice / 2) pattern_add(b, tap, 1);
    fmpq_one(value);
    status = emit(b, value);
  }
  fmpq_clear(value);
  return status;
}

/* One row of the user's table: entries over their common denominator. */
static tare_status emit_entries(builder *b, const fmpq *entry, int columns) {
  pattern_clear(b);
  b->whole = b->rule->filter && columns != b->slice;
  for (int i = 0; i < columns; i++) fmpz_lcm(b->den, b->den, fmpq_denref(&entry[i]));
  for (int i = 0; i < columns; i++) {
    if (fmpq_is_zero(&entry[i])) continue;
    fmpz *a = &b->a[b->count];
    fmpz_divexact(a, b->den, fmpq_denref(&entry[i]));
    fmpz_mul(a, a, fmpq_numref(&entry[i]));
    b->tap[b->count++] = i;
  }
  return emit(b, &entry[columns]);
}

static tare_status emit_table(builder *b) {
  tare_table table;
  tare_status status = tare_table_read(b->rule->path, &table, b->error);
  if (status) return status;
  int whole = b->slice * b->shape->channels;
  if (table.columns != b->slice && !(b->rule->filter && table.columns == whole))
    status = tare_fail(b->error, TARE_E_SHAPE, "%s: rows of %d numbers; expected %d, the taps of %s", b->rule->path, table.columns,
                       b->rule->filter ? whole : b->slice, b->rule->filter ? "a filter" : "a slice");
  size_t stride = (size_t)table.columns + 1;
  for (int i = 0; i < table.rows && !status; i++) status = emit_entries(b, table.entry + (size_t)i * stride, table.columns);
  tare_table_free(&table);
  return status;
}

static tare_status emit_rule(builder *b) {
  static const int origin[TARE_MAX_DIMS] = {0};
  const tare_rule *rule = b->rule;
  int top = rule->order - 1;
  switch (rule->kind) {
    case TARE_RULE_SUM: return emit_moment(b, origin, rule->value);
    case TARE_RULE_ORDER: return emit_moments(b, rule->order, NULL);
    case TARE_RULE_BAYAR: return emit_bayar(b);
    case TARE_RULE_CENTRE: return emit_centre(b, rule->value);
    case TARE_RULE_MOMENT: return emit_moment(b, rule->power, rule->value);
    case TARE_RULE_DERIVATIVE:
      for (int axis = 0; axis < b->shape->dims; axis++) top += rule->power[axis];
      return emit_moments(b, top, rule->power);
    case TARE_RULE_SYMMETRIC: return emit_mirror(b, 1);
    case TARE_RULE_ANTISYMMETRIC: return emit_mirror(b, -1);
    default: return emit_table(b);
  }
}

tare_status tare_rows_build(const tare_rules *rules, const tare_filter_shape *shape, int filter, tare_rows *out, tare_error *error) {
  builder b = {.shape = shape, .filter = filter, .slice = 1, .rows = out, .error = error};
  for (int axis = 0; axis < shape->dims; axis++) b.slice *= shape->size[axis];
  size_t room = (size_t)b.slice * (size_t)shape->channels;
  b.tap = tare_alloc(room, sizeof *b.tap);
  b.a = tare_alloc(room, sizeof *b.a);
  fmpz_init(b.den);
  tare_status status = b.tap && b.a ? TARE_OK : tare_fail_memory(error, room * sizeof *b.a, "a row");
  for (int i = 0; i < rules->count && !status; i++) {
    b.rule = &rules->rule[i];
    b.rule_index = i;
    b.part = 0;
    status = emit_rule(&b);
  }
  for (size_t i = 0; b.a && i < room; i++) fmpz_clear(&b.a[i]);
  fmpz_clear(b.den);
  tare_free(b.tap);
  tare_free(b.a);
  return status;
}
