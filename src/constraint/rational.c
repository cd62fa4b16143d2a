/* SPDX-License-Identifier: Apache-2.0 */
#include "constraint/rational.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { MAX_DIGITS = 1000, MAX_EXPONENT = 400 };

static size_t count_digits(const char *text) {
  size_t n = 0;
  while (isdigit((unsigned char)text[n])) n++;
  return n;
}

/* Appends `count` digits to `digits`, which has room for MAX_DIGITS; 0 if they do not fit. */
static int append_digits(char *digits, size_t *length, const char *text, size_t count) {
  if (*length + count > MAX_DIGITS) return 0;
  memcpy(digits + *length, text, count);
  *length += count;
  digits[*length] = 0;
  return 1;
}

/* An exponent "e-3" at `text`: its length, 0 if there is none; a length beyond the text's never happens. */
static size_t read_exponent(const char *text, int *exponent) {
  if (text[0] != 'e' && text[0] != 'E') return 0;
  size_t sign = text[1] == '-' || text[1] == '+', count = count_digits(text + 1 + sign);
  if (count == 0) return 0;
  int value = 0;
  for (size_t i = 0; i < count && value <= MAX_EXPONENT; i++) value = value * 10 + (text[1 + sign + i] - '0');
  *exponent = text[1] == '-' ? -value : value;
  return 1 + sign + count;
}

static void set_decimal(fmpq_t value, const char *digits, int exponent) {
  fmpz_t power;
  fmpz_init(power);
  fmpz_set_str(fmpq_numref(value), digits, 10);
  fmpz_set_ui(power, 10);
  fmpz_pow_ui(power, power, (ulong)(exponent < 0 ? -exponent : exponent));
  fmpz_one(fmpq_denref(value));
  if (exponent >= 0) fmpz_mul(fmpq_numref(value), fmpq_numref(value), power);
  else fmpz_set(fmpq_denref(value), power);
  fmpq_canonicalise(value);
  fmpz_clear(power);
}

/* The denominator of "p/q" with `slash` at the '/': its length with the '/', 0 if it is not a fraction's end, the value divided by it. */
static size_t read_denominator(fmpq_t value, const char *slash) {
  char digits[MAX_DIGITS + 1];
  size_t length = 0, count = count_digits(slash + 1);
  if (count == 0 || !append_digits(digits, &length, slash + 1, count)) return 0;
  fmpz_set_str(fmpq_denref(value), digits, 10);
  if (fmpz_is_zero(fmpq_denref(value))) return 0;
  fmpq_canonicalise(value);
  return 1 + count;
}

size_t tare_rational_read(fmpq_t value, const char *text) {
  char digits[MAX_DIGITS + 1];
  size_t length = 0, at = text[0] == '-' || text[0] == '+';
  size_t whole = count_digits(text + at), part = 0;
  int negative = text[0] == '-', exponent = 0;
  if (!append_digits(digits, &length, text + at, whole)) return 0;
  at += whole;
  if (text[at] == '.') {
    part = count_digits(text + at + 1);
    if (!append_digits(digits, &length, text + at + 1, part)) return 0;
    at += 1 + part;
  }
  if (length == 0) return 0;
  at += read_exponent(text + at, &exponent);
  if (exponent < -MAX_EXPONENT || exponent > MAX_EXPONENT) return 0;
  set_decimal(value, digits, exponent - (int)part);
  if (text[at] == '/') {
    size_t used = at == whole + (text[0] == '-' || text[0] == '+') ? read_denominator(value, text + at) : 0;
    if (used == 0) return 0;
    at += used;
  }
  if (negative) fmpq_neg(value, value);
  return at;
}

void tare_rational_write(tare_text *text, const fmpq_t value) {
  char *digits = fmpq_get_str(NULL, 10, value);
  tare_text_add(text, "%s", digits);
  flint_free(digits);
}

/*
 * num / den scaled by 2^shift to an integer of 62 or 63 bits whose last bit
 * also stands for a remainder: converting it rounds once, to nearest, ties to
 * even (mpq_get_d truncates).
 */
double tare_rational_double(const fmpz_t num, const fmpz_t den) {
  if (fmpz_is_zero(num)) return 0;
  slong shift = 62 - ((slong)fmpz_bits(num) - (slong)fmpz_bits(den));
  fmpz_t a, d, q, r;
  fmpz_init(a);
  fmpz_init(d);
  fmpz_init(q);
  fmpz_init(r);
  fmpz_abs(a, num);
  fmpz_set(d, den);
  if (shift >= 0) fmpz_mul_2exp(a, a, (ulong)shift);
  else fmpz_mul_2exp(d, d, (ulong)-shift);
  fmpz_fdiv_qr(q, r, a, d);
  double value = ldexp((double)(fmpz_get_ui(q) | !fmpz_is_zero(r)), (int)-shift);
  if (fmpz_sgn(num) < 0) value = -value;
  fmpz_clear(a);
  fmpz_clear(d);
  fmpz_clear(q);
  fmpz_clear(r);
  return value;
}

void tare_rational_write_short(const fmpq_t value, char *out, size_t size) {
  fmpq_t lowest;
  fmpq_init(lowest);
  fmpq_set(lowest, value);
  fmpq_canonicalise(lowest);
  char *digits = fmpq_get_str(NULL, 10, lowest);
  size_t length = strlen(digits), half = (size - 4) / 2;
  if (length < size) memcpy(out, digits, length + 1);
  else {
    memcpy(out, digits, half);
    memcpy(out + half, "...", 3);
    memcpy(out + half + 3, digits + length - half, half + 1);
  }
  flint_free(digits);
  fmpq_clear(lowest);
}
