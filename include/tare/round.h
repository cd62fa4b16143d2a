/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounding weights so that their rule A w = b holds exactly, as rationals.
 *
 * Every weight becomes an integer times a scale: one power of two for each unit (fp32, fp16, bf16; for each
 * filter in grade grid), one scale for each filter (int8, int4; zero-point 0). Rules of one row get
 * the closest such weights (largest remainders); rules of several rows go through a lattice (doc/rounding.md).
 * Weights that do not obey are taken to the nearest that do first; weights that obey and that the format holds
 * come back unchanged, so rounding twice is rounding once.
 */
#ifndef TARE_ROUND_H
#define TARE_ROUND_H

#include <stdint.h>

#include <tare/constraint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the weights are rounded to: integers up to a bound times a scale. */
typedef enum tare_number_format {
  TARE_FORMAT_FP32, /* integers up to 2^24 */
  TARE_FORMAT_FP16, /* up to 2^11, steps of 2^-24 or more, weights up to 65504 */
  TARE_FORMAT_BF16, /* up to 2^8 */
  TARE_FORMAT_INT8, /* up to 127 */
  TARE_FORMAT_INT4, /* up to 7 */
  TARE_FORMATS
} tare_number_format;

/* "fp32", "fp16", "bf16", "int8", "int4"; NULL out of range. */
TARE_API const char *tare_number_format_name(tare_number_format format);
TARE_API tare_status tare_number_format_find(const char *name, tare_number_format *format, tare_error *error);

/*
 * Floats that fp16 or bf16 hold exactly (all that tare_round gives) to the bits of that format, and back.
 * TARE_E_ARGUMENT if one is not held.
 */
TARE_API tare_status tare_number_pack16(tare_number_format format, size_t count, const float *values, uint16_t *bits, tare_error *error);
TARE_API void tare_number_unpack16(tare_number_format format, size_t count, const uint16_t *bits, float *values);

/* What is promised beside the rule. */
typedef enum tare_grade {
  TARE_GRADE_EXACT, /* A w = b */
  TARE_GRADE_GRID   /* and: one power of two for a whole filter, sum |integers| * largest pixel < 2^24, so that an fp32
                       sum of weights times integer pixels is exact in any order */
} tare_grade;

/* How to round; all zero: fp32, exact. */
typedef struct tare_round_options {
  tare_number_format format; /* of the weights */
  tare_grade grade;       /* what is promised */
  int pixel_bits;     /* grid: 8 (0 is 8) or 16: pixels are integers of at most 2^bits - 1 */
  int allow_divisor;  /* 1: a b that no binary number holds (1/10) is met by the weights divided by result->divisor (5) */
} tare_round_options;

/* The weights of a bank. Owned by the caller: tare_rounding_free. */
typedef struct tare_rounding {
  tare_number_format format; /* as asked */
  tare_grade grade;      /* as asked */
  int pixel_bits;        /* grid: 8 or 16; exact: 0 */
  size_t filters, taps;  /* taps of one filter: all its channels */
  size_t scales;         /* scales a filter: 1 (int8, int4, grid, rules of scope filter), else 1 for each channel */
  int32_t *integers;     /* filters x taps */
  float *scale;          /* filters x scales: weight = integer * scale without error in fp32 */
  float *weights;        /* filters x taps; fp16 and bf16 hold them exactly */
  int divisor;           /* A w = divisor * b holds exactly; 1 unless allow_divisor made it more: then divide the response */
  double *cost;          /* filters: distance of `weights` from the weights given (times divisor) over that of plain rounding with
                            the same scale; 1 where both are 0, infinite where only plain rounding changes nothing */
  double cost_mean, cost_max;  /* over all filters sqrt(sum of squared distances / sum of plain ones); the largest finite `cost` */
  int64_t sum_max;       /* the largest sum |integers| of a filter */
  int32_t peak_min;      /* the smallest over filters that are not 0 of max |integer|; 127: another symmetric per-channel quantiser finds
                            the same integers */
} tare_rounding;

/*
 * Rounds `filters` filters (each channels x slice taps, as the constraint's shape says). TARE_E_ARGUMENT: weights that are not finite, or
 * too large for the format; a right-hand side that no binary number holds (the message offers the nearest that one does) or
 * whose steps are too fine for weights of that size. TARE_E_UNSUPPORTED: the format or the grid holds no such filter but 0
 * (the message names the smallest format that does, or the bound); coefficients of more than 40 bits. Messages begin with
 * "filter I" where they speak of one. A constraint without rows is rounded plainly. Thread-safe.
 */
TARE_API tare_status tare_round(const tare_constraint *constraint, const tare_round_options *options, size_t filters, const float *w,
                                tare_rounding **out, tare_error *error);
TARE_API void tare_rounding_free(tare_rounding *rounding); /* NULL is fine */

/*
 * The exact residual of integers times scales, as of a quantised file: `filters` x taps integers, `scales` scales a filter
 * (1, or one for each unit); `divisor` as above. Units of *residual as in tare_constraint_residual.
 */
TARE_API tare_status tare_round_residual(const tare_constraint *constraint, size_t filters, const int32_t *integers, size_t scales,
                                         const float *scale, int divisor, tare_residual *residual, tare_error *error);

/*
 * The certificate: JSON text that says what was proved of one tensor (rule, shape, format, grade, residual, bounds, cost, a hash of
 * the weights). Computed from the rounding anew: it fails (TARE_E_LIBRARY) rather than state what is not so. *json is the
 * caller's, to be freed with tare_certificate_free.
 */
TARE_API tare_status tare_certificate_write(const tare_constraint *constraint, const tare_rounding *rounding, char **json,
                                            tare_error *error);
TARE_API void tare_certificate_free(char *json);
/*
 * Whether `count` weights (float; of quantised files integer * scale) are those of the certificate and what it states of
 * them is so (but the costs, which need the weights before rounding). TARE_OK: yes. TARE_E_DATA: no, or not a certificate;
 * the message says what differs.
 */
TARE_API tare_status tare_certificate_verify(const char *json, size_t count, const float *weights, tare_error *error);

/*
 * Batch norm may be folded into filters (each multiplied by its own gain) before rounding only where b = 0: it multiplies both sides
 * of A w = b. 1 if so (or `constraint` is NULL or has no rows), else 0 and `why` says why not and what to do.
 */
TARE_API int tare_round_may_fold(const tare_constraint *constraint, tare_error *why);

/* 1 if tare_round_fp32 can make `constraint` hold exactly, else 0 and `why` gets the reason. */
TARE_API int tare_round_supported(const tare_constraint *constraint, tare_error *why);

/*
 * tare_round to fp32, grade exact, of `units` units (units x tare_constraint_taps), into out (may be the same array; untouched on failure).
 * Without rows the weights are copied.
 */
TARE_API tare_status tare_round_fp32(const tare_constraint *constraint, size_t units, const float *w, float *out, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
