/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU level: what kernels may use. Each level includes those below it. */
#ifndef TARE_BASE_CPU_H
#define TARE_BASE_CPU_H

#include <stddef.h>

typedef enum tare_level { TARE_LEVEL_BASELINE, TARE_LEVEL_AVX2, TARE_LEVEL_AVX512, TARE_LEVELS } tare_level;

/*
 * What this machine can do: avx2 means AVX2 and FMA; avx512 means F, BW, DQ, VL.
 * The environment variable TARE_CPU=baseline|avx2|avx512 lowers it (never raises it).
 */
tare_level tare_cpu(void);
/* The same whatever TARE_CPU says. */
tare_level tare_cpu_hardware(void);
const char *tare_level_name(tare_level level);
/* The processor's own name ("AMD EPYC 9B45 128-Core Processor"), or that of its architecture where it has none, into buffer. */
void tare_cpu_model(char *buffer, size_t size);

#endif
