/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that speak of one tap or two are solved before all else: a tap is fixed, two taps are one variable. */
#ifndef TARE_ROUND_PRESOLVE_H
#define TARE_ROUND_PRESOLVE_H

#include "constraint/constraint.h"
#include "round/part.h"

typedef struct tare_presolve {
  int taps, rows;
  int *parent;         /* taps: union-find; the root of a tap is tare_presolve_root */
  signed char *sign;   /* taps: tap = sign * parent */
  char *is_fixed;      /* roots */
  fmpq *value;         /* fixed roots */
  char *is_solved;     /* rows */
  /* The row at work in terms of roots that are not fixed. */
  int touched;
  int *root;           /* touched */
  char *is_touched;    /* taps */
  fmpz *work;          /* taps: coefficients, by root */
  fmpq_t b;
} tare_presolve;

tare_status tare_presolve_create(const tare_constraint *constraint, tare_presolve *out, tare_error *error); /* clear it in any case */
void tare_presolve_clear(tare_presolve *p);
int tare_presolve_root(const tare_presolve *p, int tap, int *sign);
/* Row i in terms of the roots that stay: p->root[0 .. count), p->work, p->b; without zeros. Returns count. */
int tare_presolve_row(tare_presolve *p, const tare_row *row);

#endif
