/* SPDX-License-Identifier: Apache-2.0 */
/* A sheet of what the network sees: a row a class, a column a draw. */
#include <math.h>
#include <tare/image.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/source.h"

enum { GAP = 2, SMALL = 64, MOST_COLUMNS = 1000 };

typedef struct sheet {
  uint8_t *pixels;
  int width, height, channels, zoom;
  double low, high; /* what is black and what is white: 0 and 1, wider by the brightness */
} sheet;

static void put_patch(sheet *s, const float *patch, int height, int width, int top, int left) {
  for (int y = 0; y < height * s->zoom; y++)
    for (int x = 0; x < width * s->zoom; x++)
      for (int c = 0; c < s->channels; c++) {
        double value = (double)patch[((size_t)(y / s->zoom) * (size_t)width + (size_t)(x / s->zoom)) * (size_t)s->channels + (size_t)c];
        double grey = (value - s->low) / (s->high - s->low) * 256;
        size_t at = ((size_t)(top + y) * (size_t)s->width + (size_t)(left + x)) * (size_t)s->channels + (size_t)c;
        s->pixels[at] = (uint8_t)fmin(fmax(grey, 0), 255);
      }
}

/* Column k of every row. Where the class is the manipulation, one patch in all its versions; else an image of each class. */
static void put_column(sheet *s, const tare_source *source, uint64_t seed, int k, float *patch) {
  const tare_source_info *info = &source->info;
  int cell_height = info->height * s->zoom + GAP, cell_width = info->width * s->zoom + GAP;
  for (int label = 0; label < info->classes; label++)
    if (tare_draw_example(source, seed, (uint64_t)k, label, patch))
      put_patch(s, patch, info->height, info->width, GAP + label * cell_height, GAP + k * cell_width);
}

tare_status tare_source_preview(const tare_source *source, uint64_t seed, int columns, const char *path, tare_error *error) {
  if (!source || !path || columns < 1 || columns > MOST_COLUMNS)
    return tare_fail(error, TARE_E_ARGUMENT, "a preview needs a source, a path and 1 to %d columns, not %d", MOST_COLUMNS, columns);
  const tare_source_info *info = &source->info;
  double range = source->options.brightness;
  sheet s = {.channels = info->channels, .zoom = info->width < SMALL ? 2 : 1, .low = -range, .high = 1 + range};
  s.width = columns * (info->width * s.zoom + GAP) + GAP;
  s.height = info->classes * (info->height * s.zoom + GAP) + GAP;
  size_t size = (size_t)s.width * (size_t)s.height * (size_t)s.channels;
  float *patch = tare_alloc((size_t)info->height * (size_t)info->width * (size_t)info->channels, sizeof *patch);
  tare_status status = TARE_OK;
  if (!(s.pixels = tare_alloc(size, 1)) || !patch) status = tare_fail_memory(error, size, "a preview");
  if (!status) {
    for (int k = 0; k < columns; k++) put_column(&s, source, seed, k, patch);
    status = tare_png_write(path, s.pixels, s.width, s.height, s.channels, error);
  }
  tare_free(patch);
  tare_free(s.pixels);
  return status;
}
