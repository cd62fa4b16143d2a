/* SPDX-License-Identifier: Apache-2.0 */
#include "data/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

enum { MAX_DEPTH = 64 };

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

char *tare_path_join(const char *folder, const char *name) {
  tare_text text = {0};
  size_t length = strlen(folder);
  tare_text_add(&text, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", name);
  return tare_text_take(&text);
}

int tare_is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

void tare_names_free(tare_names *list) {
  for (size_t i = 0; i < list->count; i++) tare_free(list->names[i]);
  tare_free(list->names);
  *list = (tare_names){0};
}

/* Room doubles at each power of two. */
static int has_room(tare_names *list) {
  size_t count = list->count;
  if (count & (count - 1)) return 1;
  char **names = tare_alloc(count ? 2 * count : 1, sizeof *names);
  if (!names) return 0;
  if (count) memcpy(names, list->names, count * sizeof *names);
  tare_free(list->names);
  list->names = names;
  return 1;
}

/* Takes `name` over, also when it fails; NULL is a failed allocation. */
static tare_status append(tare_names *list, char *name, tare_error *error) {
  if (!name || !has_room(list)) {
    tare_free(name);
    return tare_fail_memory(error, (list->count + 1) * sizeof *list->names, "a list of files");
  }
  list->names[list->count++] = name;
  return TARE_OK;
}

static tare_status scan(const char *folder, struct dirent ***entries, int *count, tare_error *error) {
  *count = scandir(folder, entries, is_visible, by_bytes);
  if (*count >= 0) return TARE_OK;
  const char *why = errno == ENOTDIR ? "expected a folder, found a file" : strerror(errno);
  return tare_fail(error, TARE_E_DATA, "%s: cannot be read: %s", folder, why);
}

static void free_entries(struct dirent **entries, int count) {
  for (int i = 0; i < count; i++) free(entries[i]);
  free(entries);
}

static tare_status add_files(const char *folder, int depth, tare_names *out, tare_error *error) {
  struct dirent **entries;
  int count;
  if (depth > MAX_DEPTH) return tare_fail(error, TARE_E_DATA, "%s: folders lie deeper than %d", folder, MAX_DEPTH);
  tare_status status = scan(folder, &entries, &count, error);
  if (status) return status;
  for (int i = 0; i < count && !status; i++) {
    struct stat info, own;
    char *path = tare_path_join(folder, entries[i]->d_name);
    if (!path) status = tare_fail_memory(error, strlen(folder), "a path");
    else if (lstat(path, &own) || stat(path, &info)) tare_free(path); /* gone meanwhile, or a link to nothing */
    else if (S_ISREG(info.st_mode)) status = append(out, path, error);
    else {
      if (S_ISDIR(own.st_mode)) status = add_files(path, depth + 1, out, error);
      tare_free(path);
    }
  }
  free_entries(entries, count);
  return status;
}

tare_status tare_list_files(const char *folder, tare_names *list, tare_error *error) { return add_files(folder, 0, list, error); }

tare_status tare_list_folders(const char *folder, tare_names *out, tare_error *error) {
  tare_names list = {0};
  struct dirent **entries;
  int count;
  tare_status status = scan(folder, &entries, &count, error);
  if (status) return status;
  for (int i = 0; i < count && !status; i++) {
    char *path = tare_path_join(folder, entries[i]->d_name);
    if (!path) status = tare_fail_memory(error, strlen(folder), "a path");
    else if (tare_is_folder(path)) status = append(&list, tare_strdup(entries[i]->d_name), error);
    tare_free(path);
  }
  free_entries(entries, count);
  if (status) tare_names_free(&list);
  else *out = list;
  return status;
}
