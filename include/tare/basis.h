/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bases: w = w0 + B t for the weights that obey a rule A w = b.
 *
 * w0 is the least-norm solution, A B = 0; t are the coefficients that are
 * trained. A basis is an operator, not a matrix. All arrays are
 * unit after unit (a unit is a slice, or a filter for rules with scope filter).
 *
 *   centred        B = I - A^+ A, redundant (n coefficients)
 *   orthonormal    the last n-m columns of the Householder Q of A'
 *   pivot          eliminates the m taps nearest the centre whose columns are invertible
 *   spectral, spectral(p)  D S H: separable orthonormal DCT-II, S = diag(|k|^p / s) (p = 1 unless given; |k| taken as 1 at k = 0),
 *                  H the last n-m columns of m Householder reflections of (A D S)'
 *   dct            the same as spectral(0)
 *   whitened       as spectral, S from the measured rms of each DCT coefficient (none counts as under 1e-4 of the largest variance)
 *   whitened-full  N (N' C N)^(-1/2), C measured, n at most 256
 *
 * Derivations: doc/maths.md. A basis is immutable after creation and rescaling
 * and may be used by many threads at once.
 */
#ifndef TARE_BASIS_H
#define TARE_BASIS_H

#include <tare/constraint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_basis tare_basis; /* one way to write the weights that obey a rule */
typedef struct tare_covariance tare_covariance; /* what the patches under a slice are like */

/*
 * Second moments E[x x'] of the input patches that a slice sees (n = taps of
 * one slice; pooled over channels, channels taken as independent).
 */
/* The model: DCT coefficients independent, variance 1/|k|^2 for k != 0, and `dc_variance` at k = 0. */
TARE_API tare_status tare_covariance_model(const tare_filter_shape *shape, double dc_variance,
                                           tare_covariance **out, tare_error *error);
/*
 * Measured: every patch of `count` images of height x width x channels (nhwc floats), 2-D shapes only; `dilation` apart (1: neighbours).
 * `brightness` D adds the variance D^2/3 of a uniform constant to every entry. An image smaller than the filter is TARE_E_SHAPE.
 */
TARE_API tare_status tare_covariance_measure(const tare_filter_shape *shape, const float *images, size_t count, int height, int width,
                                             int channels, const int *dilation, double brightness, tare_covariance **out, tare_error *error);
/* From a full n x n symmetric matrix, row-major. */
TARE_API tare_status tare_covariance_from_matrix(const tare_filter_shape *shape, const double *matrix, tare_covariance **out, tare_error *error);
/* The n x n matrix, row-major; owned by the covariance. */
TARE_API const double *tare_covariance_matrix(const tare_covariance *covariance);
TARE_API void tare_covariance_free(tare_covariance *covariance);

/*
 * Make a basis for a constraint. `name` as above; `measured` is needed by
 * whitened and whitened-full and ignored by the others (may be NULL).
 * The basis keeps what it needs of its arguments: both may be freed after.
 */
TARE_API tare_status tare_basis_create(const tare_constraint *constraint, const char *name, const tare_covariance *measured,
                                       tare_basis **out, tare_error *error);
TARE_API void tare_basis_free(tare_basis *basis);
/* The names that tare_basis_create knows, NULL at the end. */
TARE_API const char *const *tare_basis_names(void);

TARE_API int tare_basis_taps(const tare_basis *basis);          /* n */
TARE_API int tare_basis_coefficients(const tare_basis *basis);  /* n - m; n for centred */
/* whitened: frequencies but 0 whose measured variance is under 1e-4 of the largest, so that they were taken at that ridge; else 0. */
TARE_API int tare_basis_ridged(const tare_basis *basis);
TARE_API const char *tare_basis_name(const tare_basis *basis);  /* canonical: "spectral(0.5)" */

/*
 * w = w0 + B t (doc/maths.md). t: units x coefficients, w: units x taps. t and w must not overlap.
 * The first computes in double and rounds once: each weight is within half a unit in its last place of the exact one (but for
 * weights in which larger numbers cancel). _quick computes in float, in a quarter of the time, for training steps: some units in the
 * last place of a unit's largest weight (measured at 31x31: spectral and dct 3.5, pivot 86).
 */
TARE_API void tare_basis_compose(const tare_basis *basis, size_t units, const float *t, float *w);
TARE_API void tare_basis_compose_quick(const tare_basis *basis, size_t units, const float *t, float *w);
TARE_API void tare_basis_compose_f64(const tare_basis *basis, size_t units, const double *t, double *w);
/* g = B' dw: the gradient for t from the gradient for w. */
TARE_API void tare_basis_transpose(const tare_basis *basis, size_t units, const float *dw, float *g);
TARE_API void tare_basis_transpose_f64(const tare_basis *basis, size_t units, const double *dw, double *g);
/* t with w0 + B t the weights nearest w (least squares) that obey; for centred the t of least norm. Computed in double. */
TARE_API tare_status tare_basis_solve(const tare_basis *basis, size_t units, const double *w, double *t, tare_error *error);
/* w0: taps doubles, owned by the basis. */
TARE_API const double *tare_basis_offset(const tare_basis *basis);
/* The matrix B, taps x coefficients row-major, for tests and pictures. */
TARE_API void tare_basis_matrix(const tare_basis *basis, double *matrix);

/*
 * spectral, dct, whitened, whitened-full: multiply B (S) by `factor` > 0, as the measured scale s
 * of the input asks for; other bases keep their B and return 0 instead of 1
 * (their coefficients must be scaled instead).
 */
TARE_API int tare_basis_rescale(tare_basis *basis, double factor);

/* trace(B' C B): the response variance of iid unit coefficients. */
TARE_API double tare_basis_response(const tare_basis *basis, const tare_covariance *covariance);
/* Condition number of B' C B (over its non-zero eigenvalues for centred). basis NULL: of C itself ("none"). */
TARE_API tare_status tare_basis_condition(const tare_basis *basis, const tare_covariance *covariance, double *condition, tare_error *error);

/* w -= A^+ (A w - b): the nearest weights that obey (the projection method). */
TARE_API void tare_basis_project(const tare_basis *basis, size_t units, float *w);
TARE_API void tare_basis_project_f64(const tare_basis *basis, size_t units, double *w);

#ifdef __cplusplus
}
#endif
#endif
