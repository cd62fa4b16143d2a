/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
