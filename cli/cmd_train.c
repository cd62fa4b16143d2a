/* SPDX-License-Identifier: Apache-2.0 */
/* tare train: checks everything that can be wrong, trains, writes the model, reads it back and tests it. */
#include "train_watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/look.h>
#include <tare/ranks.h>
#include <tare/round.h>
#include <unistd.h>

/* The race's network, twice as wide; %d: classes. */
static const char default_net[] = "conv 16x7 sum=0 spectral; bn; relu; conv 32x3 /2; bn; relu; conv 64x3 /2; bn; relu; gap; dense %d";
enum { DEFAULT_EPOCHS = 3 };

typedef struct training {
  const cli_args *args;
  tare_ranks *ranks;        /* NULL: alone */
  tare_source *source;
  tare_source_info info;
  tare_net *net;
  tare_source_batches *batches;
  char *checkpoint;
  int own_checkpoint;       /* 1: nobody named it, so it goes when the model is there */
  cli_watch watch;
  tare_train_result result;
} training;

static int ranks_of(const training *t) { return t->ranks ? t->ranks->count : 1; }
static int leads(const training *t) { return !t->ranks || t->ranks->rank == 0; }

static const char *text(const training *t, cli_id id) { return t->args->value[id].text; }

/* What command lines get wrong that no single option shows. */
static int check_words(const cli_args *args) {
  const cli_value *v = args->value;
  if (!v[CLI_OUT].text) return cli_fail(TARE_E_ARGUMENT, "expected --out FILE: where the model goes");
  if (v[CLI_EPOCHS].given && v[CLI_STEPS].given) return cli_fail(TARE_E_ARGUMENT, "--epochs and --steps say the same thing: give one of them");
  return 0;
}

static int create_net(training *t) {
  char line[sizeof default_net + 16];
  tare_error error;
  snprintf(line, sizeof line, default_net, t->info.classes);
  tare_net_options options = {.height = t->info.height, .width = t->info.width, .channels = t->info.channels,
                              .batch = (int)t->args->value[CLI_BATCH].integer / ranks_of(t), .threads = cli_threads(t->args),
                              .seed = (uint64_t)t->args->value[CLI_SEED].integer, .precision = TARE_F32, .init = TARE_INIT_METHOD};
  if (tare_net_create(text(t, CLI_NET) ? text(t, CLI_NET) : line, &options, &t->net, &error)) return cli_report(&error);
  size_t outputs = tare_net_output_size(t->net);
  if (outputs != (size_t)t->info.classes)
    return cli_fail(TARE_E_SHAPE, "the network gives %zu values an image, %s has %d classes: end it with 'dense %d'", outputs, t->info.spec,
                    t->info.classes, t->info.classes);
  return 0;
}

/* Says before training which rules the model file will not hold exactly. */
static void tell_rules(const training *t) {
  for (size_t i = 0; i < tare_net_tensor_count(t->net); i++) {
    tare_net_tensor info;
    tare_error why;
    if (tare_net_tensor_info(t->net, i, &info, NULL) || !info.constraint) continue;
    const char *notes = tare_constraint_notes(info.constraint);
    if (*notes) cli_say("%s: %s", info.name, notes);
    if (tare_round_supported(info.constraint, &why)) continue;
    cli_say("%s: %s will be written as trained, not exact: %s", info.name, tare_constraint_text(info.constraint), why.message);
  }
}

static int plan(training *t) {
  const cli_value *v = t->args->value;
  tare_error error;
  if (tare_source_batches_create(t->source, TARE_TRAIN, (uint64_t)v[CLI_SEED].integer, (int)v[CLI_BATCH].integer, &t->batches, &error))
    return cli_report(&error);
  if (t->ranks && tare_source_batches_share(t->batches, t->ranks->rank, t->ranks->count, &error)) return cli_report(&error);
  uint64_t epochs = v[CLI_EPOCHS].given ? (uint64_t)v[CLI_EPOCHS].integer : DEFAULT_EPOCHS;
  uint64_t per_epoch = tare_source_batches_count(t->batches);
  uint64_t steps = v[CLI_STEPS].given ? (uint64_t)v[CLI_STEPS].integer : epochs * per_epoch;
  t->watch = (cli_watch){.args = t->args, .net = t->net, .steps = steps, .per_epoch = per_epoch, .batch = (int)v[CLI_BATCH].integer};
  t->own_checkpoint = !v[CLI_CHECKPOINT].text;
  const char *path = t->own_checkpoint ? v[CLI_OUT].text : v[CLI_CHECKPOINT].text;
  size_t size = strlen(path) + 16;
  t->checkpoint = malloc(size);
  if (!t->checkpoint) return cli_fail(TARE_E_MEMORY, "out of memory for a file name");
  snprintf(t->checkpoint, size, "%s%s", path, t->own_checkpoint ? ".checkpoint" : "");
  return 0;
}

/*
 * The learning rate that nobody gave. Adam's customary 0.001 is slow for runs of a few epochs: on MNIST and leaves, 3
 * epochs with a cosine, networks with batch norm did best at 0.02 to 0.03 and those without at 0.003 (0.02 diverged).
 */
static double default_lr(const training *t) {
  if (strncmp(text(t, CLI_OPTIMIZER), "adam", 4) != 0) return 0; /* the optimizer's own */
  for (size_t i = 0; i < tare_net_tensor_count(t->net); i++) {
    tare_net_tensor info;
    if (tare_net_tensor_info(t->net, i, &info, NULL) == TARE_OK && strncmp(info.name, "bn", 2) == 0) return 0.02;
  }
  return 0.003;
}

/* What the ranks that follow do after a step. */
static int follow(void *user, const tare_progress *progress) {
  (void)user, (void)progress;
  return cli_interrupted();
}

static int train(training *t) {
  const cli_value *v = t->args->value;
  tare_train_options options;
  tare_error error;
  tare_train_defaults(&options);
  options.optimizer = v[CLI_OPTIMIZER].text;
  options.lr = v[CLI_LR].given ? v[CLI_LR].number : default_lr(t);
  options.weight_decay = v[CLI_WEIGHT_DECAY].number;
  options.schedule = v[CLI_SCHEDULE].text;
  options.steps = t->watch.steps;
  options.checkpoint = t->checkpoint;
  options.checkpoint_every = v[CLI_CHECKPOINT_EVERY].given ? (uint64_t)v[CLI_CHECKPOINT_EVERY].integer : t->watch.per_epoch;
  options.resume = v[CLI_RESUME].given;
  options.ranks = t->ranks;
  options.progress = leads(t) ? cli_watch_step : follow;
  options.user = &t->watch;
  cli_catch_interrupt();
  tare_status status = tare_train(t->net, tare_source_batch, t->batches, &options, &t->result, &error);
  cli_progress_clear();
  if (t->watch.failed) return t->watch.failed;
  if (status == TARE_E_STOPPED && !leads(t)) return cli_exit_code(status);
  if (status == TARE_E_STOPPED)
    return cli_fail(status, "stopped; the same command with --resume goes on from %s", t->checkpoint);
  return status ? cli_report(&error) : 0;
}

static int save(training *t) {
  tare_error error;
  char brightness[32];
  snprintf(brightness, sizeof brightness, "%g", t->args->value[CLI_BRIGHTNESS].number);
  const tare_metadata extra[] = {{"data", t->info.spec}, {"brightness", brightness}, {"tare_version", tare_version()}};
  size_t count = tare_source_train_hashes(t->source, NULL, 0);
  uint64_t *hashes = calloc(count + 1, sizeof *hashes);
  if (!hashes) return cli_fail(TARE_E_MEMORY, "out of memory for the hashes of %zu images", count);
  tare_source_train_hashes(t->source, hashes, count);
  tare_status status = tare_model_save(t->net, text(t, CLI_OUT), t->info.class_names, t->info.classes, hashes, count, extra,
                                       sizeof extra / sizeof *extra, &error);
  free(hashes);
  return status ? cli_report(&error) : 0;
}

/* The exact residual of every rule, in the weights that the file holds. */
static int read_back_rules(tare_model *model, FILE *file, json_t *rules) {
  tare_net *net = tare_model_net(model);
  for (size_t i = 0; i < tare_net_tensor_count(net); i++) {
    tare_net_tensor info;
    tare_residual residual;
    tare_error error;
    if (tare_net_tensor_info(net, i, &info, &error)) return cli_report(&error);
    if (!info.constraint || tare_constraint_rows(info.constraint) == 0) continue;
    const tare_tensor *tensor = tare_tensors_find(tare_model_file(model), info.name);
    if (!tensor) continue; /* the loader has checked; not every method stores a plain weight */
    size_t values = 1;
    for (int d = 0; d < tensor->dims; d++) values *= (size_t)tensor->shape[d];
    size_t units = values / (size_t)tare_constraint_taps(info.constraint);
    if (tare_constraint_residual(info.constraint, tensor->data, units, &residual, &error)) return cli_report(&error);
    const char *rule = tare_constraint_text(info.constraint);
    const char *unit = tare_constraint_is_filter(info.constraint) ? "filters" : "slices";
    if (file && residual.max_abs == 0) fprintf(file, "%s: %s holds exactly in all %zu %s\n", info.name, rule, units, unit);
    else if (file) fprintf(file, "%s: %s holds to %.2g\n", info.name, rule, residual.max_abs);
    json_array_append_new(rules, json_pack("{s:s, s:s, s:o}", "tensor", info.name, "rule", rule, "residual", cli_json_number(residual.max_abs)));
  }
  return 0;
}

static json_t *as_json(const training *t, const cli_score *score, json_t *rules) {
  return json_pack("{s:s, s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "model", text(t, CLI_OUT), "net", tare_net_line(t->net),
                   "steps", (json_int_t)t->result.steps, "skipped", (json_int_t)t->result.skipped, "resumed", t->result.resumed, "seconds", cli_json_number(t->result.seconds), "last_loss",
                   cli_json_number(t->result.last_loss), "accuracy", cli_json_number(score->accuracy), "accuracy_low",
                   cli_json_number(score->low), "accuracy_high", cli_json_number(score->high), "loss", cli_json_number(score->loss), "images",
                   (json_int_t)score->images, "patches", (json_int_t)score->patches, "rules", rules);
}

/* What only a report shows. */
static int report(const training *t, tare_net *net, json_t *run) {
  char *look;
  tare_error error;
  const cli_value *v = t->args->value;
  if (tare_look_json(net, t->source, (uint64_t)v[CLI_SEED].integer, &look, &error)) return json_decref(run), cli_report(&error);
  json_t *more = json_pack("{s:s, s:i, s:s, s:I, s:f, s:i}", "data", t->info.spec, "batch", t->watch.batch, "optimizer", text(t, CLI_OPTIMIZER),
                           "seed", v[CLI_SEED].integer, "brightness", v[CLI_BRIGHTNESS].number, "window",
                           (int)((t->watch.steps + CLI_POINTS - 1) / CLI_POINTS));
  json_object_update(run, more);
  json_decref(more);
  int code = cli_report_train(t->args, &t->watch.curve, run, look);
  free(look);
  return code;
}

static int test(training *t) {
  tare_model *model;
  tare_error error;
  cli_score score;
  FILE *file = cli_to_stdout(t->args) ? NULL : stdout;
  if (tare_model_load(text(t, CLI_OUT), (int)t->args->value[CLI_BATCH].integer, cli_threads(t->args), &model, &error)) return cli_report(&error);
  json_t *rules = json_array();
  int code = cli_score_net(tare_model_net(model), t->source, (uint64_t)t->args->value[CLI_SEED].integer, &score);
  if (!code) code = cli_board_test(&t->watch, &score);
  if (!code && file) cli_score_print(file, &score);
  if (!code) code = read_back_rules(model, file, rules);
  json_t *json = code ? NULL : as_json(t, &score, rules);
  if (!code && text(t, CLI_REPORT)) code = report(t, tare_model_net(model), json_deep_copy(json));
  tare_model_free(model);
  if (code) return json_decref(json ? json : rules), code;
  return cli_output_json(t->args, json);
}

static int run(training *t) {
  int code = create_net(t);
  if (code || (code = plan(t)) || (leads(t) && (code = cli_watch_open(&t->watch)))) return code;
  tell_rules(t);
  cli_say("%s: %llu steps of %d images, %llu an epoch; checkpoint %s", tare_net_line(t->net), (unsigned long long)t->watch.steps,
          t->watch.batch, (unsigned long long)t->watch.per_epoch, t->checkpoint);
  if (t->ranks) cli_say("%d ranks, %d images of every batch each", t->ranks->count, t->watch.batch / t->ranks->count);
  if (t->args->value[CLI_RESUME].given)
    cli_say(access(t->checkpoint, F_OK) ? "no checkpoint %s: starting afresh" : "going on from %s", t->checkpoint);
  int first = leads(t);
  code = train(t);
  if (!code || code == cli_exit_code(TARE_E_STOPPED)) tare_ranks_leave(t->ranks); /* else it ends without the others, and mpirun ends them */
  if (code) return code;
  t->ranks = NULL;
  if (!first) return 0;
  if ((code = save(t))) return code;
  if (t->own_checkpoint) remove(t->checkpoint);
  cli_say("wrote %s", text(t, CLI_OUT));
  return test(t);
}

int cmd_train(const cli_args *args) {
  training t = {.args = args};
  int code = check_words(args);
  if (!code) code = cli_ranks_join(args, &t.ranks);
  if (!code) code = cli_source_open(args, args->position[0], -1, -1, &t.source);
  if (code) return code;
  tare_source_get_info(t.source, &t.info);
  code = run(&t);
  int closed = cli_watch_close(&t.watch);
  if (!code) code = closed;
  free(t.checkpoint);
  tare_source_batches_free(t.batches);
  tare_net_free(t.net);
  tare_source_free(t.source);
  return code;
}
