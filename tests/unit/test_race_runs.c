/* SPDX-License-Identifier: Apache-2.0 */
/* Real races, as small as they can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/race.h"
#include "train/train.h"

static tare_source *tiny_source(void) {
  tare_source_options options;
  tare_source *source;
  tare_error error;
  tare_source_defaults(&options);
  options.patch = 20;
  options.images = 8;
  options.brightness = 0.5;
  options.threads = 2;
  if (tare_source_open("leaves", &options, &source, &error)) fail_msg("%s", error.message);
  return source;
}

static tare_race_options tiny_options(void) {
  tare_race_options options;
  tare_race_defaults(&options);
  options.kernel = 5;
  options.steps = 10;
  options.batch = 8;
  options.timing_seconds = 0;
  return options;
}

enum { SGD_STEPS = 20, SGD_BATCH = 16, TENSORS = 16, LARGEST = 16 * 8 * 49 };

/* A small net whose first layer is held by `method`; its weights are put into `weights`, or taken from there. */
static tare_net *alike(const char *method, int take, float (*weights)[LARGEST], const float *images) {
  char line[120];
  snprintf(line, sizeof line, "conv 8x7 sum=0 %s; bn; relu; conv 16x3 /2; bn; relu; gap; dense 6", method);
  tare_net_options o = {.height = 20, .width = 20, .channels = 1, .batch = SGD_BATCH, .threads = 1, .seed = 5};
  tare_net *net;
  assert_int_equal(tare_net_create(line, &o, &net, NULL), TARE_OK);
  assert_int_equal(tare_net_start(net, images, SGD_BATCH, NULL), TARE_OK);
  for (size_t i = 0; i < tare_net_tensor_count(net); i++)
    assert_int_equal(take ? tare_net_tensor_set(net, i, weights[i], NULL) : tare_net_tensor_get(net, i, weights[i], NULL), TARE_OK);
  return net;
}

static void plain_sgd(tare_net *net, tare_source_batches *batches, double *loss) {
  tare_train_options options;
  tare_trainer *trainer;
  tare_progress progress;
  tare_train_defaults(&options);
  options.optimizer = "sgd";
  options.momentum = 0;
  options.lr = 0.02;
  options.steps = SGD_STEPS;
  options.started = 1;
  assert_int_equal(tare_trainer_create(net, tare_source_batch, batches, &options, &trainer, NULL), TARE_OK);
  for (int step = 0; step < SGD_STEPS; step++) {
    assert_int_equal(tare_trainer_step(trainer, &progress, NULL), TARE_OK);
    loss[step] = progress.loss;
  }
  tare_trainer_free(trainer);
}

/* The same function with the same gradient: plain SGD from the same weights gives the same losses. */
static void pivot_and_difference_train_alike(void **state) {
  (void)state;
  static float weights[TENSORS][LARGEST];
  double loss[2][SGD_STEPS];
  tare_source *source = tiny_source();
  for (int k = 0; k < 2; k++) {
    tare_source_batches *batches;
    tare_batch batch;
    assert_int_equal(tare_source_batches_create(source, TARE_TRAIN, 3, SGD_BATCH, &batches, NULL), TARE_OK);
    assert_int_equal(tare_source_batch(batches, 0, &batch, NULL), TARE_OK);
    tare_net *net = alike(k ? "difference" : "pivot", k, weights, batch.images);
    plain_sgd(net, batches, loss[k]);
    tare_net_free(net);
    tare_source_batches_free(batches);
  }
  for (int step = 0; step < SGD_STEPS; step++) assert_true(fabs(loss[0][step] - loss[1][step]) <= 1e-4);
  assert_true(fabs(loss[0][SGD_STEPS - 1] - loss[0][0]) > 1e-3); /* they did train */
  tare_source_free(source);
}

static void every_head_is_a_network(void **state) {
  (void)state;
  static const char *const rules[] = {"sum=0", "order=1", "sum=1"};
  for (int k = 3; k <= 7; k += 2)
    for (size_t r = 0; r < 3; r++) {
      race_shape shape = {.kernel = k, .filters = 2, .batch_norm = 1, .classes = 6, .constraint = rules[r]};
      tare_net_options options = {.height = 24, .width = 24, .channels = 1, .batch = 2, .threads = 1};
      race_field field;
      assert_int_equal(tare_race_field("all", &shape, &field, NULL), TARE_OK);
      for (size_t i = 0; i < field.count; i++) {
        tare_net *net;
        tare_error error;
        if (tare_net_create(field.entries[i].line, &options, &net, &error)) fail_msg("%s: %s", field.entries[i].line, error.message);
        assert_int_equal(tare_net_output_size(net), 6);
        tare_net_free(net);
      }
      tare_race_field_free(&field);
    }
}

typedef struct witness { size_t calls; uint64_t last; size_t runs; double first_left; int stop_after; } witness;

static int watch(void *user, const tare_race_progress *p) {
  witness *w = user;
  if (!w->calls) w->first_left = p->steps_done ? 0 : p->seconds_left;
  assert_true(p->steps_done >= w->last && p->steps_done <= p->steps && p->runs >= w->runs && p->doing);
  w->calls++;
  w->last = p->steps_done;
  w->runs = p->runs;
  return w->stop_after && w->calls >= (size_t)w->stop_after;
}

static tare_race_result *race_or_fail(const tare_source *source, const tare_race_options *options) {
  tare_race_result *result;
  tare_error error;
  if (tare_race(source, options, &result, &error)) fail_msg("%s", error.message);
  return result;
}

static void check_json(const tare_race_result *result) {
  char *text;
  json_error_t problem;
  assert_int_equal(tare_race_json(result, &text, NULL), TARE_OK);
  json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &problem), *runs = json_object_get(json, "runs"), *rows = json_object_get(json,
    "summary");
  assert_non_null(json);
  assert_string_equal(json_string_value(json_object_get(json, "data")), "leaves");
  assert_string_equal(json_string_value(json_object_get(json, "constraint")), "sum=0");
  assert_int_equal(json_integer_value(json_object_get(json, "kernel")), 5);
  const tare_race_run *list;
  assert_int_equal(json_array_size(runs), tare_race_runs(result, &list));
  for (size_t i = 0; i < json_array_size(runs); i++) {
    json_t *run = json_array_get(runs, i), *loss = json_object_get(run, "loss");
    assert_string_equal(json_string_value(json_object_get(run, "method")), list[i].method);
    assert_string_equal(json_string_value(json_object_get(run, "optimizer")), "adam");
    assert_true(json_is_number(json_object_get(run, "lr")) && json_is_integer(json_object_get(run, "seed")));
    assert_true(json_is_number(json_object_get(run, "step_ms")) && json_is_number(json_object_get(run, "test_accuracy")));
    assert_int_equal(json_is_null(json_object_get(run, "residual_max")), isnan(list[i].residual_max));
    assert_int_equal(json_array_size(loss), 10);
    for (size_t s = 0; s < 10; s++) assert_true(fabs(json_number_value(json_array_get(loss, s)) - (double)list[i].loss[s]) < 1e-6);
  }
  static const char *const keys[] = {"lr", "mean_loss", "final_loss", "test_accuracy", "step_ms", "layer_ms", "mean_loss_spread", "wins"};
  assert_int_equal(json_array_size(rows), 5);
  for (size_t i = 0; i < 5; i++)
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) assert_true(json_is_number(json_object_get(json_array_get(rows, i), keys[k])));
  json_decref(json);
  free(text);
}

static const tare_race_row *row_named(const tare_race_result *result, const char *method) {
  const tare_race_row *rows;
  size_t count = tare_race_rows(result, &rows);
  for (size_t i = 0; i < count; i++)
    if (strcmp(rows[i].method, method) == 0) return &rows[i];
  fail_msg("no row %s", method);
  return NULL;
}

static void same_runs(const tare_race_result *a, const tare_race_result *b) {
  const tare_race_run *x, *y;
  size_t count = tare_race_runs(a, &x);
  assert_int_equal(count, tare_race_runs(b, &y));
  for (size_t i = 0; i < count; i++) {
    assert_true(x[i].lr == y[i].lr && x[i].seed == y[i].seed && x[i].test_accuracy == y[i].test_accuracy);
    assert_string_equal(x[i].method, y[i].method);
    assert_memory_equal(x[i].loss, y[i].loss, 10 * sizeof(float));
    assert_true(x[i].residual_max == y[i].residual_max || (isnan(x[i].residual_max) && isnan(y[i].residual_max)));
  }
}

static void a_tiny_race_is_the_same_with_two_threads(void **state) {
  (void)state;
  tare_source *source = tiny_source();
  tare_race_options options = tiny_options();
  witness w = {0};
  options.methods = "none,penalty(1),difference,spectral,laplacian";
  options.progress = watch;
  options.user = &w;
  tare_race_result *one = race_or_fail(source, &options), *two;
  assert_true(w.calls > 2 && w.first_left > 0);
  assert_true(w.last == w.runs * 10);
  w = (witness){0};
  options.threads = 2;
  two = race_or_fail(source, &options);
  same_runs(one, two);
  check_json(two);
  /* single-row rules are written exactly */
  assert_true(row_named(one, "spectral")->residual_max == 0 && row_named(one, "difference")->residual_max == 0);
  assert_true(isnan(row_named(one, "none")->residual_max) && isnan(row_named(one, "laplacian")->residual_max));
  assert_true(row_named(one, "penalty(1)")->residual_max > 0 && row_named(one, "penalty(1)")->penalty_residual > 0);
  assert_true(isnan(row_named(one, "spectral")->penalty_residual));
  assert_true(row_named(one, "difference")->steps_to_reference == 10 && row_named(one, "spectral")->pairs == 2);
  assert_true(fabs(tare_race_chance(one) - log(6)) < 1e-12 && tare_race_test_images(one) >= 1 && tare_race_steps(one) == 10);
  tare_race_free(one);
  tare_race_free(two);
  tare_source_free(source);
}

/* The losses of a run are those of tare_train on the seed's batches: the race has no training of its own. */
typedef struct record { const tare_source *source; uint64_t seed; float images[8 * 20 * 20], loss[10]; int32_t labels[8]; } record;

static tare_status seeded_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  record *r = user;
  *batch = (tare_batch){.count = 8, .images = r->images, .labels = r->labels};
  return tare_source_train_batch(r->source, r->seed, index, 8, r->images, r->labels, NULL, error);
}

static int keep_loss(void *user, const tare_progress *progress) {
  ((record *)user)->loss[progress->step - 1] = (float)progress->loss;
  return 0;
}

static void a_run_is_a_training(void **state) {
  (void)state;
  tare_source *source = tiny_source();
  tare_race_options options = tiny_options();
  options.methods = "spectral";
  options.lr = 0.003;
  options.seed = 42;
  tare_race_result *result = race_or_fail(source, &options);
  const tare_race_run *runs;
  assert_int_equal(tare_race_runs(result, &runs), 2);
  for (int i = 0; i < 2; i++) {
    record r = {.source = source, .seed = 42 + (uint64_t)i};
    tare_net_options net_options = {.height = 20, .width = 20, .channels = 1, .batch = 8, .threads = 1, .seed = r.seed};
    tare_train_options train;
    tare_net *net;
    tare_train_defaults(&train);
    train.lr = 0.003, train.steps = 10, train.progress = keep_loss, train.user = &r;
    const char *line = "conv 8x5 sum=0 spectral; bn; relu; conv 16x3 /2; bn; relu; conv 32x3 /2; bn; relu; gap; dense 6";
    assert_int_equal(tare_net_create(line, &net_options, &net, NULL), TARE_OK);
    assert_int_equal(tare_train(net, seeded_batch, &r, &train, NULL, NULL), TARE_OK);
    assert_memory_equal(r.loss, runs[i].loss, sizeof r.loss);
    tare_net_free(net);
  }
  tare_race_free(result);
  tare_source_free(source);
}

static void a_diverged_run_does_not_stop_the_race(void **state) {
  (void)state;
  tare_source *source = tiny_source();
  tare_race_options options = tiny_options();
  options.methods = "none,spectral";
  options.optimizer = "sgd";
  options.lr = 1e6;
  options.batch_norm = 0;
  tare_race_result *result = race_or_fail(source, &options);
  const tare_race_run *runs;
  assert_int_equal(tare_race_runs(result, &runs), 4);
  for (int i = 0; i < 4; i++) assert_true(runs[i].diverged && !runs[i].loss && isnan(runs[i].test_accuracy) && isnan(runs[i].residual_max));
  assert_int_equal(row_named(result, "spectral")->diverged, 2);
  char *text;
  assert_int_equal(tare_race_json(result, &text, NULL), TARE_OK);
  json_t *json = json_loads(text, 0, NULL), *run = json_array_get(json_object_get(json, "runs"), 0);
  assert_true(json_is_true(json_object_get(run, "diverged")) && json_is_null(json_object_get(run, "loss")));
  json_t *row = json_array_get(json_object_get(json, "summary"), 0);
  assert_true(json_is_null(json_object_get(run, "test_accuracy")) && json_is_null(json_object_get(row, "mean_loss")));
  json_decref(json);
  free(text);
  tare_race_free(result);
  tare_source_free(source);
}

static void wrong_use_is_said_before_the_first_run(void **state) {
  (void)state;
  tare_source *source = tiny_source();
  const struct { int kernel; const char *constraint, *methods, *tail, *optimizer; uint64_t steps; double lr; const char *says; } cases[] = {
    {21, "sum=0", NULL, NULL, "adam", 10, 0, "21x21"}, {5, "sum=0; sum=1", NULL, NULL, "adam", 10, 0, "sum=1"},
    {4, "bayar", "none", NULL, "adam", 10, 0, "odd"}, {5, "summ=0", NULL, NULL, "adam", 10, 0, "summ"},
    {5, "none", NULL, NULL, "adam", 10, 0, "needs a rule"}, {5, "sum=0", "nonne", NULL, "adam", 10, 0, "did you mean 'none'"},
    {5, "sum=0", "none", "gap; dense 7", "adam", 10, 0, "dense 6"}, {5, "sum=0", "none", "gup; dense 6", "adam", 10, 0, "gup"},
    {5, "sum=0", "none", NULL, "adamm", 10, 0, "adamm"}, {5, "sum=0", "none", NULL, "adam", 0, 0, "steps must be"},
    {5, "sum=0", "none", NULL, "adam", 10, -1, "lr must be"}, {5, "sum=0", "none", NULL, "adam", 10, NAN, "lr must be"},
    {5, "sum=0", "spectral:sum=0;sum=1", NULL, "adam", 10, 0, "spectral:sum=0;sum=1"},
    {0, "sum=0", "none", NULL, "adam", 10, 0, "kernel must be"}, {6, "sum=0", "default", NULL, "adam", 10, 0, "odd kernel, not 6"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_race_options options = tiny_options();
    tare_race_result *result = NULL;
    tare_error error = {0};
    witness w = {0};
    options.kernel = cases[i].kernel, options.constraint = cases[i].constraint, options.methods = cases[i].methods,
    options.tail = cases[i].tail;
    options.optimizer = cases[i].optimizer, options.steps = cases[i].steps, options.lr = cases[i].lr;
    options.progress = watch, options.user = &w;
    assert_true(tare_race(source, &options, &result, &error) < 0);
    if (result || w.calls || !strstr(error.message, cases[i].says) || strchr(error.message, '\n')) fail_msg("case %zu: '%s'", i,
      error.message);
  }
  tare_source_free(source);
}

static void the_caller_can_stop_it(void **state) {
  (void)state;
  tare_source *source = tiny_source();
  for (int after = 1; after <= 2; after++) {
    tare_race_options options = tiny_options();
    tare_race_result *result = NULL;
    witness w = {.stop_after = after};
    options.methods = "none,spectral";
    options.steps = 1000000;
    options.threads = 2;
    options.progress = watch, options.user = &w;
    assert_int_equal(tare_race(source, &options, &result, NULL), TARE_E_STOPPED);
    assert_null(result);
  }
  tare_source_free(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(pivot_and_difference_train_alike),
    cmocka_unit_test(every_head_is_a_network),
    cmocka_unit_test(a_tiny_race_is_the_same_with_two_threads),
    cmocka_unit_test(a_run_is_a_training),
    cmocka_unit_test(a_diverged_run_does_not_stop_the_race),
    cmocka_unit_test(wrong_use_is_said_before_the_first_run),
    cmocka_unit_test(the_caller_can_stop_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
