/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <tare/events.h>
#include <tare/look.h>
#include <tare/ranks.h>
#include <unistd.h>

static const tare_net_options small = {.height = 8, .width = 8, .channels = 1, .batch = 2, .threads = 1};
static const char line[] = "conv 2x3 sum=0; bn; relu; gap; dense 2";
static float pixels[2 * 64];

static tare_status batches(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  static const int32_t labels[2] = {0, 1};
  (void)user, (void)index, (void)error;
  *batch = (tare_batch){.count = 2, .images = pixels, .labels = labels};
  return TARE_OK;
}

static void create_nets(void) {
  tare_net *net;
  tare_net_options options;
  double worst;
  REFUSES(tare_net_create(NULL, &small, &net, ERR));
  REFUSES(tare_net_create(line, NULL, &net, ERR));
  REFUSES(tare_net_create(line, &small, NULL, ERR));
  REFUSES(tare_net_create("", &small, &net, ERR));
  REFUSES(tare_net_create("conv 2x99", &small, &net, ERR));
#define WITH(field, value) options = small, options.field = value; REFUSES(tare_net_create(line, &options, &net, ERR))
  WITH(height, 0);
  WITH(width, -4);
  WITH(channels, 1 << 30);
  WITH(batch, 0);
  WITH(threads, 0);
  WITH(threads, 1000);
  WITH(precision, (tare_precision)9);
  WITH(init, (tare_init)9);
  REFUSES(tare_net_check_gradient(NULL, &small, &worst, NULL, ERR));
  REFUSES(tare_net_check_gradient(line, NULL, &worst, NULL, ERR));
  REFUSES(tare_net_check_gradient("conv", &small, &worst, NULL, ERR));
}

static void nets(tare_net *net) {
  tare_conv_problem problem;
  const void *out;
  const double *scales;
  size_t count;
  int shape[3];
  tare_net_tensor info;
  float values[18] = {0};
  float nans[18] = {[3] = NAN};
  IGNORES(tare_net_free(NULL));
  GIVES_NULL(tare_net_line(NULL));
  GIVES(const char *, tare_net_notes(NULL), *got == 0);
  GIVES_NULL(tare_net_get_options(NULL));
  GIVES_0(tare_net_output_size(NULL));
  REFUSES(tare_net_first_conv(NULL, &problem, ERR));
  REFUSES(tare_net_first_conv(net, NULL, ERR));
  IGNORES(tare_net_output_shape(NULL, shape));
  IGNORES(tare_net_output_shape(net, NULL));
  REFUSES(tare_net_start(NULL, pixels, 2, ERR));
  REFUSES(tare_net_start(net, NULL, 2, ERR));
  REFUSES(tare_net_start(net, pixels, 0, ERR));
  REFUSES(tare_net_forward(NULL, pixels, 1, 0, 0, &out, ERR));
  REFUSES(tare_net_forward(net, NULL, 1, 0, 0, &out, ERR));
  REFUSES(tare_net_forward(net, pixels, 0, 0, 0, &out, ERR));
  REFUSES(tare_net_forward(net, pixels, 3, 0, 0, &out, ERR));
  REFUSES(tare_net_backward(NULL, pixels, ERR));
  REFUSES(tare_net_backward(net, pixels, ERR));
  NEED(tare_net_start(net, pixels, 2, ERR));
  NEED(tare_net_forward(net, pixels, 2, 1, 0, &out, ERR));
  REFUSES(tare_net_backward(net, NULL, ERR));
  GIVES(double, tare_net_penalty(NULL), got == 0);
  GIVES_0(tare_net_parameter_count(NULL));
  GIVES_NULL(tare_net_parameters(NULL));
  GIVES_NULL(tare_net_gradients(NULL));
  GIVES_0(tare_net_state_count(NULL));
  GIVES_NULL(tare_net_state(NULL));
  REFUSES(tare_net_get_scales(NULL, &scales, &count, ERR));
  REFUSES(tare_net_get_scales(net, NULL, &count, ERR));
  REFUSES(tare_net_get_scales(net, &scales, NULL, ERR));
  REFUSES(tare_net_set_scales(NULL, NULL, 0, ERR));
  REFUSES(tare_net_set_scales(net, NULL, 1, ERR));
  REFUSES(tare_net_set_scales(net, NULL, 99, ERR));
  REFUSES(tare_net_set_scales(net, (const double[1]){-1}, 1, ERR));
  REFUSES(tare_net_after_step(NULL, ERR));
  GIVES_0(tare_net_tensor_count(NULL));
  REFUSES(tare_net_tensor_info(NULL, 0, &info, ERR));
  REFUSES(tare_net_tensor_info(net, 999, &info, ERR));
  REFUSES(tare_net_tensor_info(net, 0, NULL, ERR));
  REFUSES(tare_net_tensor_get(NULL, 0, values, ERR));
  REFUSES(tare_net_tensor_get(net, 999, values, ERR));
  REFUSES(tare_net_tensor_get(net, 0, NULL, ERR));
  REFUSES(tare_net_tensor_set(NULL, 0, values, ERR));
  REFUSES(tare_net_tensor_set(net, SIZE_MAX, values, ERR));
  REFUSES(tare_net_tensor_set(net, 0, NULL, ERR));
  REFUSES(tare_net_tensor_set(net, 0, nans, ERR));
  REFUSES(tare_net_tensor_pin(NULL, 0, values, ERR));
  REFUSES(tare_net_tensor_pin(net, 999, values, ERR));
  REFUSES(tare_net_tensor_pin(net, 0, NULL, ERR));
  REFUSES(tare_net_tensor_pin(net, 1, values, ERR));
}

static void trainings(tare_net *net) {
  tare_train_options options;
  tare_eval_result result;
  IGNORES(tare_train_defaults(NULL));
  tare_train_defaults(&options);
  options.steps = 1;
  const tare_train_options good = options;
  REFUSES(tare_train(NULL, batches, NULL, &good, NULL, ERR));
  REFUSES(tare_train(net, NULL, NULL, &good, NULL, ERR));
  REFUSES(tare_train(net, batches, NULL, NULL, NULL, ERR));
#define WRONG(field, value) options = good, options.field = value; REFUSES(tare_train(net, batches, NULL, &options, NULL, ERR))
  WRONG(optimizer, NULL);
  WRONG(optimizer, "none");
  WRONG(lr, -1);
  WRONG(lr, (double)NAN);
  WRONG(momentum, 1);
  WRONG(beta1, 2);
  WRONG(weight_decay, -1);
  WRONG(schedule, "step(0,1)");
  WRONG(loss, (tare_loss)7);
  WRONG(steps, 0);
  WRONG(checkpoint, "-");
  WRONG(checkpoint, "/nowhere/checkpoint");
  REFUSES(tare_evaluate(NULL, batches, NULL, 1, TARE_LOSS_CROSS_ENTROPY, &result, NULL, ERR));
  REFUSES(tare_evaluate(net, NULL, NULL, 1, TARE_LOSS_CROSS_ENTROPY, &result, NULL, ERR));
  REFUSES(tare_evaluate(net, batches, NULL, 0, TARE_LOSS_CROSS_ENTROPY, &result, NULL, ERR));
  REFUSES(tare_evaluate(net, batches, NULL, 1, (tare_loss)9, &result, NULL, ERR));
  REFUSES(tare_evaluate(net, batches, NULL, 1, TARE_LOSS_MSE, &result, NULL, ERR));
  REFUSES(tare_evaluate(net, batches, NULL, 1, TARE_LOSS_CROSS_ENTROPY, NULL, NULL, ERR));
}

static void models(tare_net *net, char *path) {
  static const char *const names[2] = {"a", "b"};
  tare_model *model;
  const tare_export_options plain = {.format = -1}, format = {.format = 77}, grade = {.format = 0, .grade = (tare_grade)9}, pixels_of = {.format = -1, .pixel_bits = 9};
  REFUSES(tare_model_save(NULL, path, names, 2, NULL, 0, NULL, 0, ERR));
  REFUSES(tare_model_save(net, NULL, names, 2, NULL, 0, NULL, 0, ERR));
  REFUSES(tare_model_save(net, path, NULL, 2, NULL, 0, NULL, 0, ERR));
  REFUSES(tare_model_save(net, path, (const char *const[1]){NULL}, 1, NULL, 0, NULL, 0, ERR));
  REFUSES(tare_model_save(net, path, names, -1, NULL, 0, NULL, 0, ERR));
  REFUSES(tare_model_save(net, path, names, 2, NULL, 3, NULL, 0, ERR));
  REFUSES(tare_model_save(net, path, names, 2, NULL, 0, NULL, 3, ERR));
  REFUSES(tare_model_save(net, "/nowhere/m", names, 2, NULL, 0, NULL, 0, ERR));
  REFUSES(tare_model_load(NULL, 1, 1, &model, ERR));
  REFUSES(tare_model_load("/nowhere/m", 1, 1, &model, ERR));
  REFUSES(tare_model_load(path, 0, 1, &model, ERR));
  REFUSES(tare_model_load(path, 1, 0, &model, ERR));
  REFUSES(tare_model_load(path, 1, 1, NULL, ERR));
  NEED(tare_model_save(net, path, names, 2, NULL, 0, NULL, 0, ERR));
  NEED(tare_model_load(path, 1, 1, &model, ERR));
  GIVES_NULL(tare_model_net(NULL));
  GIVES_NULL(tare_model_file(NULL));
  GIVES_0(tare_model_train_hashes(NULL, NULL, 4));
  GIVES_0(tare_model_train_hashes(model, NULL, 4));
  GIVES_0(tare_model_classes(NULL));
  REFUSES(tare_model_export(NULL, path, &plain, NULL, ERR));
  REFUSES(tare_model_export(model, NULL, &plain, NULL, ERR));
  REFUSES(tare_model_export(model, path, NULL, NULL, ERR));
  REFUSES(tare_model_export(model, path, &format, NULL, ERR));
  REFUSES(tare_model_export(model, path, &grade, NULL, ERR));
  REFUSES(tare_model_export(model, path, &pixels_of, NULL, ERR));
  REFUSES(tare_model_export(model, "/nowhere/m.onnx", &plain, NULL, ERR));
  IGNORES(tare_model_free(NULL));
  tare_model_free(model);
}

static void looks(tare_net *net, tare_source *source) {
  char *text;
  REFUSES(tare_look_json(NULL, source, 1, &text, ERR));
  REFUSES(tare_look_json(net, NULL, 1, &text, ERR));
  REFUSES(tare_look_json(net, source, 1, NULL, ERR));
}

static void events(void) {
  static const uint8_t pixel[1];
  static const float value[1];
  tare_events *out;
  char folder[] = P_tmpdir "/tare-api-XXXXXX";
  REFUSES(tare_events_create(NULL, &out, ERR));
  REFUSES(tare_events_create("/dev/null/x", &out, ERR));
  REFUSES(tare_events_create("x", NULL, ERR));
  REFUSES(tare_events_scalar(NULL, "tag", 1, 1, ERR));
  REFUSES(tare_events_histogram(NULL, "tag", 1, value, 1, ERR));
  REFUSES(tare_events_image(NULL, "tag", 1, pixel, 1, 1, 1, ERR));
  REFUSES(tare_events_flush(NULL, ERR));
  GIVES(tare_status, tare_events_close(NULL, NULL), got == TARE_OK);
  if (!mkdtemp(folder)) return;
  NEED(tare_events_create(folder, &out, ERR));
  REFUSES(tare_events_scalar(out, NULL, 1, 1, ERR));
  REFUSES(tare_events_histogram(out, NULL, 1, value, 1, ERR));
  REFUSES(tare_events_histogram(out, "tag", 1, NULL, 1, ERR));
  REFUSES(tare_events_image(out, NULL, 1, pixel, 1, 1, 1, ERR));
  REFUSES(tare_events_image(out, "tag", 1, NULL, 1, 1, 1, ERR));
  REFUSES(tare_events_image(out, "tag", 1, pixel, 0, 1, 1, ERR));
  tare_events_close(out, NULL);
  char command[80];
  snprintf(command, sizeof command, "rm -r %s", folder);
  if (system(command)) return;
}

static tare_status no_gather(void *self, const void *mine, size_t bytes, void *all, tare_error *error) { (void)self, (void)mine, (void)bytes, (void)all, (void)error; return TARE_E_LIBRARY; }

static void ranks(tare_net *net, tare_source *source) {
  static float images[48 * 48];
  int32_t labels[2];
  tare_source_batches *out;
  tare_loader *loader;
  const tare_ranks empty = {.count = 2}, none = {.count = 0, .gather = no_gather}, far = {.rank = 7, .count = 2, .gather = no_gather};
  GIVES_0(tare_ranks_launched());
  REFUSES(tare_ranks_join(NULL, ERR));
  IGNORES(tare_ranks_leave(NULL));
  int share;
  const tare_ranks pair = {.count = 2};
  REFUSES(tare_ranks_share(NULL, 16, &share, ERR));
  REFUSES(tare_ranks_share(&pair, 16, NULL, ERR));
  REFUSES(tare_ranks_share(&pair, 0, &share, ERR));
  REFUSES(tare_ranks_share(&pair, 48, &share, ERR));
  REFUSES(tare_ranks_share(&none, 16, &share, ERR));
  REFUSES(tare_net_set_ranks(NULL, NULL, ERR));
  REFUSES(tare_net_set_ranks(net, &empty, ERR));
  REFUSES(tare_net_set_ranks(net, &none, ERR));
  REFUSES(tare_net_set_ranks(net, &far, ERR));
  REFUSES(tare_source_train_share(NULL, 1, 0, 2, 0, 1, images, labels, NULL, ERR));
  REFUSES(tare_source_train_share(source, 1, 0, 2, -1, 1, images, labels, NULL, ERR));
  REFUSES(tare_source_train_share(source, 1, 0, 2, 1, 2, images, labels, NULL, ERR));
  REFUSES(tare_source_train_share(source, 1, 0, 2, 0, 1, NULL, labels, NULL, ERR));
  REFUSES(tare_loader_create_share(NULL, 1, 0, 2, 0, 1, &loader, ERR));
  REFUSES(tare_loader_create_share(source, 1, 0, 2, 2, 1, &loader, ERR));
  NEED(tare_source_batches_create(source, TARE_TRAIN, 1, 2, &out, ERR));
  REFUSES(tare_source_batches_share(NULL, 0, 2, ERR));
  REFUSES(tare_source_batches_share(out, 2, 2, ERR));
  REFUSES(tare_source_batches_share(out, 0, 0, ERR));
  REFUSES(tare_source_batches_share(out, -1, 2, ERR));
  REFUSES(tare_source_batches_share(out, 0, 3, ERR));
  tare_source_batches_free(out);
}

static void source_batches(tare_source *source) {
  tare_source_batches *out;
  tare_batch batch;
  REFUSES(tare_source_batches_create(NULL, TARE_TEST, 1, 2, &out, ERR));
  REFUSES(tare_source_batches_create(source, (tare_part)5, 1, 2, &out, ERR));
  REFUSES(tare_source_batches_create(source, TARE_TEST, 1, 0, &out, ERR));
  REFUSES(tare_source_batches_create(source, TARE_TEST, 1, 2, NULL, ERR));
  NEED(tare_source_batches_create(source, TARE_TEST, 1, 2, &out, ERR));
  GIVES_0(tare_source_batches_count(NULL));
  REFUSES(tare_source_batch(NULL, 0, &batch, ERR));
  REFUSES(tare_source_batch(out, 0, NULL, ERR));
  REFUSES(tare_source_batch(out, UINT64_MAX, &batch, ERR));
  tare_source_batches_free(out);
  IGNORES(tare_source_batches_free(NULL));
}

static void races(tare_source *source) {
  tare_race_options options;
  tare_race_result *result;
  const tare_race_run *runs;
  const tare_race_row *rows;
  char *text;
  IGNORES(tare_race_defaults(NULL));
  GIVES(const void *, tare_race_methods(NULL), got != NULL);
  tare_race_defaults(&options);
  const tare_race_options good = options;
  REFUSES(tare_race(NULL, &good, &result, ERR));
  REFUSES(tare_race(source, NULL, &result, ERR));
  REFUSES(tare_race(source, &good, NULL, ERR));
#define RACE(field, value) options = good, options.field = value; REFUSES(tare_race(source, &options, &result, ERR))
  RACE(kernel, 0);
  RACE(kernel, -7);
  RACE(kernel, 1000);
  RACE(constraint, NULL);
  RACE(constraint, "sum");
  RACE(methods, "walking");
  RACE(steps, 0);
  RACE(seeds, 0);
  RACE(tuning_seeds, -1);
  RACE(batch, 0);
  RACE(optimizer, NULL);
  RACE(optimizer, "none");
  RACE(schedule, "x");
  RACE(lr, -1);
  RACE(lr, (double)NAN);
  RACE(init, (tare_init)5);
  RACE(threads, 0);
  RACE(filters, 0);
  RACE(tail, "nothing");
  RACE(timing_seconds, (double)NAN);
  GIVES_0(tare_race_runs(NULL, &runs));
  GIVES_0(tare_race_rows(NULL, &rows));
  GIVES_0(tare_race_steps(NULL));
  GIVES(double, tare_race_chance(NULL), isnan(got));
  GIVES_0(tare_race_test_images(NULL));
  REFUSES(tare_race_json(NULL, &text, ERR));
  IGNORES(tare_race_free(NULL));
}

void api_nets(void) {
  tare_net *net;
  tare_source *source;
  tare_source_options options;
  char path[] = P_tmpdir "/tare-api-XXXXXX";
  for (int i = 0; i < 128; i++) pixels[i] = (float)(i * 37 % 101) / 101;
  close(mkstemp(path));
  tare_source_defaults(&options);
  options.images = 2;
  NEED(tare_source_open("leaves", &options, &source, ERR));
  NEED(tare_net_create(line, &small, &net, ERR));
  create_nets();
  nets(net);
  trainings(net);
  models(net, path);
  events();
  ranks(net, source);
  looks(net, source);
  source_batches(source);
  races(source);
  tare_net_free(net);
  tare_source_free(source);
  unlink(path);
}
