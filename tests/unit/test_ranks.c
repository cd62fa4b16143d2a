/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranks: N of them, here threads of one process, train to the bits of one. The transport is slow on
 * purpose: what can go on in the background is done only after being asked for a few times.
 */
#include "toy.h"

#include <flint/flint.h>
#include <pthread.h>

#include "train/together.h"
#include "train/trainer.h"

enum { MOST = 4, WHOLE = 64 };

/* ---- a transport between threads ---- */

typedef struct hall { pthread_barrier_t barrier; const void *shown[MOST]; } hall;
typedef struct member { hall *hall; int rank, count, asked; } member;

static tare_status gather(void *self, const void *mine, size_t bytes, void *all, tare_error *error) {
  member *m = self;
  (void)error;
  m->hall->shown[m->rank] = mine;
  pthread_barrier_wait(&m->hall->barrier);
  for (int r = 0; r < m->count; r++) memcpy((char *)all + (size_t)r * bytes, m->hall->shown[r], bytes);
  pthread_barrier_wait(&m->hall->barrier);
  return TARE_OK;
}

static tare_status broadcast(void *self, void *data, size_t bytes, tare_error *error) {
  member *m = self;
  (void)error;
  m->hall->shown[m->rank] = data;
  pthread_barrier_wait(&m->hall->barrier);
  if (m->rank) memcpy(data, m->hall->shown[0], bytes);
  pthread_barrier_wait(&m->hall->barrier);
  return TARE_OK;
}

static tare_status exchange(void *self, const void *parts, size_t bytes, void *all, void **request, tare_error *error) {
  member *m = self;
  (void)error;
  m->hall->shown[m->rank] = parts;
  pthread_barrier_wait(&m->hall->barrier);
  for (int r = 0; r < m->count; r++) memcpy((char *)all + (size_t)r * bytes, (const char *)m->hall->shown[r] + (size_t)m->rank * bytes, bytes);
  pthread_barrier_wait(&m->hall->barrier);
  *request = self;
  return TARE_OK;
}

static tare_status collect(void *self, const void *mine, size_t bytes, void *all, void **request, tare_error *error) {
  *request = self;
  return gather(self, mine, bytes, all, error);
}

/* All ranks ask as often as each other, so all are told the same. */
static tare_status finish(void *self, void **request, int wait, int *done, tare_error *error) {
  member *m = self;
  if (*request != self) return tare_fail(error, TARE_E_ARGUMENT, "a request that is none");
  *done = wait || ++m->asked % 3 == 0;
  if (*done) *request = NULL;
  return TARE_OK;
}

/* ---- training ---- */

/* Image i of batch `index` is a function of both: a share is a part of the whole. */
/* spoilt: image of the whole batch that holds a NaN, counted from 1; 0: none. */
typedef struct task { int from, count, spoilt, flat; float images[WHOLE * PIXELS]; int32_t labels[WHOLE]; } task;

static tare_status share_of_batch(void *user, uint64_t index, tare_batch *batch, tare_error *error) {
  task *t = user;
  (void)error;
  for (int i = 0; i < t->count; i++) {
    tare_rng rng;
    tare_rng_init(&rng, 5 + index, (uint64_t)(t->from + i));
    t->labels[i] = (int32_t)tare_rng_below(&rng, CLASSES);
    double brightness = tare_rng_range(&rng, -1, 1);
    for (int k = 0; k < PIXELS; k++)
      t->images[i * PIXELS + k] = (float)(brightness + 0.5 * cos(1.6 * (t->labels[i] ? k / SIDE : k % SIDE)) + 0.2 * tare_rng_normal(&rng));
  }
  for (int k = 0; t->flat && k < t->count * PIXELS; k++) t->images[k] = 0.5f;
  if (t->spoilt > t->from && t->spoilt <= t->from + t->count) t->images[(t->spoilt - 1 - t->from) * PIXELS + 7] = NAN;
  *batch = (tare_batch){.count = t->count, .images = t->images, .labels = t->labels};
  return TARE_OK;
}

typedef struct run {
  const char *line, *checkpoint;
  int ranks, whole, own_statistics, resume, stop_at, stop_rank, spoilt, flat;
  uint64_t steps;
  /* of every rank: */
  tare_status status[MOST];
  tare_error error[MOST];
  tare_net *net[MOST];
  tare_train_result result[MOST];
} run;

typedef struct worker { run *run; hall *hall; int rank; } worker;

static int watch(void *user, const tare_progress *progress) {
  const worker *w = user;
  return w->run->stop_at && w->rank == w->run->stop_rank && (int)progress->step == w->run->stop_at;
}

static void *train_rank(void *user) {
  worker *w = user;
  run *r = w->run;
  int rank = w->rank, share = r->whole / r->ranks;
  member self = {w->hall, rank, r->ranks, 0};
  tare_ranks ranks = {.rank = rank, .count = r->ranks, .own_statistics = r->own_statistics, .self = &self, .gather = gather,
                      .broadcast = broadcast, .exchange = exchange, .collect = collect, .finish = finish};
  tare_net_options options = {.height = SIDE, .width = SIDE, .channels = 1, .batch = share, .threads = 1 + rank % 2, .seed = 3};
  task *t = calloc(1, sizeof *t);
  t->from = rank * share;
  t->count = share;
  t->spoilt = r->spoilt;
  t->flat = r->flat;
  tare_train_options how = defaults(r->steps);
  how.most_skipped = 4;
  how.ranks = &ranks;
  how.checkpoint = r->checkpoint;
  how.resume = r->resume;
  how.progress = watch;
  how.user = w;
  r->status[rank] = tare_net_create(r->line, &options, &r->net[rank], &r->error[rank]);
  if (!r->status[rank]) r->status[rank] = tare_train(r->net[rank], share_of_batch, t, &how, &r->result[rank], &r->error[rank]);
  free(t);
  flint_cleanup(); /* constraint.h: what the rules left in this thread */
  return NULL;
}

static void train_ranks(run *r) {
  hall h = {0};
  pthread_t threads[MOST];
  worker workers[MOST];
  pthread_barrier_init(&h.barrier, NULL, (unsigned)r->ranks);
  for (int i = 0; i < r->ranks; i++) {
    workers[i] = (worker){r, &h, i};
    pthread_create(&threads[i], NULL, train_rank, &workers[i]);
  }
  for (int i = 0; i < r->ranks; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&h.barrier);
}

static void free_nets(run *r) {
  for (int i = 0; i < MOST; i++) tare_net_free(r->net[i]);
}

static void assert_trained(const run *r) {
  for (int i = 0; i < r->ranks; i++)
    if (r->status[i]) fail_msg("rank %d of %d: %s", i, r->ranks, r->error[i].message);
}

static void assert_same(const run *a, const run *b, int rank) {
  tare_net *one = a->net[0], *other = b->net[rank];
  size_t n = tare_net_parameter_count(one) * sizeof(float), s = tare_net_state_count(one) * sizeof(float);
  if (memcmp(tare_net_parameters(one), tare_net_parameters(other), n)) fail_msg("%s: the weights of rank %d of %d differ", a->line, rank, b->ranks);
  if (s && memcmp(tare_net_state(one), tare_net_state(other), s)) fail_msg("%s: the state of rank %d of %d differs", a->line, rank, b->ranks);
  assert_true(a->result[0].last_loss == b->result[rank].last_loss);
}

static const char *const lines[] = {
  "conv 4x3 sum=0 spectral; bn; relu; conv 6x3 /2; bn; relu; dropout 0.3; gap; dense 3",
  "conv 4x5 sum=0 whitened; bn; relu; dropout 0.2; flatten; dense 300; relu; dense 3", /* 256 x 300 weights: a bucket of their own */
  "conv 3x3 sum=0 penalty(0.1); relu; bn; conv 4x3 sum=0 difference; relu; gap; dense 3",
};
enum { LINES = sizeof lines / sizeof *lines };

static void ranks_train_to_the_bits_of_one(void **state) {
  (void)state;
  for (int line = 0; line < LINES; line++) {
    static const struct { int ranks, whole; } cases[] = {{2, 32}, {4, 32}, {3, 48}, {2, 16}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
      run alone = {.line = lines[line], .ranks = 1, .whole = cases[k].whole, .steps = 6}, many = alone;
      many.ranks = cases[k].ranks;
      train_ranks(&alone);
      train_ranks(&many);
      assert_trained(&alone);
      assert_trained(&many);
      for (int rank = 0; rank < many.ranks; rank++) assert_same(&alone, &many, rank);
      free_nets(&alone);
      free_nets(&many);
    }
  }
}

static void a_checkpoint_goes_on_with_other_ranks(void **state) {
  (void)state;
  run alone = {.line = lines[0], .ranks = 1, .whole = 32, .steps = 9};
  train_ranks(&alone);
  assert_trained(&alone);
  static const int ranks[] = {2, 4, 1};
  for (int k = 0; k < 3; k++) { /* 3 steps each */
    run part = {.line = lines[0], .ranks = ranks[k], .whole = 32, .steps = 3 * (uint64_t)(k + 1), .checkpoint = state_path, .resume = 1};
    train_ranks(&part);
    assert_trained(&part);
    for (int rank = 0; rank < part.ranks; rank++) assert_int_equal(part.result[rank].resumed, k > 0);
    if (k == 2) assert_same(&alone, &part, 0);
    free_nets(&part);
  }
  free_nets(&alone);
}

static void any_rank_stops_all(void **state) {
  (void)state;
  for (int who = 0; who < 4; who += 3) {
    run r = {.line = lines[0], .ranks = 4, .whole = 32, .steps = 9, .stop_at = 4, .stop_rank = who, .checkpoint = state_path};
    train_ranks(&r);
    for (int rank = 0; rank < 4; rank++) expect_failure(r.status[rank], TARE_E_STOPPED, &r.error[rank], "after step 4");
    assert_int_equal(access(state_path, R_OK), 0);
    free_nets(&r);
  }
}

static void all_ranks_fail_alike(void **state) {
  (void)state;
  run r = {.line = lines[0], .ranks = 4, .whole = 32, .steps = 9, .spoilt = 17};
  train_ranks(&r);
  for (int rank = 0; rank < 4; rank++) expect_failure(r.status[rank], TARE_E_DIVERGED, &r.error[rank], "step 5: the loss is not a finite number, nor in the 4 steps");
  free_nets(&r);
}

/* Whatever share an image came in, rank 0 says what the start found, as one alone does. */
static void the_notes_of_the_start_are_those_of_one(void **state) {
  (void)state;
  char expected[400] = "";
  for (int ranks = 1; ranks <= 4; ranks *= 2) {
    run r = {.line = lines[1], .ranks = ranks, .whole = 32, .steps = 1, .flat = 1, .spoilt = 30};
    train_ranks(&r);
    const char *notes = tare_net_notes(r.net[0]);
    if (ranks == 1) snprintf(expected, sizeof expected, "%s", notes);
    if (!strstr(notes, "layer 1: its input has no detail") || !strstr(notes, "\n8 of the first 264 images hold values that are not finite") || strcmp(notes, expected))
      fail_msg("%d ranks: '%s'", ranks, notes);
    for (int other = 1; other < ranks; other++) assert_string_equal(tare_net_notes(r.net[other]), "");
    free_nets(&r);
  }
}

static void shares_that_no_tree_holds_are_refused(void **state) {
  (void)state;
  static const struct { int ranks, whole; } cases[] = {{2, 24}, {2, 48}, {4, 16}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    run r = {.line = lines[0], .ranks = cases[k].ranks, .whole = cases[k].whole, .steps = 2};
    train_ranks(&r);
    for (int rank = 0; rank < r.ranks; rank++) expect_failure(r.status[rank], TARE_E_ARGUMENT, &r.error[rank], "8 times a power of two");
    free_nets(&r);
  }
}

/* ---- batch norm of each rank's own images ---- */

typedef struct first_step { hall *hall; int rank; float *gradient; size_t count; tare_net *net; } first_step;

static void take_step(tare_net *net, int rank, int share, float *gradient) {
  task *t = calloc(1, sizeof *t);
  t->from = rank * share;
  t->count = share;
  tare_batch batch;
  const void *output;
  float *d = calloc((size_t)share * CLASSES, sizeof *d);
  assert_ok(share_of_batch(t, 0, &batch, ERR));
  assert_ok(tare_net_forward(net, batch.images, share, 1, 0, &output, ERR));
  for (int i = 0; i < share * CLASSES; i++) d[i] = (float)sin(i + 100 * rank) * ((const float *)output)[i];
  assert_ok(tare_net_backward(net, d, ERR));
  memcpy(gradient, tare_net_gradients(net), tare_net_parameter_count(net) * sizeof(float));
  free(d);
  free(t);
}

static tare_net *started(int batch) {
  tare_net_options options = {.height = SIDE, .width = SIDE, .channels = 1, .batch = batch, .threads = 1, .seed = 3};
  task *t = calloc(1, sizeof *t);
  tare_net *net;
  tare_batch images;
  t->count = batch;
  assert_ok(tare_net_create("conv 4x3 sum=0 spectral; bn; relu; conv 6x3 /2; bn; relu; gap; dense 3", &options, &net, ERR));
  assert_ok(share_of_batch(t, 99, &images, ERR));
  assert_ok(tare_net_start(net, images.images, (size_t)batch, ERR));
  free(t);
  return net;
}

static void *step_with_ranks(void *user) {
  first_step *s = user;
  member self = {s->hall, s->rank, 2, 0};
  tare_ranks ranks = {.rank = s->rank, .count = 2, .own_statistics = 1, .self = &self, .gather = gather, .broadcast = broadcast,
                      .exchange = exchange, .collect = collect, .finish = finish};
  tare_net *net = started(16);
  assert_ok(tare_net_set_ranks(net, &ranks, ERR));
  take_step(net, s->rank, 16, s->gradient);
  tare_net_free(net);
  flint_cleanup();
  return NULL;
}

/* The gradient is then the sum of those that each rank has by itself. */
static void own_statistics_add_the_gradients(void **state) {
  (void)state;
  tare_net *net = started(16);
  size_t n = tare_net_parameter_count(net);
  float *alone[2], *together[2];
  hall h = {0};
  pthread_t threads[2];
  first_step steps[2];
  pthread_barrier_init(&h.barrier, NULL, 2);
  for (int r = 0; r < 2; r++) {
    alone[r] = calloc(n, sizeof(float));
    together[r] = calloc(n, sizeof(float));
    take_step(net, r, 16, alone[r]);
    steps[r] = (first_step){&h, r, together[r], n, NULL};
    pthread_create(&threads[r], NULL, step_with_ranks, &steps[r]);
  }
  for (int r = 0; r < 2; r++) pthread_join(threads[r], NULL);
  double largest = 0;
  for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)together[0][i]));
  assert_true(largest > 1e-3);
  for (size_t i = 0; i < n; i++) {
    double expected = (double)alone[0][i] + (double)alone[1][i];
    if (!(fabs((double)together[0][i] - expected) <= 2e-6 * largest)) fail_msg("gradient %zu is %g, expected %g", i, (double)together[0][i], expected);
    assert_true(together[0][i] == together[1][i]);
  }
  for (int r = 0; r < 2; r++) free(alone[r]), free(together[r]);
  pthread_barrier_destroy(&h.barrier);
  tare_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(ranks_train_to_the_bits_of_one),
    cmocka_unit_test_teardown(a_checkpoint_goes_on_with_other_ranks, clean_folder),
    cmocka_unit_test_teardown(any_rank_stops_all, clean_folder),
    cmocka_unit_test(all_ranks_fail_alike),
    cmocka_unit_test(the_notes_of_the_start_are_those_of_one),
    cmocka_unit_test(shares_that_no_tree_holds_are_refused),
    cmocka_unit_test(own_statistics_add_the_gradients),
  };
  return cmocka_run_group_tests_name("ranks", tests, make_folder, remove_folder);
}
