/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding weights so that their rule holds exactly, as rationals.
 *
 * fp32: every weight of a unit becomes an integer times one power of two (the
 * finest grid on which the unit's largest weight still fits 24 bits), the
 * nearest such weights under the row: for a sum, the largest-remainder method.
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
 * array). On success every row holds exactly. A constraint of several rows is
 * TARE_E_UNSUPPORTED; a right-hand side that no grid holds (1/10 in binary)
 * is TARE_E_ARGUMENT and names the nearest that one does; non-finite
 * weights are TARE_E_ARGUMENT. Thread-safe.
 */
TARE_API tare_status tare_round_fp32(const tare_constraint *constraint, size_t units, const float *w, float *out, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
