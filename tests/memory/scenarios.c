/* SPDX-License-Identifier: Apache-2.0 */
/* What a program does with the library, a few milliseconds each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tare/basis.h>
#include <tare/conv.h>
#include <tare/look.h>
#include <tare/race.h>
#include <tare/round.h>
#include <unistd.h>

#include "memory.h"

static const tare_filter_shape shape = {.dims = 2, .size = {3, 3}, .channels = 1};

static const char *path_of(const char *name) {
  static char path[160];
  const char *folder = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/tare-memory-%ld-%s", folder ? folder : "/tmp", (long)getpid(), name);
  return path;
}

static tare_status constraints(tare_error *error) {
  static const char *const rules[] = {"sum=0", "order=1; symmetric", "bayar", "derivative(2,0) accuracy=2; symmetric", "sum=0; sum=0"};
  tare_status status = TARE_OK;
  for (size_t i = 0; i < sizeof rules / sizeof *rules && !status; i++) {
    static const float w[9] = {0, 1, 0, 1, -4, 1, 0, 1, 0};
    tare_constraint *rule = NULL;
    tare_residual residual;
    status = tare_constraint_create(rules[i], &shape, 1, &rule, error);
    if (!status) status = tare_constraint_residual(rule, w, 1, &residual, error);
    tare_constraint_free(rule);
  }
  return status;
}

static tare_status bases(tare_error *error) {
  tare_constraint *rule;
  tare_covariance *model = NULL;
  tare_status status = tare_constraint_create("order=1", &shape, 0, &rule, error);
  if (status) return status;
  status = tare_covariance_model(&shape, 1, &model, error);
  for (const char *const *name = tare_basis_names(); *name && !status; name++) {
    double condition, t[9], w[9] = {0, 1, 0, 1, -4, 1, 0, 1, 0};
    tare_basis *basis = NULL;
    status = tare_basis_create(rule, *name, model, &basis, error);
    if (!status) status = tare_basis_condition(basis, model, &condition, error);
    if (!status) status = tare_basis_solve(basis, 1, w, t, error);
    tare_basis_free(basis);
  }
  tare_covariance_free(model);
  tare_constraint_free(rule);
  return status;
}

static tare_status rounding(tare_error *error) {
  static const float w[18] = {0.1f, 1, 0.3f, 1, -4, 1, 0.25f, 1, 0.125f, 1, 2, 3, 4, 5, 6, 7, 8, -36};
  tare_status status = TARE_OK;
  for (int rows = 0; rows < 2; rows++)
    for (int format = 0; format < TARE_FORMATS - 1 && !status; format++) { /* int4 is too coarse for these */
      const tare_round_options options = {.format = (tare_number_format)format};
      tare_constraint *rule = NULL;
      tare_rounding *r = NULL;
      char *json = NULL;
      status = tare_constraint_create(rows ? "order=1" : "sum=0", &shape, 0, &rule, error);
      if (!status) status = tare_round(rule, &options, 2, w, &r, error);
      if (!status) status = tare_certificate_write(rule, r, &json, error);
      tare_certificate_free(json);
      tare_rounding_free(r);
      tare_constraint_free(rule);
    }
  return status;
}

static tare_status plans(tare_error *error) {
  static const char *const names[] = {"reference", "direct", "fft"};
  tare_status status = TARE_OK;
  for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++) {
    const tare_conv_options options = {.candidate = names[i], .threads = 2, .flags = TARE_CONV_SHARED};
    tare_conv_problem problem;
    tare_conv_plan *plan = NULL;
    tare_pool *pool = NULL;
    status = tare_conv_problem_parse("n2c1h12o2k5p2", &problem, error);
    if (!status) status = tare_conv_plan_create(&problem, &options, &plan, error);
    if (!status) status = tare_pool_create(2, &pool, error);
    tare_pool_free(pool);
    tare_conv_plan_free(plan);
  }
  return status;
}

static tare_status wisdom(tare_error *error) {
  const char *path = path_of("wisdom");
  tare_wisdom *w = NULL, *again = NULL;
  tare_conv_problem problem;
  tare_conv_plan *plan = NULL;
  tare_status status = tare_wisdom_create(&w, error);
  const tare_conv_options options = {.wisdom = w, .passes = TARE_FORWARD};
  if (!status) status = tare_conv_problem_parse("n1c1h8o1k3", &problem, error);
  if (!status) status = tare_conv_plan_create(&problem, &options, &plan, error);
  if (!status) status = tare_wisdom_save(w, path, error);
  if (!status) status = tare_wisdom_create(&again, error);
  if (!status) status = tare_wisdom_load(again, path, error);
  tare_conv_plan_free(plan);
  tare_wisdom_free(again);
  tare_wisdom_free(w);
  unlink(path);
  return status;
}

static float pixels[16 * 64];

static tare_status batches(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  static const int32_t labels[16] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  (void)user, (void)index, (void)error;
  for (int i = 0; i < 16 * 64; i++) pixels[i] = (float)(i * 37 % 101) / 101;
  *batch = (tare_batch){.count = 16, .images = pixels, .labels = labels};
  return TARE_OK;
}

static const tare_net_options small = {.height = 8, .width = 8, .channels = 1, .batch = 16, .threads = 1};

/* Two steps, a checkpoint, two more, the model file, and that file again. */
static tare_status train(const char *line, tare_error *error) {
  char model_path[200], state_path[200];
  static const char *const names[2] = {"a", "b"};
  snprintf(model_path, sizeof model_path, "%s", path_of("model"));
  snprintf(state_path, sizeof state_path, "%s", path_of("state"));
  tare_net *net = NULL;
  tare_model *model = NULL;
  tare_train_options options;
  tare_train_defaults(&options);
  options.checkpoint = state_path;
  options.resume = 1;
  tare_status status = tare_net_create(line, &small, &net, error);
  for (options.steps = 2; options.steps <= 4 && !status; options.steps += 2) status = tare_train(net, batches, NULL, &options, NULL, error);
  if (!status) status = tare_model_save(net, model_path, names, 2, NULL, 0, NULL, 0, error);
  if (!status) status = tare_model_load(model_path, 8, 1, &model, error);
  if (!status) {
    const tare_export_options plain = {.format = TARE_FORMAT_INT8};
    status = tare_model_export(model, model_path, &plain, NULL, error);
  }
  tare_model_free(model);
  tare_net_free(net);
  unlink(model_path);
  unlink(state_path);
  return status;
}

/* The bytes that a file has; 0 if it is not there. */
static uint64_t hash_of(const char *path) {
  uint64_t hash = 1469598103934665603u;
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  for (int c; (c = fgetc(file)) != EOF;) hash = (hash ^ (unsigned)c) * 1099511628211u;
  fclose(file);
  return hash;
}

/* A network that is there already; only its file is made, and if it is made it is the right one. */
static tare_status saving(tare_error *error) {
  static const char *const names[2] = {"a", "b"};
  static const uint64_t hashes[2] = {1, 2};
  static tare_net *net;
  static uint64_t right;
  const tare_metadata extra = {"key", "value"};
  const char *path = path_of("saved");
  const void *output;
  tare_status status = TARE_OK;
  if (!net) {
    status = tare_net_create("conv 2x3 sum=0; bn; relu; gap; dense 2", &small, &net, error);
    if (!status) status = batches(NULL, 0, &(tare_batch){0}, error);
    if (!status) status = tare_net_start(net, pixels, 16, error);
    if (!status) status = tare_net_forward(net, pixels, 16, 1, 0, &output, error);
    if (status) tare_net_free(net), net = NULL;
  }
  if (!status) status = tare_model_save(net, path, names, 2, hashes, 2, &extra, 1, error);
  if (!status && !right) right = hash_of(path);
  if (!status && hash_of(path) != right) {
    error->status = status = TARE_E_LIBRARY;
    strcpy(error->message, "success, but another file");
  }
  unlink(path);
  return status;
}

static tare_status training(tare_error *error) { return train("conv 2x3 sum=0; bn; relu; maxpool 2; dropout 0.5; gap; dense 2", error); }
static tare_status training_whitened(tare_error *error) { return train("conv 2x3 order=1 whitened pad=reflect; relu; conv 2x3 sum=0 difference; gap; dense 2", error); }

static tare_status data(tare_error *error) {
  const char *path = path_of("sheet.png");
  static float images[2 * 48 * 48];
  int32_t labels[2];
  const float *made;
  const int32_t *numbers;
  tare_source_options options;
  tare_source *source = NULL;
  tare_loader *loader = NULL;
  tare_source_defaults(&options);
  options.images = 2;
  tare_status status = tare_source_open("leaves", &options, &source, error);
  if (!status) status = tare_source_train_batch(source, 1, 0, 2, images, labels, NULL, error);
  if (!status) status = tare_source_preview(source, 1, 2, path, error);
  if (!status) status = tare_loader_create(source, 1, 0, 2, &loader, error);
  if (!status) status = tare_loader_next(loader, &made, &numbers, error);
  tare_loader_free(loader);
  tare_source_free(source);
  unlink(path);
  return status;
}

static tare_status files(tare_error *error) {
  static const char *const endings[] = {"t.safetensors", "t.npy"};
  static const float values[4] = {1, 2, 3, 4};
  const tare_tensor tensor = {.name = "w", .dtype = TARE_DTYPE_F32, .dims = 4, .shape = {1, 1, 2, 2}, .data = values};
  const tare_metadata metadata = {"key", "value"};
  tare_status status = TARE_OK;
  for (int i = 0; i < 2 && !status; i++) {
    const char *path = path_of(endings[i]);
    tare_tensors *file = NULL;
    tare_filters filters = {0};
    status = tare_tensors_write(path, &tensor, 1, i ? NULL : &metadata, i ? 0 : 1, error);
    if (!status) status = tare_tensors_read(path, &file, error);
    if (!status) status = tare_filters_read(file, tare_tensors_at(file, 0), 0, &filters, error);
    tare_filters_free(&filters);
    tare_tensors_free(file);
    unlink(path);
  }
  return status;
}

static tare_status gradient(tare_error *error) {
  const tare_net_options options = {.height = 5, .width = 5, .channels = 1, .batch = 2, .threads = 1};
  double worst, worst_f32;
  return tare_net_check_gradient("conv 1x3 sum=0; relu; gap", &options, &worst, &worst_f32, error);
}

const scenario scenarios[] = {
  {"constraints", constraints, 0}, {"bases", bases, 0}, {"rounding", rounding, 0}, {"plans", plans, 1}, {"wisdom", wisdom, 1},
  {"files", files, 0}, {"training", training, 1}, {"training whitened", training_whitened, 1}, {"gradient check", gradient, 1}, {"data", data, 0}, {"saving", saving, 1},
};
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;
