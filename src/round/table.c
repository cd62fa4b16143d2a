/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last part of a correction by dynamic programming.
 *
 * Entries with the same |a| form a group; k moves of a group change the sum
 * by k |a| and cost the k cheapest of its moves, which is convex in k. The
 * table holds, group after group, the least cost of every change of the sum
 * that up to `moves` moves a group can make.
 */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "round/part.h"

/* For each group the cheapest moves up (raising the sum by |a|) and down, in order. */
typedef struct table {
  const tare_part *s;
  int moves;
  int64_t reach;        /* sums from -reach to reach */
  tare_choice *choice;  /* groups x {down, up} x moves */
  double *total;        /* groups x (2 moves + 1): the cost of -moves .. moves moves */
  double *cost, *next;  /* 2 reach + 1 */
  int16_t *taken;       /* groups x (2 reach + 1) */
} table;

/* Few groups need long walks (7 and 11: -3 and 2 moves make 1); with many, sums near what is wanted are enough. */
static double sums(const tare_part *s, int moves) {
  return (double)s->largest * (s->groups > 5 ? fmin(moves, 2) : moves);
}

double tare_table_work(const tare_part *s, int moves) {
  return (double)s->groups * (2 * sums(s, moves) + 1) * (2 * moves + 1);
}

/* Inserts into a sorted list of fixed length, from which the dearest falls out; 0 if it is too dear itself. */
static int insert(tare_choice *list, int length, tare_choice choice) {
  if (!(choice.cost < list[length - 1].cost)) return 0;
  int at = length - 1;
  for (; at > 0 && choice.cost < list[at - 1].cost; at--) list[at] = list[at - 1];
  list[at] = choice;
  return 1;
}

static void list_moves(table *t, const double *x, const int64_t *entry, int64_t bound) {
  const tare_part *s = t->s;
  for (int i = 0; i < s->groups * 2 * t->moves; i++) t->choice[i] = (tare_choice){HUGE_VAL, -1};
  for (int i = 0; i < s->count; i++)
    for (int up = 0; up < 2; up++) {
      int step = (s->a[i] > 0) == up ? 1 : -1;
      double distance = step * ((double)entry[i] - x[i]);
      tare_choice *list = t->choice + (s->group[i] * 2 + up) * t->moves;
      for (int k = 1; k <= t->moves && step * entry[i] + k <= bound; k++)
        if (!insert(list, t->moves, (tare_choice){s->metric[i] * (2 * k - 1 + 2 * distance), i})) break;
    }
}

static void add_costs(table *t) {
  for (int group = 0; group < t->s->groups; group++) {
    double *total = t->total + group * (2 * t->moves + 1) + t->moves;
    const tare_choice *list = t->choice + group * 2 * t->moves;
    total[0] = 0;
    for (int k = 0; k < t->moves; k++) {
      total[-k - 1] = total[-k] + list[k].cost;
      total[k + 1] = total[k] + list[t->moves + k].cost;
    }
  }
}

static void add_group(table *t, int group) {
  int64_t reach = t->reach, size = t->s->size[group];
  int16_t *taken = t->taken + group * (2 * reach + 1) + reach;
  const double *total = t->total + group * (2 * t->moves + 1) + t->moves;
  double *from = t->cost + reach, *to = t->next + reach;
  for (int64_t sum = -reach; sum <= reach; sum++) to[sum] = HUGE_VAL;
  for (int64_t sum = -reach; sum <= reach; sum++) {
    if (from[sum] == HUGE_VAL) continue;
    for (int k = -t->moves; k <= t->moves; k++) {
      int64_t there = sum + k * size;
      double cost = from[sum] + total[k];
      if (there < -reach || there > reach || !(cost < to[there])) continue;
      to[there] = cost;
      taken[there] = (int16_t)k;
    }
  }
  double *swap = t->cost;
  t->cost = t->next;
  t->next = swap;
}

/* Walks back from the sum wanted and makes the moves. */
static void make_moves(const table *t, int64_t *entry, int64_t sum) {
  const tare_part *s = t->s;
  for (int group = s->groups - 1; group >= 0; group--) {
    int k = t->taken[group * (2 * t->reach + 1) + t->reach + sum], up = k > 0;
    const tare_choice *list = t->choice + (group * 2 + up) * t->moves;
    for (int i = 0; i < abs(k); i++) entry[list[i].entry] += (s->a[list[i].entry] > 0) == up ? 1 : -1;
    sum -= k * s->size[group];
  }
}

int tare_correct_table(const tare_part *s, int moves, const double *x, int64_t *entry, int64_t bound, int64_t excess) {
  table t = {.s = s, .moves = moves, .reach = (int64_t)sums(s, moves)};
  size_t groups = (size_t)s->groups, width = 2 * (size_t)t.reach + 1;
  t.choice = tare_alloc(groups * 2 * (size_t)moves, sizeof *t.choice);
  t.total = tare_alloc(groups * (2 * (size_t)moves + 1), sizeof *t.total);
  t.cost = tare_alloc(width, sizeof *t.cost);
  t.next = tare_alloc(width, sizeof *t.next);
  t.taken = tare_alloc(groups * width, sizeof *t.taken);
  int result = t.choice && t.total && t.cost && t.next && t.taken ? 0 : -1;
  if (!result) {
    list_moves(&t, x, entry, bound);
    add_costs(&t);
    for (size_t i = 0; i < width; i++) t.cost[i] = i == (size_t)t.reach ? 0 : HUGE_VAL;
    for (int group = 0; group < s->groups; group++) add_group(&t, group);
    result = t.cost[t.reach - excess] < HUGE_VAL;
    if (result) make_moves(&t, entry, -excess);
  }
  tare_free(t.choice);
  tare_free(t.total);
  tare_free(t.cost);
  tare_free(t.next);
  tare_free(t.taken);
  return result;
}
