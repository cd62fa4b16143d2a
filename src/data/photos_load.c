/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and loading the module that reads photos. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/photos.h"

enum { PATH_SIZE = 4096 };
static const char name[] = "tare-photos.so";

/* 1 if FOLDER/SUB/tare-photos.so is there; its path into `path`. */
static int is_in(const char *folder, const char *sub, char path[PATH_SIZE]) {
  int length = snprintf(path, PATH_SIZE, "%s/%s%s", folder, sub, name);
  return length > 0 && length < PATH_SIZE && access(path, R_OK) == 0;
}

/* The environment's TARE_MODULES; beside this library, in its subfolder tare, or where the build puts it; where it is installed. */
static int find(char path[PATH_SIZE]) {
  static const char *const places[] = {"", "tare/", "src/data/"};
  const char *folder = getenv("TARE_MODULES");
  if (folder && is_in(folder, "", path)) return 1;
  Dl_info own;
  char beside[PATH_SIZE] = ".";
  if (dladdr((const void *)name, &own) && own.dli_fname && strlen(own.dli_fname) < sizeof beside) {
    char *slash = strrchr(strcpy(beside, own.dli_fname), '/');
    if (slash) *slash = 0;
    else strcpy(beside, ".");
  }
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (is_in(beside, places[i], path)) return 1;
  return is_in(TARE_MODULE_DIR, "", path);
}

tare_status tare_photos_load(const tare_photos_module **out, tare_error *error) {
  char path[PATH_SIZE];
  if (!find(path))
    return tare_fail(error, TARE_E_UNSUPPORTED,
                     "reading photos needs libvips and %s, which is not there: install libvips-dev, then build again", name);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return tare_fail(error, TARE_E_UNSUPPORTED, "%s cannot be loaded: is libvips installed (libvips42)? %s", path, dlerror());
  tare_photos_entry entry;
  *(void **)&entry = dlsym(handle, TARE_PHOTOS_ENTRY); /* POSIX: a pointer to a function fits in a void * */
  const tare_photos_module *module = entry ? entry() : NULL;
  if (!module || module->version != TARE_PHOTOS_VERSION)
    return tare_fail(error, TARE_E_UNSUPPORTED, "%s belongs to another version of tare: build and install both together", path);
  tare_status status = module->start(error);
  if (!status) *out = module;
  return status;
}
