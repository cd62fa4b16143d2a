/* SPDX-License-Identifier: Apache-2.0 */
/* tare data: what a source holds, and a sheet of it. */
#include "cli.h"

#include <jansson.h>
#include <tare/data.h>

static json_t *as_json(const tare_source_info *info) {
  json_t *names = json_array();
  for (int i = 0; i < info->classes; i++) json_array_append_new(names, json_string(info->class_names[i]));
  return json_pack("{s:s, s:i, s:i, s:i, s:o, s:{s:I, s:I}, s:{s:I, s:I}, s:I}", "data", info->spec, "height", info->height, "width",
                   info->width, "channels", info->channels, "classes", names, "images", "train", (json_int_t)info->images[TARE_TRAIN], "test",
                   (json_int_t)info->images[TARE_TEST], "patches", "train", (json_int_t)info->patches[TARE_TRAIN], "test",
                   (json_int_t)info->patches[TARE_TEST], "skipped", (json_int_t)info->skipped);
}

static void print(FILE *file, const tare_source_info *info) {
  static const char *const headings[] = {"<part", "images", "patches"};
  static const char *const parts[] = {"training", "test"};
  fprintf(file, "%s: patches of %dx%dx%d, %d classes:", info->spec, info->height, info->width, info->channels, info->classes);
  for (int i = 0; i < info->classes; i++) fprintf(file, "%s %s", i ? "," : "", info->class_names[i]);
  fputc('\n', file);
  cli_table *table = cli_table_create(headings, 3);
  for (int part = TARE_TRAIN; part <= TARE_TEST; part++) {
    cli_table_cell(table, "%s", parts[part]);
    cli_table_cell(table, "%zu", info->images[part]);
    cli_table_cell(table, "%zu", info->patches[part]);
  }
  cli_table_print(table, file);
}

int cmd_data(const cli_args *args) {
  tare_source *source;
  tare_source_info info;
  tare_error error;
  int code = cli_source_open(args, args->position[0], -1, -1, &source);
  if (code) return code;
  tare_source_get_info(source, &info);
  const char *preview = args->value[CLI_PREVIEW].text;
  if (preview && tare_source_preview(source, (uint64_t)args->value[CLI_SEED].integer, (int)args->value[CLI_COLUMNS].integer, preview, &error))
    code = cli_report(&error);
  if (!code && !cli_to_stdout(args)) print(stdout, &info);
  if (!code) code = cli_output_json(args, as_json(&info));
  tare_source_free(source);
  return code;
}
