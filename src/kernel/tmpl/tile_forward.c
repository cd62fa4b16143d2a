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
    (frequencies == tile->size ? NAME(forward_complex) : NAME(forward_real))(
      tile, tile_column(s, c), end, (tile_line){spectrum, spectrum + imaginary, stride}, s.buffer);
    spectrum += frequencies * stride;
  }
}

/* A row of the image, if its pixels lie apart. */
static void fetch_pixels(const tare_tile_source *from, int r) {
  if (r < from->rows && from->column >= 2 * L) fetch_apart(from->at + r * from->row, from->column, from->columns);
}

static void rows_of(const tare_tile *tile, const tare_tile_source *from, tile_scratch s) {
  const int direct = from->column0 == 0 && from->lanes == L && !from->mean;
  const V mean = from->mean ? load_lanes(from->mean, from->lanes) : (V){0};
  clear_rows(s, tile->size / 2 + 1, from->row0);
  for (int r = 0; r < AHEAD; r++) fetch_pixels(from, r);
  for (int r = 0; r < from->rows; r++) {
    float *at = (float *)from->at + r * from->row; /* only read */
    fetch_pixels(from, r + AHEAD);
    if (s.far) fetch_pairs(tile, s, from->row0 + r + AHEAD);
    tile_line in = {at, at, from->column};
    if (!direct) {
      copy_row(from, at, mean, s.row);
      in = (tile_line){s.row, s.row, L};
    }
    NAME(forward_real)(tile, in, from->column0 + from->columns, tile_row(s, from->row0 + r), s.buffer);
  }
}

void NAME(forward_rows)(const tare_tile *tile, const tare_tile_source *from, float *half, size_t pitch, float *scratch) {
  tile_scratch s = tile_scratch_at(tile, scratch);
  s.columns = half;
  s.pitch = (ptrdiff_t)pitch;
  s.far = 1;
  rows_of(tile, from, s);
}

void NAME(forward_column)(const tare_tile *tile, int column, const float *half, int rows, float *spectrum, size_t stride, size_t imaginary,
                          float *scratch) {
  float *at = (float *)half; /* only read */
  (tile_column_frequencies(tile, column) == tile->size ? NAME(forward_complex) : NAME(forward_real))(
    tile, (tile_line){at, at + L, 2 * L}, rows, (tile_line){spectrum, spectrum + imaginary, (ptrdiff_t)stride},
    tile_scratch_at(tile, scratch).buffer);
}

void NAME(forward)(const tare_tile *tile, const tare_tile_source *from, float *spectrum, size_t stride, size_t imaginary, float *scratch) {
  const tile_scratch s = tile_scratch_at(tile, scratch);
  rows_of(tile, from, s);
  forward_columns(tile, s, from->row0 + from->rows, spectrum, (ptrdiff_t)stride, imaginary);
}

static int at_most(int a, int b) { return a < b ? a : b; }
static int at_least(int a, int b) { return a > b ? a : b; }

/* The smallest box around those of all lanes. */
static tare_tile_source around(const tare_tile *tile, const tare_tile_source *from) {
  int row0 = tile->size, column0 = tile->size, rows = 0, columns = 0;
  for (int l = 0; l < L; l++) {
    if (from[l].rows == 0) continue;
    row0 = at_most(row0, from[l].row0);
    column0 = at_most(column0, from[l].column0);
    rows = at_least(rows, from[l].row0 + from[l].rows);
    columns = at_least(columns, from[l].column0 + from[l].columns);
  }
  row0 = at_most(row0, rows), column0 = at_most(column0, columns);
  return (tare_tile_source){.row0 = row0, .rows = rows - row0, .column0 = column0, .columns = columns - column0};
}

static int inside(const tare_tile_source *from, int r) { return r >= from->row0 && r < from->row0 + from->rows; }

/* Row r of a lane's box, the columns of `all` (whole vectors of them), less its mean, 0 outside of the box. */
static void copy_lane(const tare_tile_source *from, const tare_tile_source *all, int r, float *row) {
  memset(row, 0, (size_t)tile_padded(all->columns, L) * sizeof(float));
  if (!inside(from, r)) return;
  const float *at = from->at + (r - from->row0) * from->row;
  const float mean = from->mean ? *from->mean : 0;
  row += from->column0 - all->column0;
  for (int j = 0; j < from->columns; j++) row[j] = at[j * from->column] - mean;
}

/* The rows of all lanes at once: squares of L x L, the last one ending with the rows if they are long enough. */
static void transpose_row(const float *const rows[L], const tare_tile_source *all, V mean, float *to) {
  for (int j = 0; j < all->columns; j += L) {
    const int at = all->columns >= L ? at_most(j, all->columns - L) : 0;
    transpose_lanes(rows, at, mean, to + (all->column0 + at) * L);
  }
}

/* Boxes of one geometry with neighbouring pixels: their rows are read where they are. */
static int regular(const tare_tile_source *from, const tare_tile_source *all) {
  int like = all->columns >= L;
  for (int l = 0; l < L; l++)
    like &= from[l].column == 1 && from[l].columns == all->columns && from[l].rows == all->rows && from[l].row0 == all->row0 &&
            from[l].column0 == all->column0;
  return like;
}

void NAME(forward_each)(const tare_tile *tile, const tare_tile_source *from, float *spectrum, size_t stride, size_t imaginary, float *scratch) {
  const tile_scratch s = tile_scratch_at(tile, scratch);
  const tare_tile_source all = around(tile, from);
  const int direct = regular(from, &all);
  const float *rows[L];
  float mean[L] = {0};
  for (int l = 0; l < L; l++) {
    rows[l] = direct ? from[l].at : s.lanes + l * tile_padded(all.columns, L);
    if (direct && from[l].mean) mean[l] = *from[l].mean;
  }
  clear_rows(s, tile->size / 2 + 1, all.row0);
  memset(s.row, 0, (size_t)all.column0 * sizeof(V));
  for (int r = all.row0; r < all.row0 + all.rows; r++) {
    for (int l = 0; !direct && l < L; l++) copy_lane(&from[l], &all, r, s.lanes + l * tile_padded(all.columns, L));
    transpose_row(rows, &all, LOAD(mean), s.row);
    NAME(forward_real)(tile, (tile_line){s.row, s.row, L}, all.column0 + all.columns, tile_row(s, r), s.buffer);
    for (int l = 0; direct && l < L; l++) rows[l] += from[l].row;
  }
  forward_columns(tile, s, all.row0 + all.rows, spectrum, (ptrdiff_t)stride, imaginary);
}
