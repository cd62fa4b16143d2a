/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules: exact linear constraints A w = b on the weights of a filter.
 *
 * Taps act as cross-correlation (y[i] = sum_k w[k] x[i+k]); axes are (row,
 * column, ...); the origin is the centre of the filter, half-integers where a
 * size is even. A and b are exact rationals; a decimal in the text is exact
 * (sum=0.1 is 1/10).
 *
 * Grammar, joined by ';' (spaces around tokens are free):
 *   sum=V                     the weights add up to V
 *   order=Q                   every moment of total order 0..Q is 0
 *   bayar                     the centre is -1, the others add up to 1 (odd sizes only)
 *   centre=V                  the centre tap is V (odd sizes only)
 *   moment(p,q)=V             sum of i^p j^q w(i,j) / (p! q!) is V; one argument an axis
 *   derivative(p,q) [accuracy=a]   every moment of total order < p+q+a is fixed: 1 for (p,q), 0 for the others (a = 1 unless given)
 *   symmetric, antisymmetric  w(-i) = w(i), w(-i) = -w(i)
 *   rows=FILE.json            your own rows: {"A": [[...], ...], "b": [...]}, entries integers, decimals or "p/q" strings
 * V is an integer, a decimal (1e-3 too) or a fraction p/q. Orders and powers go up to 20 in
 * total, filters up to 2^24 taps. Each rule may end in '@slice' (the default: each input channel
 * of each filter by itself) or '@filter' (its row runs over all input channels of a filter, with
 * the same coefficients in each: the rule of the filter that a grey image sees). Rows of
 * rows=FILE@filter have the taps of a slice or of the whole filter. Syntax errors are
 * TARE_E_SYNTAX and say at which column. Exact meaning and derivations: doc/rules.md.
 *
 * A constraint is immutable once made: any number of threads may read it.
 * FLINT keeps a cache for each thread that met numbers over 62 bits; a thread
 * that ends after calling this room may give it back with flint_cleanup().
 */
#ifndef TARE_CONSTRAINT_H
#define TARE_CONSTRAINT_H

#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_MAX_DIMS 3 /* axes of a filter, at most */

typedef struct tare_constraint tare_constraint; /* rules, combined: A w = b in rationals */

/* What a rule speaks about: one filter of `channels` slices of size[0] x ... x size[dims-1] taps. */
typedef struct tare_filter_shape {
  int dims;                 /* 1 to 3 */
  int size[TARE_MAX_DIMS];  /* taps along each axis, each at least 1 */
  int channels;             /* slices (input channels) of one filter, at least 1 */
} tare_filter_shape;

/*
 * Parse rules and combine them: duplicates and rows that follow from others
 * are dropped (tare_constraint_notes says which), contradictions are
 * TARE_E_CONFLICT and name two rules that contradict each other, rules that
 * leave no free weight are TARE_E_CONFLICT too unless `allow_full` is set
 * (then the one solution is the filter: finite-difference tables).
 * `text` empty or "none" is the constraint without rows.
 * On success *out is owned by the caller.
 */
TARE_API tare_status tare_constraint_create(const char *text, const tare_filter_shape *shape, int allow_full,
                                            tare_constraint **out, tare_error *error);
TARE_API void tare_constraint_free(tare_constraint *constraint); /* NULL is fine */

/*
 * The unit of a constraint is what its rows run over: one slice when every
 * rule has scope slice, else a whole filter (channel-major: tap index =
 * channel * taps_per_slice + row-major tap). Slice rules are then repeated for
 * each channel.
 */
TARE_API int tare_constraint_taps(const tare_constraint *constraint);     /* n: taps of one unit */
TARE_API int tare_constraint_rows(const tare_constraint *constraint);     /* m: independent rows, n - m weights are free */
TARE_API int tare_constraint_is_filter(const tare_constraint *constraint); /* 1 if the unit is a whole filter */
TARE_API int tare_constraint_is_homogeneous(const tare_constraint *constraint); /* 1 if b = 0 */
TARE_API const tare_filter_shape *tare_constraint_shape(const tare_constraint *constraint);

/* The rules written out again in canonical form; parsing it gives the same constraint. Owned by the constraint. */
TARE_API const char *tare_constraint_text(const tare_constraint *constraint);
/* One line for each dropped rule or row, '\n' between; "" when none was dropped. Owned by the constraint. */
TARE_API const char *tare_constraint_notes(const tare_constraint *constraint);

/* A (m x n, row-major) and b (m), each entry the nearest double. Either may be NULL. */
TARE_API void tare_constraint_matrix(const tare_constraint *constraint, double *a, double *b);

/*
 * The exact residual A w - b of `units` units of float weights (units x n,
 * unit after unit), computed in rationals, never in floating point.
 */
typedef struct tare_residual {
  double max_abs;      /* the largest |A w - b| over rows and units, rounded to double; 0 only if exactly 0 */
  size_t exact_units;  /* units whose every row holds exactly */
  size_t worst_unit;   /* where max_abs is */
  int worst_row; /* ... and which of its rows */
  char fraction[96];   /* that residual as "p/q" ("..." in the middle when longer) */
} tare_residual;
/* Non-finite weights are TARE_E_ARGUMENT. */
TARE_API tare_status tare_constraint_residual(const tare_constraint *constraint, const float *w, size_t units,
                                              tare_residual *residual, tare_error *error);
/* The same of weights that are `divisor` (at least 1) times their filters, as tare_round leaves them with allow_divisor: A w / divisor - b. */
TARE_API tare_status tare_constraint_residual_over(const tare_constraint *constraint, const float *w, size_t units, int divisor,
                                                   tare_residual *residual, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
