/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a folder, in an order that depends on their names alone. */
#ifndef TARE_DATA_FILES_H
#define TARE_DATA_FILES_H

#include <stddef.h>
#include <tare/status.h>

typedef struct tare_names { char **names; size_t count; } tare_names;

/*
 * Appends the paths of the regular files in `folder` and its subfolders, in byte order of the names; a folder's content stands where its
 * name does. Names that begin with a dot and links to folders are passed over. The list may have grown when it fails.
 */
tare_status tare_list_files(const char *folder, tare_names *list, tare_error *error);
/* Names (not paths) of its subfolders, links to folders included. */
tare_status tare_list_folders(const char *folder, tare_names *out, tare_error *error);
int tare_is_folder(const char *path);
/* "a/b"; freed with tare_free; NULL when out of memory. */
char *tare_path_join(const char *folder, const char *name);
void tare_names_free(tare_names *list);

#endif
