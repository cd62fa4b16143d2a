/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rounded integers to integers that obey sum a_i q_i = b.
 *
 * Moving q_i by one away from x_i costs 1 + 2 |d| or 1 - 2 |d| more (squared
 * distance, d = q_i - x_i), times the taps that i stands for. First the moves that are cheapest for what they
 * mend, cost / |a_i|, as long as they do not overshoot: for a sum (every
 * a_i = 1 or -1) that ends with nothing left, and is the method of largest
 * remainders (Hamilton), which is optimal. What is left of a general row is
 * less than its largest coefficient, and goes to table.c or lattice.c.
 */
#include <math.h>

#include "round/part.h"

static int before(const tare_choice *a, const tare_choice *b) {
  return a->cost != b->cost ? a->cost < b->cost : a->entry < b->entry;
}

static void swap(tare_choice *a, tare_choice *b) {
  tare_choice c = *a;
  *a = *b;
  *b = c;
}

/* Puts what comes before a middle element to its left, the rest to its right; returns its place. */
static int partition(tare_choice *order, int low, int high) {
  int middle = low + (high - low) / 2, last = high - 1;
  if (before(&order[middle], &order[low])) swap(&order[middle], &order[low]);
  if (before(&order[last], &order[low])) swap(&order[last], &order[low]);
  if (before(&order[middle], &order[last])) swap(&order[middle], &order[last]); /* the median of three comes last */
  int place = low;
  for (int i = low; i < last; i++)
    if (before(&order[i], &order[last])) swap(&order[i], &order[place++]);
  swap(&order[place], &order[last]);
  return place;
}

/*
 * How many of the cheapest moves mend at most `excess` in all; they come first
 * in `order` (a quickselect, weighted by |a|), and *excess becomes what is left.
 */
static int select_cheapest(const tare_part *s, tare_choice *order, int count, __int128 *excess) {
  int low = 0, high = count;
  while (low < high) {
    int place = partition(order, low, high);
    __int128 sum = 0;
    for (int i = low; i <= place; i++) {
      int64_t a = s->a[order[i].entry];
      sum += a < 0 ? -a : a;
    }
    if (sum <= *excess) {
      *excess -= sum;
      low = place + 1;
    } else {
      high = place;
    }
  }
  return low;
}

/* The moves that lower `sign` * sum a_i q_i by |a_i|, and do not leave the bound. */
static int list_moves(const tare_part *s, int sign, const double *x, const int64_t *entry, int64_t bound, tare_choice *order) {
  int count = 0;
  for (int i = 0; i < s->count; i++) {
    int step = (s->a[i] > 0) == (sign > 0) ? -1 : 1;
    if (step * entry[i] >= bound) continue;
    double cost = 1 + 2 * step * ((double)entry[i] - x[i]);
    order[count++] = (tare_choice){s->metric[i] * cost / fabs((double)s->a[i]), i};
  }
  return count;
}

/* One move each of the cheapest taps; how many moved. *left is what stays to be mended, in the direction of `sign`. */
static int move_cheapest(const tare_part *s, int sign, tare_choice *order, const double *x, int64_t *entry, int64_t bound,
                         __int128 *left) {
  int taken = select_cheapest(s, order, list_moves(s, sign, x, entry, bound, order), left);
  for (int i = 0; i < taken; i++) {
    int place = order[i].entry;
    entry[place] += (s->a[place] > 0) == (sign > 0) ? -1 : 1;
  }
  return taken;
}

static int correct_row(const tare_part *s, tare_choice *order, const double *x, int64_t *entry, int64_t bound, __int128 excess) {
  int sign = excess > 0 ? 1 : -1, moved;
  __int128 left = excess * sign;
  do moved = move_cheapest(s, sign, order, x, entry, bound, &left);
  while (moved && left >= s->largest); /* a second time only if taps are at the bound */
  if (left == 0) return 1;
  if (left >= s->largest) return 0;
  excess = left * sign;
  if (s->lattice) return tare_correct_lattice(s->lattice, x, entry, bound, &excess);
  int done = 0; /* near the bound fewer moves are left: then more of them may find a way */
  for (int moves = s->moves; !done && moves <= 4 * s->moves; moves *= 2)
    done = tare_correct_table(s, moves, x, entry, bound, (int64_t)excess);
  return done;
}

int tare_correct(const tare_part *s, tare_choice *order, const double *x, int64_t *entry, int64_t bound, const __int128 *excess) {
  int row = 0;
  while (row < s->rows && excess[row] == 0) row++;
  if (row == s->rows) return 1; /* rounded to nearest, and nothing to mend: the best there is */
  if (s->rows > 1) return tare_correct_lattice(s->lattice, x, entry, bound, excess);
  return correct_row(s, order, x, entry, bound, *excess);
}
