/* SPDX-License-Identifier: Apache-2.0 */
/* From a rule to fixed taps, variables and parts. */
#include "round/plan.h"

#include <math.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/rational.h"
#include "round/presolve.h"

/* A row that stays, in variables; coefficients without common divisor. */
typedef struct kept { int count; int *variable; int64_t *a; } kept;

typedef struct builder {
  tare_plan *plan;
  tare_presolve presolve;
  int *number;     /* taps: the variable of a root */
  kept *row;
  fmpq *b;         /* rows: right-hand sides */
  int rows;
  int *parent;     /* variables: union-find by rows */
  int *place;      /* variables: where in its part */
} builder;

static int find(const int *parent, int i) {
  while (parent[i] != i) i = parent[i];
  return i;
}

static tare_status number_variables(builder *b, const tare_constraint *constraint, tare_error *error) {
  tare_plan *plan = b->plan;
  size_t n = (size_t)tare_constraint_taps(constraint);
  plan->variable = tare_alloc(n, sizeof *plan->variable);
  plan->sign = tare_alloc(n, 1);
  plan->members = tare_alloc(n, sizeof *plan->members);
  plan->share = tare_alloc(n, sizeof *plan->share);
  plan->fixed = tare_alloc(n, sizeof *plan->fixed);
  b->number = tare_alloc(n, sizeof *b->number);
  b->parent = tare_alloc(n, sizeof *b->parent);
  b->place = tare_alloc(n, sizeof *b->place);
  b->row = tare_alloc((size_t)tare_constraint_rows(constraint), sizeof *b->row);
  b->b = tare_alloc((size_t)tare_constraint_rows(constraint), sizeof *b->b);
  if (!plan->variable || !plan->sign || !plan->members || !plan->share || !plan->fixed || !b->number || !b->parent || !b->place ||
      !b->row || !b->b)
    return tare_fail_memory(error, n * sizeof *plan->members, "a plan for rounding");
  plan->taps = (int)n;
  for (int tap = 0; tap < plan->taps; tap++)
    if (b->presolve.parent[tap] == tap && !b->presolve.is_fixed[tap]) b->number[tap] = plan->variables++;
  for (int tap = 0; tap < plan->taps; tap++) {
    int sign, root = tare_presolve_root(&b->presolve, tap, &sign);
    plan->sign[tap] = (signed char)sign;
    plan->variable[tap] = b->presolve.is_fixed[root] ? -1 : b->number[root];
    if (plan->variable[tap] < 0) plan->fixed[plan->fixed_count++].tap = tap;
    else plan->members[plan->variable[tap]]++;
  }
  for (int i = 0; i < plan->variables; i++) b->parent[i] = i;
  return TARE_OK;
}

/* The row that the presolve holds now, divided by its gcd. */
static tare_status keep_row(builder *b, int count, tare_error *error) {
  tare_presolve *p = &b->presolve;
  fmpq *side = &b->b[b->rows];
  kept *row = &b->row[b->rows++];
  row->count = count;
  row->variable = tare_alloc((size_t)count, sizeof *row->variable);
  row->a = tare_alloc((size_t)count, sizeof *row->a);
  if (!row->variable || !row->a) return tare_fail_memory(error, (size_t)count * sizeof *row->a, "a row to round to");
  fmpz_t divisor, a;
  fmpz_init(divisor);
  fmpz_init(a);
  for (int i = 0; i < count; i++) fmpz_gcd(divisor, divisor, &p->work[p->root[i]]);
  tare_status status = TARE_OK;
  for (int i = 0; i < count && !status; i++) {
    fmpz_divexact(a, &p->work[p->root[i]], divisor);
    if (fmpz_bits(a) > TARE_COEFFICIENT_BITS)
      status = tare_fail(error, TARE_E_UNSUPPORTED, "rounding: a coefficient of a row has %d bits as an integer; at most %d are supported",
                         (int)fmpz_bits(a), TARE_COEFFICIENT_BITS);
    else row->a[i] = fmpz_get_si(a);
    row->variable[i] = b->number[p->root[i]];
    b->parent[find(b->parent, row->variable[i])] = find(b->parent, row->variable[0]);
  }
  fmpz_mul(a, fmpq_denref(p->b), divisor);
  fmpq_set_fmpz_frac(side, fmpq_numref(p->b), a);
  fmpz_clear(divisor);
  fmpz_clear(a);
  return status;
}

static tare_status keep_rows(builder *b, const tare_constraint *constraint, tare_error *error) {
  tare_status status = TARE_OK;
  for (int i = 0; i < b->presolve.rows && !status; i++) {
    if (b->presolve.is_solved[i]) continue;
    int count = tare_presolve_row(&b->presolve, tare_constraint_row(constraint, i));
    if (count > 0) status = keep_row(b, count, error);
  }
  return status;
}

/* All rows and variables of the union whose root is `root`. */
static tare_status build_part(builder *b, int root, tare_part *part, tare_error *error) {
  tare_plan *plan = b->plan;
  for (int i = 0; i < plan->variables; i++)
    if (find(b->parent, i) == root) b->place[i] = part->count++;
  for (int i = 0; i < b->rows; i++) part->rows += find(b->parent, b->row[i].variable[0]) == root;
  size_t n = (size_t)part->count, m = (size_t)part->rows;
  part->variable = tare_alloc(n, sizeof *part->variable);
  part->metric = tare_alloc(n, sizeof *part->metric);
  part->a = tare_alloc(m * n, sizeof *part->a);
  part->b = tare_alloc(m, sizeof *part->b);
  for (int i = 0; part->b && i < part->rows; i++) fmpq_init(&part->b[i]);
  if (!part->variable || !part->metric || !part->a || !part->b) return tare_fail_memory(error, m * n * sizeof *part->a, "rows to round to");
  for (int i = 0; i < plan->variables; i++)
    if (find(b->parent, i) == root) {
      part->variable[b->place[i]] = i;
      part->metric[b->place[i]] = plan->members[i];
    }
  int at = 0;
  for (int i = 0; i < b->rows; i++) {
    const kept *row = &b->row[i];
    if (find(b->parent, row->variable[0]) != root) continue;
    for (int k = 0; k < row->count; k++) part->a[at * part->count + b->place[row->variable[k]]] = row->a[k];
    fmpq_set(&part->b[at++], &b->b[i]);
  }
  return tare_part_prepare(part, error);
}

static tare_status build_parts(builder *b, tare_error *error) {
  tare_plan *plan = b->plan;
  plan->part = tare_alloc((size_t)b->rows, sizeof *plan->part);
  if (!plan->part) return tare_fail_memory(error, (size_t)b->rows * sizeof *plan->part, "parts of a rule");
  tare_status status = TARE_OK;
  for (int i = 0; i < b->rows && !status; i++) {
    int root = find(b->parent, b->row[i].variable[0]), seen = 0;
    for (int k = 0; k < i && !seen; k++) seen = find(b->parent, b->row[k].variable[0]) == root;
    if (seen) continue;
    tare_part *part = &plan->part[plan->parts++];
    status = build_part(b, root, part, error);
    if (part->rows > plan->most_rows) plan->most_rows = part->rows;
    if (part->count > plan->most_count) plan->most_count = part->count;
  }
  return status;
}

/* What a fixed tap is, times `divisor` (NULL: 1). */
static void fixed_value(const builder *b, int tap, const fmpz_t divisor, fmpq_t out) {
  int sign, root = tare_presolve_root(&b->presolve, tap, &sign);
  fmpq_set(out, &b->presolve.value[root]);
  if (sign < 0) fmpq_neg(out, out);
  if (divisor) fmpq_mul_fmpz(out, out, divisor);
}

static void find_divisor(const builder *b, fmpz_t divisor) {
  const tare_plan *plan = b->plan;
  fmpz_t odd;
  fmpq_t value;
  fmpz_init(odd);
  fmpq_init(value);
  fmpz_one(divisor);
  for (int i = 0; i < plan->fixed_count; i++) {
    fixed_value(b, plan->fixed[i].tap, NULL, value);
    fmpz_fdiv_q_2exp(odd, fmpq_denref(value), fmpz_val2(fmpq_denref(value)));
    fmpz_lcm(divisor, divisor, odd);
  }
  for (int i = 0; i < plan->parts; i++) {
    tare_part_divisor(&plan->part[i], odd);
    fmpz_lcm(divisor, divisor, odd);
  }
  fmpz_clear(odd);
  fmpq_clear(value);
}

static tare_status set_fixed(const builder *b, const fmpz_t divisor, tare_error *error) {
  tare_plan *plan = b->plan;
  tare_status status = TARE_OK;
  fmpq_t value;
  fmpq_init(value);
  for (int i = 0; i < plan->fixed_count && !status; i++) {
    tare_fixed *fixed = &plan->fixed[i];
    fixed_value(b, fixed->tap, divisor, value);
    if (fmpq_is_zero(value)) continue;
    int up = (int)fmpz_val2(fmpq_numref(value)), down = (int)fmpz_val2(fmpq_denref(value));
    fmpz_fdiv_q_2exp(fmpq_numref(value), fmpq_numref(value), (ulong)up);
    if (fmpz_bits(fmpq_numref(value)) > TARE_COEFFICIENT_BITS)
      status = tare_fail(error, TARE_E_ARGUMENT, "rounding: tap %d is fixed at a number of %d bits; at most %d are supported", fixed->tap,
                         (int)fmpz_bits(fmpq_numref(value)), TARE_COEFFICIENT_BITS);
    else fixed->odd = fmpz_get_si(fmpq_numref(value));
    fixed->shift = up - down;
    if (fixed->shift < plan->coarsest) plan->coarsest = fixed->shift;
  }
  fmpq_clear(value);
  return status;
}

/* The one right side that is no binary number, as the user wrote it, and the nearest float; 0 if it is none of the rows by itself. */
static int tell_right_side(const tare_constraint *constraint, tare_text *text) {
  for (int i = 0; i < tare_constraint_rows(constraint); i++) {
    const tare_row *row = tare_constraint_row(constraint, i);
    fmpq_t b;
    fmpq_init(b);
    fmpq_set_fmpz_frac(b, row->b, row->den);
    int binary = fmpz_bits(fmpq_denref(b)) == fmpz_val2(fmpq_denref(b)) + 1;
    float nearest = (float)tare_rational_double(fmpq_numref(b), fmpq_denref(b));
    if (!binary && isfinite(nearest)) {
      tare_text_add(text, "no binary float grid holds the right-hand side ");
      tare_rational_write(text, b);
      int exponent;
      fmpz_set_si(fmpq_numref(b), (slong)ldexp(frexp((double)nearest, &exponent), 24));
      fmpz_one(fmpq_denref(b));
      exponent -= 24;
      if (exponent >= 0) fmpz_mul_2exp(fmpq_numref(b), fmpq_numref(b), (ulong)exponent);
      else fmpz_mul_2exp(fmpq_denref(b), fmpq_denref(b), (ulong)-exponent);
      fmpq_canonicalise(b);
      tare_text_add(text, "; the nearest that one does is ");
      tare_rational_write(text, b);
    }
    fmpq_clear(b);
    if (!binary) return 1;
  }
  return 0;
}

static tare_status fail_divisor(const tare_constraint *constraint, const fmpz_t divisor, tare_error *error) {
  tare_text text = {0};
  if (!tell_right_side(constraint, &text))
    tare_text_add(&text, "no binary weights obey \"%s\"", tare_constraint_text(constraint));
  char *message = tare_text_take(&text);
  char *number = fmpz_get_str(NULL, 10, divisor);
  tare_status status = tare_fail(error, TARE_E_ARGUMENT, "rounding: %s; %s times the filter can be exact: allow a divisor, and divide its response by %s",
                                 message ? message : "", number, number);
  flint_free(number);
  tare_free(message);
  return status;
}

static tare_status set_right_sides(builder *b, const tare_constraint *constraint, int allow_divisor, tare_error *error) {
  tare_plan *plan = b->plan;
  fmpz_t divisor;
  fmpz_init(divisor);
  find_divisor(b, divisor);
  plan->coarsest = INT_MAX;
  tare_status status = TARE_OK;
  if (!fmpz_is_one(divisor) && (!allow_divisor || fmpz_cmp_si(divisor, 1 << 24) > 0)) status = fail_divisor(constraint, divisor, error);
  else plan->divisor = (int)fmpz_get_si(divisor);
  for (int i = 0; i < plan->variables; i++) plan->share[i] = plan->divisor / plan->members[i];
  if (!status) status = set_fixed(b, divisor, error);
  for (int i = 0; i < plan->parts && !status; i++) status = tare_part_set_divisor(&plan->part[i], divisor, &plan->coarsest, error);
  fmpz_clear(divisor);
  return status;
}

static void clear_builder(builder *b) {
  for (int i = 0; b->row && i < b->rows; i++) {
    tare_free(b->row[i].variable);
    tare_free(b->row[i].a);
    if (b->b) fmpq_clear(&b->b[i]);
  }
  tare_free(b->row);
  tare_free(b->b);
  tare_free(b->number);
  tare_free(b->parent);
  tare_free(b->place);
  tare_presolve_clear(&b->presolve);
}

tare_status tare_plan_create(const tare_constraint *constraint, int allow_divisor, tare_plan **out, tare_error *error) {
  builder b = {.plan = tare_alloc(1, sizeof *b.plan)};
  if (!b.plan) return tare_fail_memory(error, sizeof *b.plan, "a plan for rounding");
  b.plan->homogeneous = tare_constraint_is_homogeneous(constraint);
  tare_status status = tare_presolve_create(constraint, &b.presolve, error);
  if (!status) status = number_variables(&b, constraint, error);
  if (!status) status = keep_rows(&b, constraint, error);
  if (!status) status = build_parts(&b, error);
  if (!status) status = set_right_sides(&b, constraint, allow_divisor, error);
  if (status) tare_plan_free(b.plan);
  else *out = b.plan;
  clear_builder(&b);
  return status;
}

void tare_plan_free(tare_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < plan->parts; i++) tare_part_clear(&plan->part[i]);
  tare_free(plan->part);
  tare_free(plan->variable);
  tare_free(plan->sign);
  tare_free(plan->members);
  tare_free(plan->share);
  tare_free(plan->fixed);
  tare_free(plan);
}
