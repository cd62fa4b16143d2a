/* SPDX-License-Identifier: Apache-2.0 */
/* Loading the module that reads photos. */
#include "base/error.h"
#include "base/module.h"
#include "data/photos.h"

tare_status tare_photos_load(const tare_photos_module **out, tare_error *error) {
  static const tare_module_place place = {"tare-photos.so", "src/data/", TARE_MODULE_DIR, TARE_PHOTOS_ENTRY, "libvips", "libvips-dev"};
  void *symbol;
  tare_photos_entry entry;
  tare_status status = tare_module_load(&place, &symbol, error);
  if (status) return tare_fail_prefix(error, status, "reading photos");
  *(void **)&entry = symbol; /* POSIX: a pointer to a function fits in a void * */
  const tare_photos_module *module = entry();
  if (!module || module->version != TARE_PHOTOS_VERSION)
    return tare_fail(error, TARE_E_UNSUPPORTED, "%s belongs to another version of tare: build and install both together", place.name);
  status = module->start(error);
  if (!status) *out = module;
  return status;
}
