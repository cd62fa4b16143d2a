/* SPDX-License-Identifier: Apache-2.0 */
#include "round/presolve.h"

#include "base/alloc.h"
#include "base/error.h"

int tare_presolve_root(const tare_presolve *p, int tap, int *sign) {
  *sign = 1;
  while (p->parent[tap] != tap) {
    *sign *= p->sign[tap];
    tap = p->parent[tap];
  }
  return tap;
}

static void forget_row(tare_presolve *p) {
  for (int i = 0; i < p->touched; i++) {
    fmpz_zero(&p->work[p->root[i]]);
    p->is_touched[p->root[i]] = 0;
  }
  p->touched = 0;
}

int tare_presolve_row(tare_presolve *p, const tare_row *row) {
  forget_row(p);
  fmpq_set_fmpz(p->b, row->b);
  fmpq_t term;
  fmpq_init(term);
  for (int i = 0; i < row->count; i++) {
    int sign, root = tare_presolve_root(p, row->tap[i], &sign);
    if (p->is_fixed[root]) {
      fmpq_mul_fmpz(term, &p->value[root], &row->a[i]);
      if (sign > 0) fmpq_sub(p->b, p->b, term);
      else fmpq_add(p->b, p->b, term);
      continue;
    }
    if (!p->is_touched[root]) p->root[p->touched++] = root;
    p->is_touched[root] = 1;
    if (sign > 0) fmpz_add(&p->work[root], &p->work[root], &row->a[i]);
    else fmpz_sub(&p->work[root], &p->work[root], &row->a[i]);
  }
  fmpq_clear(term);
  int count = 0;
  for (int i = 0; i < p->touched; i++) {
    int root = p->root[i];
    if (fmpz_is_zero(&p->work[root])) p->is_touched[root] = 0;
    else p->root[count++] = root;
  }
  return p->touched = count;
}

/* Uses the row if it is short; 1 if it was. A row of several taps is `short` only once the rows before have made it so. */
static int solve_row(tare_presolve *p, const tare_row *row) {
  int count = tare_presolve_row(p, row);
  if (count == 0) return 1; /* it follows from those before: the rows are independent of each other, so this does not happen */
  int first = p->root[0];
  if (count == 1) {
    fmpq_div_fmpz(&p->value[first], p->b, &p->work[first]);
    p->is_fixed[first] = 1;
    return 1;
  }
  int second = p->root[1];
  if (count > 2 || !fmpq_is_zero(p->b) || fmpz_cmpabs(&p->work[first], &p->work[second])) return 0;
  p->parent[second] = first;
  p->sign[second] = fmpz_sgn(&p->work[first]) == fmpz_sgn(&p->work[second]) ? -1 : 1;
  return 1;
}

static tare_status start(tare_presolve *p, tare_error *error) {
  size_t n = (size_t)p->taps;
  p->parent = tare_alloc(n, sizeof *p->parent);
  p->sign = tare_alloc(n, 1);
  p->is_fixed = tare_alloc(n, 1);
  p->is_solved = tare_alloc((size_t)p->rows, 1);
  p->root = tare_alloc(n, sizeof *p->root);
  p->is_touched = tare_alloc(n, 1);
  p->value = tare_alloc(n, sizeof *p->value);
  p->work = tare_alloc(n, sizeof *p->work);
  for (int i = 0; p->value && i < p->taps; i++) fmpq_init(&p->value[i]);
  if (!p->parent || !p->sign || !p->is_fixed || !p->is_solved || !p->root || !p->is_touched || !p->value || !p->work)
    return tare_fail_memory(error, n * sizeof *p->value, "the rows of a rule");
  for (int i = 0; i < p->taps; i++) p->parent[i] = i;
  return TARE_OK;
}

tare_status tare_presolve_create(const tare_constraint *constraint, tare_presolve *p, tare_error *error) {
  *p = (tare_presolve){.taps = tare_constraint_taps(constraint), .rows = tare_constraint_rows(constraint)};
  fmpq_init(p->b);
  tare_status status = start(p, error);
  for (int changed = 1; changed && !status;) {
    changed = 0;
    for (int i = 0; i < p->rows; i++)
      if (!p->is_solved[i]) changed |= p->is_solved[i] = (char)solve_row(p, tare_constraint_row(constraint, i));
  }
  return status;
}

void tare_presolve_clear(tare_presolve *p) {
  for (int i = 0; i < p->taps; i++) {
    if (p->value) fmpq_clear(&p->value[i]);
    if (p->work) fmpz_clear(&p->work[i]);
  }
  fmpq_clear(p->b);
  tare_free(p->parent);
  tare_free(p->sign);
  tare_free(p->is_fixed);
  tare_free(p->is_solved);
  tare_free(p->root);
  tare_free(p->is_touched);
  tare_free(p->value);
  tare_free(p->work);
}
