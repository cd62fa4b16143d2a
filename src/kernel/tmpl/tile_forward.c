/* SPDX-License-Identifier: Apache-2.0 */
/* Forward transforms of tiles: rows, then columns; a row is read from the image itself where it can be. */
#include <string.h>

#include "kernel/tmpl/tile_lanes.h"
#include "kernel/tmpl/tile_transform.h"

/* Pixels from the image into a row of whole vectors, less their mean; 0 left of them. */
static void copy_row(const tare_tile_source *from, const float *at, V mean, float *row) {
  memset(row, 0, (size_t)from->column0 * sizeof(V));
  row += from->column0 * L;
  for (int j = 0; j < from->columns; j++, at += from->column, row += L) STORE(row, load_lanes(at, from->lanes) - mean);
}

static void clear_rows(tile_scratch s, int columns, int rows) {
  for (int c = 0; c < columns; c++) memset(tile_column(s, c).re, 0, (size_t)rows * 2 * sizeof(V));
}

static void forward_columns(const tare_tile *tile, tile_scratch s, int end, float *spectrum, ptrdiff_t stride, size_t imaginary) {
  for (int c = 0; c <= tile->size / 2; c++) {
    const int frequencies = tile_column_frequencies(tile, c);
    if (c < tile->size / 2) fetch_column(spectrum + frequencies * stride, stride, imaginary, tile_column_frequencies(tile, c + 1));
    (frequencies == tile->size ? NAME(forward_complex) : NAME(forward_real))(
      tile, tile_column(s, c), end, (tile_line){spectrum, spectrum + imaginary, stride}, s.buffer);
    spectrum += frequencies * stride;
  }
}

void NAME(forward)(const tare_tile *tile, const tare_tile_source *from, float *spectrum, size_t stride, size_t imaginary, float *scratch) {
  const tile_scratch s = tile_scratch_at(tile, scratch);
  const int direct = from->column0 == 0 && from->lanes == L && !from->mean;
  const V mean = from->mean ? load_lanes(from->mean, from->lanes) : (V){0};
  clear_rows(s, tile->size / 2 + 1, from->row0);
  for (int r = 0; r < from->rows; r++) {
    float *at = (float *)from->at + r * from->row; /* only read */
    tile_line in = {at, at, from->column};
    if (!direct) {
      copy_row(from, at, mean, s.row);
      in = (tile_line){s.row, s.row, L};
    }
    NAME(forward_real)(tile, in, from->column0 + from->columns, tile_row(s, from->row0 + r), s.buffer);
  }
  forward_columns(tile, s, from->row0 + from->rows, spectrum, (ptrdiff_t)stride, imaginary);
}

/* Row r of a lane's box as a row of single floats, `size` of them. */
static void copy_lane(const tare_tile_source *from, int r, int size, float *row) {
  const int inside = r >= from->row0 && r < from->row0 + from->rows;
  memset(row, 0, (size_t)size * sizeof(float));
  if (!inside) return;
  const float *at = from->at + (r - from->row0) * from->row;
  const float mean = from->mean ? *from->mean : 0;
  row += from->column0;
  if (from->column == 1)
    for (int j = 0; j < from->columns; j++) row[j] = at[j] - mean;
  else
    for (int j = 0; j < from->columns; j++) row[j] = at[j * from->column] - mean;
}

static int at_most(int a, int b) { return a < b ? a : b; }
static int at_least(int a, int b) { return a > b ? a : b; }

void NAME(forward_each)(const tare_tile *tile, const tare_tile_source *from, float *spectrum, size_t stride, size_t imaginary, float *scratch) {
  const tile_scratch s = tile_scratch_at(tile, scratch);
  int first = tile->size, rows = 0, columns = 0;
  for (int l = 0; l < L; l++) {
    if (from[l].rows == 0) continue;
    first = at_most(first, from[l].row0);
    rows = at_least(rows, from[l].row0 + from[l].rows);
    columns = at_least(columns, from[l].column0 + from[l].columns);
  }
  const int padded = tile_padded(columns, L);
  clear_rows(s, tile->size / 2 + 1, at_most(first, rows));
  for (int r = first; r < rows; r++) {
    for (int l = 0; l < L; l++) copy_lane(&from[l], r, padded, s.lanes + l * padded);
    for (int j = 0; j < padded; j += L) transpose_lanes(s.lanes + j, padded, s.row + j * L);
    NAME(forward_real)(tile, (tile_line){s.row, s.row, L}, columns, tile_row(s, r), s.buffer);
  }
  forward_columns(tile, s, rows, spectrum, (ptrdiff_t)stride, imaginary);
}
