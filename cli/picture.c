/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of `tare basis`: each basis function a grey tile, zero in the middle of the scale. */
#include "cli.h"

#include <stdlib.h>
#include <tare/basis.h>

static int zoom_of(int kernel) { return kernel < 8 ? 6 : kernel < 20 ? 3 : 1; }

/* The columns of B one after another. */
static int draw(const char *path, const tare_basis *basis, int kernel) {
  size_t rows = (size_t)tare_basis_taps(basis), columns = (size_t)tare_basis_coefficients(basis);
  double *matrix = calloc(rows * columns, sizeof *matrix);
  float *functions = calloc(rows * columns, sizeof *functions);
  int code = matrix && functions ? 0 : cli_fail(TARE_E_MEMORY, "out of memory for a basis of %zu functions", columns);
  if (!code) {
    tare_basis_matrix(basis, matrix);
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++) functions[j * rows + i] = (float)matrix[i * columns + j];
    code = cli_sheet_write(path, functions, (int)columns, kernel, kernel, zoom_of(kernel));
  }
  free(matrix);
  free(functions);
  return code;
}

int cli_picture(const cli_args *args, const struct tare_constraint *rule, const struct tare_covariance *measured) {
  tare_basis *basis;
  tare_error error;
  if (tare_basis_create(rule, args->value[CLI_BASIS].text, measured, &basis, &error)) return cli_report(&error);
  int code = draw(args->value[CLI_PICTURE].text, basis, (int)args->value[CLI_KERNEL].integer);
  tare_basis_free(basis);
  return code;
}
