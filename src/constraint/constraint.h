/* SPDX-License-Identifier: Apache-2.0 */
/* What the rooms below may see of a constraint: its independent rows, as integers. */
#ifndef TARE_CONSTRAINT_CONSTRAINT_H
#define TARE_CONSTRAINT_CONSTRAINT_H

#include <flint/fmpz.h>

#include <tare/constraint.h>

/*
 * One row as the user wrote it, (sum a[i] w[tap[i]] - b) / den = 0: a without
 * zeros, den > 0, the gcd of a, b and den together is 1; taps ascend.
 */
typedef struct tare_row {
  int count;
  int *tap;
  fmpz *a;
  fmpz_t b, den;
  int rule;  /* the rule it came from */
  int part;  /* its place among the rows of that rule (and channel) */
  int bits;  /* bits of sum |a| if every a fits an slong, else 0 */
} tare_row;

/* Row i of tare_constraint_rows(constraint); owned by the constraint. */
const tare_row *tare_constraint_row(const tare_constraint *constraint, int i);

#endif
