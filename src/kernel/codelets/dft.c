/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "dag.h"

static const double two_pi = 6.283185307179586476925286766559;

static complex_value plus(codelet *c, complex_value x, complex_value y) {
  return (complex_value){add(c, x.re, y.re), add(c, x.im, y.im)};
}

static complex_value minus(codelet *c, complex_value x, complex_value y) {
  return (complex_value){subtract(c, x.re, y.re), subtract(c, x.im, y.im)};
}

static complex_value times(codelet *c, double factor, complex_value x) {
  return (complex_value){scale(c, factor, x.re), scale(c, factor, x.im)};
}

/* x exp(sign 2 pi i part / whole) */
static complex_value rotate(codelet *c, int sign, int part, int whole, complex_value x) {
  double real = cos(two_pi * part / whole), imaginary = sign * sin(two_pi * part / whole);
  return (complex_value){subtract(c, scale(c, real, x.re), scale(c, imaginary, x.im)),
                         add(c, scale(c, real, x.im), scale(c, imaginary, x.re))};
}

/* Odd lengths: the sums and the differences of the points j and -j, once for the cosines and once for the sines. */
static void symmetric(codelet *c, int points, int sign, const complex_value *in, complex_value *out) {
  complex_value sums[POINTS], differences[POINTS];
  out[0] = in[0];
  for (int j = 1; j <= points / 2; j++) {
    sums[j] = plus(c, in[j], in[points - j]);
    differences[j] = minus(c, in[j], in[points - j]);
    out[0] = plus(c, out[0], sums[j]);
  }
  for (int k = 1; k <= points / 2; k++) {
    complex_value even = in[0], odd = {zero, zero};
    for (int j = 1; j <= points / 2; j++) {
      double angle = two_pi * (j * k % points) / points;
      even = plus(c, even, times(c, cos(angle), sums[j]));
      odd = plus(c, odd, times(c, sign * sin(angle), differences[j]));
    }
    complex_value turned = {negative(odd.im), odd.re};
    out[k] = plus(c, even, turned);
    out[points - k] = minus(c, even, turned);
  }
}

/* Lengths without a common factor: n = b n1 + a n2 and k = (k mod a, k mod b) need no twiddles (Good 1958). */
static void prime_factor(codelet *c, int a, int b, int sign, const complex_value *in, complex_value *out) {
  complex_value row[POINTS], column[POINTS], middle[POINTS][POINTS];
  for (int n2 = 0; n2 < b; n2++) {
    for (int n1 = 0; n1 < a; n1++) row[n1] = in[(b * n1 + a * n2) % (a * b)];
    dft(c, a, sign, row, middle[n2]);
  }
  for (int k1 = 0; k1 < a; k1++) {
    for (int n2 = 0; n2 < b; n2++) row[n2] = middle[n2][k1];
    dft(c, b, sign, row, column);
    for (int k = k1; k < a * b; k += a) out[k] = column[k % b];
  }
}

/* Of the numbers modulo `count`, those around 0. */
static int centred(int n, int count) { return n > count / 2 ? n - count : n; }

/*
 * n = b n1 + n2, k = k1 + a k2 (Cooley and Tukey 1965). Forward k1, backward n2 is taken around 0: then the transforms for k1 and -k1 of a real line,
 * or n2 and -n2 of a Hermitian one, are conjugates and found to be so (as in the conjugate pairs of Kamar and Elcherif 1989).
 */
static void common_factor(codelet *c, int a, int b, int sign, const complex_value *in, complex_value *out) {
  complex_value row[POINTS], column[POINTS], middle[POINTS][POINTS];
  for (int i = 0; i < b; i++) {
    const int n2 = sign > 0 ? centred(i, b) : i;
    for (int n1 = 0; n1 < a; n1++) row[n1] = in[(b * n1 + n2 + a * b) % (a * b)];
    dft(c, a, sign, row, middle[i]);
  }
  for (int j = 0; j < a; j++) {
    const int k1 = sign < 0 ? centred(j, a) : j;
    for (int i = 0; i < b; i++) row[i] = rotate(c, sign, (sign > 0 ? centred(i, b) : i) * k1, a * b, middle[i][j]);
    dft(c, b, sign, row, column);
    for (int k2 = 0; k2 < b; k2++) out[(k1 + a * k2 + a * b) % (a * b)] = column[k2];
  }
}

/* How a length is split; 8 forward as 4 * 2, backward as 2 * 4: real inputs stay real, Hermitian ones Hermitian, as long as can be. */
static const struct { int points, a, b; } splits[] = {{4, 2, 2}, {6, 2, 3}, {8, 4, 2}, {9, 3, 3}, {10, 2, 5}, {12, 4, 3},
                                                       {14, 2, 7}, {15, 3, 5}, {16, 4, 4}, {20, 4, 5}, {24, 8, 3}};

static int common(int a, int b) { return b == 0 ? a > 1 : common(b, a % b); }

void dft(codelet *c, int points, int sign, const complex_value *in, complex_value *out) {
  for (size_t i = 0; i < sizeof(splits) / sizeof(*splits); i++) {
    if (splits[i].points != points) continue;
    int a = sign < 0 ? splits[i].a : splits[i].b, b = points / a;
    (common(a, b) ? common_factor : prime_factor)(c, a, b, sign, in, out);
    return;
  }
  if (points == 2) {
    out[0] = plus(c, in[0], in[1]);
    out[1] = minus(c, in[0], in[1]);
  } else if (points % 2 == 1 && points < POINTS) {
    symmetric(c, points, sign, in, out);
  } else {
    abort();
  }
}
