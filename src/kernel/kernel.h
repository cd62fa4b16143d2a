/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels: the inner loops, one body each in tmpl/, compiled once for each CPU level in
 * float and once (baseline) in double, which is the reference. To add one:
 * a line in kernels.inc, a body in tmpl/, a test in tests/unit/test_kernel.c.
 */
#ifndef TARE_KERNEL_H
#define TARE_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <tare/conv.h> /* tare_precision */

#include "base/cpu.h"
#include "kernel/direct.h"
#include "kernel/operator.h"

typedef struct tare_kernels {
  size_t real; /* bytes of one element: 4 or 8 */
#define KERNEL(name, type, arguments) type(*name) arguments;
#include "kernel/kernels.inc"
#undef KERNEL
} tare_kernels;

/* The table for a level (lowered to what was compiled in). Double has one table for all levels. Never NULL. */
const tare_kernels *tare_kernels_at(tare_precision precision, tare_level level);
/* The table for this machine: tare_kernels_at(precision, tare_cpu()). */
const tare_kernels *tare_kernels_get(tare_precision precision);

#endif
