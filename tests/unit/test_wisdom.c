/* SPDX-License-Identifier: Apache-2.0 */
/* Wisdom files, plans made with them, and plans whose candidates are timed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "conv/measure.h"
#include "conv/wisdom.h"
#include "conv_helpers.h"
#include "folder.h"

static int make_folder(void **state) {
  (void)state;
  return make_folder_for("w");
}

static tare_wisdom *new_wisdom(void) {
  tare_wisdom *w;
  assert_int_equal(tare_wisdom_create(&w, NULL), TARE_OK);
  return w;
}

static tare_wisdom *loaded(tare_error *warning) {
  tare_wisdom *w = new_wisdom();
  assert_int_equal(tare_wisdom_load(w, path, warning), TARE_OK);
  return w;
}

static void expect(const tare_wisdom *w, const char *key, const char *expected) {
  char choice[TARE_MOST_CHOICE] = "unknown";
  assert_int_equal(tare_wisdom_find(w, key, choice), strcmp(expected, "unknown") != 0);
  assert_string_equal(choice, expected);
}

static void write_bytes(const char *data, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static void files_come_back(void **state) {
  (void)state;
  tare_error warning;
  tare_wisdom *w = new_wisdom(), *again, *other = new_wisdom();
  tare_wisdom_add(w, "one", "7:fft");
  tare_wisdom_add(w, "two", "1:onednn 6:fft");
  tare_wisdom_add(w, "one", "7:reference");
  assert_int_equal(tare_wisdom_count(w), 2);
  assert_int_equal(tare_wisdom_save(w, path, NULL), TARE_OK);
  tare_wisdom_add(other, "two", "7:new");
  tare_wisdom_add(other, "three", "1:x");
  assert_int_equal(tare_wisdom_save(other, path, NULL), TARE_OK); /* keeps what it does not know */
  again = loaded(&warning);
  assert_int_equal(warning.status, TARE_OK);
  assert_int_equal(tare_wisdom_count(again), 3);
  expect(again, "one", "7:reference");
  expect(again, "two", "7:new");
  expect(again, "three", "1:x");
  expect(again, "four", "unknown");
  tare_wisdom_free(w);
  tare_wisdom_free(again);
  tare_wisdom_free(other);
}

static void many_entries(void **state) {
  (void)state;
  tare_wisdom *w = new_wisdom(), *again;
  char key[32];
  unlink(path);
  for (int i = 0; i < 1000; i++) {
    snprintf(key, sizeof key, "key %d", i);
    tare_wisdom_add(w, key, i % 2 ? "7:odd" : "7:even");
  }
  assert_int_equal(tare_wisdom_save(w, path, NULL), TARE_OK);
  again = loaded(NULL);
  assert_int_equal(tare_wisdom_count(again), 1000);
  expect(again, "key 999", "7:odd");
  tare_wisdom_free(w);
  tare_wisdom_free(again);
}

static void expect_ignored(const char *data, size_t size, const char *why) {
  tare_error warning;
  write_bytes(data, size);
  tare_wisdom *w = loaded(&warning);
  assert_int_equal(tare_wisdom_count(w), 0);
  assert_int_equal(warning.status, TARE_E_DATA);
  assert_non_null(strstr(warning.message, path));
  assert_non_null(strstr(warning.message, why));
  assert_int_equal(tare_wisdom_load(w, path, NULL), TARE_OK);
  tare_wisdom_free(w);
}

static void damaged_files_are_ignored(void **state) {
  (void)state;
  char *data, other[] = "tare wisdom 2\nend 0\n";
  size_t size;
  tare_wisdom *w = new_wisdom();
  tare_wisdom_add(w, "a key", "7:fft");
  tare_wisdom_add(w, "another", "1:onednn 6:fft");
  unlink(path);
  assert_int_equal(tare_wisdom_save(w, path, NULL), TARE_OK);
  assert_int_equal(tare_file_read(path, 1 << 20, (void **)&data, &size, NULL), TARE_OK);
  for (size_t i = 0; i < size; i++) {
    expect_ignored(data, i, i < 12 ? "no wisdom" : ""); /* cut off */
    for (int bit = 0; bit < 8; bit++) {
      data[i] ^= (char)(1 << bit);
      expect_ignored(data, size, "");
      data[i] ^= (char)(1 << bit);
    }
  }
  expect_ignored(other, sizeof other - 1, "another version");
  expect_ignored("tare wisdom 1\n", 14, "damaged");
  expect_ignored("{\"json\": 1}\n", 12, "no wisdom");
  assert_int_equal(tare_wisdom_save(w, path, NULL), TARE_OK); /* a damaged file does not stand in the way */
  tare_wisdom *again = loaded(NULL);
  assert_int_equal(tare_wisdom_count(again), 2);
  tare_free(data);
  tare_wisdom_free(w);
  tare_wisdom_free(again);
}

static void missing_files_and_folders(void **state) {
  (void)state;
  tare_error error;
  unlink(path);
  tare_wisdom *w = loaded(&error);
  assert_int_equal(error.status, TARE_OK);
  assert_int_equal(tare_wisdom_load(w, folder, &error), TARE_OK);
  assert_int_equal(error.status, TARE_E_DATA);
  assert_int_equal(tare_wisdom_save(w, "/nowhere/w", &error), TARE_E_IO);
  assert_int_equal(tare_wisdom_load(NULL, path, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_wisdom_save(w, NULL, &error), TARE_E_ARGUMENT);
  tare_wisdom_free(w);
  tare_wisdom_free(NULL);
}

static tare_conv_plan *plan_of(const char *text, const tare_conv_options *options) {
  tare_conv_problem p;
  tare_conv_plan *plan;
  tare_error error = {.message = ""};
  assert_int_equal(tare_conv_problem_parse(text, &p, &error), TARE_OK);
  if (tare_conv_plan_create(&p, options, &plan, &error)) fail_msg("%s", error.message);
  return plan;
}

static void expect_candidates(const char *text, const tare_conv_options *options, const char *forward, const char *data, const char *weights) {
  tare_conv_plan *plan = plan_of(text, options);
  assert_string_equal(tare_conv_plan_candidate(plan, TARE_FORWARD), forward);
  assert_string_equal(tare_conv_plan_candidate(plan, TARE_BACKWARD_DATA), data);
  assert_string_equal(tare_conv_plan_candidate(plan, TARE_BACKWARD_WEIGHTS), weights);
  tare_conv_plan_free(plan);
}

static void key_of(const char *text, const tare_conv_options *options, char key[TARE_MOST_KEY]) {
  tare_conv_plan *plan = plan_of(text, options);
  tare_wisdom_key(plan, key);
  assert_null(strpbrk(key, "\t\n"));
  tare_conv_plan_free(plan);
}

static void plans_follow_wisdom(void **state) {
  (void)state;
  static const char problem[] = "n2c2h9o3k3p1";
  char key[TARE_MOST_KEY];
  tare_wisdom *w = new_wisdom();
  tare_conv_options with = {.wisdom = w}, measured = {.wisdom = w, .measure = 1}, insisting = {.wisdom = w, .candidate = "direct"};
  key_of(problem, NULL, key);
  tare_wisdom_add(w, key, "1:fft 2:reference 4:reference");
  expect_candidates(problem, &with, "fft", "reference", "reference");
  expect_candidates(problem, &measured, "fft", "reference", "reference"); /* nothing is timed */
  expect_candidates(problem, &insisting, "direct", "direct", "direct");
  tare_conv_plan *plan = plan_of(problem, &with);
  assert_non_null(strstr(tare_conv_plan_reasons(plan), "wisdom"));
  tare_conv_plan_free(plan);
  tare_wisdom_free(w);
}

/* Wisdom of another machine, or another way of asking. */
static void foreign_wisdom_is_not_used(void **state) {
  (void)state;
  static const char problem[] = "n2c2h9o3k3p1";
  char key[TARE_MOST_KEY], other[TARE_MOST_KEY];
  tare_wisdom *w = new_wisdom();
  tare_conv_options with = {.wisdom = w}, plain = {0};
  tare_conv_plan *model = plan_of(problem, &plain);
  key_of(problem, NULL, key);
  snprintf(other, sizeof other, "X%s", key + 1);
  tare_wisdom_add(w, other, "1:reference 2:reference 4:reference");
  tare_conv_options ways[] = {{.threads = 2}, {.layout = TARE_NCHW}, {.flags = TARE_CONV_SHARED}, {.workspace_limit = 1 << 20},
                              {.precision = TARE_F64}, {.passes = 5}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    key_of(problem, &ways[i], other);
    assert_string_not_equal(key, other);
    tare_wisdom_add(w, other, "1:reference 2:reference 4:reference");
  }
  key_of("n2c2h9o3k3p1_edge", NULL, other);
  assert_string_not_equal(key, other);
  expect_candidates(problem, &with, tare_conv_plan_candidate(model, TARE_FORWARD), tare_conv_plan_candidate(model, TARE_BACKWARD_DATA),
                    tare_conv_plan_candidate(model, TARE_BACKWARD_WEIGHTS));
  tare_conv_plan_free(model);
  tare_wisdom_free(w);
}

/* Choices that nobody can follow: the plan is as without wisdom. */
static void nonsense_is_passed_over(void **state) {
  (void)state;
  static const char problem[] = "n2c2h9o3k3p1";
  static const char *const choices[] = {
    "", "7", "7:", ":fft", "x:fft", "7:nosuch", "1:reference", "1:reference 2:reference", "1:reference 1:reference 4:reference", "7:reference",
    "1:reference 6:reference", "1:reference 2:im2col 4:reference", "0:reference", "9:reference", "-1:reference", "1:reference 2:reference 4:reference4",
    "3:fft 6:fft", "7:fft 1:reference", "1:reference 2:reference 4:referencereferencereferencereferencereference"};
  char key[TARE_MOST_KEY];
  tare_conv_options plain = {0};
  tare_conv_plan *model = plan_of(problem, &plain);
  key_of(problem, NULL, key);
  for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
    tare_wisdom *w = new_wisdom();
    tare_conv_options with = {.wisdom = w};
    tare_wisdom_add(w, key, choices[i]);
    expect_candidates(problem, &with, tare_conv_plan_candidate(model, TARE_FORWARD), tare_conv_plan_candidate(model, TARE_BACKWARD_DATA),
                      tare_conv_plan_candidate(model, TARE_BACKWARD_WEIGHTS));
    tare_wisdom_free(w);
  }
  tare_conv_plan_free(model);
}

static int index_of(const char *name) {
  for (int i = 0; tare_candidates[i]; i++)
    if (strcmp(tare_candidates[i]->name, name) == 0) return i;
  fail_msg("no candidate %s", name);
  return -1;
}

/* Costs are measured, whatever was expected: vectors against plain loops, a gap of 30. */
static void measuring_finds_the_fastest(void **state) {
  (void)state;
  tare_conv_options backward_weights = {.passes = TARE_BACKWARD_WEIGHTS};
  tare_conv_plan *plan = plan_of("n4c1h32o32k15p7", &backward_weights);
  tare_verdict verdicts[TARE_MOST_CANDIDATES] = {{0}};
  double costs[TARE_MOST_CANDIDATES];
  int direct = index_of("direct"), reference = index_of("reference");
  for (int i = 0; tare_candidates[i]; i++) verdicts[i].cycles = i == direct || i == reference ? 1000 : -1;
  unsigned timed = tare_conv_measure(plan, TARE_BACKWARD_WEIGHTS, verdicts, costs);
  assert_int_equal(timed, 1u << direct | 1u << reference);
  print_message("# direct %.3g ms, reference %.3g ms\n", costs[direct] * 1e-6, costs[reference] * 1e-6);
  assert_true(costs[direct] > 1e4 && costs[direct] < costs[reference]);
  verdicts[reference].cycles = 1e9; /* hopeless */
  timed = tare_conv_measure(plan, TARE_BACKWARD_WEIGHTS, verdicts, costs);
  assert_int_equal(timed, 1u << direct);
  assert_true(costs[reference] > costs[direct]);
  tare_conv_plan_free(plan);
}

static double time_of(const char *problem, const tare_conv_options *options) {
  tare_trial *trial;
  double seconds;
  assert_int_equal(tare_trial_create(plan_of(problem, options), NULL, &trial, NULL), TARE_OK);
  tare_trials_time(&trial, 1, 0.02, &seconds);
  tare_trial_free(trial);
  assert_true(seconds > 0);
  return seconds;
}

static void measured_plans_are_fast_and_remembered(void **state) {
  (void)state;
  static const char problem[] = "n4c1h32o32k15p7";
  tare_wisdom *w = new_wisdom();
  tare_conv_options measured = {.measure = 1, .wisdom = w}, with = {.wisdom = w}, slow = {.candidate = "reference"};
  tare_conv_plan *plan = plan_of(problem, &measured);
  assert_int_equal(tare_wisdom_count(w), 1);
  assert_non_null(strstr(tare_conv_plan_reasons(plan), " took "));
  expect_candidates(problem, &with, tare_conv_plan_candidate(plan, TARE_FORWARD), tare_conv_plan_candidate(plan, TARE_BACKWARD_DATA),
                    tare_conv_plan_candidate(plan, TARE_BACKWARD_WEIGHTS));
  assert_true(time_of(problem, &with) < time_of(problem, &slow));
  assert_int_equal(tare_wisdom_count(w), 1);
  tare_conv_plan_free(plan);
  tare_conv_options alone = {.measure = 1, .candidate = "reference", .wisdom = w};
  expect_candidates("n1c1h8o2k3", &alone, "reference", "reference", "reference");
  assert_int_equal(tare_wisdom_count(w), 1); /* what somebody insists on is no wisdom */
  tare_wisdom_free(w);
}

/* Every way of asking can be measured: layouts, borders, doubles, pools, planes, limits. */
static void anything_can_be_measured(void **state) {
  (void)state;
  static const tare_conv_options ways[] = {
    {.measure = 1, .layout = TARE_NCHW}, {.measure = 1, .precision = TARE_F64}, {.measure = 1, .flags = TARE_CONV_SHARED, .threads = 3},
    {.measure = 1, .passes = TARE_FORWARD}, {.measure = 1, .passes = TARE_BACKWARD_DATA}, {.measure = 1, .workspace_limit = 200000}};
  static const char *const problems[] = {"n3c2h12o3k5p2_reflect", "g4n2c4h10o8k3s2p1", "n1c2z4h6o3k3p1", "n2c1w40o3k7p3"};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    for (size_t j = 0; j < sizeof problems / sizeof *problems; j++) tare_conv_plan_free(plan_of(problems[j], &ways[i]));
}

static void plan_with(void *user, int job, int worker) {
  (void)worker;
  char problem[40];
  snprintf(problem, sizeof problem, "n1c1h%do2k3p1", 8 + job % 4);
  tare_conv_options options = {.measure = 1, .wisdom = user};
  tare_conv_plan_free(plan_of(problem, &options));
}

static void threads_share_wisdom(void **state) {
  (void)state;
  tare_wisdom *w = new_wisdom();
  tare_pool *pool;
  assert_int_equal(tare_pool_create(4, &pool, NULL), TARE_OK);
  tare_pool_run(pool, 12, plan_with, w);
  assert_int_equal(tare_wisdom_count(w), 4);
  tare_pool_free(pool);
  tare_wisdom_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(files_come_back),
    cmocka_unit_test(many_entries),
    cmocka_unit_test(damaged_files_are_ignored),
    cmocka_unit_test(missing_files_and_folders),
    cmocka_unit_test(plans_follow_wisdom),
    cmocka_unit_test(foreign_wisdom_is_not_used),
    cmocka_unit_test(nonsense_is_passed_over),
    cmocka_unit_test(measuring_finds_the_fastest),
    cmocka_unit_test(measured_plans_are_fast_and_remembered),
    cmocka_unit_test(anything_can_be_measured),
    cmocka_unit_test(threads_share_wisdom),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
