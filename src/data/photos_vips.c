/* SPDX-License-Identifier: Apache-2.0 */
/* The module that reads photos: the only place that sees libvips (8.13 or later, for blocking loaders). */
#include <string.h>
#include <vips/vips.h>

#include "base/error.h"
#include "data/photos_module.h"

struct tare_photo { VipsImage *image; VipsRegion *region; };

static void no_message(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer user) {
  (void)domain, (void)level, (void)message, (void)user;
}

/*
 * libvips' own settings hold for the whole process: loaders that its authors do not trust with hostile files are off, no operation is
 * kept (a file that changes is read anew), one thread an image (images are read side by side), warnings stay off stderr.
 */
static tare_status start(tare_error *error) {
  if (vips_init("tare")) return tare_fail(error, TARE_E_LIBRARY, "libvips could not be started");
  g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG, no_message, NULL);
  vips_block_untrusted_set(TRUE);
  vips_cache_set_max(0);
  vips_concurrency_set(1);
  return TARE_OK;
}

static void close_photo(tare_photo *photo) {
  g_clear_object(&photo->region);
  g_clear_object(&photo->image);
  g_free(photo);
}

static tare_status refuse(tare_error *error, const char *why) {
  vips_error_clear(); /* its text names whatever failed last in any thread */
  return tare_fail(error, TARE_E_DATA, "%s", why);
}

typedef struct target { VipsInterpretation space; VipsBandFormat format; } target;

static int is_float(const VipsImage *image) { return image->BandFmt == VIPS_FORMAT_FLOAT || image->BandFmt == VIPS_FORMAT_DOUBLE; }

/* Grey stays grey and 16 bits stay 16; all else becomes 8-bit sRGB. */
static target choose(VipsImage *image) {
  VipsInterpretation is = vips_image_guess_interpretation(image);
  int grey = image->Bands - (vips_image_hasalpha(image) ? 1 : 0) == 1;
  int wide = image->BandFmt == VIPS_FORMAT_USHORT && (is == VIPS_INTERPRETATION_GREY16 || is == VIPS_INTERPRETATION_RGB16);
  if (wide) return (target){grey ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_RGB16, VIPS_FORMAT_USHORT};
  return (target){grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, VIPS_FORMAT_UCHAR};
}

/* Upright; transparent parts over black; then as `choose` says. All of it is computed as pixels are read. NULL: it cannot be done. */
static VipsImage *normalise(VipsImage *image) {
  VipsImage *upright = NULL, *opaque = NULL, *coloured = NULL, *result = NULL;
  target want = choose(image);
  int failed = vips_autorot(image, &upright, NULL);
  if (!failed) failed = vips_image_hasalpha(upright) ? vips_flatten(upright, &opaque, NULL) : vips_copy(upright, &opaque, NULL);
  if (!failed) failed = vips_colourspace(opaque, &coloured, want.space, NULL);
  if (!failed) vips_cast(coloured, &result, want.format, NULL);
  g_clear_object(&upright);
  g_clear_object(&opaque);
  g_clear_object(&coloured);
  return result;
}

/* Float pixels as they are, without alpha. */
static VipsImage *normalise_float(VipsImage *image) {
  VipsImage *upright = NULL, *opaque = NULL, *result = NULL;
  int bands = image->Bands - (vips_image_hasalpha(image) ? 1 : 0), failed = vips_autorot(image, &upright, NULL);
  if (!failed) failed = vips_extract_band(upright, &opaque, 0, "n", bands, NULL);
  if (!failed) vips_cast(opaque, &result, VIPS_FORMAT_FLOAT, NULL);
  g_clear_object(&upright);
  g_clear_object(&opaque);
  return result;
}

static VipsImage *load(const char *path) {
  VipsSource *source = vips_source_new_from_file(path); /* not by name: libvips would take a '[' in it for options */
  VipsImage *image = source ? vips_image_new_from_source(source, "", "fail_on", VIPS_FAIL_ON_ERROR, NULL) : NULL;
  g_clear_object(&source);
  return image;
}

static tare_status open_image(VipsImage *image, int any, tare_photo **out, tare_photo_info *info, tare_error *error) {
  if (!any && (double)image->Xsize * image->Ysize > TARE_PHOTOS_MAX_PIXELS) return refuse(error, "more than 268 megapixels");
  tare_photo *photo = g_new0(tare_photo, 1);
  photo->image = any && is_float(image) ? normalise_float(image) : normalise(image);
  photo->region = photo->image ? vips_region_new(photo->image) : NULL;
  if (!photo->region || (photo->image->Bands != 1 && photo->image->Bands != 3)) {
    close_photo(photo);
    return refuse(error, "its kind of pixel is neither grey nor colour");
  }
  const VipsImage *made = photo->image;
  *info = (tare_photo_info){made->Xsize, made->Ysize, made->Bands, made->BandFmt == VIPS_FORMAT_USHORT ? 16 : made->BandFmt == VIPS_FORMAT_FLOAT ? 32 : 8};
  *out = photo;
  return TARE_OK;
}

static tare_status open_photo(const char *path, int any, tare_photo **out, tare_photo_info *info, tare_error *error) {
  VipsImage *image = load(path);
  if (!image) return refuse(error, "not an image that libvips reads (formats that it does not trust are off)");
  tare_status status = open_image(image, any, out, info, error);
  g_object_unref(image);
  return status;
}

static tare_status read_photo(tare_photo *photo, int left, int top, int width, int height, void *pixels, tare_error *error) {
  VipsRect rectangle = {left, top, width, height};
  if (vips_region_prepare(photo->region, &rectangle)) return refuse(error, "damaged or cut short");
  size_t row = (size_t)width * VIPS_IMAGE_SIZEOF_PEL(photo->image);
  for (int y = 0; y < height; y++) memcpy((char *)pixels + (size_t)y * row, VIPS_REGION_ADDR(photo->region, left, top + y), row);
  return TARE_OK;
}

static const tare_photos_module module = {TARE_PHOTOS_VERSION, start, open_photo, read_photo, close_photo, vips_thread_shutdown};

const tare_photos_module *tare_photos_module_get(void) { return &module; }
