/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation: every allocation of the library goes through these two. Free both with tare_free. */
#ifndef TARE_BASE_ALLOC_H
#define TARE_BASE_ALLOC_H

#include <stddef.h>

/* count x size bytes, zeroed, 64-byte aligned; NULL when out of memory or when the product overflows. A count of 0 gives a valid pointer. */
void *tare_alloc(size_t count, size_t size);
/* A copy of a string; NULL when out of memory. */
char *tare_strdup(const char *text);
void tare_free(void *pointer);

#endif
