/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/tmpl/body.h"

void NAME(relu_forward)(size_t n, const void *x, void *y) {
  const REAL *in = x;
  REAL *restrict out = y;
  for (size_t i = 0; i < n; i++) out[i] = in[i] > 0 ? in[i] : 0;
}
