/* SPDX-License-Identifier: Apache-2.0 */
#include "bank.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static int open_rules(const cli_args *args, int needed, cli_file *file) {
  const char *text = tare_tensors_metadata(file->tensors, "rules");
  file->rules = text ? json_loads(text, 0, NULL) : NULL;
  if (text && !json_is_array(file->rules)) return cli_fail(TARE_E_DATA, "%s: its 'rules' are not a JSON list", file->path);
  if (needed && !args->value[CLI_CONSTRAINT].text && json_array_size(file->rules) == 0)
    return cli_fail(TARE_E_ARGUMENT, "%s has no rules of its own: say with --constraint what its filters must obey", file->path);
  return 0;
}

int cli_file_open(const cli_args *args, const char *path, int needs_rules, cli_file *file) {
  tare_error error;
  *file = (cli_file){.path = path};
  if (tare_tensors_read(path, &file->tensors, &error)) return cli_report(&error);
  int code = open_rules(args, needs_rules, file);
  if (code) cli_file_close(file);
  return code;
}

void cli_file_close(cli_file *file) {
  json_decref(file->rules);
  tare_tensors_free(file->tensors);
  *file = (cli_file){0};
}

/* What the file says of a tensor; NULL: nothing. */
static const json_t *entry_of(const cli_file *file, const char *tensor) {
  const json_t *entry;
  size_t i;
  json_array_foreach(file->rules, i, entry) {
    const char *name = json_string_value(json_object_get(entry, "tensor"));
    if (name && strcmp(name, tensor) == 0) return entry;
  }
  return NULL;
}

enum { MOST_DIVISOR = 1 << 24 }; /* as in certificates */

static int is_power_of_two(double x) {
  int exponent;
  return x > 0 && isfinite(x) && frexp(x, &exponent) == 0.5;
}

/* The rule's text, NULL for a tensor under none. A matrix may be dense layer's: only in an npy file it is taken for a filter. */
static int rule_of(const cli_args *args, const cli_file *file, const tare_tensor *tensor, const char **text, cli_bank *out) {
  const json_t *entry = entry_of(file, tensor->name), *factor = json_object_get(entry, "times"), *divisor = json_object_get(entry, "divisor");
  int alone = strcmp(tensor->name, "array") == 0 && tare_tensors_count(file->tensors) == 1;
  out->times = factor ? json_number_value(factor) : 1;
  json_int_t over = divisor ? json_integer_value(divisor) : 1;
  *text = json_string_value(json_object_get(entry, "rule"));
  if (!is_power_of_two(out->times) || over < 1 || over > MOST_DIVISOR || (entry && !*text))
    return cli_fail(TARE_E_DATA, "%s: what its 'rules' say of %s is no rule", file->path, tensor->name);
  out->divisor = (int)over;
  if (args->value[CLI_CONSTRAINT].text) *text = tensor->dims > 2 || alone ? args->value[CLI_CONSTRAINT].text : NULL;
  return 0;
}

int cli_file_bank(const cli_args *args, const cli_file *file, size_t index, int nearest, cli_bank *out) {
  const tare_tensor *tensor = tare_tensors_at(file->tensors, index);
  const char *text, *only = args->value[CLI_TENSOR].text;
  tare_error error;
  *out = (cli_bank){.times = 1, .divisor = 1};
  if (only && strcmp(only, tensor->name) != 0) return 0;
  int code = rule_of(args, file, tensor, &text, out);
  if (code || !text || (args->value[CLI_CONSTRAINT].text && !tare_filters_are(file->tensors, tensor))) return code;
  tare_status status = tare_filters_read(file->tensors, tensor, nearest, &out->filters, &error);
  if (status) return cli_fail(status, "%s: %s", file->path, error.message);
  status = tare_constraint_create(text, &out->filters.shape, 1, &out->rule, &error);
  if (!status) return 0;
  cli_bank_free(out);
  if (!args->value[CLI_CONSTRAINT].text) return cli_fail(TARE_E_DATA, "%s: the rule of %s: %s", file->path, tensor->name, error.message);
  if (status == TARE_E_SYNTAX) return cli_report(&error);
  return cli_fail(status, "%s: %s (--tensor NAME takes one convolution alone)", tensor->name, error.message);
}

void cli_bank_free(cli_bank *bank) {
  tare_filters_free(&bank->filters);
  tare_constraint_free(bank->rule);
  *bank = (cli_bank){0};
}
