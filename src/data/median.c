/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The median of 25 without data-dependent branches, for a vector of pixels at once.
 *
 * Sort the five columns of a pixel's square, then its five rows: the columns
 * stay sorted. In such a matrix (i+1)(j+1) elements are at most m(i,j), and (5-i)(5-j) at
 * least, itself included. Where either exceeds 13, m(i,j) cannot be the 13th:
 * that rules out six on each side and leaves the 13 candidates below, whose own
 * median is wanted. Of any 8 of 13 numbers neither the least nor the largest is
 * the median of the 13: drop both, take another in (7 of 11), and so on.
 */
#include "data/manipulate.h"

#include <string.h>

enum { LANES = 16, SIDE = 5, REACH = SIDE / 2, OUTPUTS = LANES - 2 * REACH };

typedef struct lanes { uint8_t v[LANES]; } lanes;

static inline void order(lanes *restrict a, lanes *restrict b) {
  for (int i = 0; i < LANES; i++) {
    uint8_t low = a->v[i] < b->v[i] ? a->v[i] : b->v[i], high = a->v[i] < b->v[i] ? b->v[i] : a->v[i];
    a->v[i] = low;
    b->v[i] = high;
  }
}

static inline void sort_five(lanes *five) {
  static const uint8_t exchanges[9][2] = {{0, 1}, {3, 4}, {2, 4}, {2, 3}, {0, 3}, {0, 2}, {1, 4}, {1, 3}, {1, 2}};
  for (int k = 0; k < 9; k++) order(five + exchanges[k][0], five + exchanges[k][1]);
}

/* Puts the least of c[0..count-1] first and the largest last. */
static inline void extremes(lanes *c, int count) {
  for (int i = 0; i < count / 2; i++) order(c + i, c + count - 1 - i);
  for (int i = 1; i <= (count - 1) / 2; i++) {
    order(c, c + i);
    order(c + count - 1 - i, c + count - 1);
  }
}

/* m: columns sorted. */
static const lanes *median(lanes m[SIDE][SIDE], lanes c[13]) {
  static const uint8_t candidates[13][2] = {{0, 3}, {0, 4}, {1, 2}, {1, 3}, {1, 4}, {2, 1}, {2, 2},
                                            {2, 3}, {3, 0}, {3, 1}, {3, 2}, {4, 0}, {4, 1}};
  for (int i = 0; i < SIDE; i++) sort_five(m[i]);
  for (int k = 0; k < 13; k++) c[k] = m[candidates[k][0]][candidates[k][1]];
  for (int size = 8, next = 8; size > 3; size--, next++) {
    extremes(c, size);
    c[0] = c[next];          /* over the least */
    c[size - 1] = c[size - 2]; /* the largest goes as the list becomes shorter */
  }
  extremes(c, 3);
  return c + 1;
}

static int clamp(int value, int below) { return value < 0 ? 0 : value < below ? value : below - 1; }

/* LANES columns from `left` on of the five rows round y, each sorted; the edges repeat. */
static void sorted_columns(const uint8_t *from, int width, int height, int y, int left, lanes column[SIDE]) {
  for (int i = 0; i < SIDE; i++) {
    const uint8_t *row = from + (size_t)clamp(y + i - REACH, height) * (size_t)width;
    if (left >= 0 && left + LANES <= width) memcpy(column[i].v, row + left, LANES);
    else
      for (int k = 0; k < LANES; k++) column[i].v[k] = row[clamp(left + k, width)];
  }
  sort_five(column);
}

void tare_median5(const uint8_t *from, int width, int height, uint8_t *to) {
  lanes column[SIDE], m[SIDE][SIDE] = {0}, c[13];
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x += OUTPUTS) {
      sorted_columns(from, width, height, y, x - REACH, column);
      for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) memcpy(m[i][j].v, column[i].v + j, OUTPUTS);
      int count = width - x < OUTPUTS ? width - x : OUTPUTS;
      memcpy(to + (size_t)y * (size_t)width + (size_t)x, median(m, c)->v, (size_t)count);
    }
}
