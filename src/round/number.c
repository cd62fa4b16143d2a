/* SPDX-License-Identifier: Apache-2.0 */
#include "round/number.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"

/* Smallest step and coarsest: of fp16 2^-24 and 2047 * 2^5 = 65504 (IEEE 754-2008), of bf16 2^-133 and 255 * 2^120. */
static const tare_number numbers[TARE_FORMATS] = {
  [TARE_FORMAT_FP32] = {"fp32", FLT_MANT_DIG, 1 << FLT_MANT_DIG, FLT_MIN_EXP - FLT_MANT_DIG, FLT_MAX_EXP - FLT_MANT_DIG, 0},
  [TARE_FORMAT_FP16] = {"fp16", 11, 1 << 11, -24, 5, 5},
  [TARE_FORMAT_BF16] = {"bf16", 8, 1 << 8, -133, 120, 8},
  [TARE_FORMAT_INT8] = {"int8", 0, 127, FLT_MIN_EXP - FLT_MANT_DIG, FLT_MAX_EXP - 7, 0},
  [TARE_FORMAT_INT4] = {"int4", 0, 7, FLT_MIN_EXP - FLT_MANT_DIG, FLT_MAX_EXP - 3, 0},
};

const tare_number *tare_number_of(tare_number_format format) { return &numbers[format]; }

const char *tare_number_format_name(tare_number_format format) {
  return (unsigned)format < TARE_FORMATS ? numbers[format].name : NULL;
}

tare_status tare_number_format_find(const char *name, tare_number_format *format, tare_error *error) {
  if (!name || !format) return tare_fail(error, TARE_E_ARGUMENT, "number format: a name and a place for it are needed; one is NULL");
  for (int i = 0; i < TARE_FORMATS; i++)
    if (strcmp(name, numbers[i].name) == 0) {
      *format = (tare_number_format)i;
      return TARE_OK;
    }
  return tare_fail(error, TARE_E_ARGUMENT, "number format: expected fp32, fp16, bf16, int8 or int4, found \"%s\"", name);
}

static int is_half(tare_number_format format) { return format == TARE_FORMAT_FP16 || format == TARE_FORMAT_BF16; }

/* sign, biased exponent, fraction; an exponent field of all ones is infinity or NaN, of 0 a fraction without hidden bit. */
static float unpack(const tare_number *number, unsigned bits) {
  int fraction_bits = number->bits - 1, largest = (1 << number->exponent_bits) - 1;
  int fraction = (int)(bits & ((1U << fraction_bits) - 1)), field = (int)(bits >> fraction_bits) & largest;
  double size;
  if (field == largest) size = fraction ? (double)NAN : HUGE_VAL;
  else if (field == 0) size = ldexp(fraction, number->low);
  else size = ldexp(fraction + (1 << fraction_bits), number->low + field - 1);
  return (float)(bits >> 15 ? -size : size);
}

/* The bits, whose value may differ if the format does not hold `value`. */
static uint16_t pack(const tare_number *number, float value) {
  unsigned sign = signbit(value) ? 1U << 15 : 0;
  int fraction_bits = number->bits - 1, exponent;
  (void)frexpf(value, &exponent);
  int step = exponent - number->bits < number->low ? number->low : exponent - number->bits;
  int64_t whole = (int64_t)ldexp(fabs((double)value), -step); /* < 2^bits */
  unsigned field = whole >> fraction_bits ? (unsigned)(step - number->low + 1) : 0;
  return (uint16_t)(sign | field << fraction_bits | ((unsigned)whole & ((1U << fraction_bits) - 1)));
}

tare_status tare_number_pack16(tare_number_format format, size_t count, const float *values, uint16_t *bits, tare_error *error) {
  if (!is_half(format) || !values || !bits)
    return tare_fail(error, TARE_E_ARGUMENT, "packing: fp16 or bf16, values and a place for their bits are needed");
  const tare_number *number = &numbers[format];
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i]) || unpack(number, pack(number, values[i])) != values[i])
      return tare_fail(error, TARE_E_ARGUMENT, "packing: %s does not hold value %zu, %.9g", number->name, i, (double)values[i]);
  for (size_t i = 0; i < count; i++) bits[i] = pack(number, values[i]);
  return TARE_OK;
}

void tare_number_unpack16(tare_number_format format, size_t count, const uint16_t *bits, float *values) {
  if (!is_half(format) || !bits || !values) return;
  for (size_t i = 0; i < count; i++) values[i] = unpack(&numbers[format], bits[i]);
}
