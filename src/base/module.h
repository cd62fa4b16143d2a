/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: shared objects that are loaded when they are asked for, because of what they bring. */
#ifndef TARE_BASE_MODULE_H
#define TARE_BASE_MODULE_H

#include <tare/status.h>

/*
 * Loads `name` ("tare-photos.so") and finds its function `entry`. It is looked for in $TARE_MODULES, beside this library, in
 * tare/ there, in `built` ("src/data/") there, where the build puts it, and in `installed`. TARE_E_UNSUPPORTED if it is not there, cannot be
 * loaded or has no such function; `needs` ("libvips") and `package` ("libvips-dev") tell what to install.
 */
typedef struct tare_module_place { const char *name, *built, *installed, *entry, *needs, *package; } tare_module_place;
tare_status tare_module_load(const tare_module_place *place, void **entry, tare_error *error);

#endif
