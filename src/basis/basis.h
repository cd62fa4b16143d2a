/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a basis: how a rule's row space is held, and how an operator is put together. */
#ifndef TARE_BASIS_INSIDE_H
#define TARE_BASIS_INSIDE_H

#include <tare/basis.h>

#include "kernel/kernel.h"

/* A set of coordinates that some rows share and no other row touches, with an orthonormal basis of those rows' space. */
typedef struct tare_component {
  int size, rank;
  int *index;     /* `size` coordinates, ascending */
  double *space;  /* rank rows of size: orthonormal */
} tare_component;

typedef struct tare_rowspace {
  int taps, count;
  tare_component *component;
  double *least;  /* taps: the least-norm solution of R w = b */
} tare_rowspace;

/* The row space of R (rows x taps, row-major, independent rows); b may be NULL (least = 0). */
tare_status tare_rowspace_create(int rows, int taps, const double *r, const double *b, tare_rowspace **out, tare_error *error);
void tare_rowspace_free(tare_rowspace *space);

/*
 * An operator being built in double. Blocks and denses are added one by one, then
 * tare_builder_place puts coefficients on every coordinate that is not dropped.
 */
typedef struct tare_builder {
  tare_operator op;
  char *dropped;   /* taps: 1 where no coefficient stands */
  int failed;      /* out of memory */
} tare_builder;

void tare_builder_init(tare_builder *b, const tare_constraint *constraint, int transform);
void tare_builder_free(tare_builder *b);
/* left, right: rank rows of size, copied. */
void tare_builder_block(tare_builder *b, int size, int rank, const int *index, const double *left, const double *right);
/* The coefficients of dropped coordinates that this matrix (size x columns) uses are numbered after those placed. */
void tare_builder_dense(tare_builder *b, int size, int columns, const int *index, const double *matrix);
void tare_builder_place(tare_builder *b);
/* A copy with every REAL array in `precision`; NULL when out of memory. Freed with tare_operator_free. */
tare_operator *tare_operator_copy(const tare_operator *op, tare_precision precision);
void tare_operator_free(tare_operator *op);

/* Drops `rank` pivot coordinates of each component and adds the reflections that map the others onto the space the rule leaves. */
tare_status tare_reflect(tare_builder *b, const tare_rowspace *space, tare_error *error);

struct tare_basis {
  char name[40];
  int taps, coefficients, absorbs, ridged;
  int redundant;              /* more coefficients than dimensions */
  tare_rowspace *space;       /* of A, in taps */
  tare_operator *f32, *f64;   /* compose and its adjoint */
  tare_operator *inverse;     /* t = its adjoint of projected w - w0 */
  tare_filter_shape shape;
  int slices;
};

/* What a kind of basis is: one row in the table of basis.c. */
typedef struct tare_basis_kind {
  const char *name;
  int absorbs;     /* its matrix takes the scale of the input */
  int measured;    /* needs a measured covariance */
  int power;       /* takes an exponent in parentheses */
  /* Fills b->f64 and b->inverse (f32 follows from f64). */
  tare_status (*create)(tare_basis *b, const tare_constraint *constraint, const tare_covariance *measured, double power, tare_error *error);
} tare_basis_kind;

tare_status tare_basis_centred(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error);
tare_status tare_basis_orthonormal(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error);
tare_status tare_basis_pivot(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error);
tare_status tare_basis_spectral(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error);
tare_status tare_basis_whitened(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error);
tare_status tare_basis_full(tare_basis *b, const tare_constraint *c, const tare_covariance *m, double p, tare_error *error);

/* Finishes b->f64 and b->inverse from a placed builder: offset = the least-norm solution; scale S (or NULL), its inverse in the inverse. */
tare_status tare_basis_finish(tare_basis *b, tare_builder *builder, const double *scale, tare_error *error);

/* Covariances: taps of one slice. */
int tare_covariance_taps(const tare_covariance *c);
/* |k|^2 of DCT coefficient `at` of a slice, row-major. */
double tare_frequency_squared(const tare_filter_shape *shape, int at);
/* The DCT of n taps: matrix[k][i]. */
void tare_dct_matrix(int n, double *matrix);
/* out = D' C D's diagonal: the variance of each DCT coefficient of a slice. */
tare_status tare_covariance_spectrum(const tare_covariance *c, double *variance, tare_error *error);

#endif
