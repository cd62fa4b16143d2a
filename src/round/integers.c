/* SPDX-License-Identifier: Apache-2.0 */
#include "round/integers.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Beyond this spread of exponents no integers of 24 bits do. */
enum { SPREAD = 30 };

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* Each weight as an integer times 2^*low; 0 if they span too much. */
static int whole(const float *w, size_t count, int64_t *out, int *low) {
  int first = INT32_MAX, last = INT32_MIN;
  for (size_t i = 0; i < count; i++) {
    if (w[i] == 0) continue;
    int e = ilogbf(w[i]);
    if (e < first) first = e;
    if (e > last) last = e;
  }
  if (first > last) return 1;
  if (last - first > SPREAD) return 0;
  *low = first - FLT_MANT_DIG;
  double up = ldexp(1, -*low);
  for (size_t i = 0; i < count; i++) out[i] = (int64_t)(w[i] * up);
  return 1;
}

int tare_integers_find(const float *w, size_t count, int binary, int64_t bound, int32_t *q, float *scale) {
  int64_t *m = tare_alloc(count, sizeof *m), divisor = 0, largest = 0;
  if (!m) return -1;
  int low = 0, found = whole(w, count, m, &low);
  for (size_t i = 0; found && i < count; i++) {
    divisor = gcd(llabs(m[i]), divisor);
    if (llabs(m[i]) > largest) largest = llabs(m[i]);
    found = divisor == 0 || largest / divisor <= bound; /* it only grows */
  }
  if (divisor == 0) divisor = 1;
  if (binary) divisor &= -divisor; /* its power of two */
  found = found && largest / divisor <= bound;
  for (size_t i = 0; found && i < count; i++) q[i] = (int32_t)(m[i] / divisor);
  if (found) *scale = (float)ldexp((double)divisor, low);
  tare_free(m);
  return found;
}
