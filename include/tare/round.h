/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding weights so that their rule holds exactly, as rationals.
 *
 * fp32: every weight of a unit becomes an integer times one power of two (the
 * finest grid on which the unit's largest weight fits 24 bits), the nearest
 * such weights under the row: for a sum, the method of largest remainders,
 * which is optimal; other rows: doc/rules.md. Weights that do not obey are
 * taken to the nearest that do first. Weights on such a grid that obey are
 * returned as they are, so rounding twice is rounding once.
 */
#ifndef TARE_ROUND_H
#define TARE_ROUND_H

#include <tare/constraint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 1 if tare_round_fp32 can make `constraint` hold exactly (one row whose b a binary float grid can hold, or no row), else 0 and `why` gets the reason. */
TARE_API int tare_round_supported(const tare_constraint *constraint, tare_error *why);

/*
 * Round `units` units (units x taps) from w into out (may be the same
 * array; untouched on failure). On success every row holds exactly; without rows
 * the weights are copied. A constraint of several rows is
 * TARE_E_UNSUPPORTED; a right-hand side that no grid holds (1/10 in binary)
 * is TARE_E_ARGUMENT and names the nearest that one does (also 1/2 for weights of
 * 1e10, whose grid has coarser steps); non-finite weights are
 * TARE_E_ARGUMENT, coefficients of more than 40 bits TARE_E_UNSUPPORTED. Thread-safe.
 */
TARE_API tare_status tare_round_fp32(const tare_constraint *constraint, size_t units, const float *w, float *out, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
