/* SPDX-License-Identifier: Apache-2.0 */
#include "dag.h"

#include <math.h>
#include <stdlib.h>

static int same(const node *p, const node *q) {
  return p->operation == q->operation && p->a == q->a && p->b == q->b && p->sign == q->sign && fabs(p->factor - q->factor) < 1e-12;
}

/* The node that computes this, made if there is none yet. */
static value number(codelet *c, node wanted, int sign) {
  for (int i = 0; i < c->count; i++)
    if (same(&c->nodes[i], &wanted)) return (value){i, sign};
  if (c->count == NODES) abort();
  c->nodes[c->count] = wanted;
  return (value){c->count++, sign};
}

value load(codelet *c, array from, int at) { return number(c, (node){.operation = LOAD, .a = (int)from, .b = at}, 1); }

value negative(value x) { return (value){x.node, -x.sign}; }

value scale(codelet *c, double factor, value x) {
  const node *of = &c->nodes[x.node];
  if (x.sign == 0 || fabs(factor) < 1e-12) return zero;
  int sign = factor < 0 ? -x.sign : x.sign;
  factor = fabs(factor);
  if (of->operation == SCALE) factor *= of->factor, x.node = of->a;
  if (fabs(factor - 1) < 1e-12) return (value){x.node, sign};
  return number(c, (node){.operation = SCALE, .a = x.node, .factor = factor}, sign);
}

/*
 * p x + q y is computed as p (x + q/p y), p the larger: one multiply-add, and the factor p moves on to the sum
 * that reads it, where it is part of a multiply-add again.
 */
static value add_scaled(codelet *c, value x, value y) {
  const node p = c->nodes[x.node], q = c->nodes[y.node];
  if (p.factor < q.factor - 1e-12) return add_scaled(c, y, x);
  value ratio = scale(c, q.factor / p.factor, (value){q.a, y.sign});
  return scale(c, p.factor, add(c, (value){p.a, x.sign}, ratio));
}

value add(codelet *c, value x, value y) {
  if (x.sign == 0) return y;
  if (y.sign == 0) return x;
  if (x.node == y.node) return x.sign == y.sign ? scale(c, 2, x) : zero;
  if (c->nodes[x.node].operation == SCALE && c->nodes[y.node].operation == SCALE) return add_scaled(c, x, y);
  if (x.node > y.node) {
    value swap = x;
    x = y, y = swap;
  }
  return number(c, (node){.operation = SUM, .a = x.node, .b = y.node, .sign = x.sign * y.sign}, x.sign);
}

value subtract(codelet *c, value x, value y) { return add(c, x, negative(y)); }

value product(codelet *c, value x, value y) {
  if (x.sign == 0 || y.sign == 0) return zero;
  return number(c, (node){.operation = PRODUCT, .a = x.node, .b = y.node}, x.sign * y.sign);
}

void store(codelet *c, array to, int at, value what) {
  c->store[c->stores].to = to;
  c->store[c->stores].at = at;
  c->store[c->stores++].what = what;
}
