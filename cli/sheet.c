/* SPDX-License-Identifier: Apache-2.0 */
/* Contact sheets: squares of numbers as grey pictures, side by side. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <tare/image.h>

enum { MOST = 1024, GAP = 2 };

/* One square: grey is 0, its largest magnitude black or white. */
static void draw(const float *values, int rows, int columns, int zoom, unsigned char *corner, int pitch) {
  float peak = 0;
  for (int i = 0; i < rows * columns; i++) peak = fmaxf(peak, fabsf(values[i]));
  for (int y = 0; y < rows * zoom; y++)
    for (int x = 0; x < columns * zoom; x++)
      corner[(size_t)y * (size_t)pitch + (size_t)x] = (unsigned char)lrintf(127.5f + (peak > 0 ? 127.5f * values[y / zoom * columns + x / zoom] / peak : 0));
}

int cli_sheet_draw(const float *values, int count, int rows, int columns, int zoom, cli_sheet *sheet) {
  int shown = count < MOST ? count : MOST, across = (int)ceil(sqrt(shown)), down = (shown + across - 1) / across;
  int cell[2] = {rows * zoom + GAP, columns * zoom + GAP};
  *sheet = (cli_sheet){.width = across * cell[1] + GAP, .height = down * cell[0] + GAP};
  sheet->pixels = calloc((size_t)sheet->width, (size_t)sheet->height);
  if (!sheet->pixels) return cli_fail(TARE_E_MEMORY, "out of memory for a picture of %dx%d", sheet->width, sheet->height);
  for (int k = 0; k < shown; k++) {
    size_t top = (size_t)(k / across * cell[0] + GAP), left = (size_t)(k % across * cell[1] + GAP);
    draw(values + (size_t)k * (size_t)rows * (size_t)columns, rows, columns, zoom, sheet->pixels + top * (size_t)sheet->width + left, sheet->width);
  }
  return 0;
}

int cli_sheet_write(const char *path, const float *values, int count, int rows, int columns, int zoom) {
  cli_sheet sheet;
  tare_error error;
  int code = cli_sheet_draw(values, count, rows, columns, zoom, &sheet);
  if (!code && tare_png_write(path, sheet.pixels, sheet.width, sheet.height, 1, &error)) code = cli_report(&error);
  free(sheet.pixels);
  return code;
}
