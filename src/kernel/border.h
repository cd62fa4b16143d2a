/* SPDX-License-Identifier: Apache-2.0 */
/* What stands outside an image. */
#ifndef TARE_KERNEL_BORDER_H
#define TARE_KERNEL_BORDER_H

#include <tare/conv.h>

/* The index in 0..n-1 that position i of an axis stands for; -1: a zero. Reflection does not repeat the edge: 2 1 | 0 1 2. */
static inline int tare_border_source(tare_border border, int i, int n) {
  if (i >= 0 && i < n) return i;
  if (border == TARE_BORDER_EDGE) return i < 0 ? 0 : n - 1;
  if (border == TARE_BORDER_REFLECT) return i < 0 ? -i : 2 * (n - 1) - i;
  return -1;
}

#endif
