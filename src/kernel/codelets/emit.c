/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "dag.h"

/* What is computed on its own; what is only a factor of multiply-adds is written inside of each of them. */
typedef struct plan { char live[NODES], alone[NODES]; } plan;

static int fusible(const codelet *c, int i) { return c->nodes[i].operation == SCALE || c->nodes[i].operation == PRODUCT; }

/* The operand of a sum that is multiplied inside of it; -1 if none. */
static int fused(const codelet *c, const node *sum) {
  return fusible(c, sum->b) ? sum->b : fusible(c, sum->a) ? sum->a : -1;
}

static void need(const codelet *c, plan *p, int i, int alone) {
  const node *n = &c->nodes[i];
  if (p->alone[i] || (p->live[i] && !alone)) return;
  p->live[i] = 1;
  p->alone[i] = (char)alone;
  if (n->operation == LOAD) return;
  int inside = n->operation == SUM ? fused(c, n) : -1;
  need(c, p, n->a, n->a != inside);
  if (n->operation != SCALE) need(c, p, n->b, n->b != inside);
}

static void expression(const node *n, FILE *to) {
  if (n->operation == SCALE) fprintf(to, "%.9ef * t%d", n->factor, n->a);
  else fprintf(to, "t%d * t%d", n->a, n->b);
}

static void operand(const codelet *c, int i, int inside, FILE *to) {
  if (i == inside) expression(&c->nodes[i], to);
  else fprintf(to, "t%d", i);
}

static void emit_node(const codelet *c, int i, FILE *to) {
  static const char *const arrays[] = {"ri", "ii"};
  const node *n = &c->nodes[i];
  if (n->operation == LOAD && n->a == TWIDDLE) fprintf(to, "    const float t%d = w[%d];\n", i, n->b);
  else if (n->operation == LOAD) fprintf(to, "    const V t%d = LOAD(%s + %d * is);\n", i, arrays[n->a], n->b);
  if (n->operation == LOAD) return;
  fprintf(to, "    const V t%d = ", i);
  if (n->operation == SUM) {
    int inside = fused(c, n);
    operand(c, n->a, inside, to);
    fprintf(to, " %c ", n->sign < 0 ? '-' : '+');
    operand(c, n->b, inside, to);
  } else {
    expression(n, to);
  }
  fprintf(to, ";\n");
}

/* Loads are written right before their first use, since vector registers are few. */
static void emit_loads(const codelet *c, char *done, int i, FILE *to) {
  const node *n = &c->nodes[i];
  if (n->operation == LOAD) {
    if (!done[i]) emit_node(c, i, to);
    done[i] = 1;
  } else if (!done[i]) {
    emit_loads(c, done, n->a, to);
    if (n->operation != SCALE) emit_loads(c, done, n->b, to);
  }
}

static int stored(const codelet *c, int i) {
  for (int s = 0; s < c->stores; s++)
    if (c->store[s].what.sign && c->store[s].what.node == i) return 1;
  return 0;
}

static int emit_stores(const codelet *c, int i, FILE *to) {
  int negations = 0;
  for (int s = 0; s < c->stores; s++) {
    value v = c->store[s].what;
    if (v.sign == 0 ? i >= 0 : v.node != i) continue;
    fprintf(to, "    STORE(%s + %d * os, ", c->store[s].to == RE ? "ro" : "io", c->store[s].at);
    fprintf(to, v.sign == 0 ? "(V){0}" : v.sign < 0 ? "-t%d" : "t%d", v.node);
    fprintf(to, ");\n");
    negations += v.sign < 0;
  }
  return negations;
}

int emit(const codelet *c, FILE *to) {
  plan *p = calloc(1, sizeof(*p));
  char *done = calloc(NODES, 1);
  if (!p || !done) abort();
  for (int s = 0; s < c->stores; s++)
    if (c->store[s].what.sign) need(c, p, c->store[s].what.node, 1);
  fprintf(to, "CODELET(%s) {\n  for (; count > 0; count--) {\n", c->name);
  int operations = emit_stores(c, -1, to);
  for (int i = 0; i < c->count; i++) {
    int loaded = c->nodes[i].operation == LOAD;
    if (!p->alone[i] || (loaded && !stored(c, i))) continue;
    emit_loads(c, done, i, to);
    if (!loaded) {
      emit_node(c, i, to);
      done[i] = 1;
      operations++;
    }
    operations += emit_stores(c, i, to);
  }
  fprintf(to, "    NEXT;\n  }\n}\n\n");
  free(p);
  free(done);
  return operations;
}
