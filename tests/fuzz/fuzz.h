/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share. A target is one file with the function below; doc/testing.md says how to run and add one. */
#ifndef TARE_TESTS_FUZZ_H
#define TARE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input: called by libFuzzer, and by replay.c for the inputs that are kept. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define must(condition) \
  do { \
    if (!(condition)) fuzz_broken(#condition, __FILE__, __LINE__); \
  } while (0)
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

enum { FUZZ_FILES = 4 };
/* The path of file `which`, in memory, which now holds these bytes. */
const char *fuzz_file(int which, const void *data, size_t size);
/* The input as text: up to its first 0, freed with free. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
