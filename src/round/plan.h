/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a rule before any weights are seen: taps that are fixed, taps that are equal or opposite (one
 * variable), and the parts that the other rows tie together. And the rounding of one unit on one grid.
 */
#ifndef TARE_ROUND_PLAN_H
#define TARE_ROUND_PLAN_H

#include <limits.h>

#include <tare/round.h>

#include "round/part.h"

/* A tap that its rule fixes at odd * 2^shift (divisor included); odd 0 or odd. */
typedef struct tare_fixed { int tap; int64_t odd; int shift; } tare_fixed;

typedef struct tare_plan {
  int taps, variables, fixed_count, parts;
  int *variable;         /* taps: which variable a tap is, -1 for a fixed one */
  signed char *sign;     /* taps: the tap is sign * variable */
  double *members;       /* variables: how many taps */
  double *share;         /* variables: divisor / members */
  tare_fixed *fixed;
  tare_part *part;
  int most_rows, most_count; /* of a part */
  int homogeneous;
  int divisor;           /* A w = divisor * b is what is rounded to; odd */
  int coarsest;          /* grids 2^e up to e = coarsest hold divisor * b; INT_MAX where b = 0 */
} tare_plan;

/*
 * A b that no binary grid holds is TARE_E_ARGUMENT unless allow_divisor. TARE_E_UNSUPPORTED: coefficients of more than 40 bits, rows that
 * hang together too much.
 */
tare_status tare_plan_create(const tare_constraint *constraint, int allow_divisor, tare_plan **out, tare_error *error);
void tare_plan_free(tare_plan *plan);

/* Memory of one thread for `units` units. */
typedef struct tare_scratch {
  double *target;        /* units x variables: weights to come close to, which obey as far as doubles go */
  double *x, *y, *r;     /* variables; most_count; most_rows */
  int64_t *q, *entry;    /* variables; most_count */
  __int128 *excess;      /* most_rows */
  tare_choice *order;    /* most_count */
} tare_scratch;
tare_status tare_scratch_create(const tare_plan *plan, size_t units, tare_scratch *out, tare_error *error);
void tare_scratch_free(tare_scratch *scratch);

/* The nearest weights to divisor * w that obey, as variables; adds what they are to *largest and *sum (of |weights|). */
void tare_unit_target(const tare_plan *plan, tare_scratch *scratch, const float *w, double *target, double *largest, double *sum);

enum { TARE_UNIT_DONE = 1, TARE_UNIT_NO_ROOM = 0, TARE_UNIT_NO_MEMORY = -1 };
/*
 * Integers of at most `bound` near target / scale that obey, into out (taps). scale is 2^e, e at most plan->coarsest, or anything where b = 0
 * (e unused).
 */
int tare_unit_round(const tare_plan *plan, tare_scratch *scratch, const double *target, double scale, int e, int64_t bound, int32_t *out);

#endif
