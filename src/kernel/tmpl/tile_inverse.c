/* SPDX-License-Identifier: Apache-2.0 */
/* Inverse transforms of tiles, the mirror of the forward ones: columns, then rows; a row is written to the image itself where it can be. */
#include "kernel/tmpl/tile_lanes.h"
#include "kernel/tmpl/tile_transform.h"

static void inverse_columns(const tare_tile *tile, tile_scratch s, int end, const float *spectrum, ptrdiff_t stride, size_t imaginary) {
  float *at = (float *)spectrum; /* only read */
  for (int c = 0; c <= tile->size / 2; c++) {
    const int frequencies = tile_column_frequencies(tile, c);
    (frequencies == tile->size ? NAME(inverse_complex) : NAME(inverse_real))(
      tile, (tile_line){at, at + imaginary, stride}, end, tile_column(s, c), s.buffer);
    at += frequencies * stride;
  }
}

static void write_row(const tare_tile_target *to, const float *row, float *at) {
  row += to->column0 * L;
  for (int j = 0; j < to->columns; j++, row += L, at += to->column) {
    V value = LOAD(row);
    if (to->add) value += load_lanes(at, to->lanes);
    store_lanes(at, to->lanes, value);
  }
}

static void rows_of(const tare_tile *tile, const tare_tile_target *to, tile_scratch s) {
  const int direct = to->column0 == 0 && to->lanes == L && !to->add, end = to->column0 + to->columns;
  for (int r = 0; r < to->rows; r++) {
    if (s.far) fetch_pairs(tile, s, to->row0 + r + AHEAD);
    float *at = to->at + r * to->row;
    tile_line out = direct ? (tile_line){at, at, to->column} : (tile_line){s.row, s.row, L};
    NAME(inverse_real)(tile, tile_row(s, to->row0 + r), end, out, s.buffer);
    if (!direct) write_row(to, s.row, at);
  }
}

void NAME(inverse_column)(const tare_tile *tile, int column, const float *spectrum, size_t stride, size_t imaginary, int rows, float *half,
                          float *scratch) {
  float *at = (float *)spectrum; /* only read */
  (tile_column_frequencies(tile, column) == tile->size ? NAME(inverse_complex) : NAME(inverse_real))(
    tile, (tile_line){at, at + imaginary, (ptrdiff_t)stride}, rows, (tile_line){half, half + L, 2 * L}, tile_scratch_at(tile, scratch).buffer);
}

void NAME(inverse_rows)(const tare_tile *tile, const float *half, size_t pitch, const tare_tile_target *to, float *scratch) {
  tile_scratch s = tile_scratch_at(tile, scratch);
  s.columns = (float *)half; /* only read */
  s.pitch = (ptrdiff_t)pitch;
  s.far = 1;
  rows_of(tile, to, s);
}

void NAME(inverse)(const tare_tile *tile, const float *spectrum, size_t stride, size_t imaginary, const tare_tile_target *to, float *scratch) {
  const tile_scratch s = tile_scratch_at(tile, scratch);
  inverse_columns(tile, s, to->row0 + to->rows, spectrum, (ptrdiff_t)stride, imaginary);
  rows_of(tile, to, s);
}
