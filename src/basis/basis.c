/* SPDX-License-Identifier: Apache-2.0 */
#include "basis/basis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

/* To add a basis: a row here, its function (kinds.c, spectral.c or a file of its own), its derivation in doc/maths.md. */
static const tare_basis_kind kinds[] = {
  {.name = "centred", .create = tare_basis_centred},
  {.name = "orthonormal", .create = tare_basis_orthonormal},
  {.name = "pivot", .create = tare_basis_pivot},
  {.name = "spectral", .absorbs = 1, .power = 1, .create = tare_basis_spectral},
  {.name = "dct", .absorbs = 1, .create = tare_basis_spectral},
  {.name = "whitened", .absorbs = 1, .measured = 1, .create = tare_basis_whitened},
  {.name = "whitened-full", .absorbs = 1, .measured = 1, .create = tare_basis_full},
};
enum { KINDS = sizeof kinds / sizeof *kinds, MOST_TAPS = 1 << 16, PIECE = 1 << 11 }; /* weights that are composed at a time, on the stack */

static const char *const names[] = {"centred", "orthonormal", "pivot", "spectral", "dct", "whitened", "whitened-full", NULL};
_Static_assert(sizeof names / sizeof *names == KINDS + 1, "a name for each row of the table");

const char *const *tare_basis_names(void) { return names; }

/* "spectral(0.5)" to its row and exponent; NULL if it is not one. */
static const tare_basis_kind *kind_of(const char *name, double *power) {
  for (int i = 0; i < KINDS; i++) {
    size_t length = strlen(kinds[i].name);
    if (strncmp(name, kinds[i].name, length)) continue;
    *power = strcmp(kinds[i].name, "dct") == 0 ? 0 : 1;
    if (name[length] == 0) return &kinds[i];
    char number[32];
    size_t rest = strlen(name + length);
    if (!kinds[i].power || name[length] != '(' || name[length + rest - 1] != ')' || rest - 2 >= sizeof number) continue;
    memcpy(number, name + length + 1, rest - 2);
    number[rest - 2] = 0;
    if (tare_parse_double(number, -4, 4, power) == 0) return &kinds[i];
  }
  return NULL;
}

static tare_status check(const tare_constraint *c, const char *name, const tare_covariance *m, const tare_basis_kind *kind, tare_error *error) {
  if (!kind)
    return tare_fail(error, TARE_E_ARGUMENT,
                     "unknown basis '%.40s': expected centred, orthonormal, pivot, spectral, spectral(P) with P from -4 to 4, dct, whitened or whitened-full", name);
  if (kind->measured && !m) return tare_fail(error, TARE_E_ARGUMENT, "%s needs a measured covariance, found none", kind->name);
  int taps = tare_constraint_taps(c), slice = tare_constraint_is_filter(c) ? taps / tare_constraint_shape(c)->channels : taps;
  if (taps > MOST_TAPS) return tare_fail(error, TARE_E_UNSUPPORTED, "a basis runs over at most %d taps, found %d", MOST_TAPS, taps);
  if (kind->measured && tare_covariance_taps(m) != slice)
    return tare_fail(error, TARE_E_SHAPE, "the covariance is of %d taps, the rule of %d a slice", tare_covariance_taps(m), slice);
  return TARE_OK;
}

static tare_status fill(tare_basis *b, const tare_constraint *c, const tare_basis_kind *kind, const tare_covariance *m, double power, tare_error *error) {
  int rows = tare_constraint_rows(c), taps = tare_constraint_taps(c);
  double *a = tare_alloc((size_t)(rows ? rows : 1) * (size_t)(taps + 1), sizeof *a);
  if (!a) return tare_fail_memory(error, (size_t)rows * (size_t)taps * sizeof *a, "a rule's rows");
  double *right = a + (size_t)rows * (size_t)taps;
  tare_constraint_matrix(c, a, right);
  b->taps = taps;
  b->absorbs = kind->absorbs;
  b->shape = *tare_constraint_shape(c);
  b->slices = tare_constraint_is_filter(c) ? b->shape.channels : 1;
  tare_status status = tare_rowspace_create(rows, taps, a, right, &b->space, error);
  tare_free(a);
  if (status == TARE_OK) status = kind->create(b, c, m, power, error);
  if (status) return status;
  b->coefficients = b->f64->coefficients;
  b->f32 = tare_operator_copy(b->f64, TARE_F32);
  return b->f32 ? TARE_OK : tare_fail_memory(error, (size_t)taps * sizeof(float), "a basis");
}

tare_status tare_basis_create(const tare_constraint *constraint, const char *name, const tare_covariance *measured, tare_basis **out, tare_error *error) {
  if (!constraint || !name || !out) return tare_fail(error, TARE_E_ARGUMENT, "a basis needs a constraint, a name and a place to go, found NULL");
  double power = 1;
  const tare_basis_kind *kind = kind_of(name, &power);
  tare_status status = check(constraint, name, measured, kind, error);
  if (status) return status;
  tare_basis *b = tare_alloc(1, sizeof *b);
  if (!b) return tare_fail_memory(error, sizeof *b, "a basis");
  char number[32];
  if (kind->power && power != 1) snprintf(b->name, sizeof b->name, "%s(%s)", kind->name, tare_number_text(power, number));
  else snprintf(b->name, sizeof b->name, "%s", kind->name);
  status = fill(b, constraint, kind, measured, power, error);
  if (status) tare_basis_free(b);
  else *out = b;
  return status;
}

void tare_basis_free(tare_basis *b) {
  if (!b) return;
  tare_rowspace_free(b->space);
  tare_operator_free(b->f32);
  tare_operator_free(b->f64);
  tare_operator_free(b->inverse);
  tare_free(b);
}

int tare_basis_taps(const tare_basis *b) { return b ? b->taps : 0; }
int tare_basis_coefficients(const tare_basis *b) { return b ? b->coefficients : 0; }
int tare_basis_ridged(const tare_basis *b) { return b ? b->ridged : 0; }
const char *tare_basis_name(const tare_basis *b) { return b ? b->name : NULL; }
const double *tare_basis_offset(const tare_basis *b) { return b ? b->space->least : NULL; }

void tare_basis_compose_quick(const tare_basis *b, size_t units, const float *t, float *w) {
  if (b && t && w) tare_kernels_get(TARE_F32)->operator_compose(b->f32, units, t, w);
}

/* Some units at a time. */
void tare_basis_compose(const tare_basis *b, size_t units, const float *t, float *w) {
  if (!b || !t || !w) return;
  size_t taps = (size_t)b->taps, columns = (size_t)b->coefficients, most = taps < PIECE / 4 ? PIECE / taps : 4; /* whole vectors of doubles */
  double from[most * columns + 1], to[most * taps];
  for (size_t count; units; units -= count, t += count * columns, w += count * taps) {
    count = units < most ? units : most;
    for (size_t i = 0; i < count * columns; i++) from[i] = (double)t[i];
    tare_kernels_get(TARE_F64)->operator_compose(b->f64, count, from, to);
    for (size_t i = 0; i < count * taps; i++) w[i] = (float)to[i];
  }
}

void tare_basis_compose_f64(const tare_basis *b, size_t units, const double *t, double *w) {
  if (b && t && w) tare_kernels_get(TARE_F64)->operator_compose(b->f64, units, t, w);
}

void tare_basis_transpose(const tare_basis *b, size_t units, const float *dw, float *g) {
  if (b && dw && g) tare_kernels_get(TARE_F32)->operator_transpose(b->f32, units, dw, g);
}

void tare_basis_transpose_f64(const tare_basis *b, size_t units, const double *dw, double *g) {
  if (b && dw && g) tare_kernels_get(TARE_F64)->operator_transpose(b->f64, units, dw, g);
}

void tare_basis_matrix(const tare_basis *b, double *matrix) {
  if (!b || !matrix) return;
  tare_operator op = *b->f64;
  op.offset = NULL;
  double t[b->coefficients], w[b->taps];
  memset(t, 0, sizeof t);
  for (int j = 0; j < b->coefficients; j++) {
    t[j] = 1;
    tare_kernels_get(TARE_F64)->operator_compose(&op, 1, t, w);
    t[j] = 0;
    for (int i = 0; i < b->taps; i++) matrix[(size_t)i * (size_t)b->coefficients + (size_t)j] = w[i];
  }
}

static void multiply(const void *array, size_t count, double factor) {
  for (size_t i = 0; array && i < count; i++) ((double *)(size_t)array)[i] *= factor;
}

static void rescale(tare_operator *op, double factor) {
  multiply(op->scale, (size_t)op->taps, factor);
  for (int d = 0; !op->scale && d < op->denses; d++) multiply(op->dense[d].matrix, (size_t)op->dense[d].size * (size_t)op->dense[d].columns, factor);
}

int tare_basis_rescale(tare_basis *b, double factor) {
  if (!b || !b->absorbs || !(factor > 0) || !isfinite(factor)) return 0;
  rescale(b->f64, factor);
  rescale(b->inverse, 1 / factor);
  tare_operator *f32 = tare_operator_copy(b->f64, TARE_F32);
  if (!f32) { /* out of memory: as it was */
    rescale(b->f64, 1 / factor);
    rescale(b->inverse, factor);
    return 0;
  }
  tare_operator_free(b->f32);
  b->f32 = f32;
  return 1;
}

/* w = w0 + (I - Z Z')(w - w0) = w0 + (I - Z Z') w, as w0 lies in the row space. */
static void project_unit(const tare_rowspace *s, double *w) {
  for (int i = 0; i < s->count; i++) {
    const tare_component *c = &s->component[i];
    double amount[c->rank];
    for (int q = 0; q < c->rank; q++) {
      amount[q] = 0;
      for (int k = 0; k < c->size; k++) amount[q] += c->space[(size_t)q * (size_t)c->size + (size_t)k] * w[c->index[k]];
    }
    for (int q = 0; q < c->rank; q++)
      for (int k = 0; k < c->size; k++) w[c->index[k]] -= amount[q] * c->space[(size_t)q * (size_t)c->size + (size_t)k];
  }
}

void tare_basis_project_f64(const tare_basis *b, size_t units, double *w) {
  if (!b || !w) return;
  for (size_t u = 0; u < units; u++, w += b->taps) {
    project_unit(b->space, w);
    for (int i = 0; i < b->taps; i++) w[i] += b->space->least[i];
  }
}

void tare_basis_project(const tare_basis *b, size_t units, float *w) {
  if (!b || !w) return;
  double wide[b->taps];
  for (size_t u = 0; u < units; u++, w += b->taps) {
    for (int i = 0; i < b->taps; i++) wide[i] = (double)w[i];
    tare_basis_project_f64(b, 1, wide);
    for (int i = 0; i < b->taps; i++) w[i] = (float)wide[i];
  }
}

tare_status tare_basis_solve(const tare_basis *b, size_t units, const double *w, double *t, tare_error *error) {
  if (!b || !w || !t) return tare_fail(error, TARE_E_ARGUMENT, "solve needs a basis, weights and coefficients, found NULL");
  double nearest[b->taps];
  for (size_t u = 0; u < units; u++, w += b->taps, t += b->coefficients) {
    memcpy(nearest, w, sizeof nearest);
    project_unit(b->space, nearest);
    tare_kernels_get(TARE_F64)->operator_transpose(b->inverse, 1, nearest, t);
  }
  return TARE_OK;
}
