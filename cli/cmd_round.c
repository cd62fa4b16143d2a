/* SPDX-License-Identifier: Apache-2.0 */
/* tare round: a file's filters to a number format in which their rules hold exactly, with certificates. */
#include "bank.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/round.h>

/* What is written: tensors that are copied from the input, and those that are made. */
typedef struct output {
  const cli_args *args;
  const cli_file *file;
  tare_round_options options;
  tare_tensor *tensors;
  size_t count;
  void **owned;          /* arrays and texts to free */
  size_t owned_count;
  tare_metadata *metadata;
  size_t metadata_count;
  json_t *rules, *report;
  char *notes;           /* printed under the table */
  size_t notes_size;
  FILE *text;
  cli_table *table;
  size_t banks;
} output;

enum { MADE = 4 }; /* arrays that one convolution owns: values, scales, a name, a key */

static void *own(output *o, void *memory) {
  if (memory) o->owned[o->owned_count++] = memory;
  return memory;
}

static int no_memory(void) { return cli_fail(TARE_E_MEMORY, "out of memory for the rounded weights"); }

static char *joined(output *o, const char *a, const char *b) {
  char *text = malloc(strlen(a) + strlen(b) + 1);
  return text ? own(o, strcat(strcpy(text, a), b)) : NULL;
}

/* The tensor in its new type, and of integers the scales: one a filter, or one a slice. */
static int add_tensors(output *o, const tare_filters *f, const tare_rounding *r) {
  size_t count = r->filters * r->taps;
  int integers = r->format == TARE_FORMAT_INT8 || r->format == TARE_FORMAT_INT4, wide = r->format == TARE_FORMAT_FP32;
  void *values = own(o, calloc(count, integers ? 1 : wide ? 4 : 2));
  tare_error error;
  if (!values) return no_memory();
  if (wide) memcpy(values, r->weights, count * sizeof *r->weights);
  else if (!integers && tare_number_pack16(r->format, count, r->weights, values, &error)) return cli_report(&error);
  for (size_t i = 0; integers && i < count; i++) ((int8_t *)values)[i] = (int8_t)r->integers[i];
  tare_tensor *t = &o->tensors[o->count++];
  *t = *f->tensor;
  t->data = values;
  t->dtype = integers ? TARE_DTYPE_I8 : wide ? TARE_DTYPE_F32 : r->format == TARE_FORMAT_FP16 ? TARE_DTYPE_F16 : TARE_DTYPE_BF16;
  if (!integers) return 0;
  float *scales = own(o, malloc(r->filters * r->scales * sizeof *scales));
  char *name = joined(o, f->tensor->name, "_scale");
  if (!scales || !name) return no_memory();
  memcpy(scales, r->scale, r->filters * r->scales * sizeof *scales);
  o->tensors[o->count++] = (tare_tensor){name, TARE_DTYPE_F32, r->scales > 1 ? 2 : 1, {(int64_t)r->filters, (int64_t)r->scales}, scales};
  return 0;
}

static int add_certificate(output *o, const cli_bank *bank, const tare_rounding *r) {
  char *json, *text;
  tare_error error;
  if (tare_certificate_write(bank->rule, r, &json, &error)) return cli_report(&error);
  char *key = joined(o, CLI_CERTIFICATE, bank->filters.tensor->name);
  text = joined(o, json, "");
  tare_certificate_free(json);
  if (!key || !text) return no_memory();
  o->metadata[o->metadata_count++] = (tare_metadata){key, text};
  json_t *entry = json_pack("{s:s, s:s, s:b}", "tensor", bank->filters.tensor->name, "rule", tare_constraint_text(bank->rule), "exact", 1);
  if (r->divisor != 1) json_object_set_new(entry, "divisor", json_integer(r->divisor));
  json_array_append_new(o->rules, entry);
  return 0;
}

/* Costs of weights that obey are near 1. */
enum { FAR = 10 };

static void describe(output *o, const cli_bank *bank, const tare_rounding *r) {
  const char *name = bank->filters.tensor->name, *rule = tare_constraint_text(bank->rule);
  int unchanged = memcmp(bank->filters.weights, r->weights, r->filters * r->taps * sizeof *r->weights) == 0;
  cli_table_cell(o->table, "%.60s", name);
  cli_table_cell(o->table, "%.70s", rule);
  cli_table_cell(o->table, "%zu", r->filters);
  cli_table_cell(o->table, unchanged ? "unchanged" : "%.4f", r->cost_mean);
  cli_table_cell(o->table, unchanged ? "" : "%.4f", r->cost_max);
  cli_table_cell(o->table, "%lld", (long long)r->sum_max);
  if (r->cost_mean > FAR && r->divisor == 1)
    fprintf(o->text, "%s: the weights that were given do not obey '%s': the cost is mostly their way to it\n", name, rule);
  json_array_append_new(o->report, json_pack("{s:s, s:s, s:I, s:b, s:o, s:o, s:I, s:i}", "tensor", name, "rule", rule, "filters",
                                             (json_int_t)r->filters, "unchanged", unchanged, "cost_mean", cli_json_number(r->cost_mean),
                                             "cost_max", cli_json_number(r->cost_max), "sum_max", (json_int_t)r->sum_max,
                                             "divisor", r->divisor));
}

/* A network whose filters are multiplied is another network; a bank of filters is put to use by hand. */
static int note_divisor(output *o, const char *tensor, int divisor) {
  if (divisor == 1) return 0;
  if (tare_tensors_metadata(o->file->tensors, "net"))
    return cli_fail(TARE_E_ARGUMENT, "%s: only %d times its filters can be exact, and the network of %s would no longer be the same; round a file of filters", tensor,
                    divisor, o->file->path);
  fprintf(o->text, "%s: the weights are %d times the filters: divide the response by %d\n", tensor, divisor, divisor);
  return 0;
}

static int round_bank(output *o, cli_bank *bank) {
  tare_filters *f = &bank->filters;
  tare_rounding *r;
  tare_error error;
  for (size_t i = 0; i < f->filters * f->taps; i++) f->weights[i] *= (float)(bank->times / bank->divisor);
  tare_status status = tare_round(bank->rule, &o->options, f->filters, f->weights, &r, &error);
  if (status) return cli_fail(status, "%s: %s", f->tensor->name, error.message);
  int code = note_divisor(o, f->tensor->name, r->divisor);
  if (!code) code = add_tensors(o, f, r);
  if (!code && tare_constraint_rows(bank->rule) > 0) code = add_certificate(o, bank, r);
  if (!code) describe(o, bank, r);
  o->banks++;
  tare_rounding_free(r);
  return code;
}

/* Scales of integers that are rounded anew are not copied. */
static int is_old_scale(const output *o, const tare_tensor *tensor) {
  return tensor->dtype == TARE_DTYPE_F32 && tensor->dims > 0 && tensor->dims < 3 && !o->args->value[CLI_TENSOR].text &&
         tare_filters_scale_of(o->file->tensors, tensor) != NULL;
}

/* Convolutions that are under no rule are rounded plainly, so that a file has one format; the rest is copied. */
static int round_tensor(output *o, size_t index) {
  const tare_tensor *tensor = tare_tensors_at(o->file->tensors, index);
  cli_bank bank;
  tare_error error;
  int code = cli_file_bank(o->args, o->file, index, 1, &bank);
  if (code) return code;
  int plain = !bank.rule && tensor->dims > 2 && tare_filters_are(o->file->tensors, tensor) && !o->args->value[CLI_TENSOR].text;
  if (plain && (tare_filters_read(o->file->tensors, tensor, 1, &bank.filters, &error) ||
                tare_constraint_create("none", &bank.filters.shape, 0, &bank.rule, &error)))
    code = cli_report(&error);
  if (!code && bank.rule) code = round_bank(o, &bank);
  else if (!code && !is_old_scale(o, tensor)) o->tensors[o->count++] = *tensor;
  cli_bank_free(&bank);
  return code;
}

/* The input's metadata but what is said anew. */
static int copy_metadata(output *o) {
  size_t count = tare_tensors_all_metadata(o->file->tensors, NULL, 0), at = o->metadata_count;
  tare_metadata *from = calloc(count + 1, sizeof *from);
  if (!from) return no_memory();
  tare_tensors_all_metadata(o->file->tensors, from, count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(from[i].key, "rules") != 0 && strncmp(from[i].key, CLI_CERTIFICATE, strlen(CLI_CERTIFICATE)) != 0) o->metadata[at++] = from[i];
  free(from);
  char *rules = own(o, json_dumps(o->rules, JSON_COMPACT));
  if (!rules) return no_memory();
  o->metadata[at++] = (tare_metadata){"rules", rules};
  o->metadata_count = at;
  return 0;
}

static int write_output(output *o) {
  tare_error error;
  int code = copy_metadata(o);
  if (!code && tare_tensors_write(o->args->position[1], o->tensors, o->count, o->metadata, o->metadata_count, &error)) code = cli_report(&error);
  return code;
}

static int round_file(output *o) {
  const cli_args *args = o->args;
  int code = 0;
  for (size_t i = 0; i < tare_tensors_count(o->file->tensors) && !code; i++) code = round_tensor(o, i);
  if (!code && !o->banks) code = cli_fail(TARE_E_DATA, "%s: no convolution in it to round", o->file->path);
  if (!code) code = write_output(o);
  fflush(o->text);
  if (code || cli_to_stdout(args)) cli_table_free(o->table);
  else {
    cli_table_print(o->table, stdout);
    fputs(o->notes, stdout);
  }
  if (code) return json_decref(o->report), code;
  return cli_output_json(args, json_pack("{s:s, s:s, s:s, s:o}", "file", args->position[1], "format", args->value[CLI_FORMAT].text, "grade",
                                         args->value[CLI_GRADE].text, "tensors", o->report));
}

static int make_arrays(output *o) {
  static const char *const headings[] = {"<tensor", "<rule", "filters", "cost, mean", "largest", "sum |integers|"};
  size_t tensors = tare_tensors_count(o->file->tensors), words = tare_tensors_all_metadata(o->file->tensors, NULL, 0);
  o->tensors = calloc(2 * tensors + 1, sizeof *o->tensors);
  o->owned = calloc((MADE + 2) * tensors + 2, sizeof *o->owned);
  o->metadata = calloc(tensors + words + 2, sizeof *o->metadata);
  o->rules = json_array();
  o->report = json_array();
  o->table = cli_table_create(headings, 6);
  o->text = open_memstream(&o->notes, &o->notes_size);
  return o->tensors && o->owned && o->metadata && o->text ? 0 : no_memory();
}

int cmd_round(const cli_args *args) {
  cli_file file;
  tare_error error;
  output o = {.args = args, .file = &file};
  int code = cli_output_can(args->position[1], ".safetensors", ".npy");
  if (!code && tare_number_format_find(args->value[CLI_FORMAT].text, &o.options.format, &error)) code = cli_report(&error);
  if (!code) code = cli_file_open(args, args->position[0], 1, &file);
  if (code) return code;
  o.options.grade = strcmp(args->value[CLI_GRADE].text, "grid") == 0 ? TARE_GRADE_GRID : TARE_GRADE_EXACT;
  o.options.allow_divisor = args->value[CLI_DIVISOR].given;
  o.options.pixel_bits = (int)strtol(args->value[CLI_PIXELS].text, NULL, 10);
  code = make_arrays(&o);
  if (!code) code = round_file(&o);
  for (size_t i = 0; i < o.owned_count; i++) free(o.owned[i]);
  free(o.owned);
  free(o.tensors);
  free(o.metadata);
  if (o.text) fclose(o.text);
  free(o.notes);
  json_decref(o.rules);
  cli_file_close(&file);
  return code;
}
