/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator of the tile transforms' codelets (doc/engine.md, "Codelets"): straight-line programs as graphs of
 * real operations. A graph is built through constructors that simplify at once: what is known to be zero, one or
 * computed already makes no node, so that pruned inputs prune the program.
 */
#ifndef TARE_CODELETS_DAG_H
#define TARE_CODELETS_DAG_H

#include <stdio.h>

enum { NODES = 20000, POINTS = 32 };

/* A value: sign * node. Sign 0 is the number zero. Signs stand at the edges so that x - y and y - x are one node. */
typedef struct value { int node, sign; } value;
typedef struct complex_value { value re, im; } complex_value;

typedef enum operation { LOAD, SUM, SCALE, PRODUCT } operation;
typedef enum array { RE, IM, TWIDDLE } array;

typedef struct node {
  operation operation;
  int a, b;    /* SUM: a + sign b; SCALE: factor a; PRODUCT: a b; LOAD: element b of array a */
  int sign;
  double factor; /* > 0 */
} node;

/* A codelet while it is made: the nodes in the order in which they were asked for (the first `inputs` are computed when needed), and what it stores. */
typedef struct codelet {
  char name[40];
  const char *from[2], *to[2], *is, *os; /* in C: where real and imaginary parts begin, and how far points are apart */
  node nodes[NODES];
  int count, inputs, stores;
  struct { array to; int at; value what; } store[2 * POINTS];
} codelet;

static const value zero = {0, 0};

value load(codelet *c, array from, int at);
value negative(value x);
value add(codelet *c, value x, value y);
value subtract(codelet *c, value x, value y);
value scale(codelet *c, double factor, value x);
value product(codelet *c, value x, value y);
void store(codelet *c, array to, int at, value what);

/* dft.c: out(k) = sum_n in(n) exp(sign 2 pi i n k / points). */
void dft(codelet *c, int points, int sign, const complex_value *in, complex_value *out);

/* emit.c: the program in C. Its number of arithmetic operations. */
int emit(const codelet *c, FILE *to);

#endif
