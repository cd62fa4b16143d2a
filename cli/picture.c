/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of `tare basis`: each basis function a grey tile, zero in the middle of the scale. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <tare/basis.h>
#include <tare/image.h>

enum { MAX_TILES = 1024 };

/* Column j of B, as pixels `zoom` wide, its largest magnitude black or white. */
static void draw(const double *matrix, int columns, int j, int kernel, int zoom, unsigned char *corner, size_t pitch) {
  double peak = 0;
  for (int i = 0; i < kernel * kernel; i++) peak = fmax(peak, fabs(matrix[(size_t)i * (size_t)columns + (size_t)j]));
  for (int y = 0; y < kernel * zoom; y++)
    for (int x = 0; x < kernel * zoom; x++) {
      double value = matrix[(size_t)(y / zoom * kernel + x / zoom) * (size_t)columns + (size_t)j];
      corner[(size_t)y * pitch + (size_t)x] = (unsigned char)lrint(127.5 + (peak > 0 ? 127.5 * value / peak : 0));
    }
}

static int picture(const char *path, const double *matrix, int columns, int kernel) {
  int tiles = columns < MAX_TILES ? columns : MAX_TILES, across = (int)ceil(sqrt(tiles)), down = (tiles + across - 1) / across;
  int zoom = kernel < 8 ? 6 : kernel < 20 ? 3 : 1, cell = kernel * zoom + 2, width = across * cell + 2, height = down * cell + 2;
  unsigned char *pixels = calloc((size_t)width * (size_t)height, 1);
  if (!pixels) return cli_fail(TARE_E_MEMORY, "out of memory for a picture of %dx%d", width, height);
  for (int j = 0; j < tiles; j++)
    draw(matrix, columns, j, kernel, zoom, pixels + (size_t)(j / across * cell + 2) * (size_t)width + (size_t)(j % across * cell + 2), (size_t)width);
  tare_error error;
  tare_status status = tare_png_write(path, pixels, width, height, 1, &error);
  free(pixels);
  return status ? cli_report(&error) : 0;
}

int cli_picture(const cli_args *args, const struct tare_constraint *rule, const struct tare_covariance *measured) {
  tare_basis *basis;
  tare_error error;
  if (tare_basis_create(rule, args->value[CLI_BASIS].text, measured, &basis, &error)) return cli_report(&error);
  int columns = tare_basis_coefficients(basis);
  double *matrix = calloc((size_t)tare_basis_taps(basis) * (size_t)columns, sizeof *matrix);
  if (matrix) tare_basis_matrix(basis, matrix);
  int code = matrix ? picture(args->value[CLI_PICTURE].text, matrix, columns, (int)args->value[CLI_KERNEL].integer)
                    : cli_fail(TARE_E_MEMORY, "out of memory for a basis of %d functions", columns);
  free(matrix);
  tare_basis_free(basis);
  return code;
}
