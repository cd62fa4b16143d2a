/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

extern const tare_kernels tare_baseline_f32_kernels, tare_baseline_f64_kernels;
#ifdef TARE_KERNEL_X86
extern const tare_kernels tare_avx2_f32_kernels, tare_avx512_f32_kernels;
static const tare_kernels *const float_tables[TARE_LEVELS] = {
  &tare_baseline_f32_kernels, &tare_avx2_f32_kernels, &tare_avx512_f32_kernels};
#else
static const tare_kernels *const float_tables[TARE_LEVELS] = {
  &tare_baseline_f32_kernels, &tare_baseline_f32_kernels, &tare_baseline_f32_kernels};
#endif

const tare_kernels *tare_kernels_at(tare_precision precision, tare_level level) {
  return precision == TARE_F64 ? &tare_baseline_f64_kernels : float_tables[level];
}

const tare_kernels *tare_kernels_get(tare_precision precision) { return tare_kernels_at(precision, tare_cpu()); }
