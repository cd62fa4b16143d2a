/* SPDX-License-Identifier: Apache-2.0 */
/* tare check: exact residuals of every convolution in a file, and its certificates. */
#include "bank.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/round.h>

enum { NAME = 200 };

/* One filter that breaks its rule. */
typedef struct broken { size_t filter; int channel, row; double residual, ulps; char fraction[96]; } broken;

typedef struct report {
  const cli_args *args;
  const cli_file *file;
  json_t *tensors;
  cli_table *table;
  broken *worst;    /* of the tensor at hand, the largest in ulps first */
  size_t listed, most, bad, banks;
  char *lines;      /* what is printed under the table */
  size_t lines_size;
  FILE *text;
} report;

static const struct { tare_dtype dtype; int digits, lowest; } precisions[] = { /* bits behind the first, exponent of the smallest step */
  {TARE_DTYPE_F32, 23, -149}, {TARE_DTYPE_F64, 23, -149}, {TARE_DTYPE_F16, 10, -24}, {TARE_DTYPE_BF16, 7, -133},
};

/* The step between neighbouring numbers of the file's type at the largest weight of the unit: one ulp. Of integers the scale. */
static double step_of(const cli_bank *bank, size_t first, size_t count) {
  const tare_filters *f = &bank->filters;
  if (f->scale) return (double)f->scale[first / (f->taps / f->scales)] * bank->times / bank->divisor;
  float peak = 0;
  for (size_t i = first; i < first + count; i++) peak = fmaxf(peak, fabsf(f->weights[i]));
  int exponent = 0, digits = 23, lowest = -149;
  for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
    if (precisions[i].dtype == f->tensor->dtype) digits = precisions[i].digits, lowest = precisions[i].lowest;
  double factor = bank->times / bank->divisor;
  if (peak == 0) return ldexp(factor, lowest);
  frexpf(peak, &exponent);
  return ldexp(factor, exponent - 1 - digits < lowest ? lowest : exponent - 1 - digits);
}

/* The exact residual of one filter: of its integers where it has them, so that no product is rounded. */
static tare_status residual_of(const cli_bank *bank, size_t filter, float *scaled, tare_residual *residual, tare_error *error) {
  const tare_filters *f = &bank->filters;
  size_t units = f->taps / (size_t)tare_constraint_taps(bank->rule);
  if (f->integers) {
    for (size_t i = 0; i < f->scales; i++) scaled[i] = f->scale[filter * f->scales + i] * (float)bank->times;
    return tare_round_residual(bank->rule, 1, f->integers + filter * f->taps, f->scales, scaled, bank->divisor, residual, error);
  }
  for (size_t i = 0; i < f->taps; i++) scaled[i] = f->weights[filter * f->taps + i] * (float)bank->times;
  return tare_constraint_residual_over(bank->rule, scaled, units, bank->divisor, residual, error);
}

/* Kept if it is among the worst so far: sorted by insertion, few are kept. */
static void keep(report *r, const broken *b) {
  size_t at = r->listed < r->most ? r->listed++ : r->most;
  for (; at > 0 && r->worst[at - 1].ulps < b->ulps; at--)
    if (at < r->most) r->worst[at] = r->worst[at - 1];
  if (at < r->most) r->worst[at] = *b;
}

static int measure(report *r, const cli_bank *bank, size_t *exact, broken *largest) {
  const tare_filters *f = &bank->filters;
  size_t unit = (size_t)tare_constraint_taps(bank->rule);
  float *scaled = calloc(f->taps + f->scales, sizeof *scaled);
  tare_error error;
  tare_status status = TARE_OK;
  if (!scaled) return cli_fail(TARE_E_MEMORY, "out of memory for a filter of %zu taps", f->taps);
  *exact = r->listed = 0;
  *largest = (broken){.fraction = "0"};
  for (size_t i = 0; i < f->filters && !status; i++) {
    tare_residual residual = {0};
    status = residual_of(bank, i, scaled, &residual, &error);
    if (status || residual.exact_units == f->taps / unit) {
      *exact += !status;
      continue;
    }
    broken b = {.filter = i, .channel = unit < f->taps ? (int)residual.worst_unit : -1, .row = residual.worst_row, .residual = residual.max_abs};
    b.ulps = residual.max_abs / step_of(bank, i * f->taps + (unit < f->taps ? residual.worst_unit * unit : 0), unit);
    memcpy(b.fraction, residual.fraction, sizeof b.fraction);
    if (b.ulps > largest->ulps) *largest = b;
    keep(r, &b);
  }
  free(scaled);
  return status ? cli_fail(status, "%s: %s", f->tensor->name, error.message) : 0;
}

static void name_filter(const tare_filters *f, const broken *b, char text[NAME]) {
  if (b->channel < 0) snprintf(text, NAME, "%.150s[%zu]", f->tensor->name, b->filter);
  else snprintf(text, NAME, "%.150s[%zu,%d]", f->tensor->name, b->filter, b->channel);
}

/* "" : none; "verified"; else why not. */
static int certificate(const report *r, const cli_bank *bank, char text[NAME]) {
  const tare_filters *f = &bank->filters;
  char key[1000];
  snprintf(key, sizeof key, CLI_CERTIFICATE "%s", f->tensor->name);
  const char *json = tare_tensors_metadata(r->file->tensors, key);
  text[0] = 0;
  if (!json) return 0;
  size_t count = f->filters * f->taps;
  float *scaled = calloc(count, sizeof *scaled);
  tare_error error;
  if (!scaled) return cli_fail(TARE_E_MEMORY, "out of memory for %zu weights", count);
  for (size_t i = 0; i < count; i++) scaled[i] = f->weights[i] * (float)bank->times;
  tare_status status = tare_certificate_verify(json, count, scaled, &error);
  free(scaled);
  if (status && status != TARE_E_DATA) return cli_report(&error);
  snprintf(text, NAME, "%.*s", NAME - 1, status ? error.message : "verified");
  return 0;
}

/*
 * Weights that are a few integers divided by a common number, rounded (a textbook's kernel over 12): the integers obey, their quotients do
 * not. *divisor is 0 if they are not that.
 */
static void find_divisor(const cli_bank *bank, size_t filter, int *divisor) {
  enum { MOST = 1024 };
  const tare_filters *f = &bank->filters;
  const float *w = f->weights + filter * f->taps, one = 1;
  int32_t *integers = calloc(f->taps, sizeof *integers);
  *divisor = 0;
  for (int d = 2; d <= MOST && !*divisor && integers && !f->integers && f->shape.channels == 1 && bank->times == 1 && bank->divisor == 1; d++) {
    int close = 1;
    for (size_t i = 0; i < f->taps && close; i++) {
      double product = (double)w[i] * d, whole = nearbyint(product);
      close = fabs(whole) < 1e6 && fabs(product - whole) <= 6e-8 * fabs(whole); /* the nearest float of whole / d */
      integers[i] = close ? (int32_t)whole : 0;
    }
    tare_residual residual;
    if (close && tare_round_residual(bank->rule, 1, integers, 1, &one, 1, &residual, NULL) == TARE_OK && residual.max_abs == 0) *divisor = d;
  }
  free(integers);
}

static void list_worst(report *r, const cli_bank *bank, json_t *list) {
  char name[NAME];
  int divisor;
  for (size_t i = 0; i < r->listed; i++) {
    const broken *b = &r->worst[i];
    name_filter(&bank->filters, b, name);
    fprintf(r->text, "%s: row %d of '%s' is off by %s (%.3g, %.3g ulp)\n", name, b->row + 1, tare_constraint_text(bank->rule), b->fraction,
            b->residual, b->ulps);
    find_divisor(bank, b->filter, &divisor);
    if (divisor)
      fprintf(r->text, "  it is whole numbers divided by %d and rounded: the whole numbers obey exactly; use them, and divide the response\n", divisor);
    json_array_append_new(list, json_pack("{s:s, s:I, s:i, s:i, s:f, s:f, s:s, s:i}", "name", name, "filter", (json_int_t)b->filter, "channel",
                                          b->channel, "row", b->row, "residual", b->residual, "ulps", b->ulps, "fraction", b->fraction, "divisor", divisor));
  }
}

static int check_bank(report *r, const cli_bank *bank) {
  const tare_filters *f = &bank->filters;
  size_t exact = 0;
  broken largest;
  char verdict[NAME];
  int code = measure(r, bank, &exact, &largest);
  if (!code) code = certificate(r, bank, verdict);
  if (code) return code;
  int valid = !verdict[0] || strcmp(verdict, "verified") == 0;
  json_t *worst = json_array();
  r->banks++;
  r->bad += f->filters - exact + !valid;
  cli_table_cell(r->table, "%.60s", f->tensor->name);
  cli_table_cell(r->table, "%.70s", tare_constraint_text(bank->rule));
  cli_table_cell(r->table, "%s", f->tensor->dtype == TARE_DTYPE_I8 ? "int8" : f->tensor->dtype == TARE_DTYPE_F16 ? "fp16" :
                 f->tensor->dtype == TARE_DTYPE_BF16 ? "bf16" : "fp32");
  cli_table_cell(r->table, "%zu", f->filters);
  cli_table_cell(r->table, "%zu", exact);
  cli_table_cell(r->table, "%.3g", largest.residual);
  cli_table_cell(r->table, "%.3g", largest.ulps);
  cli_table_cell(r->table, "%s", !verdict[0] ? "none" : valid ? "verified" : "FALSE");
  if (!valid) fprintf(r->text, "%s: its certificate: %s\n", f->tensor->name, verdict);
  list_worst(r, bank, worst);
  json_array_append_new(r->tensors, json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:f, s:f, s:s, s:s, s:o}", "tensor", f->tensor->name, "rule",
                                              tare_constraint_text(bank->rule), "dtype", f->scale ? "I8" : f->tensor->dtype == TARE_DTYPE_F16 ? "F16" :
                                              f->tensor->dtype == TARE_DTYPE_BF16 ? "BF16" : "F32", "times", bank->times, "filters",
                                              (json_int_t)f->filters, "exact", (json_int_t)exact, "residual", largest.residual, "ulps", largest.ulps,
                                              "fraction", largest.fraction, "certificate", verdict[0] ? verdict : "none", "worst", worst));
  return 0;
}

/* A rule or a certificate of a tensor that the file does not hold is not kept. */
static int check_names(const report *r) {
  const cli_file *file = r->file;
  tare_metadata list[4096];
  size_t count = tare_tensors_all_metadata(file->tensors, list, 4096), prefix = strlen(CLI_CERTIFICATE), i;
  for (i = 0; i < count && i < 4096; i++)
    if (strncmp(list[i].key, CLI_CERTIFICATE, prefix) == 0 && !tare_tensors_find(file->tensors, list[i].key + prefix))
      return cli_fail(TARE_E_DATA, "%s: a certificate of %s, which is not in the file", file->path, list[i].key + prefix);
  json_t *entry;
  json_array_foreach(file->rules, i, entry) {
    const char *name = json_string_value(json_object_get(entry, "tensor"));
    if (!name || !tare_tensors_find(file->tensors, name))
      return cli_fail(TARE_E_DATA, "%s: a rule of %s, which is not in the file", file->path, name ? name : "no tensor");
  }
  return 0;
}

static int check_file(report *r) {
  int code = check_names(r);
  for (size_t i = 0; i < tare_tensors_count(r->file->tensors) && !code; i++) {
    cli_bank bank;
    code = cli_file_bank(r->args, r->file, i, 0, &bank);
    if (!code && bank.rule) code = check_bank(r, &bank);
    cli_bank_free(&bank);
  }
  if (!code && r->banks == 0) code = cli_fail(TARE_E_DATA, "%s: no convolution in it to check", r->file->path);
  return code;
}

static int finish(report *r, int code) {
  fclose(r->text);
  if (code || cli_to_stdout(r->args)) {
    cli_table_free(r->table);
  } else {
    cli_table_print(r->table, stdout);
    fputs(r->lines, stdout);
  }
  if (code) json_decref(r->tensors);
  else code = cli_output_json(r->args, json_pack("{s:s, s:o, s:b}", "file", r->file->path, "tensors", r->tensors, "holds", r->bad == 0));
  free(r->lines);
  free(r->worst);
  return code ? code : r->bad > 0;
}

int cmd_check(const cli_args *args) {
  static const char *const headings[] = {"<tensor", "<rule", "<type", "filters", "exact", "largest residual", "in ulps", "<certificate"};
  cli_file file;
  int code = cli_file_open(args, args->position[0], 1, &file);
  if (code) return code;
  report r = {.args = args, .file = &file, .tensors = json_array(), .most = (size_t)args->value[CLI_WORST].integer};
  r.table = cli_table_create(headings, 8);
  r.worst = calloc(r.most + 1, sizeof *r.worst);
  r.text = open_memstream(&r.lines, &r.lines_size);
  code = r.worst && r.text ? check_file(&r) : cli_fail(TARE_E_MEMORY, "out of memory for a report");
  code = finish(&r, code);
  cli_file_close(&file);
  return code;
}
