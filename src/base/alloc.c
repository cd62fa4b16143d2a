/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { ALIGNMENT = 64 };
/*
 * Large arrays lie in large pages where the system has them on request: spectra are walked in strides of kilobytes, a
 * page each. Twice that size at least, so that what rounding up wastes is little.
 */
enum { PAGE = 2 << 20, LARGE = 2 * PAGE };

static void *reserve(size_t bytes) {
#ifdef MADV_HUGEPAGE
  if (bytes >= LARGE) {
    void *pointer = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
    if (pointer) madvise(pointer, bytes, MADV_HUGEPAGE); /* a wish: what it returns does not matter */
    return pointer;
  }
#endif
  return aligned_alloc(ALIGNMENT, bytes);
}

void *tare_alloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - PAGE) return NULL;
  bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* a multiple, as aligned_alloc asks; never 0 */
  void *pointer = reserve(bytes);
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
