/* SPDX-License-Identifier: Apache-2.0 */
/* Problem strings, plans and threads. The numbers are in test_conv_passes.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <tare/pool.h>

#include "conv_helpers.h"
#include "onednn/onednn.h"

static void problem_strings_come_back(void **state) {
  (void)state;
  static const struct { const char *text, *canonical; } cases[] = {
    {"n8c32h64o32k15p7", NULL}, {"g32n8c32h64o32k7p3", NULL}, {"n1c3h64w48o8k3x5s2p1x2d1x2_reflect", NULL}, {"n1c1h5o1k5_valid", NULL},
    {"n2c1h4o1k3p9_edge", NULL}, {"c1h4o1k3", "n1c1h4o1k3"}, {"k3o1w4h4c1", "n1c1h4o1k3"}, {"n1c1h4x6o1k3x3", "n1c1h4w6o1k3"},
    {"n1c1h4w6o1k1p0_zero", "n1c1h4w6o1k1"}, {"g1n1c2h9o2k3s1d1p0x1", "n1c2h9o2k3p0x1"},
    {"w9c1o1k3", "n1c1w9o1k3"}, {"n8c8w1000o8k15s2p7d3_edge", NULL}, {"n1c1h1w9o1k1x3p0x1", "n1c1w9o1k3p1"}, {"c1w1o1k3p1", "n1c1h1o1k1x3p0x1"},
    {"n8c256h1o10k1", NULL}, {"n1c1h1w9o1k1s2x1", NULL}, {"n2c3z5h7w9o4k3", NULL}, {"k3x5x1c8z16o8h64p1x2x0_reflect", "n1c8z16h64o8k3x5x1p1x2x0_reflect"},
    {"c1z1h5o1k1x3x3", "n1c1h5o1k3"}, {"c1z1h5o1k3p1x0x0", "n1c1z1h5o1k3p1x0x0"}, {"c1z5h5o1k1x3x3s2x1x1", "n1c1z5h5o1k1x3x3s2x1x1"},
    {"c1z5h1o1k1", "n1c1z5h1o1k1"}, {"n1c1z5h4x6o1k3d1x1x1", "n1c1z5h4w6o1k3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_conv_problem p, again;
    tare_error error = {.message = ""};
    char text[128], short_text[5];
    if (tare_conv_problem_parse(cases[i].text, &p, &error)) fail_msg("%s", error.message);
    size_t length = tare_conv_problem_text(&p, text, sizeof text);
    assert_string_equal(text, cases[i].canonical ? cases[i].canonical : cases[i].text);
    assert_int_equal(length, strlen(text));
    assert_int_equal(tare_conv_problem_text(&p, short_text, sizeof short_text), length);
    assert_memory_equal(short_text, text, 4);
    assert_int_equal(short_text[4], 0);
    assert_int_equal(tare_conv_problem_text(&p, NULL, 0), length);
    assert_int_equal(tare_conv_problem_parse(text, &again, &error), TARE_OK);
    assert_memory_equal(&p, &again, sizeof p);
  }
}

/* Sizes of planes that were left 0 are one plane; an amount of work of zero is refused. */
static void problems_without_planes(void **state) {
  (void)state;
  tare_conv_problem p = {.groups = 1, .batch = 2, .channels = 3, .outputs = 4, .size = {9, 8}, .kernel = {3, 3}, .stride = {1, 1},
                         .dilation = {1, 1}};
  tare_error error;
  char text[128];
  assert_int_equal(tare_conv_problem_check(&p, &error), TARE_OK);
  tare_conv_problem_text(&p, text, sizeof text);
  assert_string_equal(text, "n2c3h9w8o4k3");
  assert_int_equal(tare_conv_output_size(&p, 0), 7);
  assert_int_equal(tare_conv_output_size(&p, 2), 1);
  static const struct { size_t at; int value; const char *says; } bad[] = {
    {offsetof(tare_conv_problem, batch), 0, "the images must be 1"},
    {offsetof(tare_conv_problem, channels), 0, "the input channels must be 1"},
    {offsetof(tare_conv_problem, outputs), 0, "the output channels must be 1"},
    {offsetof(tare_conv_problem, size[1]), 0, "the columns must be 1"},
    {offsetof(tare_conv_problem, kernel[0]), 0, "the kernel size must be 1"},
    {offsetof(tare_conv_problem, kernel[0]), 10, "spans 10 rows does not fit into 9"},
    {offsetof(tare_conv_problem, stride[1]), 0, "the stride must be 1"},
    {offsetof(tare_conv_problem, size[2]), -1, "the planes must be 1"},
    {offsetof(tare_conv_problem, pad[2]), -1, "the padding must be 0"},
    {offsetof(tare_conv_problem, kernel[2]), 2, "spans 2 planes does not fit into 1"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tare_conv_problem changed = p;
    tare_conv_plan *plan = NULL;
    memcpy((char *)&changed + bad[i].at, &bad[i].value, sizeof(int));
    assert_int_not_equal(tare_conv_problem_check(&changed, &error), TARE_OK);
    if (!strstr(error.message, bad[i].says)) fail_msg("\"%s\" does not say \"%s\"", error.message, bad[i].says);
    assert_int_not_equal(tare_conv_plan_create(&changed, NULL, &plan, &error), TARE_OK);
    assert_null(plan);
  }
}

static void random_problems_come_back(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 1, 0);
  for (int i = 0; i < 2000; i++) {
    tare_conv_problem p = random_problem(&rng, 1e9), again;
    char text[128];
    tare_conv_problem_text(&p, text, sizeof text);
    assert_int_equal(tare_conv_problem_parse(text, &again, NULL), TARE_OK);
    assert_memory_equal(&p, &again, sizeof p);
  }
}

static void bad_strings_are_explained(void **state) {
  (void)state;
  static const struct { const char *text; tare_status status; const char *says; } cases[] = {
    {"", TARE_E_SYNTAX, "the input channels are missing"},
    {"n8c1h48k7", TARE_E_SYNTAX, "the output channels are missing"},
    {"n8c1h48o8k7q3", TARE_E_SYNTAX, "column 12: unknown letter 'q'"},
    {"n8c1h48o8k7k7", TARE_E_SYNTAX, "column 12: a second 'k'"},
    {"n8c1h48w48w48o8k7", TARE_E_SYNTAX, "a second 'w'"},
    {"n8ch48o8k7", TARE_E_SYNTAX, "column 4: expected the input channels"},
    {"n0c1h48o8k7", TARE_E_SYNTAX, "column 2: expected the images as a number from 1"},
    {"n8c1h48o8k7x", TARE_E_SYNTAX, "column 13"},
    {"n8c1h48x48w48o8k7", TARE_E_SYNTAX, "column 11: a second 'w'"},
    {"n8c1w48h48x48o8k7", TARE_E_SYNTAX, "column 11: unknown letter 'x'"},
    {"n8c1o8k7", TARE_E_SYNTAX, "the rows are missing"},
    {"n8c1z9w9o8k7", TARE_E_SYNTAX, "the rows are missing"},
    {"n8c1h9o8k3x3x3", TARE_E_SYNTAX, "the kernel size has 3 numbers, expected one, or one for each axis (rows, columns)"},
    {"n8c1w9o8k3p1x1", TARE_E_SYNTAX, "the padding has 2 numbers, expected one, or one for each axis (columns)"},
    {"n8c1z9h9o8k3s1x2", TARE_E_SYNTAX, "the stride has 2 numbers, expected one, or one for each axis (planes, rows, columns)"},
    {"n8c1z9h9o8k3x3x3x3", TARE_E_SYNTAX, "unknown letter 'x'"},
    {"n8c1z0h9o8k3", TARE_E_SYNTAX, "expected the planes as a number from 1"},
    {"n8c1z2h9o8k3", TARE_E_SHAPE, "spans 3 planes does not fit into 2"},
    {"n8c1w2o8k3", TARE_E_SHAPE, "spans 3 columns does not fit into 2"},
    {"n1c1z2000h2000o1k1", TARE_E_SHAPE, "too large"},
    {"n8c1h48o8k7 ", TARE_E_SYNTAX, "column 12: unknown letter ' '"},
    {"n8c1h-4o8k7", TARE_E_SYNTAX, "column 6"},
    {"n8c1h48o8k99999999999999999999", TARE_E_SYNTAX, "kernel size as a number"},
    {"n8c1h48o8k7_mirror", TARE_E_SYNTAX, "column 13: expected a border"},
    {"n8c1h48o8k7_", TARE_E_SYNTAX, "expected a border"},
    {"n8c1h48o8k7p3_valid", TARE_E_SHAPE, "valid borders mean no padding"},
    {"n1c1h5o1k7", TARE_E_SHAPE, "spans 7 rows does not fit into 5"},
    {"n1c1h9w5o1k3d3", TARE_E_SHAPE, "spans 7 columns does not fit into 5"},
    {"n1c1h5o1k3p5_reflect", TARE_E_SHAPE, "reflect padding of 5 needs more than 5 rows"},
    {"g2n1c3h5o4k3", TARE_E_SHAPE, "2 groups must divide"},
    {"n1000000c1000000h5o1k3", TARE_E_SHAPE, "too large"},
    {"n1c1h1o1k1p16000000_edge", TARE_E_SHAPE, "too large"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tare_conv_problem p = {.groups = 77};
    tare_error error = {.message = ""};
    assert_int_equal(tare_conv_problem_parse(cases[i].text, &p, &error), cases[i].status);
    assert_int_equal(p.groups, 77); /* untouched */
    if (!strstr(error.message, cases[i].says)) fail_msg("'%s': \"%s\" does not say \"%s\"", cases[i].text, error.message, cases[i].says);
  }
  assert_int_equal(tare_conv_problem_parse(NULL, &(tare_conv_problem){0}, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_conv_problem_check(&(tare_conv_problem){0}, NULL), TARE_E_ARGUMENT);
}

/* Whatever the text, it is refused with a message or comes back the same. */
static void any_text_is_survived(void **state) {
  (void)state;
  static const char alphabet[] = "gncwhzokspd0123456789x_reflectdgvaz ";
  tare_rng rng;
  tare_rng_init(&rng, 4, 0);
  for (int i = 0; i < 100000; i++) {
    char text[40] = "n1c1h9o1k3", again[128];
    int length = draw(&rng, 0, 12), from = draw(&rng, 0, 10);
    for (int j = 0; j < length; j++) text[from + j] = alphabet[draw(&rng, 0, (int)sizeof alphabet - 2)];
    if (draw(&rng, 0, 1)) text[from + length] = 0;
    tare_conv_problem p, back;
    tare_error error = {.message = ""};
    if (tare_conv_problem_parse(text, &p, &error)) assert_true(strlen(error.message) > 10);
    else {
      tare_conv_problem_text(&p, again, sizeof again);
      assert_int_equal(tare_conv_problem_parse(again, &back, NULL), TARE_OK);
      assert_memory_equal(&p, &back, sizeof p);
    }
  }
}

static tare_conv_problem parsed(const char *text) {
  tare_conv_problem p;
  assert_int_equal(tare_conv_problem_parse(text, &p, NULL), TARE_OK);
  return p;
}

static void bad_plans_are_refused(void **state) {
  (void)state;
  tare_conv_problem p = parsed("g2n1c2h9o2k3");
  tare_conv_plan *plan = NULL;
  tare_error error;
  static const tare_conv_options bad[] = {{.passes = -1}, {.passes = 8}, {.precision = (tare_precision)2}, {.layout = (tare_layout)2},
                                          {.flags = 1 << 10}, {.threads = -1}, {.threads = 1000}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(tare_conv_plan_create(&p, &bad[i], &plan, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_conv_plan_create(NULL, NULL, &plan, &error), TARE_E_ARGUMENT);
  assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.candidate = "winograd"}, &plan, &error), TARE_E_ARGUMENT);
  assert_non_null(strstr(error.message, "expected one of onednn, "));
  assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.passes = 1, .candidate = "im2col"}, &plan, &error), TARE_E_UNSUPPORTED);
  assert_non_null(strstr(error.message, "im2col cannot do the forward pass: groups"));
  assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.precision = TARE_F64, .candidate = "onednn"}, &plan, &error), TARE_E_UNSUPPORTED);
  p.groups = 3;
  assert_int_equal(tare_conv_plan_create(&p, NULL, &plan, &error), TARE_E_SHAPE);
  assert_null(plan);
  tare_conv_plan_free(NULL);
}

/* How many lines of the reasons say that `candidate` is chosen for a group of passes that holds `pass`. */
static int times_chosen(const char *reasons, const char *pass, const char *candidate) {
  int count = 0;
  for (const char *line = reasons, *end; (end = strchr(line, '\n')); line = end + 1) {
    char text[256], accepts[64], *colon;
    snprintf(text, sizeof text, "%.*s", (int)(end - line), line);
    snprintf(accepts, sizeof accepts, ": %s accepts", candidate);
    assert_non_null(colon = strchr(text, ':'));
    if (!strstr(text, "(chosen)") || strncmp(colon, accepts, strlen(accepts))) continue;
    *colon = 0;
    count += strstr(text, pass) != NULL;
  }
  return count;
}

/* The candidate that the reasons mark as chosen is the one that the plan has. */
static void plans_tell_their_choice(void **state) {
  (void)state;
  tare_conv_problem p = parsed("n8c1h48o8k7");
  tare_conv_plan *plan;
  assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.passes = TARE_FORWARD | TARE_BACKWARD_WEIGHTS}, &plan, NULL), TARE_OK);
  assert_null(tare_conv_plan_candidate(plan, TARE_BACKWARD_DATA));
  const char *reasons = tare_conv_plan_reasons(plan);
  assert_non_null(strstr(reasons, tare_onednn_lanes() ? "forward: onednn accepts" : "forward: onednn declines: tare is built without oneDNN"));
  assert_non_null(strstr(reasons, "backward weights: reference accepts"));
  assert_null(strstr(reasons, "backward data"));
  assert_int_equal(times_chosen(reasons, "forward", tare_conv_plan_candidate(plan, TARE_FORWARD)), 1);
  assert_int_equal(times_chosen(reasons, "backward weights", tare_conv_plan_candidate(plan, TARE_BACKWARD_WEIGHTS)), 1);
  tare_conv_plan_free(plan);
  assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.precision = TARE_F64}, &plan, NULL), TARE_OK);
  assert_string_equal(tare_conv_plan_candidate(plan, TARE_BACKWARD_DATA), "reference");
  assert_non_null(strstr(tare_conv_plan_reasons(plan), "forward: onednn declines: not in this precision"));
  tare_conv_plan_free(plan);
}

/* Partials of shards add up to the gradient of the whole batch. */
static void partials_add_up(void **state) {
  (void)state;
  static const char *const texts[] = {"n2c3h12o13k3", "n2c1h30o5k15", "g3n2c3h12o3k3p1_edge"};
  tare_rng rng;
  tare_rng_init(&rng, 2, 0);
  for (int i = 0; i < 3; i++) {
    tare_conv_problem p = parsed(texts[i]);
    size_t nx = count_x(&p), ny = count_y(&p), nw = tare_conv_weights_size(&p);
    double *x = random_doubles(&rng, 2 * nx), *dy = random_doubles(&rng, 2 * ny), *w = random_doubles(&rng, nw);
    const tare_kernels *k = tare_kernels_get(TARE_F32);
    float *xf = tare_alloc(2 * nx + 64, 4), *dyf = tare_alloc(2 * ny + 64, 4), *got = tare_alloc(nw, 4);
    k->narrow(2 * nx, x, xf);
    k->narrow(2 * ny, dy, dyf);
    tare_conv_plan *plan;
    assert_int_equal(tare_conv_plan_create(&p, &(tare_conv_options){.passes = TARE_BACKWARD_WEIGHTS}, &plan, NULL), TARE_OK);
    size_t size = tare_conv_partial_size(plan);
    float *a = tare_alloc(size, 4), *b = tare_alloc(size, 4), *second_x = tare_alloc(nx, 4), *second_dy = tare_alloc(ny, 4);
    float *work = tare_alloc(tare_conv_workspace_size(plan), 4);
    memcpy(second_x, xf + nx, nx * 4);
    memcpy(second_dy, dyf + ny, ny * 4);
    assert_int_equal(tare_conv_backward(plan, xf, dyf, NULL, NULL, NULL, a, work, NULL), TARE_OK);
    assert_int_equal(tare_conv_backward(plan, second_x, second_dy, NULL, NULL, NULL, b, work, NULL), TARE_OK);
    k->add(size, b, a);
    assert_int_equal(tare_conv_finish(plan, a, got, work, NULL), TARE_OK);
    p.batch *= 2;
    naive want = {tare_alloc(2 * ny, 8), tare_alloc(2 * nx, 8), tare_alloc(nw, 8), tare_alloc(2 * ny, 8), tare_alloc(2 * nx, 8),
                  tare_alloc(nw, 8)};
    naive_passes(&p, x, w, dy, &want);
    for (size_t j = 0; j < nw; j++) assert_true(fabs((double)got[j] - want.dw[j]) <= 2e-6 * want.dw_size[j]);
    void *all[] = {x, dy, w, xf, dyf, got, a, b, second_x, second_dy, work, want.y, want.dx, want.dw, want.y_size, want.dx_size,
                   want.dw_size};
    for (size_t j = 0; j < sizeof all / sizeof *all; j++) tare_free(all[j]);
    tare_conv_plan_free(plan);
  }
}

/* OpenMP's, which oneDNN may bring. */
extern int omp_get_max_threads(void) __attribute__((weak));
extern void omp_set_num_threads(int count) __attribute__((weak));

static int threads_alive(void) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return 0;
  while (readdir(tasks)) count++;
  closedir(tasks);
  return count;
}

enum { WORKERS = 4, JOBS = 24 };

struct shared {
  const tare_conv_plan *plan;
  const float *x, *dy, *w;
  size_t nx, ny, nw;
  float *results[JOBS]; /* y, dx, dw */
  tare_status failed;
};

static void three_passes(void *user, int job, int worker) {
  (void)worker;
  struct shared *s = user;
  float *y = s->results[job], *dx = y + (s->ny + 15) / 16 * 16, *dw = dx + (s->nx + 15) / 16 * 16;
  float *prepared = tare_alloc(tare_conv_prepared_size(s->plan), 4), *partial = tare_alloc(tare_conv_partial_size(s->plan), 4);
  float *work = tare_alloc(tare_conv_workspace_size(s->plan), 4);
  tare_status bad = tare_conv_prepare(s->plan, s->w, prepared, work, NULL) |
                    tare_conv_forward(s->plan, s->x, prepared, NULL, y, NULL, work, NULL) |
                    tare_conv_backward(s->plan, s->x, s->dy, prepared, NULL, dx, partial, work, NULL) |
                    tare_conv_finish(s->plan, partial, dw, work, NULL);
  if (bad) s->failed = bad;
  tare_free(prepared);
  tare_free(partial);
  tare_free(work);
}

/* One plan, several threads: the same bits, and no thread of oneDNN's. */
static void threads_share_a_plan(void **state) {
  (void)state;
  static const char *const texts[] = {"n4c8h20o16k3p1", "n4c1h40o8k15", "n2c13h17o7k5p2_reflect", "g8n4c8h20o8k7p3", "n8c7h1o10k1"};
  tare_rng rng;
  tare_rng_init(&rng, 3, 0);
  tare_pool *pool;
  assert_int_equal(tare_pool_create(WORKERS, &pool, NULL), TARE_OK);
  if (omp_set_num_threads) omp_set_num_threads(3);
  int before = threads_alive();
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    tare_conv_problem p = parsed(texts[i]);
    struct shared s = {.nx = count_x(&p), .ny = count_y(&p), .nw = tare_conv_weights_size(&p)};
    const tare_kernels *k = tare_kernels_get(TARE_F32);
    size_t size = s.nx + s.ny + s.nw + 64, sizes[3] = {s.nx, s.ny, s.nw};
    float *inputs[3];
    for (int j = 0; j < 3; j++) {
      double *values = random_doubles(&rng, sizes[j]);
      inputs[j] = tare_alloc(sizes[j], 4);
      k->narrow(sizes[j], values, inputs[j]);
      tare_free(values);
    }
    s.x = inputs[0];
    s.dy = inputs[1];
    s.w = inputs[2];
    tare_conv_plan *plan;
    assert_int_equal(tare_conv_plan_create(&p, NULL, &plan, NULL), TARE_OK);
    s.plan = plan;
    for (int j = 0; j < JOBS; j++) s.results[j] = tare_alloc(size, 4);
    tare_pool_run(pool, JOBS, three_passes, &s);
    assert_int_equal(s.failed, 0);
    for (int j = 1; j < JOBS; j++) assert_memory_equal(s.results[0], s.results[j], size * 4);
    for (int j = 0; j < JOBS; j++) tare_free(s.results[j]);
    for (int j = 0; j < 3; j++) tare_free(inputs[j]);
    tare_conv_plan_free(plan);
  }
  assert_int_equal(threads_alive(), before);
  if (omp_get_max_threads) assert_int_equal(omp_get_max_threads(), 3); /* the caller's own setting is back */
  tare_pool_free(pool);
}

static void the_adapter_names_its_version(void **state) {
  (void)state;
  char version[32];
  tare_onednn_version(version, sizeof version);
  if (tare_onednn_lanes() == 0) assert_string_equal(version, "no oneDNN");
  else assert_memory_equal(version, "oneDNN ", 7);
  assert_true(tare_onednn_lanes() == 0 || tare_onednn_lanes() == 4 || tare_onednn_lanes() == 8 || tare_onednn_lanes() == 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(problem_strings_come_back),
    cmocka_unit_test(problems_without_planes),
    cmocka_unit_test(random_problems_come_back),
    cmocka_unit_test(bad_strings_are_explained),
    cmocka_unit_test(any_text_is_survived),
    cmocka_unit_test(bad_plans_are_refused),
    cmocka_unit_test(plans_tell_their_choice),
    cmocka_unit_test(partials_add_up),
    cmocka_unit_test(threads_share_a_plan),
    cmocka_unit_test(the_adapter_names_its_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
