/* SPDX-License-Identifier: Apache-2.0 */
/* Floats as integers times one scale. */
#ifndef TARE_ROUND_INTEGERS_H
#define TARE_ROUND_INTEGERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The smallest integers q with w = q * scale, exactly; scale is a power of two if `binary`, else any float. 1 if there are such of at
 * most `bound` in size; 0 if not, -1 when out of memory. All zeros have scale 1.
 */
int tare_integers_find(const float *w, size_t count, int binary, int64_t bound, int32_t *q, float *scale);

#endif
