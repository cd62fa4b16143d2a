/* SPDX-License-Identifier: Apache-2.0 */
/* tare race: every method on the same data, and a table of who wins. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/race.h>

void cmd_race_methods(int width) {
  size_t count;
  const tare_race_method *methods = tare_race_methods(&count);
  static const char *const titles[] = {"Methods (* in the default race):", "Rivals (others' ideas):"};
  for (int rival = 0; rival <= 1; rival++) {
    printf("%s%s\n", rival ? "\n" : "", titles[rival]);
    for (size_t i = 0; i < count; i++) {
      if (methods[i].rival != rival) continue;
      int column = printf("  %s %s", methods[i].in_default ? "*" : " ", methods[i].name);
      cli_wrap(stdout, methods[i].summary, 30, column, width);
    }
  }
}

typedef struct watcher { int said; } watcher;

static int watch(void *user, const tare_race_progress *p) {
  watcher *w = user;
  if (!w->said && p->steps && (p->seconds_left > 0 || p->steps_done)) {
    char time[32] = "unknown time";
    if (p->seconds_left > 0) cli_duration(time, sizeof time, p->seconds_left);
    cli_say("%zu runs, %llu steps in all, about %s", p->runs, (unsigned long long)p->steps, time);
    w->said = 1;
  }
  cli_progress_draw(p->steps ? (double)p->steps_done / (double)p->steps : 0, p->seconds_left, "run %zu of %zu: %s", p->runs_done + 1, p->runs,
                    p->doing ? p->doing : "");
  return cli_interrupted();
}

static void fill(const cli_args *args, watcher *w, tare_race_options *options) {
  const cli_value *v = args->value;
  tare_race_defaults(options);
  options->kernel = (int)v[CLI_KERNEL].integer;
  options->constraint = v[CLI_CONSTRAINT].text;
  options->methods = v[CLI_METHODS].text;
  options->steps = (uint64_t)v[CLI_STEPS].integer;
  options->seeds = (int)v[CLI_SEEDS].integer;
  options->tuning_seeds = (int)v[CLI_TUNING_SEEDS].integer;
  options->batch = (int)v[CLI_BATCH].integer;
  options->seed = (uint64_t)v[CLI_SEED].integer;
  options->optimizer = v[CLI_OPTIMIZER].text;
  options->schedule = v[CLI_SCHEDULE].text;
  options->lr = v[CLI_LR].number;
  options->init = strcmp(v[CLI_INIT].text, "response") == 0 ? TARE_INIT_RESPONSE : TARE_INIT_METHOD;
  options->batch_norm = !v[CLI_NO_BN].given;
  options->threads = cli_threads(args);
  options->filters = (int)v[CLI_FILTERS].integer;
  options->timing_seconds = v[CLI_TIMING].number;
  options->tail = v[CLI_TAIL].text;
  options->report = v[CLI_REPORT].given;
  options->progress = watch;
  options->user = w;
}

static void number(cli_table *table, const char *format, double value) {
  if (isfinite(value)) cli_table_cell(table, format, value); /* NOLINT: formats are this file's own */
  else cli_table_cell(table, "-");
}

static void pair(cli_table *table, double value, double spread, int seeds) {
  if (!isfinite(value)) cli_table_cell(table, "-");
  else if (seeds > 1 && isfinite(spread)) cli_table_cell(table, "%.3f ±%.3f", value, spread);
  else cli_table_cell(table, "%.3f", value);
}

static void row(cli_table *table, const tare_race_row *r, int seeds) {
  cli_table_cell(table, "%s", r->method);
  cli_table_cell(table, "%.2g%s", r->lr, r->at_edge ? "*" : "");
  if (r->diverged && !isfinite(r->mean_loss)) cli_table_cell(table, "diverged");
  else pair(table, r->mean_loss, r->mean_loss_spread, seeds);
  pair(table, r->final_loss, r->final_loss_spread, seeds);
  if (isfinite(r->test_accuracy)) cli_table_cell(table, "%.1f [%.1f, %.1f]", r->test_accuracy * 100, r->accuracy_low * 100, r->accuracy_high * 100);
  else cli_table_cell(table, "-");
  if (r->steps_to_reference < 0) cli_table_cell(table, "never");
  else cli_table_cell(table, "%lld", (long long)r->steps_to_reference);
  number(table, "%.1f", r->seconds_to_reference);
  number(table, "%.2f", r->step_ms);
  number(table, r->residual_max == 0 ? "%.0f" : "%.1e", r->residual_max);
  if (r->pairs) cli_table_cell(table, "%d/%d", r->wins, r->pairs);
  else cli_table_cell(table, "-");
}

static void print_table(FILE *file, const tare_race_result *result, int seeds) {
  static const char *const headings[] = {"<method", "lr", "mean loss", "last loss", "accuracy %", "to ref", "seconds", "step ms", "residual", "wins"};
  enum { COLUMNS = sizeof headings / sizeof *headings };
  const tare_race_row *rows;
  size_t count = tare_race_rows(result, &rows);
  cli_table *table = cli_table_create(headings, COLUMNS);
  for (size_t i = 0; i < count; i++) row(table, &rows[i], seeds);
  cli_table_print(table, file);
}

static const tare_race_row *find(const tare_race_result *result, const char *method) {
  const tare_race_row *rows;
  size_t count = tare_race_rows(result, &rows);
  for (size_t i = 0; i < count; i++)
    if (strcmp(rows[i].method, method) == 0) return &rows[i];
  return NULL;
}

typedef int (*row_test)(const tare_race_row *row);
static int at_edge(const tare_race_row *row) { return row->at_edge; }
static int does_not_learn(const tare_race_row *row) { return !row->learns && isfinite(row->mean_loss); }
static int has_penalty(const tare_race_row *row) { return isfinite(row->penalty_residual); }
static int has_diverged(const tare_race_row *row) { return row->diverged; }

static void note_penalty(const tare_race_row *row, char *text, size_t size) { snprintf(text, size, " %.2g", row->penalty_residual); }
static void note_diverged(const tare_race_row *row, char *text, size_t size) { snprintf(text, size, " %d", row->diverged); }

/* A line of notes, broken at words. */
static void say(FILE *file, const char *text) { cli_wrap(file, text, 0, 0, cli_terminal_width(file)); }

/* "TITLE: a, b 0.1": the methods that pass, with what `note` adds; nothing where none does. */
static void list(FILE *file, const tare_race_result *result, const char *title, row_test test,
                 void (*note)(const tare_race_row *row, char *text, size_t size)) {
  const tare_race_row *rows;
  size_t count = tare_race_rows(result, &rows), used = 0;
  char line[4000];
  for (size_t i = 0; i < count && used < sizeof line; i++) {
    char noted[32] = "";
    if (!test(&rows[i])) continue;
    if (note) note(&rows[i], noted, sizeof noted);
    used += (size_t)snprintf(line + used, sizeof line - used, "%s %s%s", used ? "," : title, rows[i].method, noted);
  }
  if (used) say(file, line);
}

static void print_notes(FILE *file, const tare_race_result *result, int seeds) {
  const tare_race_row *difference = find(result, "difference");
  size_t images = tare_race_test_images(result);
  char line[200];
  fprintf(file, "\nA guess has loss %.3f.\n", tare_race_chance(result));
  snprintf(line, sizeof line, difference && isfinite(difference->final_loss)
             ? "to ref: steps, and seconds, to the difference layer's last loss, %.3f; wins: seeds with a lower mean loss than its."
             : "No reference: the difference layer did not race, or diverged.", difference ? difference->final_loss : 0);
  say(file, line);
  list(file, result, "* the best rate lies at an end of those tried:", at_edge, NULL);
  list(file, result, "Mean |A w - b| that the penalty reached:", has_penalty, note_penalty);
  list(file, result, "Runs that diverged:", has_diverged, note_diverged);
  list(file, result, "Within 2 % of a guess, so without learning:", does_not_learn, NULL);
  if (images < 30) fprintf(file, "Accuracy on %zu test image%s: indicative.\n", images, images == 1 ? "" : "s");
  if (seeds < 8) fprintf(file, "A demonstration, %d seed%s: a claim of order needs 8.\n", seeds, seeds == 1 ? "" : "s");
}

static int report(const cli_args *args, const tare_race_result *result) {
  int seeds = (int)args->value[CLI_SEEDS].integer;
  FILE *file = cli_to_stdout(args) ? stderr : stdout;
  if (file == stdout || !cli_quiet()) {
    print_table(file, result, seeds);
    print_notes(file, result, seeds);
  }
  const char *json = args->value[CLI_JSON].text;
  if (!json && !args->value[CLI_REPORT].text) return 0;
  char *text;
  tare_error error;
  if (tare_race_json(result, &text, &error)) return cli_report(&error);
  int code = json ? cli_output_write(json, text) : 0;
  if (!code && args->value[CLI_REPORT].text) code = cli_report_race(args, text);
  free(text);
  return code;
}

int cmd_race(const cli_args *args) {
  tare_source *source;
  tare_race_result *result;
  tare_race_options options;
  tare_error error;
  watcher w = {0};
  int code = cli_source_open(args, args->position[0], -1, -1, &source);
  if (code) return code;
  fill(args, &w, &options);
  cli_catch_interrupt();
  tare_status status = tare_race(source, &options, &result, &error);
  cli_progress_clear();
  if (status) code = cli_report(&error);
  else code = report(args, result);
  if (!status) tare_race_free(result);
  tare_source_free(source);
  return code;
}
