/* SPDX-License-Identifier: Apache-2.0 */
/* The results, for people and as JSON. */
#include "bench.h"

#include <jansson.h>
#include <math.h>
#include <tare/status.h>

static const char *const engines[BENCH_ENGINES] = {"tare", "onednn", "reference"};

static void number(cli_table *table, int there, const char *format, double value) {
  if (there && isfinite(value)) cli_table_cell(table, format, value); /* NOLINT: formats are this file's own */
  else cli_table_cell(table, "-");
}

/* Four digits of milliseconds. */
static void milliseconds(cli_table *table, const bench_cell *cell) {
  double ms = cell->best * 1e3;
  number(table, cell->there, ms < 1 ? "%.4f" : ms < 10 ? "%.3f" : ms < 100 ? "%.2f" : ms < 1000 ? "%.1f" : "%.0f", ms);
}

static double ratio(const bench_row *row) {
  return row->cells[BENCH_ONEDNN].there && row->cells[BENCH_TARE].there ? row->cells[BENCH_ONEDNN].best / row->cells[BENCH_TARE].best : NAN;
}

static void print_row(cli_table *table, const bench_row *row, int with_reference) {
  const bench_cell *ours = &row->cells[BENCH_TARE], *theirs = &row->cells[BENCH_ONEDNN];
  cli_table_cell(table, "%s", row->pass);
  milliseconds(table, ours);
  milliseconds(table, theirs);
  if (with_reference) milliseconds(table, &row->cells[BENCH_REFERENCE]);
  number(table, 1, "%.2f", ratio(row));
  for (int i = BENCH_TARE; i <= BENCH_ONEDNN; i++) number(table, row->cells[i].there, "%.1f", row->flops / row->cells[i].best * 1e-9);
  for (int i = BENCH_TARE; i <= BENCH_ONEDNN; i++) number(table, row->cells[i].there, "%.1e", row->cells[i].error.rms);
  cli_table_cell(table, "%s", ours->there ? ours->algorithm : "-");
  cli_table_cell(table, "%s", theirs->there ? theirs->algorithm : "-");
}

void bench_print(FILE *file, const char *problem, const bench_row *rows, int count, int with_reference) {
  static const char *const headings[] = {"<pass", "tare ms", "oneDNN ms", "ratio", "tare GF/s", "oneDNN GF/s", "tare error", "oneDNN error", "<tare's way", "<oneDNN's way"};
  static const char *const with[] = {"<pass", "tare ms", "oneDNN ms", "reference ms", "ratio", "tare GF/s", "oneDNN GF/s", "tare error", "oneDNN error", "<tare's way", "<oneDNN's way"};
  enum { COLUMNS = sizeof headings / sizeof *headings };
  cli_table *table = with_reference ? cli_table_create(with, COLUMNS + 1) : cli_table_create(headings, COLUMNS);
  for (int i = 0; i < count; i++) print_row(table, &rows[i], with_reference);
  fprintf(file, "\n%s\n", problem);
  cli_table_print(table, file);
  fflush(file);
}

static json_t *object(const char *problem, const bench_row *row, int engine, int threads, const char *cpu) {
  const bench_cell *c = &row->cells[engine];
  return json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:o, s:o, s:i, s:i, s:s, s:s}", "problem", problem, "pass", row->pass, "engine",
                   engines[engine], "algorithm", c->algorithm, "ms", c->best * 1e3, "ms_median", c->median * 1e3, "gflops",
                   row->flops / c->best * 1e-9, "error_rms", cli_json_number(c->error.rms), "error_max", cli_json_number(c->error.max), "runs",
                   c->runs, "threads", threads, "level", tare_cpu_level(), "cpu", cpu);
}

json_t *bench_json(const char *problem, const bench_row *rows, int count, int threads, const char *cpu) {
  json_t *list = json_array();
  for (int i = 0; i < count; i++)
    for (int engine = 0; engine < BENCH_ENGINES; engine++)
      if (rows[i].cells[engine].there) json_array_append_new(list, object(problem, &rows[i], engine, threads, cpu));
  return list;
}
