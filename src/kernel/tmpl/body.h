/* SPDX-License-Identifier: Apache-2.0 */
/* What every body includes first: REAL (float or double) and NAME(x), the symbol of x at this level and precision. The build defines VARIANT. */
#ifndef TARE_KERNEL_BODY_H
#define TARE_KERNEL_BODY_H

#include "kernel/kernel.h"

#ifdef TARE_KERNEL_DOUBLE
typedef double REAL;
#else
typedef float REAL;
#endif

#define JOIN_(a, b, c) a##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define NAME(name) JOIN(tare_, VARIANT, name)

/* In front of a loop: its iterations do not depend on each other through memory, so that it may be vectorised. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define KERNEL(name, type, arguments) type NAME(name) arguments;
#include "kernel/kernels.inc"
#undef KERNEL

#endif
