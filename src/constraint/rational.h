/* SPDX-License-Identifier: Apache-2.0 */
/* Exact rationals: from text, to text, to the nearest double. */
#ifndef TARE_CONSTRAINT_RATIONAL_H
#define TARE_CONSTRAINT_RATIONAL_H

#include <stddef.h>

#include <flint/fmpq.h>
#include <flint/fmpz.h>

#include "base/text.h"

/*
 * The number at the start of `text`: an integer, a decimal (0.1, -.5, 1e-3) or a fraction of integers (-1/3), exact.
 * Returns the characters it takes; 0 if there is none (a zero denominator, an exponent over 400 and more than 1000 digits are none).
 */
size_t tare_rational_read(fmpq_t value, const char *text);
/* "p/q" or "p", which tare_rational_read reads back. */
void tare_rational_write(tare_text *text, const fmpq_t value);
/* "p/q" in lowest terms into `size` characters; the middle of a long one is left out. */
void tare_rational_write_short(const fmpq_t value, char *out, size_t size);
/* The double nearest to num / den (den > 0). */
double tare_rational_double(const fmpz_t num, const fmpz_t den);

#endif
