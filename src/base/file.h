/* SPDX-License-Identifier: Apache-2.0 */
/* Files read whole, and written whole or not at all. */
#ifndef TARE_BASE_FILE_H
#define TARE_BASE_FILE_H

#include <stddef.h>
#include <tare/status.h>

/* The whole file, with a 0 byte after it (not counted); *data is freed with tare_free. TARE_E_DATA: missing, unreadable, a folder, larger than `limit`. */
tare_status tare_file_read(const char *path, size_t limit, void **data, size_t *size, tare_error *error);

/*
 * A file that appears under its name only when it is complete: written without a name, or where the system cannot do that as
 * "PATH.tmp-PID-N" beside it, synced, renamed. TARE_E_IO names the path and the reason.
 */
typedef struct tare_file tare_file;
tare_status tare_file_begin(const char *path, tare_file **out, tare_error *error);
tare_status tare_file_write(tare_file *file, const void *data, size_t size, tare_error *error);
/* Both free `file`; commit renames, abandon removes what was written. A failed commit has abandoned. */
tare_status tare_file_commit(tare_file *file, tare_error *error);
void tare_file_abandon(tare_file *file);

/* Could `path` be written? Makes and removes a file beside it; TARE_E_IO with the reason if not. "-" (standard output) always can. */
tare_status tare_file_can_write(const char *path, tare_error *error);

#endif
