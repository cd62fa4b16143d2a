/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "train/race.h"

#define near(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

/* ---- who races ---- */

static const race_shape shape7 = {.kernel = 7, .filters = 8, .batch_norm = 1, .classes = 6, .constraint = "sum=0"};

static const race_entry *entry_of(const race_field *field, const char *name) {
  for (size_t i = 0; i < field->count; i++)
    if (strcmp(field->entries[i].name, name) == 0) return &field->entries[i];
  fail_msg("%s does not race", name);
  return NULL;
}

static void heads_are_written_from_the_table(void **state) {
  (void)state;
  static const char *const cases[][2] = {
    {"none", "conv 8x7"}, {"penalty(0.5)", "conv 8x7 {sum=0} penalty(0.5)"}, {"difference", "conv 8x7 {sum=0} difference"},
    {"spectral(0.5)", "conv 8x7 {sum=0} spectral(0.5)"}, {"image-mean", "image-mean; conv 8x7"}, {"local-mean", "local-mean 7; conv 8x7"},
    {"laplacian", "laplacian; conv 8x5"}, {"gradients", "gradients; conv 8x6"}, {"spectral:order=1", "conv 8x7 {order=1} spectral"},
    {"spectral(2):moment(1,0)=0;sum=1", "conv 8x7 {moment(1,0)=0;sum=1} spectral(2)"},
  };
  enum { CASES = sizeof cases / sizeof *cases };
  char list[1000] = "";
  for (size_t i = 0; i < CASES; i++) strcat(strcat(list, i ? " , " : ""), cases[i][0]);
  race_field field;
  tare_error error;
  assert_int_equal(tare_race_field(list, &shape7, &field, &error), TARE_OK);
  assert_int_equal(field.count, CASES);
  for (size_t i = 0; i < CASES; i++) {
    assert_string_equal(field.entries[i].name, cases[i][0]);
    assert_string_equal(field.entries[i].head, cases[i][1]);
  }
  assert_string_equal(field.entries[0].line, "conv 8x7; bn; relu; conv 16x3 /2; bn; relu; conv 32x3 /2; bn; relu; gap; dense 6");
  assert_string_equal(field.entries[0].rule, "");
  assert_string_equal(entry_of(&field, "spectral:order=1")->rule, "order=1");
  assert_true(entry_of(&field, "penalty(0.5)")->penalty && !entry_of(&field, "spectral(0.5)")->penalty);
  tare_race_field_free(&field);
  race_shape plain = shape7;
  plain.batch_norm = 0;
  assert_int_equal(tare_race_field("none", &plain, &field, NULL), TARE_OK);
  assert_string_equal(field.entries[0].line, "conv 8x7; relu; conv 16x3 /2; relu; conv 32x3 /2; relu; gap; dense 6");
  tare_race_field_free(&field);
  plain.tail = "gap; dense 6";
  assert_int_equal(tare_race_field("none", &plain, &field, NULL), TARE_OK);
  assert_string_equal(field.entries[0].line, "conv 8x7; relu; gap; dense 6");
  tare_race_field_free(&field);
}

static void words_stand_for_many(void **state) {
  (void)state;
  size_t methods, defaults = 0, rivals = 0;
  const tare_race_method *table = tare_race_methods(&methods);
  for (size_t i = 0; i < methods; i++) defaults += (size_t)table[i].in_default, rivals += (size_t)table[i].rival;
  const struct { const char *list; size_t count; } cases[] = {
    {NULL, defaults + 3}, {"default", defaults + 3}, {"rivals", rivals}, {"all", methods + 3}, {"penalty", 4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    race_field field;
    assert_int_equal(tare_race_field(cases[i].list, &shape7, &field, NULL), TARE_OK);
    assert_int_equal(field.count, cases[i].count);
    tare_race_field_free(&field);
  }
  race_field field;
  assert_int_equal(tare_race_field("none,none,penalty,penalty(1)", &shape7, &field, NULL), TARE_OK);
  assert_int_equal(field.count, 5); /* nobody races twice */
  entry_of(&field, "penalty(0.01)"), entry_of(&field, "penalty(1)"), entry_of(&field, "penalty(10)"), entry_of(&field, "penalty(100)");
  tare_race_field_free(&field);
  static const char *const regular[] = {"none", "projection", "difference", "centred", "orthonormal", "pivot", "spectral", "whitened", "dct",
                                     "local-mean", "laplacian"};
  assert_int_equal(tare_race_field(NULL, &shape7, &field, NULL), TARE_OK);
  for (size_t i = 0; i < sizeof regular / sizeof *regular; i++) entry_of(&field, regular[i]);
  tare_race_field_free(&field);
  race_shape large = shape7; /* all leaves out what is bound to smaller filters; named, it is an error */
  large.kernel = 31;
  assert_int_equal(tare_race_field("all", &large, &field, NULL), TARE_OK);
  assert_int_equal(field.count, methods + 3 - 1);
  tare_race_field_free(&field);
  assert_int_equal(tare_race_field("whitened-full", &large, &field, NULL), TARE_E_SHAPE);
}

static void bad_lists_are_refused(void **state) {
  (void)state;
  const struct { const char *list; int kernel; tare_status status; const char *says; } cases[] = {
    {"spektral", 7, TARE_E_ARGUMENT, "did you mean 'spectral'"}, {"xyzzyq", 7, TARE_E_ARGUMENT, "there are none, penalty"},
    {"", 7, TARE_E_SYNTAX, "empty"}, {"none,,spectral", 7, TARE_E_SYNTAX, "empty"}, {"none,", 7, TARE_E_SYNTAX, "empty"},
    {"penalty(x)", 7, TARE_E_ARGUMENT, "'x' is not a number"}, {"penalty(1", 7, TARE_E_SYNTAX, "parentheses"},
    {"penalty()", 7, TARE_E_SYNTAX, "parentheses"}, {"penalty(", 7, TARE_E_SYNTAX, "parentheses"},
    {"none(1)", 7, TARE_E_ARGUMENT, "none takes no number"}, {"none:sum=0", 7, TARE_E_ARGUMENT, "none takes no rule"},
    {"spectral:", 7, TARE_E_SYNTAX, "no rule"}, {"difference", 6, TARE_E_SHAPE, "odd kernel, not 6"},
    {"default", 6, TARE_E_SHAPE, "odd kernel"}, {"laplacian", 2, TARE_E_SHAPE, "at least 3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    race_shape shape = shape7;
    race_field field = {NULL, 77};
    tare_error error;
    shape.kernel = cases[i].kernel;
    assert_int_equal(tare_race_field(cases[i].list, &shape, &field, &error), cases[i].status);
    assert_int_equal(field.count, 77);
    if (!strstr(error.message, cases[i].says)) fail_msg("'%s': %s", cases[i].list, error.message);
  }
}

/* ---- the grid of learning rates, with runs that are a formula ---- */

typedef struct fake { size_t runs; double lowest, highest; double spoiled, (*loss)(size_t entry, double lr); } fake;

static tare_status fake_runs(void *user, race_task *tasks, size_t count, tare_error *error) {
  (void)error;
  fake *f = user;
  f->runs += count;
  for (size_t i = 0; i < count; i++) {
    assert_true(tasks[i].tuning && !tasks[i].loss);
    tasks[i].mean_loss = f->loss(tasks[i].entry, tasks[i].lr) + (tasks[i].seed == 5 ? 0.01 : -0.01);
    tasks[i].diverged = isnan(tasks[i].mean_loss) || (tasks[i].seed == 5 && tasks[i].lr == f->spoiled);
    f->lowest = fmin(f->lowest, tasks[i].lr);
    f->highest = fmax(f->highest, tasks[i].lr);
  }
  return TARE_OK;
}

static double bowl(double lr, double best) { return 0.5 + fabs(log10(lr / best)); }
static double inside(size_t entry, double lr) { return bowl(lr, entry ? 0.01 : 0.003); }
static double one_wants_more(size_t entry, double lr) { return bowl(lr, entry == 1 ? 0.31 : 0.01); }
static double one_wants_less(size_t entry, double lr) { return bowl(lr, entry == 1 ? 0.0001 : 0.01); }
/* best at the high end, but no better than chance */
static double sleeper(size_t entry, double lr) { return entry == 1 ? 1.79 - 0.1 * lr : bowl(lr, 0.01); }
/* wants more, the next rate diverges */
static double cliff(size_t entry, double lr) { return entry == 1 && lr > 0.05 ? NAN : bowl(lr, entry == 1 ? 0.2 : 0.01); }
static double always_more(size_t entry, double lr) { return entry == 1 ? 0.5 / (1 + lr) : bowl(lr, 0.01); }
static double never(size_t entry, double lr) { return entry == 1 ? NAN : bowl(lr, 0.01); }

static void the_grid_grows_for_all_while_one_is_best_at_an_end(void **state) {
  (void)state;
  const uint64_t seeds[] = {5, 6};
  const struct { double (*loss)(size_t, double); double lowest, highest, best0, best1; int edge1; size_t rates; } cases[] = {
    {inside, 1e-3, 3e-2, 3e-3, 1e-2, 0, 4},
    {one_wants_more, 1e-3, 1, 1e-2, 0.3, 0, 7},
    {one_wants_less, 3e-5, 3e-2, 1e-2, 1e-4, 0, 7},
    {sleeper, 1e-3, 3e-2, 1e-2, 3e-2, 0, 4},
    {cliff, 1e-3, 1e-1, 1e-2, 3e-2, 0, 5},
    {always_more, 1e-3, 3, 1e-2, 3, 1, 8},
    {never, 1e-5, 3e-2, 1e-2, 1e-5, 1, 8},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fake f = {.lowest = INFINITY, .highest = 0, .loss = cases[i].loss};
    race_tune_job job = {.entries = 2, .rates = tare_race_grid("adam"), .seeds = seeds, .seed_count = 2, .chance = log(6)};
    race_tuning tuning;
    assert_int_equal(tare_race_tune(&job, fake_runs, &f, &tuning, NULL), TARE_OK);
    if (f.lowest != cases[i].lowest || f.highest != cases[i].highest) fail_msg("case %zu: rates %g to %g", i, f.lowest, f.highest);
    assert_true(tuning.best[0] == cases[i].best0 && tuning.best[1] == cases[i].best1);
    assert_int_equal(tuning.at_edge[1], cases[i].edge1);
    assert_int_equal(f.runs, cases[i].rates * 2 * 2); /* every method, every seed, at every rate */
    assert_int_equal(tuning.count, f.runs);
    tare_race_tuning_free(&tuning);
  }
}

static void one_diverged_seed_spoils_a_rate(void **state) {
  (void)state;
  const uint64_t seeds[] = {5, 6};
  fake f = {.lowest = INFINITY, .loss = inside, .spoiled = 0.003};
  race_tune_job job = {.entries = 1, .rates = {-6, -3}, .seeds = seeds, .seed_count = 2, .chance = log(6)};
  race_tuning tuning;
  assert_int_equal(tare_race_tune(&job, fake_runs, &f, &tuning, NULL), TARE_OK);
  assert_true(tuning.best[0] == 1e-3 || tuning.best[0] == 1e-2);
  tare_race_tuning_free(&tuning);
}

static void rates_are_decimals(void **state) {
  (void)state;
  assert_true(tare_race_rate(0) == 1 && tare_race_rate(1) == 3 && tare_race_rate(2) == 10);
  assert_true(tare_race_rate(-1) == 0.3 && tare_race_rate(-6) == 0.001 && tare_race_rate(-7) == 3e-4);
  assert_true(tare_race_grid("sgd").high > tare_race_grid("adam").high);
}

static tare_status failing_runs(void *user, race_task *tasks, size_t count, tare_error *error) {
  (void)user, (void)tasks, (void)count;
  if (error) *error = (tare_error){TARE_E_STOPPED, "stopped"};
  return TARE_E_STOPPED;
}

static void a_failing_run_ends_the_tuning(void **state) {
  (void)state;
  const uint64_t seed = 1;
  race_tune_job job = {.entries = 3, .rates = {-6, -3}, .seeds = &seed, .seed_count = 1, .chance = 1};
  race_tuning tuning;
  tare_error error;
  assert_int_equal(tare_race_tune(&job, failing_runs, NULL, &tuning, &error), TARE_E_STOPPED);
  assert_string_equal(error.message, "stopped");
}

/* ---- numbers from losses ---- */

static void curves_are_smoothed_over_full_windows(void **state) {
  (void)state;
  double values[60], curve[60];
  for (int i = 0; i < 60; i++) values[i] = i;
  tare_race_smooth(values, 60, curve);
  for (int i = 0; i < 24; i++) assert_true(isnan(curve[i]));
  for (int i = 24; i < 60; i++) near(curve[i], i - 12.0);
  tare_race_smooth(values, 10, curve); /* shorter than the window: one value */
  assert_true(isnan(curve[8]));
  near(curve[9], 4.5);
  const double falling[] = {NAN, 3, 2, 2, 1};
  assert_int_equal(tare_race_first(falling, 5, 2), 3);
  assert_int_equal(tare_race_first(falling, 5, 0.5), -1);
  assert_int_equal(tare_race_first(falling, 5, NAN), -1);
}

static void spread_and_levels(void **state) {
  (void)state;
  double mean, deviation, levels[RACE_LEVELS];
  const double values[] = {2, 4, 9};
  tare_race_spread(values, 3, &mean, &deviation);
  near(mean, 5);
  near(deviation, sqrt((9 + 1 + 16) / 2.0));
  tare_race_spread(values, 1, &mean, &deviation);
  assert_true(mean == 2 && deviation == 0);
  tare_race_spread(values, 0, &mean, &deviation);
  assert_true(isnan(mean) && isnan(deviation));
  tare_race_levels(2, 0.3, levels);
  near(levels[0], 1.66);
  near(levels[3], 0.64);
  assert_true(levels[4] == 0.3);
}

static void the_bootstrap_draws_images_not_patches(void **state) {
  (void)state;
  double low, high, right[100], total[100];
  const double all_right[] = {3, 5}, totals[] = {3, 5};
  assert_int_equal(tare_race_bootstrap(all_right, totals, 2, 1, &low, &high, NULL), TARE_OK);
  assert_true(low == 1 && high == 1);
  for (int i = 0; i < 100; i++) right[i] = i % 2 ? 50 : 0, total[i] = 50; /* images wholly right or wholly wrong: 100 draws, not 5000 */
  assert_int_equal(tare_race_bootstrap(right, total, 100, 1, &low, &high, NULL), TARE_OK);
  assert_true(fabs(low - 0.40) < 0.025 && fabs(high - 0.60) < 0.025); /* 1.96 sqrt(.25 / 100) = .098 */
}

/* Two methods, two seeds, 30 steps, by hand. */
static void rows_by_hand(void **state) {
  (void)state;
  enum { STEPS = 30 };
  race_entry entries[] = {{.name = "difference"}, {.name = "spectral"}, {.name = "none"}};
  race_field field = {entries, 3};
  float loss[6][STEPS];
  uint8_t correct[6][4] = {{1, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 1, 0}, {1, 1, 1, 0}, {0}, {0}};
  int32_t image[] = {0, 0, 1, 1};
  race_task tasks[6];
  for (int t = 0; t < 6; t++) {
    double sum = 0;
    for (int i = 0; i < STEPS; i++) {
      loss[t][i] = t < 2 ? (float)(2 - 0.03125 * (i + 1) + (t ? 0.25 : 0)) : t < 4 ? (i < 2 ? 2 : t == 2 ? 0.5f : 1.f) : 0;
      sum += (double)loss[t][i];
    }
    tasks[t] = (race_task){.entry = (size_t)t / 2, .lr = 0.01, .seed = (uint64_t)t % 2, .loss = loss[t], .mean_loss = sum / STEPS,
                           .correct = correct[t],
                           .residual_max = t < 4 ? 1e-3 * t : NAN, .penalty_residual = NAN};
  }
  for (int t = 4; t < 6; t++)
    tasks[t] = (race_task){.entry = 2, .diverged = 1, .mean_loss = NAN, .residual_max = NAN, .penalty_residual = NAN};
  race_tests tests = {4, 2, image};
  race_times times[] = {{10, 11, 5}, {4, 5, 2}, {4, 5, 2}};
  int edge[] = {0, 1, 0};
  race_score score = {.field = &field, .tasks = tasks, .seeds = 2, .steps = STEPS, .chance = 2, .tests = &tests, .times = times,
                      .at_edge = edge};
  tare_race_row rows[3];
  assert_int_equal(tare_race_score(&score, rows, NULL), TARE_OK);
  assert_string_equal(rows[0].method, "spectral");
  assert_string_equal(rows[1].method, "difference");
  assert_string_equal(rows[2].method, "none");
  /* difference: step i (from 1) is 2.125 - i/32 in the mean of both seeds; its last window is steps 6 .. 30, mean i = 18 */
  const double last = 2.125 - 18 / 32.0;
  near(rows[1].final_loss, last);
  near(score.levels[4], last);
  near(rows[1].final_loss_spread, 0.25 / sqrt(2));
  near(rows[1].mean_loss, 2.125 - 15.5 / 32);
  assert_int_equal(rows[1].steps_to_reference, STEPS);
  near(rows[1].seconds_to_reference, 0.3);
  near(rows[1].speedup[4], 1);
  assert_true(rows[1].pairs == 0 && rows[1].learns && !rows[1].at_edge);
  near(rows[1].test_accuracy, 0.25);
  near(rows[1].residual_max, 1e-3);
  /* spectral: the first full window, steps 1 .. 25, has mean (2 * 2 + 23 * .75) / 25 = .85 < 1.5625 */
  assert_int_equal(rows[0].steps_to_reference, 25);
  near(rows[0].speedup[4], 30 / 25.0);
  near(rows[0].seconds_to_reference, 0.1);
  assert_true(rows[0].wins == 2 && rows[0].pairs == 2 && rows[0].at_edge && rows[0].diverged == 0);
  near(rows[0].test_accuracy, 0.75);
  near(rows[0].accuracy_low, 0.5);
  near(rows[0].accuracy_high, 1);
  assert_true(rows[2].diverged == 2 && isnan(rows[2].mean_loss) && isnan(rows[2].test_accuracy) && isnan(rows[2].residual_max));
  assert_true(rows[2].steps_to_reference == -1 && isnan(rows[2].seconds_to_reference) && !rows[2].learns);
  assert_true(rows[2].wins == 0 && rows[2].pairs == 2);
  /* the better mean of one survivor does not put its method first; its lost run loses its pair */
  tasks[3] = (race_task){.entry = 1, .diverged = 1, .mean_loss = NAN, .residual_max = NAN, .penalty_residual = NAN};
  assert_int_equal(tare_race_score(&score, rows, NULL), TARE_OK);
  assert_string_equal(rows[0].method, "difference");
  assert_string_equal(rows[1].method, "spectral");
  assert_true(rows[1].mean_loss < rows[0].mean_loss && rows[1].diverged == 1 && rows[1].wins == 1 && rows[1].pairs == 2);
}

/* ---- real races, as small as they can be ---- */

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
    cmocka_unit_test(heads_are_written_from_the_table),
    cmocka_unit_test(words_stand_for_many),
    cmocka_unit_test(bad_lists_are_refused),
    cmocka_unit_test(the_grid_grows_for_all_while_one_is_best_at_an_end),
    cmocka_unit_test(one_diverged_seed_spoils_a_rate),
    cmocka_unit_test(rates_are_decimals),
    cmocka_unit_test(a_failing_run_ends_the_tuning),
    cmocka_unit_test(curves_are_smoothed_over_full_windows),
    cmocka_unit_test(spread_and_levels),
    cmocka_unit_test(the_bootstrap_draws_images_not_patches),
    cmocka_unit_test(rows_by_hand),
    cmocka_unit_test(every_head_is_a_network),
    cmocka_unit_test(a_tiny_race_is_the_same_with_two_threads),
    cmocka_unit_test(a_run_is_a_training),
    cmocka_unit_test(a_diverged_run_does_not_stop_the_race),
    cmocka_unit_test(wrong_use_is_said_before_the_first_run),
    cmocka_unit_test(the_caller_can_stop_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
