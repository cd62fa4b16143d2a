/* SPDX-License-Identifier: Apache-2.0 */
#include "base/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum { PATH_SIZE = 4096 };
static const char here[] = ""; /* an address in this library */

/* 1 if FOLDER/SUB/NAME is there; its path into `path`. */
static int is_in(const char *folder, const char *sub, const char *name, char path[PATH_SIZE]) {
  int length = snprintf(path, PATH_SIZE, "%s/%s%s", folder, sub, name);
  return length > 0 && length < PATH_SIZE && access(path, R_OK) == 0;
}

static void find_own_folder(char folder[PATH_SIZE]) {
  Dl_info own;
  strcpy(folder, ".");
  if (!dladdr((const void *)here, &own) || !own.dli_fname || strlen(own.dli_fname) >= PATH_SIZE) return;
  strcpy(folder, own.dli_fname);
  char *slash = strrchr(folder, '/');
  if (slash) *slash = 0;
  else strcpy(folder, ".");
}

static int find(const tare_module_place *place, char path[PATH_SIZE]) {
  const char *folder = getenv("TARE_MODULES"), *const places[] = {"", "tare/", place->built};
  char beside[PATH_SIZE];
  if (folder && is_in(folder, "", place->name, path)) return 1;
  find_own_folder(beside);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (is_in(beside, places[i], place->name, path)) return 1;
  return is_in(place->installed, "", place->name, path);
}

tare_status tare_module_load(const tare_module_place *place, void **entry, tare_error *error) {
  char path[PATH_SIZE];
  if (!find(place, path))
    return tare_fail(error, TARE_E_UNSUPPORTED, "this needs %s and %s, which is not there: install %s, then build again", place->needs, place->name,
                     place->package);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return tare_fail(error, TARE_E_UNSUPPORTED, "%s cannot be loaded: is %s installed? %s", path, place->needs, dlerror());
  *entry = dlsym(handle, place->entry);
  if (*entry) return TARE_OK;
  dlclose(handle);
  return tare_fail(error, TARE_E_UNSUPPORTED, "%s belongs to another version of tare: build and install both together", path);
}
