/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding under one row sum a_i w_i = b: what is known of the row before any
 * weights are seen, and the steps of one unit. Meaning and proofs: doc/rules.md.
 */
#ifndef TARE_ROUND_SOLVER_H
#define TARE_ROUND_SOLVER_H

#include <stdint.h>

#include <tare/round.h>

/* Short vectors over a few taps of the row, for coefficients too large for tables. */
enum { TARE_LATTICE_TAPS = 20 };
typedef struct tare_lattice {
  int taps;                                              /* 2 to TARE_LATTICE_TAPS; 0 if not needed */
  int place[TARE_LATTICE_TAPS];                          /* which entries of the row */
  int64_t unit[TARE_LATTICE_TAPS];                       /* changes the sum by 1 */
  int64_t kernel[TARE_LATTICE_TAPS][TARE_LATTICE_TAPS];  /* taps - 1 reduced vectors that leave the sum as it is */
  double ortho[TARE_LATTICE_TAPS][TARE_LATTICE_TAPS];    /* their Gram-Schmidt vectors */
} tare_lattice;

/* The largest coefficient of a row (its integers with no common divisor). */
enum { TARE_COEFFICIENT_BITS = 40 };

typedef struct tare_solver {
  int taps, count;      /* of the unit; of the row */
  int *tap;             /* count */
  int64_t *a;           /* count; no zeros, gcd 1 */
  int64_t largest;      /* max |a| */
  double weight, norm;  /* sum |a|, sum a^2 */
  __int128 b_odd;       /* b = b_odd * 2^b_shift, b_odd odd or 0 */
  int b_shift;
  double b;
  double scale;         /* the user's right-hand side is b * scale */
  int groups, moves;    /* distinct |a|; how many moves of a group and direction the table looks at */
  int *group;           /* count: the group of each entry */
  int64_t *size;        /* groups: its |a| */
  tare_lattice lattice;
} tare_solver;

/* TARE_E_UNSUPPORTED or TARE_E_ARGUMENT as tare_round_fp32 says; a constraint without rows gives count 0. */
tare_status tare_solver_create(const tare_constraint *constraint, tare_solver **out, tare_error *error);
void tare_solver_free(tare_solver *solver);

/* Scratch memory of one thread. */
typedef struct tare_choice { double cost; int entry; } tare_choice;
typedef struct tare_scratch {
  double *target, *x;    /* taps: weights to come close to; the row's entries in units of the grid */
  int64_t *q;            /* taps */
  int64_t *entry;        /* count: q of the row */
  tare_choice *order;    /* count */
} tare_scratch;
tare_status tare_scratch_create(const tare_solver *solver, tare_scratch *out, tare_error *error);
void tare_scratch_free(tare_scratch *scratch);

/* Rounds one unit to integers of at most `bits` bits (24: all that a float holds) times a power of two. */
tare_status tare_round_unit(const tare_solver *solver, tare_scratch *scratch, int bits, const float *w, float *out, tare_error *error);

/*
 * Changes `entry` so that sum a_i entry_i falls by `excess`, staying within
 * +-bound and as close to x as can be. 1 on success, 0 if it is not possible,
 * -1 when out of memory; without success `entry` may have changed.
 */
int tare_correct(const tare_solver *solver, tare_choice *order, const double *x, int64_t *entry, int64_t bound, __int128 excess);
/* The last part of it, |excess| < largest: by tables, or by the lattice. */
int tare_correct_table(const tare_solver *solver, int moves, const double *x, int64_t *entry, int64_t bound, int64_t excess);
int tare_correct_lattice(const tare_lattice *lattice, const double *x, int64_t *entry, int64_t bound, int64_t excess);
/* Operations of the table for `moves`; the lattice is taken where they are too many. */
double tare_table_work(const tare_solver *solver, int moves);
tare_status tare_lattice_build(tare_lattice *lattice, const int64_t *a, int count, tare_error *error);

#endif
