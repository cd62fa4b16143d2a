/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codelets FAMILY: the functions of a family, in C. codelets table: a line CODELET_ENTRY(family, points, live, operations) each.
 * This list of lengths is the one that tile.c splits its sizes into.
 */
#include <stdlib.h>
#include <string.h>

#include "dag.h"

static const int odd[] = {3, 5, 7, 9, 15, 0}, even[] = {4, 6, 8, 10, 12, 14, 16, 20, 24, 0};

typedef enum pruned { NOTHING, INPUTS, OUTPUTS } pruned;
typedef enum transform { REAL, COMPLEX, HERMITIAN } transform;
typedef struct family {
  const char *name;
  const int *points;
  pruned pruned;
  transform transform;
  int direction, twiddled;
} family;

#define ODD odd
#define EVEN even
static const family families[] = {
#define FAMILY(name, points, pruned, transform, direction, twiddled) {#name, points, pruned, transform, direction, twiddled},
#include "families.inc"
#undef FAMILY
};

static value part(codelet *c, const family *f, array which, int points, int j) {
  int real = 2 * j % points == 0; /* of a Hermitian spectrum: frequency 0 and the middle one */
  if (which == IM && (f->transform == REAL || (f->transform == HERMITIAN && real))) return zero;
  return load(c, which, j);
}

static complex_value input(codelet *c, const family *f, int points, int j) {
  complex_value x = {part(c, f, RE, points, j), part(c, f, IM, points, j)};
  if (!f->twiddled || j == 0) return x;
  value real = load(c, TWIDDLE, 2 * j - 2), imaginary = load(c, TWIDDLE, 2 * j - 1);
  if (f->direction < 0) imaginary = negative(imaginary);
  return (complex_value){subtract(c, product(c, x.re, real), product(c, x.im, imaginary)),
                         add(c, product(c, x.im, real), product(c, x.re, imaginary))};
}

static void build(codelet *c, const family *f, int points, int live) {
  complex_value in[POINTS] = {{zero, zero}}, out[POINTS];
  int inputs = f->transform == HERMITIAN ? points / 2 + 1 : f->pruned == INPUTS ? live : points;
  int outputs = f->transform == REAL ? points / 2 + 1 : f->pruned == OUTPUTS ? live : points;
  for (int j = 0; j < inputs; j++) {
    in[j] = input(c, f, points, j);
    if (f->transform == HERMITIAN && j > 0) in[points - j] = (complex_value){in[j].re, negative(in[j].im)};
  }
  c->inputs = c->count;
  dft(c, points, f->direction, in, out);
  for (int k = 0; k < outputs; k++) {
    store(c, RE, k, out[k].re);
    /* of real tiles the odd stage goes on with a real one; the even stage's zeros are part of the spectrum */
    if (f->transform == COMPLEX || (f->transform == REAL && (k > 0 || f->points == even))) store(c, IM, k, out[k].im);
  }
}

/* The buffer is what an even stage reads going forward and writes going back, and an odd stage the other way round. */
static void name_arrays(codelet *c, const family *f) {
  const int whole = f->points == even, reads = whole == (f->direction < 0);
  c->from[RE] = "ri", c->from[IM] = reads ? "ri + L" : "ii";
  c->to[RE] = "ro", c->to[IM] = reads ? "io" : "ro + L";
  c->is = reads && whole ? "(2 * L)" : "is";
  c->os = !reads && whole ? "(2 * L)" : "os";
}

static void each(const family *f, int table) {
  FILE *code = table ? fopen("/dev/null", "w") : stdout;
  if (!code) abort();
  if (!table) printf("#include \"kernel/tmpl/tile_codelet.h\"\n\n");
  for (const int *points = f->points; *points; points++)
    for (int live = f->pruned == NOTHING ? *points : f->pruned == OUTPUTS; live <= *points; live++) {
      codelet *c = calloc(1, sizeof(*c));
      if (!c) abort();
      snprintf(c->name, sizeof(c->name), "%s_%d_%d", f->name, *points, live);
      name_arrays(c, f);
      build(c, f, *points, live);
      int operations = emit(c, code);
      if (table) printf("CODELET_ENTRY(%s, %d, %d, %d)\n", f->name, *points, live, operations);
      free(c);
    }
  if (table) fclose(code);
}

int main(int argc, char **argv) {
  int all = argc == 2 && strcmp(argv[1], "table") == 0, found = 0;
  for (size_t i = 0; argc == 2 && i < sizeof(families) / sizeof(*families); i++) {
    if (!all && strcmp(argv[1], families[i].name) != 0) continue;
    each(&families[i], all);
    found = 1;
  }
  if (!found) fprintf(stderr, "usage: codelets FAMILY|table\n");
  return !found;
}
