/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_broken(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, condition);
  abort();
}

const char *fuzz_file(int which, const void *data, size_t size) {
  static int files[FUZZ_FILES]; /* 0: not made yet (0 is the standard input) */
  static char paths[FUZZ_FILES][40];
  if (!files[which]) {
    files[which] = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(paths[which], sizeof paths[which], "/proc/self/fd/%d", files[which]);
  }
  must(files[which] > 0);
  must(ftruncate(files[which], 0) == 0);
  must(pwrite(files[which], data, size, 0) == (ssize_t)size);
  return paths[which];
}

char *fuzz_text(const uint8_t *data, size_t size) {
  char *text = calloc(size + 1, 1);
  must(text);
  if (size) memcpy(text, data, size);
  return text;
}
