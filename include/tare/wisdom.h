/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wisdom: which candidates were measured to be the fastest, for plans of convolutions (conv.h), kept in a file.
 *
 * What is known of a problem counts for one machine and one way of asking: the key holds the processor, the instruction sets in use, the
 * versions of the library and of oneDNN, precision, layout, passes, flags, threads and limit. A file may hold the wisdom of many machines.
 * All functions may be called by many threads at once with the same wisdom.
 */
#ifndef TARE_WISDOM_H
#define TARE_WISDOM_H

#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_wisdom tare_wisdom; /* choices, by problem and machine */

/* Empty; the caller's to free (NULL is fine). */
TARE_API tare_status tare_wisdom_create(tare_wisdom **out, tare_error *error);
TARE_API void tare_wisdom_free(tare_wisdom *wisdom);
/*
 * Adds what a file holds; of two choices for one key the file's counts. Wisdom is never needed, so a file that is missing, damaged, of
 * another version or no wisdom at all adds nothing and is no failure: TARE_OK, and `warning` (may be NULL) says why, with the status TARE_E_DATA;
 * its status is TARE_OK when all is well, also for a missing file. Fails only without memory.
 */
TARE_API tare_status tare_wisdom_load(tare_wisdom *wisdom, const char *path, tare_error *warning);
/* Writes the file, whole or not at all, with what it held before where this wisdom knows nothing. */
TARE_API tare_status tare_wisdom_save(const tare_wisdom *wisdom, const char *path, tare_error *error);
/* How many choices it holds. */
TARE_API size_t tare_wisdom_count(const tare_wisdom *wisdom);

#ifdef __cplusplus
}
#endif
#endif
