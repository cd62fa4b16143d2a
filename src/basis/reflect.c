/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H: for each piece of the row space, `rank` Householder reflections that send the
 * row space onto `rank` pivot coordinates. Applied to coefficients that are 0 at the pivots
 * they give every vector the rule allows, with orthonormal columns. The pivot
 * is the coordinate with the largest share each time, so that the reflections
 * disturb the other coordinates least (doc/maths.md). They are kept as I - V T V'.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "basis/basis.h"

/* Largest entry of the rows q.. over coordinates that are not pivots yet. */
static void choose(const double *m, int size, int rank, int q, const char *used, int *row, int *pivot) {
  double most = -1;
  for (int k = q; k < rank; k++)
    for (int i = 0; i < size; i++)
      if (!used[i] && fabs(m[k * size + i]) > most) {
        most = fabs(m[k * size + i]);
        *row = k;
        *pivot = i;
      }
}

static void swap_rows(double *a, double *b, int n) {
  for (int i = 0; i < n; i++) {
    double t = a[i];
    a[i] = b[i];
    b[i] = t;
  }
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Reflection q of the rows m: fills v (row q) and tau, and applies it to the rows after. */
static double reflection(double *m, int size, int rank, int q, const char *used, int pivot, double *v) {
  for (int i = 0; i < size; i++) v[i] = used[i] ? 0 : m[q * size + i];
  double length = sqrt(dot(v, v, size));
  v[pivot] += v[pivot] < 0 ? -length : length;
  double tau = 2 / dot(v, v, size);
  for (int k = q + 1; k < rank; k++) {
    double amount = tau * dot(v, m + k * size, size);
    for (int i = 0; i < size; i++) m[k * size + i] -= amount * v[i];
  }
  return tau;
}

/* H_1 ... H_r = I - V T V' (Schreiber & Van Loan 1989): left = rows of (V T)', right = rows of V'. t: rank x rank of scratch. */
static void accumulate(int size, int rank, const double *v, const double *tau, double *t, double *left) {
  for (int q = 0; q < rank; q++) {
    t[q * rank + q] = tau[q];
    for (int i = 0; i < q; i++) {
      double sum = 0;
      for (int k = i; k < q; k++) sum += t[i * rank + k] * dot(v + k * size, v + q * size, size);
      t[i * rank + q] = -tau[q] * sum;
    }
  }
  for (int q = 0; q < rank; q++)
    for (int i = 0; i < size; i++) {
      double sum = 0;
      for (int k = 0; k <= q; k++) sum += v[k * size + i] * t[k * rank + q];
      left[q * size + i] = sum;
    }
}

/* More reflections than free directions: the columns themselves, as a matrix. */
static int add_dense(tare_builder *b, const tare_component *c, const char *used, const double *left, const double *right) {
  int free_directions = c->size - c->rank, column = 0;
  double *g = tare_alloc((size_t)c->size * (size_t)free_directions, sizeof *g);
  if (!g) return -1;
  for (int j = 0; j < c->size; j++) {
    if (used[j]) continue;
    for (int i = 0; i < c->size; i++) {
      double value = i == j;
      for (int q = 0; q < c->rank; q++) value -= left[q * c->size + i] * right[q * c->size + j];
      g[i * free_directions + column] = value;
    }
    column++;
  }
  for (int i = 0; i < c->size; i++) b->dropped[c->index[i]] = 1;
  tare_builder_dense(b, c->size, free_directions, c->index, g);
  tare_free(g);
  return 0;
}

static int reflect_component(tare_builder *b, const tare_component *c) {
  int size = c->size, rank = c->rank, failed = 0;
  if (rank == size) {
    for (int i = 0; i < size; i++) b->dropped[c->index[i]] = 1;
    return 0;
  }
  size_t n = (size_t)size * (size_t)rank;
  double *m = tare_alloc(3 * n + (size_t)rank * (size_t)(rank + 1), sizeof *m);
  char *used = tare_alloc((size_t)size, 1);
  if (!m || !used) failed = -1;
  else {
    double *v = m + n, *left = v + n, *tau = left + n, *t = tau + rank;
    memcpy(m, c->space, n * sizeof *m);
    for (int q = 0; q < rank; q++) {
      int row = q, pivot = 0;
      choose(m, size, rank, q, used, &row, &pivot);
      if (row != q) swap_rows(m + row * size, m + q * size, size);
      tau[q] = reflection(m, size, rank, q, used, pivot, v + q * size);
      used[pivot] = 1;
    }
    accumulate(size, rank, v, tau, t, left);
    if (rank > size / 2) failed = add_dense(b, c, used, left, v);
    else {
      for (int i = 0; i < size; i++)
        if (used[i]) b->dropped[c->index[i]] = 1;
      tare_builder_block(b, size, rank, c->index, left, v);
    }
  }
  tare_free(m);
  tare_free(used);
  return failed;
}

tare_status tare_reflect(tare_builder *b, const tare_rowspace *space, tare_error *error) {
  for (int i = 0; i < space->count; i++)
    if (reflect_component(b, &space->component[i]) || b->failed) return tare_fail_memory(error, (size_t)space->taps * sizeof(double), "a basis");
  return TARE_OK;
}
