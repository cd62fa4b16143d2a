/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <tare/status.h>

static const char *const names[TARE_LEVELS] = {"baseline", "avx2", "avx512"};

const char *tare_level_name(tare_level level) { return names[level]; }

static tare_level detect(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return TARE_LEVEL_BASELINE;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return TARE_LEVEL_AVX512;
  return TARE_LEVEL_AVX2;
#else
  return TARE_LEVEL_BASELINE;
#endif
}

tare_level tare_cpu(void) {
  tare_level level = detect();
  const char *mask = getenv("TARE_CPU");
  for (int i = 0; mask && i < (int)level; i++)
    if (strcmp(mask, names[i]) == 0) return (tare_level)i;
  return level;
}

const char *tare_cpu_level(void) { return tare_level_name(tare_cpu()); }
