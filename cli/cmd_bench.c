/* SPDX-License-Identifier: Apache-2.0 */
/* tare bench: our plans beside oneDNN at its best, in turns in one process, with their errors. */
#include "bench.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "onednn/onednn.h"

/* What is timed, in order; bits of --passes. */
static const struct { const char *name; int bit; } passes[BENCH_ROWS] = {
  {"forward", TARE_FORWARD}, {"backward_data", TARE_BACKWARD_DATA}, {"backward_weights", TARE_BACKWARD_WEIGHTS}, {"step", BENCH_STEP}};
enum { ALL_PASSES = 7, EVERYTHING = 15, FIRST_LAYER = 4 /* channels: images, whose gradient nobody needs */ };
typedef struct bench {
  const cli_args *args;
  const char **problems; /* on the heap, each too */
  int count;
  int wanted, forced;    /* bits; forced: also backward data of a first layer */
  int threads;
  tare_pool *pool;
  tare_wisdom *wisdom;   /* NULL without --wisdom */
  json_t *list;
  char cpu[80];
  FILE *file;            /* of the tables, NULL: none */
} bench;

static int add_problem(void *user, const char *problem) {
  bench *b = user;
  const char **more = realloc(b->problems, ((size_t)b->count + 1) * sizeof *more);
  char *copy = strdup(problem);
  if (more) b->problems = more;
  if (!more || !copy) return free(copy), cli_fail(TARE_E_MEMORY, "out of memory for the list of problems");
  b->problems[b->count++] = copy;
  return 0;
}

static int add_set(bench *b, const char *name) {
  int code = bench_set_each(name, add_problem, b);
  return code < 0 ? cli_fail(TARE_E_ARGUMENT, "unknown set '%s'; 'tare bench --list' shows what there is", name) : code;
}

static int print_problem(void *user, const char *problem) {
  (void)user;
  puts(problem);
  return 0;
}

static int list(const cli_args *args) {
  for (size_t i = 0; !args->rest_count && !args->value[CLI_SET].text && bench_set_name(i); i++) printf("%-10s %s\n", bench_set_name(i), bench_set_about(i));
  for (int i = -1; i < args->rest_count; i++) {
    const char *name = i < 0 ? args->value[CLI_SET].text : args->rest[i];
    if (name && bench_set_each(name, print_problem, NULL) < 0)
      return cli_fail(TARE_E_ARGUMENT, "unknown set '%s'; 'tare bench --list' shows what there is", name);
  }
  return 0;
}

static int parse_passes(bench *b, const char *text) {
  b->wanted = text ? 0 : EVERYTHING;
  for (const char *word = text; word && *word;) {
    size_t length = strcspn(word, ",");
    int bit = length == 3 && memcmp(word, "all", 3) == 0 ? EVERYTHING : 0;
    for (int i = 0; i < BENCH_ROWS; i++)
      if (strlen(passes[i].name) == length && memcmp(passes[i].name, word, length) == 0) bit = passes[i].bit;
    if (!bit) return cli_fail(TARE_E_ARGUMENT, "--passes: expected forward, backward_data, backward_weights, step or all, found '%.*s'", (int)length, word);
    b->wanted |= bit;
    b->forced |= bit & TARE_BACKWARD_DATA;
    word += length + (word[length] == ',');
  }
  return 0;
}

static int collect(bench *b) {
  const cli_value *v = b->args->value;
  int code = parse_passes(b, v[CLI_PASSES].text);
  for (int i = 0; i < b->args->rest_count && !code; i++) code = add_problem(b, b->args->rest[i]);
  if (!code && v[CLI_SET].text) code = add_set(b, v[CLI_SET].text);
  if (!code && !b->count) code = add_set(b, "quick");
  for (int i = 0; i < b->count && !code; i++) {
    tare_conv_problem problem;
    tare_error error;
    if (tare_conv_problem_parse(b->problems[i], &problem, &error)) code = cli_report(&error);
    else if (problem.size[2] > 1) code = cli_fail(TARE_E_UNSUPPORTED, "%s: problems with planes are not timed", b->problems[i]);
  }
  return code;
}

static tare_conv_options options_of(const bench *b, int wanted) {
  const cli_value *v = b->args->value;
  tare_conv_options o = {.passes = wanted, .threads = b->threads, .candidate = v[CLI_CANDIDATE].text,
                         .workspace_limit = (size_t)v[CLI_LIMIT].integer, .measure = v[CLI_MEASURE].given, .wisdom = b->wisdom};
  if (strcmp(v[CLI_LAYOUT].text, "nchw") == 0) o.layout = TARE_NCHW;
  if (b->threads > 1) o.flags |= TARE_CONV_SHARED;
  if (v[CLI_OFFSET].number != 0) o.flags |= TARE_CONV_BRIGHTNESS;
  if (v[CLI_ACCURATE].given) o.flags |= TARE_CONV_ACCURATE;
  return o;
}

static void say_reasons(const bench *b, char *reasons) {
  if (reasons && b->args->value[CLI_REASONS].given) {
    cli_progress_clear();
    fputs(reasons, stderr);
  }
  free(reasons);
}

/* Errors of all passes of `wanted`, the worst of them. */
static int check(const bench *b, const bench_data *data, bench_engine *e, int wanted) {
  e->error = (bench_error){0, 0};
  for (int i = 0; i < BENCH_ROWS - 1; i++) {
    tare_pass pass = (tare_pass)passes[i].bit;
    bench_error error;
    if (!(wanted & passes[i].bit)) continue;
    float *plain = bench_floats(bench_result_size(data, pass));
    int bad = !plain || e->result(e->own, pass, plain) || bench_check(data, pass, plain, (uint64_t)b->args->value[CLI_SEED].integer, b->pool, &error);
    tare_free(plain);
    if (bad) return cli_fail(TARE_E_MEMORY, "out of memory for the errors of a result");
    if (!(error.rms <= e->error.rms)) e->error.rms = error.rms;
    if (!(error.max <= e->error.max)) e->error.max = error.max;
  }
  return 0;
}

/* Into the row, unless a faster run of the same engine is there. */
static int enter(const bench *b, const bench_data *data, bench_engine *e, int wanted, bench_cell *cell) {
  if (e->times.status) return cli_fail((tare_status)e->times.status, "%s (%s) failed while it ran", e->name, e->algorithm);
  if (!e->times.count || (cell->there && cell->best <= e->times.best)) return 0;
  int code = check(b, data, e, wanted);
  *cell = (bench_cell){.there = !code, .blocked = e->blocked, .best = e->times.best, .median = bench_median(&e->times), .error = e->error, .runs = e->times.count};
  memcpy(cell->algorithm, e->algorithm, sizeof cell->algorithm);
  return code;
}

enum { OURS = 1, THEIRS = 2 };
#define LONG_STEP 0.3 /* seconds */

/* oneDNN's engine for one pass, or for a step: each pass in the layouts in which it was faster. */
static tare_status rival(const bench *b, const bench_data *data, int wanted, int blocked, const bench_row *rows, bench_engine *out, tare_error *error) {
  int faster[BENCH_ROWS - 1];
  for (int i = 0; i < BENCH_ROWS - 1; i++) {
    faster[i] = rows[i].cells[BENCH_ONEDNN].blocked;
    if (wanted == passes[i].bit) return bench_engine_onednn(data, (tare_pass)wanted, b->threads, blocked, out, error);
  }
  return bench_engine_onednn_step(data, wanted, b->threads, faster, out, error);
}

/* Times `wanted` (one pass, or several as a step) by the engines of `who`, into one of the problem's rows. */
static int time_row(const bench *b, const bench_data *data, int wanted, int who, bench_row *rows, bench_row *row) {
  static const int column[] = {BENCH_TARE, BENCH_REFERENCE, BENCH_ONEDNN, BENCH_ONEDNN};
  bench_engine engines[4];
  int columns[4], count = 0, code = 0;
  tare_error error;
  for (int i = 0; i < 4 && !code; i++) {
    tare_conv_options o = options_of(b, wanted);
    char *reasons = NULL;
    tare_status status;
    if (!(who & (i < 2 ? OURS : THEIRS)) || (i == 3 && wanted & (wanted - 1)) || (i == 1 && !b->args->value[CLI_REFERENCE].given)) continue;
    if (i == 1) o.candidate = "reference";
    if (i < 2) status = bench_engine_tare(data, &o, b->pool, i ? NULL : &reasons, &engines[count], &error);
    else status = rival(b, data, wanted, i == 2, rows, &engines[count], &error);
    say_reasons(b, reasons);
    if (!status) columns[count++] = column[i];
    else if (i < 2 && status != TARE_E_UNSUPPORTED) code = cli_report(&error);
    else if (i != 3) cli_say("%s: %s: %s", row->pass, i == 2 ? "oneDNN does not take part" : "no plan", error.message);
  }
  if (!code) bench_race(engines, count, b->args->value[CLI_SECONDS].number);
  for (int i = 0; i < count && !code && !cli_interrupted(); i++) code = enter(b, data, &engines[i], wanted, &row->cells[columns[i]]);
  for (int i = 0; i < count; i++) bench_engine_free(&engines[i]);
  return code ? code : cli_interrupted() ? cli_fail(TARE_E_STOPPED, "interrupted") : 0;
}

/* oneDNN's step, if it takes too long to be run once more. */
static bench_cell sum_of_passes(const bench_row *rows, int wanted) {
  bench_cell sum = {.there = 1, .algorithm = "the sum of its passes"};
  for (int i = 0; i < BENCH_ROWS - 1; i++) {
    const bench_cell *c = &rows[i].cells[BENCH_ONEDNN];
    if (!(wanted & passes[i].bit)) continue;
    sum.there &= c->there;
    sum.best += c->best;
    sum.median += c->median;
    if (!(c->error.rms <= sum.error.rms)) sum.error.rms = c->error.rms;
    if (!(c->error.max <= sum.error.max)) sum.error.max = c->error.max;
    if (!sum.runs || c->runs < sum.runs) sum.runs = c->runs;
  }
  return sum;
}

static double flops_of(const tare_conv_problem *p) {
  double taps = (double)p->kernel[0] * p->kernel[1] * (p->channels / p->groups);
  return 2 * taps * p->batch * p->outputs * tare_conv_output_size(p, 0) * tare_conv_output_size(p, 1);
}

/* All rows of a problem; `rows` in the order of `passes`. */
static int time_rows(const bench *b, const bench_data *data, int wanted, bench_row *rows) {
  int step = wanted & BENCH_STEP ? ALL_PASSES : 0, code = 0, many = 0;
  int against = !b->args->value[CLI_ALONE].given;
  if (!(b->forced & TARE_BACKWARD_DATA) && data->problem.channels <= FIRST_LAYER) step &= ~TARE_BACKWARD_DATA;
  for (int i = 0; i < BENCH_ROWS; i++) rows[i] = (bench_row){.pass = passes[i].name, .flops = flops_of(&data->problem)};
  for (int i = 0; i < BENCH_ROWS - 1 && !code; i++) {
    int who = (wanted & passes[i].bit ? OURS : 0) | (against && (wanted | step) & passes[i].bit ? THEIRS : 0);
    if (who) code = time_row(b, data, passes[i].bit, who, rows, &rows[i]);
    many += (step & passes[i].bit) != 0;
  }
  if (code || !step) return code;
  bench_row *last = &rows[BENCH_ROWS - 1];
  last->flops *= many;
  bench_cell sum = sum_of_passes(rows, step);
  int run = against && sum.there && sum.best < LONG_STEP;
  if (against && !run) last->cells[BENCH_ONEDNN] = sum;
  return time_row(b, data, step, run ? OURS | THEIRS : OURS, rows, last);
}

static void report(const bench *b, const char *text, int wanted, const bench_row *rows) {
  bench_row shown[BENCH_ROWS];
  int count = 0;
  for (int i = 0; i < BENCH_ROWS; i++)
    if (wanted & passes[i].bit) shown[count++] = rows[i];
  json_t *part = bench_json(text, shown, count, b->threads, b->cpu);
  json_array_extend(b->list, part);
  json_decref(part);
  if (b->file) bench_print(b->file, text, shown, count, b->args->value[CLI_REFERENCE].given);
}

static int time_problem(const bench *b, const char *problem) {
  const cli_value *v = b->args->value;
  tare_conv_problem p;
  tare_error error;
  char text[200];
  bench_data data;
  bench_row rows[BENCH_ROWS];
  if (tare_conv_problem_parse(problem, &p, &error)) return cli_report(&error);
  tare_conv_problem_text(&p, text, sizeof text);
  int wanted = b->wanted, first = p.channels <= FIRST_LAYER && !b->forced;
  if (first) wanted &= ~TARE_BACKWARD_DATA;
  if (first && wanted & BENCH_STEP) cli_say("%s: a first layer, no backward data in its step (--passes all adds it)", text);
  if (bench_data_fill(&p, (uint64_t)v[CLI_SEED].integer, v[CLI_OFFSET].number, &data)) return cli_fail(TARE_E_MEMORY, "out of memory for %s", text);
  int code = time_rows(b, &data, wanted, rows), there = 0;
  bench_data_free(&data);
  if (code) return code;
  report(b, text, wanted, rows);
  for (int i = 0; i < BENCH_ROWS; i++) there |= rows[i].cells[BENCH_TARE].there;
  return there ? 0 : cli_fail(TARE_E_UNSUPPORTED, "%s: no plan does what was asked", text);
}

static int load_wisdom(bench *b) {
  const char *path = b->args->value[CLI_WISDOM].text;
  tare_error error;
  if (!path) return 0;
  if (b->args->value[CLI_MEASURE].given && tare_file_can_write(path, &error)) return cli_report(&error);
  if (tare_wisdom_create(&b->wisdom, &error) || tare_wisdom_load(b->wisdom, path, &error)) return cli_report(&error);
  if (error.status) cli_say("%s", error.message);
  return 0;
}

static int save_wisdom(const bench *b) {
  tare_error error;
  if (!b->wisdom || !b->args->value[CLI_MEASURE].given) return 0;
  return tare_wisdom_save(b->wisdom, b->args->value[CLI_WISDOM].text, &error) ? cli_report(&error) : 0;
}

static int run(bench *b) {
  tare_error error;
  char onednn[40];
  if (tare_pool_create(b->threads, &b->pool, &error)) return cli_report(&error);
  bench_warn_if_busy(b->args->value[CLI_SECONDS].number);
  bench_pin(b->threads, b->pool);
  tare_cpu_model(b->cpu, sizeof b->cpu);
  tare_onednn_version(onednn, sizeof onednn);
  if (b->file) fprintf(b->file, "tare %s (%s), %s, %s, %d thread%s\n", tare_version(), tare_cpu_level(), onednn, b->cpu, b->threads, b->threads == 1 ? "" : "s");
  int code = 0;
  for (int i = 0; i < b->count && code != cli_exit_code(TARE_E_STOPPED); i++) {
    cli_progress_draw((double)i / b->count, -1, "%s", b->problems[i]);
    int failed = time_problem(b, b->problems[i]);
    if (failed) code = failed;
  }
  cli_progress_clear();
  tare_pool_free(b->pool);
  return code;
}

int cmd_bench(const cli_args *args) {
  bench b = {.args = args, .threads = cli_threads(args), .file = stdout};
  if (args->value[CLI_LIST].given) return list(args);
  if (cli_to_stdout(args)) b.file = cli_quiet() ? NULL : stderr;
  bench_lower_onednn();
  int code = collect(&b);
  if (!code) code = load_wisdom(&b);
  if (!code) {
    cli_catch_interrupt();
    b.list = json_array();
    code = run(&b);
    int written = cli_output_json(args, b.list), saved = save_wisdom(&b);
    if (!code) code = written ? written : saved;
  }
  tare_wisdom_free(b.wisdom);
  for (int i = 0; i < b.count; i++) free((char *)(size_t)b.problems[i]);
  free(b.problems);
  return code;
}
