/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/tmpl/body.h"

extern const tare_kernels NAME(kernels);
const tare_kernels NAME(kernels) = {
  .real = sizeof(REAL),
#define KERNEL(name, type, arguments) .name = NAME(name),
#include "kernel/kernels.inc"
#undef KERNEL
};
