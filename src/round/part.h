/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a rule: variables that rows tie together, and how integers near given numbers are made to obey
 * those rows. One row: cheapest steps (correct.c), the rest by a table (table.c). Several rows, or a row with
 * large coefficients: a lattice (lattice.c). Meaning and proofs: doc/rounding.md.
 */
#ifndef TARE_ROUND_PART_H
#define TARE_ROUND_PART_H

#include <stdint.h>

#include <flint/fmpq.h>
#include <flint/fmpz_mat.h>

#include <tare/status.h>

/* The largest coefficient of a row (its integers with no common divisor). */
enum { TARE_COEFFICIENT_BITS = 40 };

/* Short vectors over some of a part's variables: all that those can do to a q. */
typedef struct tare_lattice {
  int rows, taps;     /* taps: how many variables it moves; taps - rows vectors leave every row as it is */
  int *place;         /* taps: which variables of the part */
  double *root;       /* taps: square roots of their metric */
  int64_t *kernel;    /* (taps - rows) x taps: reduced; a v = 0 */
  double *ortho;      /* (taps - rows) x taps: the Gram-Schmidt vectors of root * kernel, each over its squared length */
  int64_t *unit;      /* rows x taps: a unit = basis */
  int rank;           /* taps - rows */
  fmpz_mat_t inverse; /* rows x rows: the inverse of `basis`, a basis of all values of a q, times `divisor` */
  fmpz_t divisor;
} tare_lattice;

typedef struct tare_part {
  int rows, count;
  int *variable;         /* count: which variables of the plan */
  int64_t *a;            /* rows x count; each row without common divisor */
  double *metric, *root; /* count: how many taps a variable stands for, and its square root */
  fmpq *b;               /* rows: a q = b, times the plan's divisor */
  __int128 *b_odd;       /* rows: b = b_odd * 2^b_shift, b_odd odd or 0 */
  int *b_shift;
  double *ortho, *lower; /* a / root = lower * ortho, rows of ortho (rows x count) orthonormal: for projections */
  double *back;          /* ortho / root: from coordinates in those rows back to variables */
  int64_t largest;       /* one row: max |a| */
  double total;          /* one row: sum |a| */
  int groups, moves;     /* one row: distinct |a|; how many moves of a group and direction the table looks at */
  int *group;            /* count: the group of each entry */
  int64_t *size;         /* groups: its |a| */
  tare_lattice *lattice; /* NULL if not needed */
} tare_part;

/*
 * `part` with rows, count, variable, a, metric and b (b may have any denominator) set gets the rest but b_odd and b_shift.
 * The caller frees it with tare_part_clear in any case. TARE_E_UNSUPPORTED if a lattice would be too large.
 */
tare_status tare_part_prepare(tare_part *part, tare_error *error);
void tare_part_clear(tare_part *part);
/* The smallest odd number that times b makes all of it a value that integers on some binary grid reach. */
void tare_part_divisor(const tare_part *part, fmpz_t divisor);
/*
 * b times `divisor` becomes b; sets b_odd and b_shift, and lowers *coarsest to the exponent of the coarsest grid that holds it.
 * TARE_E_UNSUPPORTED if b is too long.
 */
tare_status tare_part_set_divisor(tare_part *part, const fmpz_t divisor, int *coarsest, tare_error *error);

typedef struct tare_choice { double cost; int entry; } tare_choice;

/* The nearest numbers to y (of the part's variables) that obey as far as doubles go; r: scratch, rows. */
void tare_part_project(const tare_part *part, double *y, double *r);
/*
 * Changes `entry` so that a entry falls by `excess` (rows), staying within +-bound and as close to x as can be. 1 on success, 0 if
 * it is not possible, -1 when out of memory; without success `entry` may have changed. order: scratch, count.
 */
int tare_correct(const tare_part *part, tare_choice *order, const double *x, int64_t *entry, int64_t bound, const __int128 *excess);

/* The last part of it for one row, |excess| < largest: by a table. */
int tare_correct_table(const tare_part *part, int moves, const double *x, int64_t *entry, int64_t bound, int64_t excess);
/* Operations of the table for `moves`; the lattice is taken where they are too many. */
double tare_table_work(const tare_part *part, int moves);

tare_status tare_lattice_create(int rows, int count, const int64_t *a, const double *metric, tare_lattice **out, tare_error *error);
void tare_lattice_free(tare_lattice *lattice);
int tare_correct_lattice(const tare_lattice *lattice, const double *x, int64_t *entry, int64_t bound, const __int128 *excess);

#endif
