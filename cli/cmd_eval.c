/* SPDX-License-Identifier: Apache-2.0 */
/* tare eval: the accuracy of a model file on the images of a source that it was not trained on. */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <tare/train.h>

/* 0 if the source's patches and classes are what the model was made for. */
static int check_fit(const tare_model *model, const char *spec, const tare_source_info *info, const tare_net_options *net) {
  if (info->height != net->height || info->width != net->width || info->channels != net->channels)
    return cli_fail(TARE_E_SHAPE, "the model takes images of %dx%dx%d, %s has %dx%dx%d", net->height, net->width, net->channels, spec,
                    info->height, info->width, info->channels);
  if (info->classes != tare_model_classes(model))
    return cli_fail(TARE_E_SHAPE, "the model knows %d classes, %s has %d", tare_model_classes(model), spec, info->classes);
  return 0;
}

static int exclude_trained(const tare_model *model, const char *spec, tare_source *source, size_t *left_out) {
  tare_error error;
  size_t count = tare_model_train_hashes(model, NULL, 0);
  uint64_t *hashes = calloc(count + 1, sizeof *hashes);
  if (!hashes) return cli_fail(TARE_E_MEMORY, "out of memory for the hashes of %zu images", count);
  tare_model_train_hashes(model, hashes, count);
  tare_status status = tare_source_exclude(source, hashes, count, left_out, &error);
  free(hashes);
  if (status) return cli_report(&error);
  if (*left_out) cli_say("%s: %zu image%s left out, the model was trained on them", spec, *left_out, *left_out == 1 ? "" : "s");
  return 0;
}

static int evaluate(const cli_args *args, tare_model *model, tare_source *source) {
  tare_source_info info;
  cli_score score;
  size_t left_out = 0;
  const char *spec = args->position[1];
  tare_source_get_info(source, &info);
  int code = check_fit(model, spec, &info, tare_net_get_options(tare_model_net(model)));
  if (!code) code = exclude_trained(model, spec, source, &left_out);
  cli_catch_interrupt();
  if (!code) code = cli_score_net(tare_model_net(model), source, (uint64_t)args->value[CLI_SEED].integer, &score);
  if (code) return code;
  if (!cli_to_stdout(args)) cli_score_print(stdout, &score);
  return cli_output_json(args, json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:I}", "accuracy", cli_json_number(score.accuracy), "loss",
                                         cli_json_number(score.loss), "images", (json_int_t)score.images, "patches",
                                         (json_int_t)score.patches, "accuracy_low", cli_json_number(score.low), "accuracy_high",
                                         cli_json_number(score.high), "left_out", (json_int_t)left_out));
}

int cmd_eval(const cli_args *args) {
  tare_model *model;
  tare_source *source = NULL;
  tare_error error;
  if (tare_model_load(args->position[0], (int)args->value[CLI_BATCH].integer, cli_threads(args), &model, &error)) return cli_report(&error);
  const tare_net_options *net = tare_net_get_options(tare_model_net(model));
  int mnist = strncmp(args->position[1], "mnist:", 6) == 0; /* patches have the images' own size there */
  int code = cli_source_open(args, args->position[1], mnist ? 0 : net->height, net->channels == 3, &source);
  if (!code) code = evaluate(args, model, source);
  tare_source_free(source);
  tare_model_free(model);
  return code;
}
