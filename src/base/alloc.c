/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *tare_alloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT) return NULL;
  bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* a multiple, as aligned_alloc asks; never 0 */
  void *pointer = aligned_alloc(ALIGNMENT, bytes);
  if (pointer) memset(pointer, 0, bytes);
  return pointer;
}

char *tare_strdup(const char *text) {
  size_t length = strlen(text) + 1;
  char *copy = tare_alloc(length, 1);
  if (copy) memcpy(copy, text, length);
  return copy;
}

void tare_free(void *pointer) { free(pointer); }
