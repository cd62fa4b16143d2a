/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the Python package (python/tareconv/_engine): arrays anywhere, saved or not, many threads, many problems, a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conv_helpers.h"
#include "engine.h"

enum { ALL = 7 };

/* One problem with its arrays, each `skew` floats beside a line; outputs full of NaN. */
typedef struct fixture {
  char call[300];
  tareconv_sizes sizes;
  float *memory[8];
  float *x, *weights, *bias, *dy, *saved, *y, *dx, *dweights;
} fixture;

static float *place(fixture *f, int which, size_t count, size_t skew, tare_rng *rng) {
  f->memory[which] = tare_alloc(count + skew + 1, sizeof(float));
  assert_non_null(f->memory[which]);
  float *array = f->memory[which] + skew;
  for (size_t i = 0; i < count; i++) array[i] = rng ? (float)tare_rng_normal(rng) : NAN;
  return array;
}

static void make(fixture *f, const char *call, size_t skew, uint64_t seed) {
  char message[TARECONV_MESSAGE];
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  snprintf(f->call, sizeof f->call, "%s", call);
  assert_int_equal(tareconv_sizes_of(call, &f->sizes, message), 0);
  f->x = place(f, 0, f->sizes.x, skew, &rng);
  f->weights = place(f, 1, f->sizes.weights, skew, &rng);
  f->bias = place(f, 2, f->sizes.bias, skew, &rng);
  f->dy = place(f, 3, f->sizes.y, skew, &rng);
  f->saved = place(f, 4, f->sizes.saved, skew, NULL);
  f->y = place(f, 5, f->sizes.y, skew, NULL);
  f->dx = place(f, 6, f->sizes.x, skew, NULL);
  f->dweights = place(f, 7, f->sizes.weights, skew, NULL);
}

static void drop(fixture *f) {
  for (int i = 0; i < 8; i++) tare_free(f->memory[i]);
}

static void run_with(fixture *f, int threads, tareconv_parallel parallel, int keep) {
  char message[TARECONV_MESSAGE];
  const tareconv_arrays forward = {.x = f->x, .weights = f->weights, .bias = f->bias, .y = f->y, .saved = keep ? f->saved : NULL};
  const tareconv_arrays backward = {.x = f->x, .weights = f->weights, .dy = f->dy, .saved = forward.saved, .dx = f->dx, .dweights = f->dweights};
  assert_int_equal(tareconv_forward(f->call, threads, parallel, &forward, message), 0);
  assert_int_equal(tareconv_backward(f->call, threads, parallel, &backward, message), 0);
}

static void run(fixture *f, int threads, int keep) { run_with(f, threads, NULL, keep); }

static void same(const fixture *a, const fixture *b) {
  assert_memory_equal(a->y, b->y, a->sizes.y * sizeof(float));
  assert_memory_equal(a->dx, b->dx, a->sizes.x * sizeof(float));
  assert_memory_equal(a->dweights, b->dweights, a->sizes.weights * sizeof(float));
}

static double *doubled(const float *from, size_t count) {
  double *to = tare_alloc(count + 1, sizeof *to);
  assert_non_null(to);
  for (size_t i = 0; i < count; i++) to[i] = (double)from[i];
  return to;
}

static void near(const float *found, const double *expected, size_t count) {
  double square = 0;
  for (size_t i = 0; i < count; i++) square += expected[i] * expected[i];
  const double tolerance = 2e-5 * (sqrt(square / (double)count) + 1e-3);
  for (size_t i = 0; i < count; i++) assert_true(fabs((double)found[i] - expected[i]) <= tolerance);
}

/* Against the same call in double, which goes through the reference. */
static void against_doubles(const fixture *f, const char *call) {
  char message[TARECONV_MESSAGE];
  double *x = doubled(f->x, f->sizes.x), *w = doubled(f->weights, f->sizes.weights), *dy = doubled(f->dy, f->sizes.y);
  double *bias = doubled(f->bias, f->sizes.bias), *y = tare_alloc(f->sizes.y, sizeof *y), *dx = tare_alloc(f->sizes.x, sizeof *dx);
  double *dw = tare_alloc(f->sizes.weights, sizeof *dw);
  const tareconv_arrays arrays = {.x = x, .weights = w, .bias = bias, .dy = dy, .y = y, .dx = dx, .dweights = dw};
  assert_int_equal(tareconv_forward(call, 0, NULL, &arrays, message), 0);
  assert_int_equal(tareconv_backward(call, 0, NULL, &arrays, message), 0);
  near(f->y, y, f->sizes.y);
  near(f->dx, dx, f->sizes.x);
  near(f->dweights, dw, f->sizes.weights);
  double *all[] = {x, w, dy, bias, y, dx, dw};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) tare_free(all[i]);
}

static void random_problems(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 7, 0);
  for (int i = 0; i < 40; i++) {
    const tare_conv_problem p = random_problem(&rng, 2e6);
    char problem[200], call[2][300];
    tare_conv_problem_text(&p, problem, sizeof problem);
    const char *layout = i % 2 ? "nchw" : "nhwc";
    snprintf(call[0], sizeof call[0], "%s %s f32 %d %d", problem, layout, ALL, TARE_CONV_ACCURATE);
    snprintf(call[1], sizeof call[1], "%s %s f64 %d 0", problem, layout, ALL);
    fixture f, skewed;
    make(&f, call[0], 0, (uint64_t)i);
    run(&f, 1 + i % 3, 1);
    against_doubles(&f, call[1]);
    make(&skewed, call[0], 1 + (size_t)i % 15, (uint64_t)i);
    run(&skewed, 2, i % 4 < 2);
    same(&f, &skewed);
    drop(&f);
    drop(&skewed);
  }
}

static void *many_calls(void *own) {
  for (int i = 0; i < 20; i++) run(own, 1 + i % 2, i % 3 != 0);
  return NULL;
}

static void threads_at_once(void **state) {
  (void)state;
  enum { THREADS = 4 };
  fixture one, all[THREADS];
  const char *call = "n2c8h24o8k9p4 nchw f32 7 0";
  pthread_t threads[THREADS];
  make(&one, call, 0, 3);
  run(&one, 1, 1);
  for (int i = 0; i < THREADS; i++) {
    make(&all[i], call, (size_t)i, 3);
    assert_int_equal(pthread_create(&threads[i], NULL, many_calls, &all[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    same(&one, &all[i]);
    drop(&all[i]);
  }
  drop(&one);
}

/* In place of GOMP_parallel: three threads, of which the caller is one. */
typedef struct order { void (*body)(void *argument); void *argument; } order;
static atomic_int regions;

static void *obey(void *own) {
  const order *o = own;
  o->body(o->argument);
  return NULL;
}

static void parallel(void (*body)(void *argument), void *argument, unsigned threads, unsigned flags) {
  order o = {body, argument};
  pthread_t made[2];
  regions++;
  assert_int_equal(threads, 0);
  assert_int_equal(flags, 0);
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&made[i], NULL, obey, &o), 0);
  body(argument);
  for (int i = 0; i < 2; i++) pthread_join(made[i], NULL);
}

/* Inside a parallel region: the caller alone. */
static void alone(void (*body)(void *argument), void *argument, unsigned threads, unsigned flags) {
  (void)threads, (void)flags;
  body(argument);
}

static int cores(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static void threads_of_others(void **state) {
  (void)state;
  fixture one, other;
  make(&one, "n2c8h24o8k9p4 nchw f32 7 0", 0, 3);
  make(&other, one.call, 3, 3);
  run(&one, 2, 1);
  assert_int_equal(regions, 0);
  run_with(&other, 0, parallel, 1);
  same(&one, &other);
  assert_int_equal(regions > 0, cores() > 1);
  run_with(&other, 0, alone, 0);
  same(&one, &other);
  regions = 0;
  run_with(&other, 1, parallel, 1);
  assert_int_equal(regions, 0); /* one thread is the caller */
  drop(&one);
  drop(&other);
}

static void many_problems(void **state) {
  (void)state;
  char call[100], message[TARECONV_MESSAGE];
  tareconv_sizes sizes;
  for (int i = 0; i < 600; i++) {
    snprintf(call, sizeof call, "n1c1w%do2k3 nchw f32 1 0", i + 3);
    assert_int_equal(tareconv_sizes_of(call, &sizes, message), 0);
    assert_int_equal(sizes.y, 2 * (i + 1));
    assert_int_equal(sizes.result[2], i + 1);
  }
}

static void wrong_calls(void **state) {
  (void)state;
  static const char *const wrong[] = {"", "n1c1h5o1k3", "n1c1h5o1k3 nchw", "n1c1h5o1k3 nchx f32 7 0", "n1c1h5o1k3 nchw f16 7 0",
                                      "n1c1h5o1k3 nchw f32 7 0 1", "n1h5o1k3 nchw f32 7 0", "n1c1h2o1k3 nchw f32 7 0"};
  char message[TARECONV_MESSAGE];
  tareconv_sizes sizes;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    message[0] = 0;
    assert_true(tareconv_sizes_of(wrong[i], &sizes, message) < 0 && message[0]);
    assert_int_equal(tareconv_describe(wrong[i], NULL, 0, message), 0);
  }
  fixture f;
  make(&f, "n1c2h9o2k3 nchw f32 1 0", 0, 1);
  const tareconv_arrays backward = {.x = f.x, .weights = f.weights, .dy = f.dy, .dx = f.dx};
  assert_int_equal(tareconv_backward(f.call, 1, NULL, &backward, message), TARE_E_ARGUMENT);
  assert_non_null(strstr(message, "passes"));
  drop(&f);
}

static void described(void **state) {
  (void)state;
  char text[500], cut[10], message[TARECONV_MESSAGE];
  size_t length = tareconv_describe("n2c4h20o4k15p7 nhwc f32 5 0", text, sizeof text, message);
  assert_int_equal(length, strlen(text));
  assert_true(strstr(text, "forward: ") == text && strstr(text, "backward weights: ") && !strstr(text, "data"));
  assert_int_equal(tareconv_describe("n2c4h20o4k15p7 nhwc f32 5 0", cut, sizeof cut, message), length);
  assert_int_equal(strlen(cut), sizeof cut - 1);
}

static void a_child_goes_on(void **state) {
  (void)state;
  fixture one, other;
  make(&one, "n4c8h24o8k9p4 nchw f32 7 0", 0, 5);
  make(&other, one.call, 0, 5);
  run(&one, 2, 1);
  pid_t child = fork();
  assert_true(child >= 0);
  if (!child) {
    regions = 0;
    run_with(&other, 2, parallel, 1);
    _exit(regions || memcmp(one.y, other.y, one.sizes.y * sizeof(float)));
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  drop(&one);
  drop(&other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_problems), cmocka_unit_test(threads_at_once), cmocka_unit_test(threads_of_others),
    cmocka_unit_test(many_problems), cmocka_unit_test(wrong_calls), cmocka_unit_test(described), cmocka_unit_test(a_child_goes_on)};
  return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
