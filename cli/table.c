/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of text: cells are added row by row, columns become as wide as their widest cell; a narrow terminal drops the last ones. */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli_table { int columns, cells, capacity; char (*text)[80]; unsigned char *left; };

static char *next_cell(cli_table *table) {
  if (table->cells == table->capacity) {
    int capacity = table->capacity * 2 + 64;
    void *text = realloc(table->text, (size_t)capacity * sizeof *table->text);
    if (!text) return NULL;
    table->text = text;
    table->capacity = capacity;
  }
  return table->text[table->cells++];
}

cli_table *cli_table_create(const char *const *headings, int columns) {
  cli_table *table = calloc(1, sizeof *table);
  unsigned char *left = calloc((size_t)columns, 1);
  if (!table || !left) {
    free(table);
    free(left);
    return NULL;
  }
  *table = (cli_table){.columns = columns, .left = left};
  for (int i = 0; i < columns; i++) {
    left[i] = headings[i][0] == '<';
    cli_table_cell(table, "%s", headings[i] + left[i]);
  }
  return table;
}

void cli_table_cell(cli_table *table, const char *format, ...) {
  char *cell = table ? next_cell(table) : NULL;
  if (!cell) return;
  va_list args;
  va_start(args, format);
  vsnprintf(cell, sizeof *table->text, format, args);
  va_end(args);
}

/* Characters of UTF-8 text: bytes that do not continue another. */
static int characters(const char *text) {
  int count = 0;
  for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
  return count;
}

static int column_width(const cli_table *table, int column) {
  int width = 0;
  for (int i = column; i < table->cells; i += table->columns) {
    int length = characters(table->text[i]);
    if (length > width) width = length;
  }
  return width;
}

/* How many columns a terminal has room for; elsewhere all. */
static int fitting(const cli_table *table, FILE *file) {
  if (!isatty(fileno(file))) return table->columns;
  int room = cli_terminal_width(file) + 2, fit = 0;
  while (fit < table->columns && (room -= column_width(table, fit) + 2) >= 0) fit++;
  return fit < 2 ? 2 : fit;
}

void cli_table_print(cli_table *table, FILE *file) {
  if (!table) return;
  int shown = fitting(table, file);
  for (int i = 0; i < table->cells; i++) {
    int column = i % table->columns, last = column == shown - 1, left = table->left[column];
    if (column >= shown) continue;
    int pad = column_width(table, column) - characters(table->text[i]);
    fprintf(file, "%*s%s%*s%s", left ? 0 : pad, "", table->text[i], left && !last ? pad : 0, "", last ? "\n" : "  ");
  }
  if (shown < table->columns) fprintf(file, "(a wider terminal shows %d more columns)\n", table->columns - shown);
  cli_table_free(table);
}

void cli_table_free(cli_table *table) {
  if (!table) return;
  free(table->text);
  free(table->left);
  free(table);
}
