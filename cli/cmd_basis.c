/* SPDX-License-Identifier: Apache-2.0 */
/* tare basis: the condition number of training by each basis, and a picture of one. */
#include "cli.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/basis.h>
#include <tare/data.h>

/* Patches that a measured covariance is pooled over. */
enum { PATCHES = 512, FULL_TAPS = 256 };

/*
 * The model's one free number, the variance of a patch's mean against that of
 * the finest waves. Photos of values 0..1 have about .06 between means of
 * patches and s^2 = 4e-4 K^2 in the variance s^2/|k|^2 of a DCT coefficient
 * (measured; K^2 because a patch of K sees frequencies down to 1/2K). The mean's
 * coefficient is K times the mean; brightness adds D^2/3.
 */
static double model_dc_variance(double brightness) { return (0.06 + brightness * brightness / 3) / 4e-4; }

static int measure(const cli_args *args, const tare_filter_shape *shape, const tare_source *source, tare_covariance **out) {
  tare_source_info info;
  tare_error error;
  tare_source_get_info(source, &info);
  float *images = calloc((size_t)PATCHES * (size_t)info.height * (size_t)info.width * (size_t)info.channels, sizeof *images);
  int32_t *labels = calloc(PATCHES, sizeof *labels);
  tare_status status = TARE_E_MEMORY;
  snprintf(error.message, sizeof error.message, "out of memory for %d patches", PATCHES);
  error.status = status;
  if (images && labels)
    status = tare_source_train_batch(source, (uint64_t)args->value[CLI_SEED].integer, 0, PATCHES, images, labels, NULL, &error);
  if (!status)
    status = tare_covariance_measure(shape, images, PATCHES, info.height, info.width, info.channels, NULL, args->value[CLI_BRIGHTNESS].number,
                                     out, &error);
  free(images);
  free(labels);
  return status ? cli_report(&error) : 0;
}

static int covariance(const cli_args *args, const tare_filter_shape *shape, tare_covariance **out) {
  const char *spec = args->value[CLI_DATA].text;
  tare_error error;
  if (!spec) return tare_covariance_model(shape, model_dc_variance(args->value[CLI_BRIGHTNESS].number), out, &error) ? cli_report(&error) : 0;
  tare_source *source;
  cli_args plain = *args; /* brightness is added as a variance, exactly */
  plain.value[CLI_BRIGHTNESS].number = 0;
  int code = cli_source_open(&plain, spec, -1, -1, &source);
  if (code) return code;
  code = measure(args, shape, source, out);
  tare_source_free(source);
  return code;
}

/* Six digits: bases that are equally good in theory are so in the report. */
static double six_digits(double x) {
  char text[32];
  snprintf(text, sizeof text, "%.6g", x);
  return atof(text);
}

static int add_row(const tare_constraint *rule, const tare_covariance *c, const char *name, json_t *conditions, cli_table *table) {
  tare_basis *basis = NULL;
  tare_error error;
  double condition = 0;
  int none = strcmp(name, "none") == 0;
  if (json_object_get(conditions, name)) return 0;
  if (!none && tare_basis_create(rule, name, c, &basis, &error)) return cli_report(&error);
  const char *canonical = none ? name : tare_basis_name(basis);
  tare_status status = tare_basis_condition(basis, c, &condition, &error);
  if (!status && !json_object_get(conditions, canonical)) {
    json_object_set_new(conditions, canonical, cli_json_number(six_digits(condition)));
    cli_table_cell(table, "%s", canonical);
    cli_table_cell(table, condition < 100 ? "%.2f" : "%.0f", condition);
  }
  tare_basis_free(basis);
  return status ? cli_report(&error) : 0;
}

static int report(const cli_args *args, const tare_constraint *rule, const tare_covariance *c) {
  static const char *const names[] = {"none", "pivot", "centred", "orthonormal", "dct", "spectral", "whitened", "whitened-full"};
  static const char *const headings[] = {"<basis", "condition"};
  int kernel = (int)args->value[CLI_KERNEL].integer, code = 0;
  const char *data = args->value[CLI_DATA].text;
  json_t *conditions = json_object();
  cli_table *table = cli_table_create(headings, 2);
  for (size_t i = 0; i < sizeof names / sizeof *names && !code; i++)
    if (strcmp(names[i], "whitened-full") != 0 || tare_constraint_taps(rule) <= FULL_TAPS) code = add_row(rule, c, names[i], conditions, table);
  if (!code) code = add_row(rule, c, args->value[CLI_BASIS].text, conditions, table);
  if (code || cli_to_stdout(args)) {
    cli_table_free(table);
  } else {
    printf("%dx%d filters, %s: %d free weights of %d; against %s, brightness %g\n", kernel, kernel, tare_constraint_text(rule),
           tare_constraint_taps(rule) - tare_constraint_rows(rule), tare_constraint_taps(rule), data ? data : "the 1/f^2 model",
           args->value[CLI_BRIGHTNESS].number);
    cli_table_print(table, stdout);
  }
  if (code) return json_decref(conditions), code;
  return cli_output_json(args, json_pack("{s:i, s:s, s:s, s:f, s:o}", "kernel", kernel, "constraint", tare_constraint_text(rule), "data",
                                         data ? data : "model", "brightness", args->value[CLI_BRIGHTNESS].number, "condition", conditions));
}

static int run(const cli_args *args, const tare_constraint *rule, const tare_filter_shape *shape) {
  tare_covariance *c = NULL;
  int code = covariance(args, shape, &c);
  if (!code) code = report(args, rule, c);
  if (!code && args->value[CLI_PICTURE].text) code = cli_picture(args, rule, c);
  tare_covariance_free(c);
  return code;
}

int cmd_basis(const cli_args *args) {
  int kernel = (int)args->value[CLI_KERNEL].integer;
  tare_filter_shape shape = {.dims = 2, .size = {kernel, kernel}, .channels = 1};
  tare_constraint *rule;
  tare_error error;
  if (tare_constraint_create(args->value[CLI_CONSTRAINT].text, &shape, 0, &rule, &error)) return cli_report(&error);
  const char *notes = tare_constraint_notes(rule);
  if (*notes) cli_say("%s", notes);
  int code = run(args, rule, &shape);
  tare_constraint_free(rule);
  return code;
}
