/* SPDX-License-Identifier: Apache-2.0 */
/* Problems with data, guarded arrays of either precision, and the comparison with the formula. cmocka.h comes first. */
#ifndef CONV_EXAMPLE_H
#define CONV_EXAMPLE_H

#include <stdio.h>

#include "conv_helpers.h"

enum { GUARD = 64 }; /* bytes behind each array that nobody may touch */

/* A problem with its data in double and what the formula makes of it. */
struct example {
  tare_conv_problem p;
  double *x, *w, *dy, *bias;
  naive want;
};

static inline struct example example_of(tare_rng *rng, tare_conv_problem p) {
  size_t nx = count_x(&p), ny = count_y(&p), nw = tare_conv_weights_size(&p);
  struct example e = {.p = p, .x = random_doubles(rng, nx), .w = random_doubles(rng, nw), .dy = random_doubles(rng, ny),
                      .bias = random_doubles(rng, (size_t)p.outputs)};
  e.want = (naive){tare_alloc(ny, 8), tare_alloc(nx, 8), tare_alloc(nw, 8), tare_alloc(ny, 8), tare_alloc(nx, 8), tare_alloc(nw, 8)};
  naive_passes(&p, e.x, e.w, e.dy, &e.want);
  return e;
}

static inline void example_free(struct example *e) {
  void *all[] = {e->x, e->w, e->dy, e->bias, e->want.y, e->want.dx, e->want.dw, e->want.y_size, e->want.dx_size, e->want.dw_size};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) tare_free(all[i]);
}

/* An array of the precision, from doubles or (NULL) full of NaNs or other rubbish, with its guard. */
static inline void *array_of(const tare_kernels *k, size_t n, const double *values, int rubbish) {
  unsigned char *array = tare_alloc(n * k->real + GUARD, 1);
  memset(array, rubbish, n * k->real + GUARD);
  if (values) k->narrow(n, values, array);
  memset(array + n * k->real, 0x5C, GUARD);
  return array;
}

static inline void free_guarded(const tare_kernels *k, void *array, size_t n) {
  for (size_t i = 0; i < GUARD; i++) assert_int_equal(((unsigned char *)array)[n * k->real + i], 0x5C);
  tare_free(array);
}

enum { NANS = 0xFF, JUNK = 0xA5 };

/* Elements of what a pass writes, in the plain form. */
static inline size_t count_of(const tare_conv_problem *p, tare_pass pass) {
  return pass == TARE_FORWARD ? count_y(p) : pass == TARE_BACKWARD_DATA ? count_x(p) : tare_conv_weights_size(p);
}

static inline double tolerance_of(tare_precision precision, const char *candidate) {
  return precision == TARE_F64 ? 1e-13 : strcmp(candidate, "reference") == 0 ? 1.2e-7 : 2e-6;
}

/*
 * |got - want| <= tolerance * sum of magnitudes, for each element; the errors of Fourier transforms are spread over a tile: there it is
 * the largest sum of all.
 */
static inline void compare(const struct example *e, const tare_kernels *k, const char *who, tare_pass pass, const void *got, int with_bias,
                           double tolerance) {
  size_t n = count_of(&e->p, pass);
  const double *want = pass == TARE_FORWARD ? e->want.y : pass == TARE_BACKWARD_DATA ? e->want.dx : e->want.dw;
  const double *size = pass == TARE_FORWARD ? e->want.y_size : pass == TARE_BACKWARD_DATA ? e->want.dx_size : e->want.dw_size;
  double *values = tare_alloc(n, sizeof *values);
  k->widen(n, got, values);
  double largest = 0;
  for (size_t i = 0; i < n && strcmp(who, "fft") == 0; i++) largest = fmax(largest, size[i]);
  for (size_t i = 0; i < n; i++) {
    double bias = with_bias && pass == TARE_FORWARD ? e->bias[i % (size_t)e->p.outputs] : 0, error = fabs(values[i] - want[i] - bias);
    if (error <= tolerance * (fmax(size[i], largest) + fabs(bias))) continue;
    char text[128];
    tare_conv_problem_text(&e->p, text, sizeof text);
    fail_msg("%s, %s, pass %d, element %zu: %.9g, expected %.9g", text, who, (int)pass, i, values[i], want[i] + bias);
  }
  tare_free(values);
}

#endif
