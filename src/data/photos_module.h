/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table between the data room and the module that reads photos. libvips
 * brings hundreds of libraries, some under the GPL, so it sits in a shared
 * object of its own that is loaded when a photo is asked for. Each
 * function may be called by many threads at once, for different photos.
 */
#ifndef TARE_DATA_PHOTOS_MODULE_H
#define TARE_DATA_PHOTOS_MODULE_H

#include <stdint.h>
#include <tare/status.h>

enum { TARE_PHOTOS_VERSION = 2 };
#define TARE_PHOTOS_ENTRY "tare_photos_module_get"
#define TARE_PHOTOS_MAX_PIXELS 268435456.0 /* 2^28: larger photos are not decoded */

typedef struct tare_photo tare_photo;

/* As the photo is after its EXIF orientation; channels 1 (grey) or 3 (sRGB); bits 8 or 16, 32: floats. */
typedef struct tare_photo_info { int width, height, channels, bits; } tare_photo_info;

typedef struct tare_photos_module {
  int version;
  tare_status (*start)(tare_error *error); /* once for each opened source */
  /*
   * Reads the header alone; why it failed (no file name) is in the error. TARE_E_DATA: not an image, too large. `any`: of any size,
   * and float pixels stay floats.
   */
  tare_status (*open)(const char *path, int any, tare_photo **out, tare_photo_info *info, tare_error *error);
  /* A rectangle of interleaved pixels without padding, in the machine's order. TARE_E_DATA: damaged. */
  tare_status (*read)(tare_photo *photo, int left, int top, int width, int height, void *pixels, tare_error *error);
  void (*close)(tare_photo *photo);
  void (*thread_end)(void); /* before a thread that has used the others ends */
} tare_photos_module;

typedef const tare_photos_module *(*tare_photos_entry)(void);
TARE_API const tare_photos_module *tare_photos_module_get(void); /* what the module exports under TARE_PHOTOS_ENTRY */

#endif
