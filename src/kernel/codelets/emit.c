/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "dag.h"

/* What is computed on its own; what is only a factor of multiply-adds is written inside of each of them. Uses: by sums, by stores with either sign. */
typedef struct plan { char live[NODES], alone[NODES], done[NODES]; short sums[NODES], stores[NODES], negated[NODES]; } plan;

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

/* Only stored, and never as it is. */
static int flipped(const plan *p, int i) { return p->negated[i] && !p->sums[i] && p->negated[i] == p->stores[i]; }

/* A negative sum is free as b - a, or where a product is in it; the sign of what is computed: -1 if its negative. */
static int computed(const codelet *c, const plan *p, int i) {
  const node *n = &c->nodes[i];
  return flipped(p, i) && n->operation != LOAD && (n->operation != SUM || n->sign < 0 || fused(c, n) >= 0) ? -1 : 1;
}

static void term(const codelet *c, int i, int inside, int sign, int first, FILE *to) {
  const node *n = &c->nodes[i];
  fprintf(to, sign < 0 ? first ? "-" : " - " : first ? "" : " + ");
  if (!inside) fprintf(to, "t%d", i);
  else if (n->operation == SCALE) fprintf(to, "%.9ef * t%d", n->factor, n->a);
  else fprintf(to, "t%d * t%d", n->a, n->b);
}

static void emit_sum(const codelet *c, const node *n, int sign, FILE *to) {
  const int inside = fused(c, n), a = sign, b = sign * n->sign;
  if (a < 0 && (b > 0 || inside == n->b)) {
    term(c, n->b, n->b == inside, b, 1, to);
    term(c, n->a, n->a == inside, a, 0, to);
  } else {
    term(c, n->a, n->a == inside, a, 1, to);
    term(c, n->b, n->b == inside, b, 0, to);
  }
}

static void emit_node(const codelet *c, const plan *p, int i, FILE *to) {
  const node *n = &c->nodes[i];
  if (n->operation == LOAD && n->a == TWIDDLE) fprintf(to, "    const float t%d = w[%d];\n", i, n->b);
  else if (n->operation == LOAD) fprintf(to, "    const V t%d = %s(%s + %d * %s);\n", i, p->sums[i] > 1 ? "LOAD_ONCE" : "LOAD", c->from[n->a], n->b, c->is);
  if (n->operation == LOAD) return;
  fprintf(to, "    const V t%d = ", i);
  if (n->operation == SUM) emit_sum(c, n, computed(c, p, i), to);
  else term(c, i, 1, computed(c, p, i), 1, to);
  fprintf(to, ";\n");
}

static int emit_stores(const codelet *c, const plan *p, int i, FILE *to) {
  int negations = 0;
  for (int s = 0; s < c->stores; s++) {
    value v = c->store[s].what;
    if (v.sign == 0 ? i >= 0 : v.node != i) continue;
    const char *text = v.sign == 0 ? "(V){0}" : v.sign * computed(c, p, i) < 0 ? "-t%d" : "t%d";
    fprintf(to, "    STORE(%s + %d * %s, ", c->to[c->store[s].to], c->store[s].at, c->os);
    fprintf(to, text, v.node);
    fprintf(to, ");\n");
    negations += *text == '-';
  }
  return negations;
}

/* A node, and first what it needs of the inputs: those are computed right before their first use, since vector registers are few. Operations. */
static int emit_with_inputs(const codelet *c, plan *p, int i, FILE *to) {
  const node *n = &c->nodes[i];
  if (p->done[i]) return 0;
  int operations = 0;
  if (n->operation != LOAD) operations += emit_with_inputs(c, p, n->a, to);
  if (n->operation == SUM || n->operation == PRODUCT) operations += emit_with_inputs(c, p, n->b, to);
  if (!p->alone[i]) return operations;
  emit_node(c, p, i, to);
  p->done[i] = 1;
  return operations + (n->operation != LOAD) + emit_stores(c, p, i, to);
}

static void count_uses(const codelet *c, plan *p) {
  for (int s = 0; s < c->stores; s++) {
    value v = c->store[s].what;
    if (!v.sign) continue;
    need(c, p, v.node, 1);
    p->stores[v.node]++;
    if (v.sign < 0) p->negated[v.node]++;
  }
  for (int i = 0; i < c->count; i++) {
    const node *n = &c->nodes[i];
    if (!p->live[i] || n->operation == LOAD) continue;
    p->sums[n->a]++;
    if (n->operation != SCALE) p->sums[n->b]++;
  }
}

int emit(const codelet *c, FILE *to) {
  plan *p = calloc(1, sizeof(*p));
  if (!p) abort();
  count_uses(c, p);
  fprintf(to, "CODELET(%s) {\n  for (; count > 0; count--) {\n", c->name);
  int operations = emit_stores(c, p, -1, to);
  for (int i = c->inputs; i < c->count; i++)
    if (p->alone[i]) operations += emit_with_inputs(c, p, i, to);
  for (int i = 0; i < c->inputs; i++)
    if (p->stores[i]) operations += emit_with_inputs(c, p, i, to);
  fprintf(to, "    NEXT;\n  }\n}\n\n");
  free(p);
  return operations;
}
