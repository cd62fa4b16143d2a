/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows=FILE.json: {"A": [[...], ...], "b": [...]}.
 * A JSON number such as 0.1 must stay exact, and jansson would make a double
 * of it: so every number outside a string is put in quotes first and reaches
 * us as the text that stands in the file.
 */
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "constraint/rule.h"

static const size_t file_limit = 64u << 20;

static int is_number(char c) { return c && strchr("+-.0123456789eE", c) != NULL; }

/* A copy of `text` with every number in quotes; an 'e' inside true or false is none. */
static char *quote_numbers(const char *text, size_t length) {
  char *copy = tare_alloc(3 * length + 1, 1);
  if (!copy) return NULL;
  size_t at = 0;
  int inside = 0;
  for (size_t i = 0; i < length;) {
    int starts = !inside && text[i] != 'e' && text[i] != 'E' && is_number(text[i]);
    if (starts) {
      copy[at++] = '"';
      while (i < length && is_number(text[i])) copy[at++] = text[i++];
      copy[at++] = '"';
      continue;
    }
    if (inside && text[i] == '\\' && i + 1 < length) copy[at++] = text[i++];
    else if (text[i] == '"') inside = !inside;
    copy[at++] = text[i++];
  }
  return copy;
}

static tare_status read_entry(const char *path, const json_t *json, fmpq_t value, const char *name, size_t row, size_t column,
                              tare_error *error) {
  const char *text = json_string_value(json);
  size_t length = text ? tare_rational_read(value, text) : 0;
  if (length == 0 || text[length])
    return tare_fail(error, TARE_E_DATA, "%s: %s, row %zu, entry %zu: expected an integer, a decimal or \"p/q\", found %.40s", path,
                     name, row + 1, column + 1,
                     text ? text : "something else");
  return TARE_OK;
}

static tare_status read_row(const char *path, const json_t *a, const json_t *b, size_t row, tare_table *table, tare_error *error) {
  const json_t *line = json_array_get(a, row);
  size_t columns = (size_t)table->columns;
  if (json_array_size(line) != columns)
    return tare_fail(error, TARE_E_DATA, "%s: A, row %zu: expected a list of %zu numbers as in row 1, found %zu", path, row + 1, columns,
                     json_array_size(line));
  fmpq *entry = table->entry + row * (columns + 1);
  for (size_t i = 0; i < columns; i++) {
    tare_status status = read_entry(path, json_array_get(line, i), &entry[i], "A", row, i, error);
    if (status) return status;
  }
  return read_entry(path, json_array_get(b, row), &entry[columns], "b", row, 0, error);
}

static tare_status read_root(const char *path, const json_t *root, tare_table *table, tare_error *error) {
  const json_t *a = json_object_get(root, "A"), *b = json_object_get(root, "b");
  size_t rows = json_array_size(a), columns = json_array_size(json_array_get(a, 0));
  if (rows == 0 || columns == 0 || rows > 1000000 || columns > 1000000)
    return tare_fail(error, TARE_E_DATA, "%s: expected {\"A\": [[...], ...], \"b\": [...]} with at least one row in A", path);
  if (json_array_size(b) != rows)
    return tare_fail(error, TARE_E_DATA, "%s: A has %zu rows, b has %zu numbers; expected as many", path, rows, json_array_size(b));
  *table = (tare_table){.rows = (int)rows, .columns = (int)columns, .entry = tare_alloc(rows * (columns + 1), sizeof *table->entry)};
  if (!table->entry) return tare_fail_memory(error, rows * (columns + 1) * sizeof *table->entry, path);
  for (size_t i = 0; i < rows * (columns + 1); i++) fmpq_init(&table->entry[i]);
  tare_status status = TARE_OK;
  for (size_t row = 0; row < rows && !status; row++) status = read_row(path, a, b, row, table, error);
  if (status) tare_table_free(table);
  return status;
}

void tare_table_free(tare_table *table) {
  size_t entries = (size_t)table->rows * (size_t)(table->columns + 1);
  for (size_t i = 0; i < entries; i++) fmpq_clear(&table->entry[i]);
  tare_free(table->entry);
  *table = (tare_table){0};
}

tare_status tare_table_read(const char *path, tare_table *out, tare_error *error) {
  void *data;
  size_t size;
  tare_status status = tare_file_read(path, file_limit, &data, &size, error);
  if (status) return status;
  char *text = quote_numbers(data, size);
  tare_free(data);
  if (!text) return tare_fail_memory(error, 3 * size, path);
  json_error_t problem;
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
  tare_free(text);
  if (!root) return tare_fail(error, TARE_E_DATA, "%s, line %d: not JSON: %s", path, problem.line, problem.text);
  status = read_root(path, root, out, error);
  json_decref(root);
  return status;
}
