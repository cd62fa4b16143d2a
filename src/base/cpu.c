/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/status.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const char *const names[TARE_LEVELS] = {"baseline", "avx2", "avx512"};

const char *tare_level_name(tare_level level) { return names[level]; }

tare_level tare_cpu_hardware(void) {
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
  tare_level level = tare_cpu_hardware();
  const char *mask = getenv("TARE_CPU");
  for (int i = 0; mask && i < (int)level; i++)
    if (strcmp(mask, names[i]) == 0) return (tare_level)i;
  return level;
}

const char *tare_cpu_level(void) { return tare_level_name(tare_cpu()); }

#if defined(__x86_64__) || defined(__i386__)
/* Leaves 0x80000002 to 0x80000004 hold 48 characters, spaces around them. */
static void brand(char name[49]) {
  unsigned words[12] = {0};
  for (unsigned i = 0; i < 3; i++) __get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
  memcpy(name, words, 48);
  name[48] = 0;
}
#else
/* Linux shows the part number of an ARM core here. */
static void brand(char name[49]) {
  FILE *file = fopen("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "r");
  if (!file || !fgets(name, 49, file)) name[0] = 0;
  if (file) fclose(file);
}
#endif

void tare_cpu_model(char *buffer, size_t size) {
  char name[49];
  brand(name);
  size_t start = strspn(name, " "), length = strcspn(name, "\n");
  while (length > start && name[length - 1] == ' ') length--;
  snprintf(buffer, size, "%.*s", (int)(length > start ? length - start : 0), name + start);
#if defined(__aarch64__)
  if (!buffer[0]) snprintf(buffer, size, "aarch64");
#endif
  if (size && !buffer[0]) snprintf(buffer, size, "unknown");
}
