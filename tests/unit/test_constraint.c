/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flint/fmpq_mat.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "constraint/constraint.h"
#include "constraint/rational.h"

static tare_filter_shape shape_of(int a, int b, int c, int channels) {
  return (tare_filter_shape){.dims = c ? 3 : b ? 2 : 1, .size = {a, b, c}, .channels = channels};
}

static tare_constraint *make(const char *text, tare_filter_shape shape) {
  tare_constraint *c = NULL;
  tare_error error = {0};
  if (tare_constraint_create(text, &shape, 1, &c, &error)) fail_msg("%s: %s", text, error.message);
  return c;
}

static void write_temporary(char *path, const char *content) {
  strcpy(path, P_tmpdir "/tare-test-XXXXXX");
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, strlen(content)), (int)strlen(content));
  close(fd);
}

/* How many rows each rule has on each shape, and what is said of rows that were dropped. */
static void rows_are_counted(void **state) {
  (void)state;
  static const struct { const char *text; int a, b, c, channels, taps, rows; const char *note; } cases[] = {
    {"", 3, 3, 0, 1, 9, 0, ""},
    {" none ", 3, 3, 0, 4, 9, 0, ""},
    {"sum=0", 7, 0, 0, 1, 7, 1, ""},
    {"sum=0", 7, 7, 0, 5, 49, 1, ""},
    {"sum=0@filter", 7, 7, 0, 5, 245, 1, ""},
    {"sum=0; centre=1@filter", 3, 3, 0, 4, 36, 5, ""},
    {"order=2", 5, 5, 0, 1, 25, 6, ""},
    {"order=2", 5, 5, 5, 1, 125, 10, ""},
    {"order=2", 4, 0, 0, 1, 4, 3, ""},
    {"order=4", 3, 0, 0, 1, 3, 3, "rule \"order=4\": 2 of its 5 rows follow from the other rows: dropped"},
    {"bayar", 5, 5, 0, 1, 25, 2, ""},
    {"bayar; sum=0", 5, 5, 0, 1, 25, 2, "rule \"sum=0\" follows from the other rules: dropped"},
    {"sum=1;sum=1.0", 3, 3, 0, 1, 9, 1, "rule \"sum=1\" follows from the other rules: dropped"},
    {"sum=0; order=1", 3, 3, 0, 1, 9, 3, "1 of its 3 rows"},
    {"symmetric", 31, 31, 0, 1, 961, 480, ""},
    {"symmetric", 4, 4, 0, 1, 16, 8, ""},
    {"antisymmetric", 5, 5, 0, 1, 25, 13, ""},
    {"antisymmetric; order=1", 5, 5, 0, 1, 25, 15, "1 of its 3 rows"},
    {"symmetric; antisymmetric", 3, 3, 0, 1, 9, 9, ""},
    {"order=4; symmetric", 31, 31, 0, 1, 961, 489, "6 of its 15 rows"},
    {"derivative(2,0) accuracy=2", 5, 5, 0, 1, 25, 10, ""},
    {"derivative(1)", 3, 0, 0, 1, 3, 2, ""},
    {"order=2; symmetric; sum=0@filter", 7, 7, 0, 8, 392, 224, "rule \"sum=0@filter\" follows"},
    {"moment(0,3)=0; moment(0,1)=0", 1, 3, 0, 1, 3, 1, "rule \"moment(0,1)=0\" follows"},
    {"moment(1,0)=0", 1, 3, 0, 1, 3, 0, "rule \"moment(1,0)=0\" follows"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_constraint *c = make(cases[i].text, shape_of(cases[i].a, cases[i].b, cases[i].c, cases[i].channels));
    assert_int_equal(tare_constraint_taps(c), cases[i].taps);
    if (tare_constraint_rows(c) != cases[i].rows) fail_msg("%s: %d rows, expected %d", cases[i].text, tare_constraint_rows(c),
                                                           cases[i].rows);
    if (!strstr(tare_constraint_notes(c), cases[i].note)) fail_msg("%s: note \"%s\"", cases[i].text, tare_constraint_notes(c));
    if (!*cases[i].note) assert_string_equal(tare_constraint_notes(c), "");
    assert_int_equal(tare_constraint_is_filter(c), strchr(cases[i].text, '@') != NULL);
    tare_constraint_free(c);
  }
  tare_constraint_free(NULL);
}

static void check_matrix(const char *text, tare_filter_shape shape, const double *a, const double *b) {
  tare_constraint *c = make(text, shape);
  int m = tare_constraint_rows(c), n = tare_constraint_taps(c);
  double got[200], right[20];
  for (int i = 0; i < 200; i++) got[i] = NAN;
  tare_constraint_matrix(c, got, right);
  tare_constraint_matrix(c, NULL, NULL);
  for (int i = 0; i < m * n; i++)
    if (!(got[i] == a[i])) fail_msg("%s: entry %d is %g, expected %g", text, i, got[i], a[i]);
  for (int i = 0; i < m; i++) assert_true(right[i] == b[i]);
  int homogeneous = 1;
  for (int i = 0; i < m; i++) homogeneous &= b[i] == 0;
  assert_int_equal(tare_constraint_is_homogeneous(c), homogeneous);
  tare_constraint_free(c);
}

static void rules_mean_what_they_say(void **state) {
  (void)state;
  check_matrix("bayar", shape_of(3, 3, 0, 1), (double[]){0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1}, (double[]){-1, 1});
  check_matrix("sum=0.1", shape_of(2, 0, 0, 1), (double[]){1, 1}, (double[]){0.1});
  check_matrix("centre=-1/4", shape_of(3, 0, 0, 1), (double[]){0, 1, 0}, (double[]){-0.25});
  check_matrix("moment(1)=0", shape_of(4, 0, 0, 1), (double[]){-1.5, -0.5, 0.5, 1.5}, (double[]){0});
  check_matrix("moment(2)=3", shape_of(3, 0, 0, 1), (double[]){0.5, 0, 0.5}, (double[]){3});
  check_matrix("moment(1,2)=0", shape_of(2, 3, 0, 1), (double[]){-0.25, 0, -0.25, 0.25, 0, 0.25}, (double[]){0});
  check_matrix("symmetric", shape_of(3, 0, 0, 1), (double[]){1, 0, -1}, (double[]){0});
  check_matrix("antisymmetric", shape_of(3, 0, 0, 1), (double[]){1, 0, 1, 0, 1, 0}, (double[]){0, 0});
  check_matrix("derivative(1) accuracy=2", shape_of(3, 0, 0, 1), (double[]){1, 1, 1, -1, 0, 1, 0.5, 0, 0.5}, (double[]){0, 1, 0});
}

/* A finite-difference table is the one solution of its rule: (-1/2, 0, 1/2) for the first derivative. */
static void filter_scope_repeats(void **state) {
  (void)state;
  check_matrix("sum=0; centre=2@filter", shape_of(3, 0, 0, 2), (double[]){1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0},
               (double[]){0, 0, 2});
  check_matrix("moment(1)=1@filter", shape_of(2, 0, 0, 2), (double[]){-0.5, 0.5, -0.5, 0.5}, (double[]){1});
  tare_constraint *c = make("derivative(1) accuracy=2", shape_of(3, 0, 0, 1));
  tare_residual residual;
  float central[3] = {-0.5f, 0, 0.5f};
  assert_int_equal(tare_constraint_residual(c, central, 1, &residual, NULL), TARE_OK);
  assert_int_equal(residual.exact_units, 1);
  assert_string_equal(residual.fraction, "0");
  tare_constraint_free(c);
  c = make("derivative(2) accuracy=4", shape_of(5, 0, 0, 1));
  double a[25], b[5];
  tare_constraint_matrix(c, a, b);
  static const double table[5] = {-1.0 / 12, 4.0 / 3, -5.0 / 2, 4.0 / 3, -1.0 / 12}; /* Fornberg 1988, table 1 */
  for (int i = 0; i < 5; i++) {
    double sum = -b[i];
    for (int k = 0; k < 5; k++) sum += a[i * 5 + k] * table[k];
    assert_true(fabs(sum) < 1e-14);
  }
  tare_constraint_free(c);
}

static void refuse(const char *text, tare_filter_shape shape, tare_status expected, const char *first, const char *second) {
  tare_constraint *c = NULL;
  tare_error error = {0};
  tare_status status = tare_constraint_create(text, &shape, 0, &c, &error);
  assert_null(c);
  if (status != expected) fail_msg("%s: status %d, expected %d: %s", text, status, expected, error.message);
  if (!strstr(error.message, first) || !strstr(error.message, second)) fail_msg("%s: expected %s and %s in: %s", text, first, second,
                                                                                error.message);
  assert_null(strchr(error.message, '\n'));
  assert_int_equal(tare_constraint_create(text, &shape, 0, &c, NULL), expected);
}

static void contradictions_name_two_rules(void **state) {
  (void)state;
  tare_filter_shape square = shape_of(5, 5, 0, 2), line = shape_of(3, 0, 0, 1);
  refuse("sum=0; sum=1", square, TARE_E_CONFLICT, "\"sum=0\"", "\"sum=1\"");
  refuse("moment(1,0)=0; order=1; symmetric; sum=1/2", square, TARE_E_CONFLICT, "\"order=1\"", "\"sum=1/2\"");
  refuse("sum=0; bayar; moment(2,0)=0; centre=1", square, TARE_E_CONFLICT, "\"bayar\"", "\"centre=1\"");
  refuse("antisymmetric; derivative(2,0)", square, TARE_E_CONFLICT, "\"antisymmetric\"", "\"derivative(2,0)\"");
  refuse("sum=0; sum=1@filter", square, TARE_E_CONFLICT, "\"sum=0\"", "\"sum=1@filter\"");
  refuse("derivative(2) accuracy=4", line, TARE_E_CONFLICT, "contradicts itself", "larger filter");
  refuse("moment(0)=1; centre=1; moment(2)=1", line, TARE_E_CONFLICT, "\"moment(0)=1\", \"centre=1\", \"moment(2)=1\"",
         "any two of them do not");
  refuse("order=2", line, TARE_E_CONFLICT, "no free weight", "3 independent rows for 3 taps");
  refuse("symmetric; antisymmetric", square, TARE_E_CONFLICT, "no free weight", "25");
}

static void syntax_errors_have_their_column(void **state) {
  (void)state;
  static const struct { const char *text, *column, *part; } cases[] = {
    {"sun=0", "column 1", "sum, order, bayar"}, {"sum", "column 4", "'='"},       {"sum=", "column 5", "a number"},
    {"sum=x", "column 5", "\"x\""},             {"sum=1/0", "column 5", "number"}, {"sum=1/2.5", "column 8", "';' or the end"},
    {"sum=0 order=1", "column 7", "';'"},       {"sum=0;", "column 7", "a rule"},  {"sum=0;;order=1", "column 7", "a rule"},
    {"sum=0@all", "column 7", "slice or filter"}, {"order=-1", "column 7", "0 to 20"}, {"order=21", "column 7", "0 to 20"},
    {"order=99999999999999999999", "column 7", "0 to 20"}, {"order=1.5", "column 8", "';' or the end"},
    {"moment(1)=0", "column 9", "','"},         {"moment(1,0,0)=0", "column 11", "')'"}, {"moment(1,0)", "column 12", "'='"},
    {"moment=1", "column 7", "'('"},            {"moment(-1,0)=0", "column 8", "a power"}, {"moment(20,1)=0", "column 1", "total order 21"},
    {"derivative(2,0) accuracy", "column 25", "'='"}, {"derivative(2,0) accuracy=0", "column 26", "1 to 20"},
    {"derivative(2,0) acc=2", "column 17", "';'"}, {"derivative(10,5) accuracy=10", "column 1", "total order 24"},
    {"none; sum=0", "column 1", "a rule"},      {"rows=", "column 6", "the name of a JSON file"}, {"summary=0", "column 1", "a rule"},
    {"sum=1e999", "column 5", "a number"},      {"symmetric=1", "column 10", "';'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refuse(cases[i].text, shape_of(5, 5, 0, 1), TARE_E_SYNTAX, cases[i].column,
                                                                   cases[i].part);
  refuse("sum=0; bayar", shape_of(5, 4, 0, 1), TARE_E_SHAPE, "column 8", "bayar needs a centre tap");
  refuse("centre=1", shape_of(2, 0, 0, 1), TARE_E_SHAPE, "centre", "size 2 along axis 1");
  refuse("sum=0", (tare_filter_shape){.dims = 4, .channels = 1}, TARE_E_ARGUMENT, "axes", "4");
  refuse("sum=0", shape_of(0, 0, 0, 1), TARE_E_ARGUMENT, "size", "0");
  refuse("sum=0", shape_of(3, 3, 0, 0), TARE_E_ARGUMENT, "channel", "0");
  refuse("sum=0", shape_of(100000, 100000, 100000, 3), TARE_E_ARGUMENT, "taps", "16777216");
  tare_constraint *c = NULL;
  assert_int_equal(tare_constraint_create(NULL, NULL, 0, &c, NULL), TARE_E_ARGUMENT);
}

static void text_is_canonical(void **state) {
  (void)state;
  static const struct { const char *text, *canonical; } cases[] = {
    {"", "none"}, {"none", "none"}, {" moment ( 1,1) = 0.50 ; order = 0 @ slice;bayar@filter", "moment(1,1)=1/2; order=0; bayar@filter"},
    {"sum=+1e-2", "sum=1/100"}, {"sum=-4/6", "sum=-2/3"}, {"sum=.5", "sum=1/2"}, {"sum=2.", "sum=2"}, {"sum=1e3", "sum=1000"},
    {"moment( 2 , 0 )= 3", "moment(2,0)=3"}, {"derivative(1,0)accuracy=1", "derivative(1,0)"},
    {"derivative(2,0)   accuracy = 2@filter", "derivative(2,0) accuracy=2@filter"}, {"antisymmetric", "antisymmetric"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_constraint *c = make(cases[i].text, shape_of(5, 5, 0, 2));
    assert_string_equal(tare_constraint_text(c), cases[i].canonical);
    tare_constraint *again = make(tare_constraint_text(c), shape_of(5, 5, 0, 2));
    assert_string_equal(tare_constraint_text(again), cases[i].canonical);
    assert_int_equal(tare_constraint_rows(again), tare_constraint_rows(c));
    tare_constraint_free(c);
    tare_constraint_free(again);
  }
}

/* sum = 1/10 has no binary weights, five times them has: (1/4, 1/4) over 5. */
static void holds_over_a_divisor(void **state) {
  (void)state;
  tare_constraint *c = make("sum=1/10", shape_of(2, 0, 0, 1));
  tare_residual residual;
  const float w[] = {0.25f, 0.25f, 0.5f, 0.25f};
  assert_int_equal(tare_constraint_residual_over(c, w, 2, 5, &residual, NULL), TARE_OK);
  assert_int_equal(residual.exact_units, 1);
  assert_int_equal(residual.worst_unit, 1);
  assert_string_equal(residual.fraction, "1/20");
  assert_int_equal(tare_constraint_residual(c, w, 1, &residual, NULL), TARE_OK);
  assert_string_equal(residual.fraction, "2/5");
  tare_constraint_free(c);
}

/* 0.1 + 0.2 = 0.3 holds for decimals, not for doubles. */
static void rows_from_a_file_are_exact(void **state) {
  (void)state;
  char path[32], text[80];
  write_temporary(path, "{\"note\": \"0.5 and \\\"1\\\"\", \"A\": [[0.1, 2e-1, 0.3], [\"1/3\", 0, -1]],\n \"b\": [0, \"1/3\"]}");
  snprintf(text, sizeof text, "rows=%s", path);
  tare_constraint *c = make(text, shape_of(3, 0, 0, 2));
  assert_int_equal(tare_constraint_rows(c), 2);
  assert_string_equal(tare_constraint_text(c), text);
  double a[6], b[2];
  tare_constraint_matrix(c, a, b);
  assert_true(a[0] == 0.1 && a[1] == 0.2 && a[2] == 0.3 && a[3] == 1.0 / 3 && a[5] == -1 && b[1] == 1.0 / 3);
  tare_constraint_free(c);
  snprintf(text, sizeof text, " rows = %s @filter ", path);
  c = make(text, shape_of(3, 0, 0, 2));
  assert_int_equal(tare_constraint_taps(c), 6);
  assert_int_equal(tare_constraint_rows(c), 2);
  tare_constraint_free(c);
  c = make(text, shape_of(3, 0, 0, 1));
  assert_int_equal(tare_constraint_is_filter(c), 1);
  tare_constraint_free(c);
  unlink(path);
  write_temporary(path, "{\"A\": [[0.1, 0.2, 0.3]], \"b\": [0]}");
  snprintf(text, sizeof text, "rows=%s", path);
  c = make(text, shape_of(3, 0, 0, 1));
  tare_residual residual;
  assert_int_equal(tare_constraint_residual(c, (float[]){1, 1, -1}, 1, &residual, NULL), TARE_OK);
  assert_true(residual.max_abs == 0 && residual.exact_units == 1);
  assert_int_equal(tare_constraint_residual(c, (float[]){1, 1, 1}, 1, &residual, NULL), TARE_OK);
  assert_string_equal(residual.fraction, "3/5");
  tare_constraint_free(c);
  unlink(path);
  write_temporary(path, "{\"A\": [[1, 0, 0, 0, 0, -1]], \"b\": [0]}"); /* a row over the whole filter */
  snprintf(text, sizeof text, "rows=%s@filter", path);
  c = make(text, shape_of(3, 0, 0, 2));
  assert_int_equal(tare_constraint_rows(c), 1);
  tare_constraint_free(c);
  unlink(path);
}

/* Pivots other than 1: the right-hand side must be carried along. */
static void combinations_of_rows_are_seen(void **state) {
  (void)state;
  for (int right = 7; right <= 8; right++) {
    char path[32], text[64], content[100];
    sprintf(content, "{\"A\": [[2, 3, 5], [3, 2, 7], [12, 13, 29]], \"b\": [1, 2, %d]}",
            right); /* the third is 3 times the first and twice the second */
    write_temporary(path, content);
    snprintf(text, sizeof text, "rows=%s", path);
    if (right == 7) {
      tare_constraint *c = make(text, shape_of(3, 0, 0, 1));
      assert_int_equal(tare_constraint_rows(c), 2);
      tare_constraint_free(c);
    } else {
      refuse(text, shape_of(3, 0, 0, 1), TARE_E_CONFLICT, "contradicts itself", "");
    }
    unlink(path);
  }
}

static void bad_files_are_refused(void **state) {
  (void)state;
  static const struct { const char *content; tare_status status; const char *part; } cases[] = {
    {"", TARE_E_DATA, "not JSON"},
    {"{\"A\": [[1,1,1]], \"b\": [0]", TARE_E_DATA, "not JSON"},
    {"[1]", TARE_E_DATA, "expected {"},
    {"{\"A\": [], \"b\": []}", TARE_E_DATA, "at least one row"},
    {"{\"A\": [[1,1,1]]}", TARE_E_DATA, "b has 0"},
    {"{\"A\": [[1,1,1],[1,1]], \"b\": [0,0]}", TARE_E_DATA, "row 2"},
    {"{\"A\": [[1,1,true]], \"b\": [0]}", TARE_E_DATA, "entry 3"},
    {"{\"A\": [[1,1,\"x\"]], \"b\": [0]}", TARE_E_DATA, "found x"},
    {"{\"A\": [[1,1,\"1/0\"]], \"b\": [0]}", TARE_E_DATA, "found 1/0"},
    {"{\"A\": [[1,1,1-2]], \"b\": [0]}", TARE_E_DATA, "found 1-2"},
    {"{\"A\": [[1,1,1e99999999999]], \"b\": [0]}", TARE_E_DATA, "entry 3"},
    {"{\"A\": [[1,1,1]], \"b\": [[0]]}", TARE_E_DATA, "b, row 1"},
    {"{\"A\": [[1,1,1]], \"A\": [[1,1,1]], \"b\": [0]}", TARE_E_DATA, "not JSON"},
    {"{\"A\": [[1,1]], \"b\": [0]}", TARE_E_SHAPE, "expected 3"},
    {"{\"A\": [[1,1,1],[2,2,2]], \"b\": [0,1]}", TARE_E_CONFLICT, "contradicts itself"},
    {"{\"A\": [[0,0,0]], \"b\": [1]}", TARE_E_CONFLICT, "contradicts itself"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char path[32], text[64];
    write_temporary(path, cases[i].content);
    snprintf(text, sizeof text, "rows=%s", path);
    refuse(text, shape_of(3, 0, 0, 1), cases[i].status, cases[i].part, "");
    unlink(path);
  }
  refuse("rows=/nonexistent/x.json", shape_of(3, 0, 0, 1), TARE_E_DATA, "/nonexistent/x.json", "");
  refuse("rows=/", shape_of(3, 0, 0, 1), TARE_E_DATA, "/", "");
}

/* The rows of a constraint under those of another, for FLINT's own rank. */
static void append_rows(fmpq_mat_t m, slong at, const tare_constraint *c) {
  for (int i = 0; i < tare_constraint_rows(c); i++) {
    const tare_row *row = tare_constraint_row(c, i);
    for (int k = 0; k < row->count; k++) {
      fmpq *entry = fmpq_mat_entry(m, at + i, row->tap[k]);
      fmpz_set(fmpq_numref(entry), &row->a[k]);
      fmpz_set(fmpq_denref(entry), row->den);
      fmpq_canonicalise(entry);
    }
  }
}

/* Rules together have the rank that FLINT finds for their rows put one under another. */
static void rank_is_what_flint_finds(void **state) {
  (void)state;
  static const char *rules[] = {"sum=0", "order=1", "order=3", "symmetric", "antisymmetric", "moment(1,1)=0", "moment(4,0)=0",
                                "centre=0", "order=6"};
  enum { RULES = sizeof rules / sizeof *rules };
  static const int sizes[][2] = {{3, 3}, {5, 3}, {7, 1}};
  for (int size = 0; size < 3; size++)
    for (int set = 1; set < 1 << RULES; set += 3) {
      tare_filter_shape shape = shape_of(sizes[size][0], sizes[size][1], 0, 1);
      tare_constraint *part[RULES], *all;
      char text[200] = "";
      int count = 0, total = 0;
      for (int i = 0; i < RULES; i++)
        if (set >> i & 1) {
          part[count] = make(rules[i], shape);
          total += tare_constraint_rows(part[count++]);
          sprintf(text + strlen(text), "%s%s", *text ? ";" : "", rules[i]);
        }
      all = make(text, shape);
      fmpq_mat_t m;
      fmpq_mat_init(m, total + tare_constraint_rows(all), tare_constraint_taps(all));
      for (int i = 0, at = 0; i < count; at += tare_constraint_rows(part[i++])) append_rows(m, at, part[i]);
      append_rows(m, total, all);
      slong rank = fmpq_mat_rref(m, m);
      if (rank != tare_constraint_rows(all)) fail_msg("%s: %d rows, rank %ld", text, tare_constraint_rows(all), rank);
      fmpq_mat_clear(m);
      for (int i = 0; i < count; i++) tare_constraint_free(part[i]);
      tare_constraint_free(all);
    }
}

static void set_float(fmpq_t out, float w) {
  int exponent;
  fmpz_t power;
  fmpz_init(power);
  fmpq_set_si(out, (slong)ldexp(frexp(w, &exponent), 24), 1);
  exponent -= 24;
  fmpz_one(power);
  fmpz_mul_2exp(power, power, (ulong)abs(exponent));
  if (exponent < 0) fmpq_div_fmpz(out, out, power);
  else fmpq_mul_fmpz(out, out, power);
  fmpz_clear(power);
}

/* |A w - b| of row `i`, term by term in rationals. */
static void plain_residual(fmpq_t sum, const tare_constraint *c, int i, const float *w) {
  const tare_row *row = tare_constraint_row(c, i);
  fmpq_t term;
  fmpq_init(term);
  fmpq_set_si(sum, 0, 1);
  fmpq_sub_fmpz(sum, sum, row->b);
  for (int k = 0; k < row->count; k++) {
    set_float(term, w[row->tap[k]]);
    fmpq_mul_fmpz(term, term, &row->a[k]);
    fmpq_add(sum, sum, term);
  }
  fmpq_div_fmpz(sum, sum, row->den);
  fmpq_abs(sum, sum);
  fmpq_clear(term);
}

/* Weights of every size, from the smallest denormal to the largest float. */
static float any_float(tare_rng *rng, int spread) {
  int exponent = (int)tare_rng_range(rng, -spread, spread);
  if (exponent > 126) exponent = 126;
  return tare_rng_below(rng, 8) ? ldexpf((float)tare_rng_range(rng, -1, 1), exponent) : 0;
}

static void residual_is_exact(void **state) {
  (void)state;
  static const char *rules[] = {"sum=0", "sum=1/3", "order=3", "bayar", "moment(3,4)=1e-30", "symmetric", "sum=1e30; moment(2,0)=0.1"};
  static const int spreads[] = {2, 20, 60, 149};
  tare_rng rng;
  tare_rng_init(&rng, 11, 0);
  fmpq_t value, largest;
  fmpq_init(value);
  fmpq_init(largest);
  for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++)
    for (size_t s = 0; s < 4; s++) {
      enum { N = 35, UNITS = 20 };
      tare_constraint *c = make(rules[rule], shape_of(7, 5, 0, 1));
      float w[N * UNITS];
      for (int i = 0; i < N * UNITS; i++) w[i] = any_float(&rng, spreads[s]);
      tare_residual residual;
      memset(&residual, 0xA5, sizeof residual);
      assert_int_equal(tare_constraint_residual(c, w, UNITS, &residual, NULL), TARE_OK);
      size_t exact = 0;
      fmpq_zero(largest);
      for (int unit = 0; unit < UNITS; unit++) {
        int holds = 1;
        for (int row = 0; row < tare_constraint_rows(c); row++) {
          plain_residual(value, c, row, w + unit * N);
          holds &= fmpq_is_zero(value);
          if (fmpq_cmp(value, largest) > 0) fmpq_set(largest, value);
        }
        exact += (size_t)holds;
      }
      assert_int_equal(residual.exact_units, exact);
      assert_true(residual.max_abs == tare_rational_double(fmpq_numref(largest), fmpq_denref(largest)));
      plain_residual(value, c, residual.worst_row, w + residual.worst_unit * N);
      assert_true(fmpq_equal(value, largest));
      assert_true(strlen(residual.fraction) < sizeof residual.fraction);
      tare_constraint_free(c);
    }
  fmpq_clear(value);
  fmpq_clear(largest);
}

static void residual_of_special_weights(void **state) {
  (void)state;
  tare_constraint *c = make("sum=0", shape_of(3, 0, 0, 1));
  tare_residual residual;
  tare_error error = {0};
  float floats[3] = {0.1f, 0.2f, -0.3f}, mixed[6] = {1, -1, 0, FLT_TRUE_MIN, FLT_MAX, -FLT_MAX}, bad[3] = {0, 0, INFINITY};
  assert_int_equal(tare_constraint_residual(c, floats, 1, &residual, NULL), TARE_OK);
  assert_string_equal(residual.fraction, "-1/134217728"); /* of the floats nearest 0.1, 0.2 and 0.3 */
  assert_true(residual.max_abs == 0x1p-27);
  assert_int_equal(tare_constraint_residual(c, mixed, 2, &residual, NULL), TARE_OK);
  assert_true(residual.max_abs == FLT_TRUE_MIN && residual.worst_unit == 1 && residual.exact_units == 1);
  assert_int_equal(tare_constraint_residual(c, bad, 1, &residual, &error), TARE_E_ARGUMENT);
  assert_non_null(strstr(error.message, "weight 2 of unit 0"));
  tare_constraint_free(c);
  c = make("none", shape_of(3, 0, 0, 1));
  assert_int_equal(tare_constraint_residual(c, floats, 1, &residual, NULL), TARE_OK);
  assert_true(residual.exact_units == 1 && residual.max_abs == 0);
  tare_constraint_free(c);
  c = make("moment(1)=1e-300", shape_of(3, 0, 0, 1));
  assert_int_equal(tare_constraint_residual(c, (float[]){-1.1e-40f, 0, 0}, 1, &residual, NULL), TARE_OK);
  assert_non_null(strstr(residual.fraction, "..."));
  tare_constraint_free(c);
}

/* The nearest double: compared with division, which rounds once for integers under 2^53. */
static void doubles_are_nearest(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 3, 0);
  fmpz_t num, den;
  fmpz_init(num);
  fmpz_init(den);
  for (int i = 0; i < 20000; i++) {
    int64_t p = (int64_t)(tare_rng_u64(&rng) >> (11 + tare_rng_below(&rng, 50))),
      q = (int64_t)(tare_rng_u64(&rng) >> (11 + tare_rng_below(&rng, 50))) + 1;
    if (i % 2) p = -p;
    fmpz_set_si(num, p);
    fmpz_set_si(den, q);
    assert_true(tare_rational_double(num, den) == (double)p / (double)q);
  }
  fmpz_clear(num);
  fmpz_clear(den);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_are_counted),
    cmocka_unit_test(rules_mean_what_they_say),
    cmocka_unit_test(filter_scope_repeats),
    cmocka_unit_test(contradictions_name_two_rules),
    cmocka_unit_test(syntax_errors_have_their_column),
    cmocka_unit_test(text_is_canonical),
    cmocka_unit_test(rows_from_a_file_are_exact),
    cmocka_unit_test(combinations_of_rows_are_seen),
    cmocka_unit_test(bad_files_are_refused),
    cmocka_unit_test(rank_is_what_flint_finds),
    cmocka_unit_test(residual_is_exact),
    cmocka_unit_test(residual_of_special_weights),
    cmocka_unit_test(doubles_are_nearest),
    cmocka_unit_test(holds_over_a_divisor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
