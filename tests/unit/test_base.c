/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tare/pool.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"

static void alloc_is_aligned_and_zeroed(void **state) {
  (void)state;
  for (size_t n = 0; n < 200; n += 13) {
    unsigned char *p = tare_alloc(n, 3);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < n * 3; i++) assert_int_equal(p[i], 0);
    tare_free(p);
  }
  assert_null(tare_alloc(SIZE_MAX / 2, 3));
  assert_null(tare_alloc(SIZE_MAX, 1));
}

static void rng_repeats_and_has_the_right_moments(void **state) {
  (void)state;
  tare_rng a, b, c;
  tare_rng_init(&a, 7, 1);
  tare_rng_init(&b, 7, 1);
  tare_rng_init(&c, 7, 2);
  int equal = 0;
  for (int i = 0; i < 100; i++) {
    uint64_t x = tare_rng_u64(&a);
    assert_true(x == tare_rng_u64(&b));
    equal += x == tare_rng_u64(&c);
  }
  assert_int_equal(equal, 0);
  double sum = 0, squares = 0, unit = 0;
  enum { N = 200000 };
  for (int i = 0; i < N; i++) {
    double x = tare_rng_normal(&a);
    sum += x;
    squares += x * x;
    double u = tare_rng_unit(&a);
    assert_true(u >= 0 && u < 1);
    unit += u;
  }
  assert_true(fabs(sum / N) < 0.01);
  assert_true(fabs(squares / N - 1) < 0.02);
  assert_true(fabs(unit / N - 0.5) < 0.005);
  int counts[3] = {0};
  for (int i = 0; i < 30000; i++) counts[tare_rng_below(&a, 3)]++;
  for (int i = 0; i < 3; i++) assert_true(abs(counts[i] - 10000) < 400);
}

static void count_job(void *user, int job, int worker) {
  (void)worker;
  ((int *)user)[job]++;
}

static void pool_runs_each_job_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= 5; threads++) {
    tare_pool *pool;
    assert_int_equal(tare_pool_create(threads, &pool, NULL), TARE_OK);
    for (int jobs = 0; jobs < 60; jobs += 7) {
      int done[60] = {0};
      tare_pool_run(pool, jobs, count_job, done);
      for (int i = 0; i < 60; i++) assert_int_equal(done[i], i < jobs);
    }
    tare_pool_free(pool);
  }
  tare_pool *pool = NULL;
  tare_error error;
  assert_int_equal(tare_pool_create(0, &pool, &error), TARE_E_ARGUMENT);
  assert_null(pool);
}

/* Jobs done, and who is at work: no worker may have two jobs at a time. */
typedef struct shift { atomic_int done[60], at_work[5]; atomic_int wrong; } shift;

static void shift_job(void *user, int job, int worker) {
  shift *s = user;
  if (worker < 0 || worker >= 5 || atomic_fetch_add(&s->at_work[worker], 1)) {
    atomic_store(&s->wrong, 1);
    return;
  }
  atomic_fetch_add(&s->done[job], 1);
  atomic_fetch_sub(&s->at_work[worker], 1);
}

/* What a runner of the tests does: so many calls, each on a thread of its own or one after another. */
typedef struct manner { int calls, threaded, asked; } manner;
typedef struct order { void (*body)(void *argument); void *argument; } order;

static void *obey(void *own) {
  const order *o = own;
  o->body(o->argument);
  return NULL;
}

static void runner(void *context, int threads, void (*body)(void *argument), void *argument) {
  manner *m = context;
  pthread_t made[16];
  order o = {body, argument};
  m->asked++;
  assert_in_range(threads, 2, 5);
  for (int i = 1; i < m->calls; i++) {
    if (m->threaded) assert_int_equal(pthread_create(&made[i], NULL, obey, &o), 0);
    else body(argument);
  }
  if (m->calls) body(argument);
  for (int i = 1; i < m->calls && m->threaded; i++) pthread_join(made[i], NULL);
}

static void a_runner_brings_the_threads(void **state) {
  (void)state;
  static const manner manners[] = {
    {.calls = 4, .threaded = 1}, {.calls = 1}, {.calls = 2, .threaded = 1}, {.calls = 9, .threaded = 1}, {.calls = 9}, {.calls = 0}};
  for (size_t which = 0; which < sizeof manners / sizeof *manners; which++)
    for (int threads = 1; threads <= 5; threads += 2) {
      tare_pool *pool;
      manner m = manners[which];
      assert_int_equal(tare_pool_create_with(threads, runner, &m, &pool, NULL), TARE_OK);
      for (int jobs = 0; jobs < 60; jobs++) {
        shift s = {0};
        m.asked = 0;
        tare_pool_run(pool, jobs, shift_job, &s);
        for (int i = 0; i < 60; i++) assert_int_equal(s.done[i], i < jobs);
        assert_false(s.wrong);
        assert_int_equal(m.asked, threads > 1 && jobs > 1);
      }
      tare_pool_free(pool);
    }
}

static void numbers_are_read_strictly(void **state) {
  (void)state;
  int64_t i;
  double d;
  assert_int_equal(tare_parse_int("42", 0, 100, &i), 0);
  assert_true(i == 42);
  const char *bad_int[] = {"", "x", "4x", "1.5", "101", "-1", "99999999999999999999", " 4"};
  for (size_t k = 0; k < sizeof bad_int / sizeof *bad_int; k++) assert_int_equal(tare_parse_int(bad_int[k], 0, 100, &i), -1);
  assert_int_equal(tare_parse_double("1e-3", 0, 1, &d), 0);
  assert_true(d == 1e-3);
  const char *bad_double[] = {"", "nan", "inf", "2", "-1", "1x", " 1"};
  for (size_t k = 0; k < sizeof bad_double / sizeof *bad_double; k++) assert_int_equal(tare_parse_double(bad_double[k], 0, 1, &d), -1);
}

static void a_file_is_there_whole_or_not_at_all(void **state) {
  (void)state;
  char folder[] = P_tmpdir "/tare-test-XXXXXX", path[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/x", folder);
  tare_file *file;
  tare_error error;
  assert_int_equal(tare_file_begin(path, &file, &error), TARE_OK);
  assert_int_equal(tare_file_write(file, "hello", 5, &error), TARE_OK);
  assert_int_not_equal(access(path, F_OK), 0);
  tare_file_abandon(file);
  assert_int_equal(rmdir(folder), 0); /* nothing was left behind */
  assert_int_equal(mkdir(folder, 0777), 0);
  assert_int_equal(tare_file_begin(path, &file, &error), TARE_OK);
  assert_int_equal(tare_file_write(file, "hello", 5, &error), TARE_OK);
  assert_int_equal(tare_file_commit(file, &error), TARE_OK);
  void *data;
  size_t size;
  assert_int_equal(tare_file_read(path, 100, &data, &size, &error), TARE_OK);
  assert_int_equal(size, 5);
  assert_string_equal(data, "hello");
  tare_free(data);
  assert_int_equal(tare_file_read(path, 4, &data, &size, &error), TARE_E_DATA);
  assert_int_equal(tare_file_read(folder, 100, &data, &size, &error), TARE_E_DATA);
  assert_int_equal(tare_file_can_write(folder, &error), TARE_E_IO);
  assert_int_equal(tare_file_can_write("/dev/null", &error), TARE_E_IO);
  unlink(path);
  assert_int_equal(rmdir(folder), 0);
  assert_int_equal(tare_file_can_write(path, &error), TARE_E_IO);
  assert_int_equal(tare_file_read(path, 100, &data, &size, &error), TARE_E_DATA);
}

static void errors_and_text(void **state) {
  (void)state;
  tare_error error;
  assert_int_equal(tare_fail(&error, TARE_E_SHAPE, "a %d", 5), TARE_E_SHAPE);
  tare_fail_prefix(&error, TARE_E_SHAPE, "layer %d", 2);
  assert_string_equal(error.message, "layer 2: a 5");
  assert_int_equal(tare_fail(NULL, TARE_E_IO, "x"), TARE_E_IO);
  tare_text text = {0};
  for (int i = 0; i < 100; i++) tare_text_add(&text, "%d,", i);
  char *all = tare_text_take(&text);
  assert_int_equal(strlen(all), 290);
  tare_free(all);
  assert_true(tare_cpu() < TARE_LEVELS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(alloc_is_aligned_and_zeroed),
    cmocka_unit_test(rng_repeats_and_has_the_right_moments),
    cmocka_unit_test(pool_runs_each_job_once),
    cmocka_unit_test(a_runner_brings_the_threads),
    cmocka_unit_test(numbers_are_read_strictly),
    cmocka_unit_test(a_file_is_there_whole_or_not_at_all),
    cmocka_unit_test(errors_and_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
