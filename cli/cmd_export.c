/* SPDX-License-Identifier: Apache-2.0 */
/* tare export: a model as an ONNX file. */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <tare/train.h>

static int export_model(const cli_args *args, tare_model *model, const tare_export_options *options) {
  tare_export_result result;
  tare_error error;
  const char *path = args->position[1];
  if (tare_model_export(model, path, options, &result, &error)) return cli_report(&error);
  int most = (1 << options->pixel_bits) - 1;
  cli_say("%s: takes pixels as they are, 0..%d (the factor 2^-%d is in %s)%s", path, most, options->pixel_bits, result.scaled,
          result.folded ? "; batch norm folded" : "");
  return cli_output_json(args, json_pack("{s:s, s:i, s:s, s:i}", "file", path, "pixel_max", most, "scaled", result.scaled, "folded", result.folded));
}

int cmd_export(const cli_args *args) {
  tare_model *model;
  tare_error error;
  tare_export_options options = {.format = -1, .fold = args->value[CLI_FOLD].given};
  tare_number_format format;
  int code = cli_output_can(args->position[1], ".onnx", NULL);
  if (!code && args->value[CLI_FORMAT].text) {
    if (tare_number_format_find(args->value[CLI_FORMAT].text, &format, &error)) return cli_report(&error);
    options.format = (int)format;
  }
  options.grade = strcmp(args->value[CLI_GRADE].text, "grid") == 0 ? TARE_GRADE_GRID : TARE_GRADE_EXACT;
  options.pixel_bits = (int)strtol(args->value[CLI_PIXELS].text, NULL, 10);
  if (!code && tare_model_load(args->position[0], 1, 1, &model, &error)) code = cli_report(&error);
  if (code) return code;
  code = export_model(args, model, &options);
  tare_model_free(model);
  return code;
}
