/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plans promise whatever does the work: layouts, pools, joined passes, kept memory, workspace limits, plans
 * shared by callers. Every candidate of the table, and the planner's own choice, for one or several passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tare/pool.h>

#include "conv/plan.h"
#include "conv_example.h"

enum { THREADS = 4 };

/* How the calls of a plan are made. */
typedef struct way {
  int passes;      /* of the plan's, those to do */
  int keep;        /* forward keeps, backward reads it */
  int apart;       /* one backward call a gradient */
  int bias;
  tare_pool *pool;
} way;

/* What came out, nhwc and plain; NULL for passes that were not done. In the order of the passes' bits. */
typedef struct results { void *of[3]; } results;

static const tare_pass bits[3] = {TARE_FORWARD, TARE_BACKWARD_DATA, TARE_BACKWARD_WEIGHTS};

static void results_free(results *r) {
  for (int i = 0; i < 3; i++) tare_free(r->of[i]);
}

/* Each of `images` matrices of rows x columns, transposed element by element. */
static void *turned(const tare_kernels *k, size_t images, size_t rows, size_t columns, const void *from) {
  char *to = tare_alloc(images * rows * columns * k->real + GUARD, 1);
  for (size_t n = 0; n < images; n++)
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++)
        memcpy(to + ((n * columns + j) * rows + i) * k->real, (const char *)from + ((n * rows + i) * columns + j) * k->real, k->real);
  return to;
}

/* The array of images replaced by itself in the other layout. */
static void turn(const tare_kernels *k, size_t images, size_t rows, size_t columns, void **array) {
  void *from = *array;
  if (!from) return;
  *array = turned(k, images, rows, columns, from);
  memcpy((char *)*array + images * rows * columns * k->real, (char *)from + images * rows * columns * k->real, GUARD);
  tare_free(from);
}

/* The arrays of a plan's calls. */
typedef struct arrays { void *x, *w, *dy, *bias, *prepared, *partial, *kept, *work; size_t sizes[8]; } arrays;

static arrays arrays_of(const struct example *e, const tare_conv_plan *plan, const tare_kernels *k) {
  const tare_conv_problem *p = &e->p;
  arrays a = {.sizes = {count_x(p), tare_conv_weights_size(p), count_y(p), (size_t)p->outputs, tare_conv_prepared_size(plan),
                        tare_conv_partial_size(plan), tare_conv_kept_size(plan), tare_conv_workspace_size(plan)}};
  const double *values[8] = {e->x, e->w, e->dy, e->bias};
  void **all[8] = {&a.x, &a.w, &a.dy, &a.bias, &a.prepared, &a.partial, &a.kept, &a.work};
  for (int i = 0; i < 8; i++) *all[i] = array_of(k, a.sizes[i], values[i], NANS);
  return a;
}

static void arrays_free(const tare_kernels *k, arrays *a) {
  void *all[8] = {a->x, a->w, a->dy, a->bias, a->prepared, a->partial, a->kept, a->work};
  for (int i = 0; i < 8; i++) free_guarded(k, all[i], a->sizes[i]);
}

/* No call may rely on what another one left in the workspace. */
static void spoil(const tare_kernels *k, const arrays *a, int rubbish) { memset(a->work, rubbish, a->sizes[7] * k->real); }

static void run_backward(const tare_conv_plan *plan, const tare_kernels *k, const arrays *a, const way *how, results *r) {
  void *kept = how->keep ? a->kept : NULL, *before = tare_alloc(a->sizes[6] + 1, k->real);
  void *dx = r->of[1], *partial = how->passes & TARE_BACKWARD_WEIGHTS ? a->partial : NULL;
  memcpy(before, a->kept, a->sizes[6] * k->real);
  if (!how->apart && (dx || partial))
    assert_int_equal(tare_conv_backward(plan, partial ? a->x : NULL, a->dy, a->prepared, kept, dx, partial, a->work, how->pool), TARE_OK);
  if (how->apart && dx)
    assert_int_equal(tare_conv_backward(plan, NULL, a->dy, a->prepared, kept, dx, NULL, a->work, how->pool), TARE_OK);
  spoil(k, a, NANS);
  if (how->apart && partial)
    assert_int_equal(tare_conv_backward(plan, a->x, a->dy, a->prepared, kept, NULL, partial, a->work, how->pool), TARE_OK);
  assert_memory_equal(before, a->kept, a->sizes[6] * k->real); /* only read */
  tare_free(before);
}

/* All calls of a plan made with `options`; fails unless they succeed and respect their arrays. */
static results run(const struct example *e, const tare_conv_plan *plan, const tare_conv_options *options, const way *how) {
  const tare_conv_problem *p = &e->p;
  const tare_kernels *k = tare_kernels_get(options->precision);
  size_t images = (size_t)p->batch, c = (size_t)p->channels, o = (size_t)p->outputs;
  int nchw = options->layout == TARE_NCHW;
  arrays a = arrays_of(e, plan, k);
  results r = {{NULL}};
  for (int i = 0; i < 3; i++)
    if (how->passes & (int)bits[i]) r.of[i] = array_of(k, count_of(p, bits[i]), NULL, NANS);
  if (nchw) turn(k, images, tare_conv_pixels(p), c, &a.x);
  if (nchw) turn(k, images, tare_conv_output_pixels(p), o, &a.dy);
  if (how->passes & (TARE_FORWARD | TARE_BACKWARD_DATA))
    assert_int_equal(tare_conv_prepare(plan, a.w, a.prepared, a.work, how->pool), TARE_OK);
  spoil(k, &a, JUNK);
  if (r.of[0])
    assert_int_equal(tare_conv_forward(plan, a.x, a.prepared, how->bias ? a.bias : NULL, r.of[0], how->keep ? a.kept : NULL, a.work,
                                       how->pool), TARE_OK);
  spoil(k, &a, JUNK);
  run_backward(plan, k, &a, how, &r);
  spoil(k, &a, NANS);
  if (r.of[2]) assert_int_equal(tare_conv_finish(plan, a.partial, r.of[2], a.work, how->pool), TARE_OK);
  if (nchw) turn(k, images, o, tare_conv_output_pixels(p), &r.of[0]);
  if (nchw) turn(k, images, c, tare_conv_pixels(p), &r.of[1]);
  arrays_free(k, &a);
  for (int i = 0; i < 3; i++)
    for (size_t j = 0; r.of[i] && j < GUARD; j++) assert_int_equal(((unsigned char *)r.of[i])[count_of(p, bits[i]) * k->real + j], 0x5C);
  return r;
}

static void text_of(const struct example *e, char text[128]) { tare_conv_problem_text(&e->p, text, 128); }

/* The same bits, in what both have. */
static void same(const struct example *e, const tare_conv_plan *plan, const tare_kernels *k, const char *what, const results *a,
                 const results *b) {
  char text[128];
  text_of(e, text);
  for (int i = 0; i < 3; i++)
    if (a->of[i] && b->of[i] && memcmp(a->of[i], b->of[i], count_of(&e->p, bits[i]) * k->real))
      fail_msg("%s, %s, pass %d: other bits with %s", text, tare_conv_plan_candidate(plan, bits[i]), (int)bits[i], what);
}

/* With a tolerance for all candidates: the partials of parts are added in float. */
static void agree(const struct example *e, const tare_conv_plan *plan, const tare_conv_options *options, const way *how, const results *r) {
  for (int i = 0; i < 3; i++) {
    const char *who = tare_conv_plan_candidate(plan, bits[i]);
    if (r->of[i]) compare(e, tare_kernels_get(options->precision), who, bits[i], r->of[i], how->bias, tolerance_of(options->precision, ""));
  }
}

/* NULL if no candidate can; `needed`: fails then. */
static tare_conv_plan *plan_of(const tare_conv_problem *p, const tare_conv_options *options, int needed) {
  tare_conv_plan *plan = NULL;
  tare_error error = {.message = ""};
  tare_status status = tare_conv_plan_create(p, options, &plan, &error);
  char text[128];
  tare_conv_problem_text(p, text, sizeof text);
  if (status && needed) fail_msg("%s: %s", text, error.message);
  if (!status) return plan;
  if (status != TARE_E_UNSUPPORTED) fail_msg("%s", error.message);
  assert_null(plan);
  assert_true(strlen(error.message) > 10);
  return NULL;
}

/* What one test does with a plan. */
typedef void check(tare_rng *rng, const struct example *e, const tare_conv_plan *plan, tare_conv_options options, tare_pool **pools);

static const int sets[] = {7, 7, 7, 6, 5, 3, 1, 2, 4};

/* The check for each candidate that can do the problem, for a random set of passes (or one that it can do), and for the planner's choice. */
static void check_each(tare_rng *rng, const struct example *e, check *test, tare_conv_options options, tare_pool **pools, int *done) {
  for (int i = -1; i < 0 || tare_candidates[i]; i++) {
    options.candidate = i < 0 ? NULL : tare_candidates[i]->name;
    for (int tries = 0, first = draw(rng, 0, 8); tries < 9; tries++) {
      options.passes = sets[(first + tries) % 9];
      tare_conv_plan *plan = plan_of(&e->p, &options, 0);
      if (!plan) continue;
      test(rng, e, plan, options, pools);
      tare_conv_plan_free(plan);
      done[i + 1]++;
      break;
    }
  }
}

/* Shapes that several parts, chunks and tiles need: batches with and without divisors, filters larger than the image, one and three axes. */
static const char *const chosen[] = {
  "n8c3h14o5k5p2",          "n7c1h12o4k15p7_reflect", "n11c2h9o3k3p1_edge",       "n5c17h8w7o5k7p3",    "g33n3c33h11o33k7p3",
  "n2c2h5o3k15p7",          "n3c4h7w3o2k9p8_edge",    "g2n4c6h10o4k3s2p1",        "n1c33h6o17k1",         "n8c7h1o10k1",
  "n4c3w200o8k31p15",       "n6c2z5h8o3k3p1",         "n2c2z4h6w5o3k2x3x1p1x0x2_reflect", "g3n10c3h9o3k19p9", "n4c16h10o16k3p1d2",
};
enum { CHOSEN = sizeof chosen / sizeof *chosen };

/* The chosen problems and `more` random ones. */
static void check_many(uint64_t seed, int more, check *test, tare_conv_options options) {
  tare_rng rng;
  tare_rng_init(&rng, seed, 0);
  int done[TARE_MOST_CANDIDATES] = {0};
  tare_pool *pools[THREADS + 1] = {NULL};
  for (int i = 1; i <= THREADS; i++) assert_int_equal(tare_pool_create(i, &pools[i], NULL), TARE_OK);
  for (int i = 0; i < CHOSEN + more; i++) {
    tare_conv_problem p;
    if (i < CHOSEN) assert_int_equal(tare_conv_problem_parse(chosen[i], &p, NULL), TARE_OK);
    else p = random_problem(&rng, 2e5);
    struct example e = example_of(&rng, p);
    check_each(&rng, &e, test, options, pools, done);
    if (i % 5 == 0) {
      tare_conv_options wide = options;
      wide.precision = TARE_F64;
      check_each(&rng, &e, test, wide, pools, (int[TARE_MOST_CANDIDATES]){0});
    }
    example_free(&e);
  }
  for (int i = 1; i <= THREADS; i++) tare_pool_free(pools[i]);
  for (int i = 0; tare_candidates[i]; i++)
    if (is_built(tare_candidates[i]) && done[i + 1] < 5) fail_msg("%s was asked %d times only", tare_candidates[i]->name, done[i + 1]);
}

/* nchw and nhwc. */
static void check_layouts(tare_rng *rng, const struct example *e, const tare_conv_plan *plan, tare_conv_options options, tare_pool **pools) {
  (void)pools;
  way how = {.passes = options.passes, .bias = draw(rng, 0, 1), .keep = draw(rng, 0, 1), .apart = draw(rng, 0, 1)};
  results nhwc = run(e, plan, &options, &how);
  options.layout = TARE_NCHW;
  tare_conv_plan *other = plan_of(&e->p, &options, 1);
  results nchw = run(e, other, &options, &how);
  same(e, plan, tare_kernels_get(options.precision), "nchw", &nhwc, &nchw);
  agree(e, plan, &options, &how, &nhwc);
  results_free(&nhwc);
  results_free(&nchw);
  tare_conv_plan_free(other);
}

static void layouts_have_the_same_bits(void **state) {
  (void)state;
  check_many(1, 60, check_layouts, (tare_conv_options){.threads = 1});
}

/* No pool, and pools of 1 to 4 threads; plans made for fewer threads too. */
static void check_threads(tare_rng *rng, const struct example *e, const tare_conv_plan *plan, tare_conv_options options, tare_pool **pools) {
  way how = {.passes = options.passes, .bias = draw(rng, 0, 1), .keep = draw(rng, 0, 1), .apart = draw(rng, 0, 1)};
  results alone = run(e, plan, &options, &how);
  agree(e, plan, &options, &how, &alone);
  for (int threads = 1; threads <= THREADS; threads++) {
    how.pool = pools[threads];
    results shared = run(e, plan, &options, &how);
    same(e, plan, tare_kernels_get(options.precision), "a pool", &alone, &shared);
    results_free(&shared);
  }
  options.threads = draw(rng, 1, THREADS - 1);
  how.pool = pools[options.threads];
  tare_conv_plan *fewer = plan_of(&e->p, &options, 1);
  results narrow = run(e, fewer, &options, &how);
  same(e, plan, tare_kernels_get(options.precision), "a plan for fewer threads", &alone, &narrow);
  results_free(&narrow);
  results_free(&alone);
  tare_conv_plan_free(fewer);
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
  (void)state;
  check_many(2, 30, check_threads, (tare_conv_options){.threads = THREADS, .flags = TARE_CONV_SHARED});
  check_many(3, 8, check_threads, (tare_conv_options){.threads = THREADS, .flags = TARE_CONV_SHARED, .layout = TARE_NCHW});
}

/* One backward call for both gradients or one each, with what forward kept or without, all or some of the plan's passes. */
static void check_joined(tare_rng *rng, const struct example *e, const tare_conv_plan *plan, tare_conv_options options, tare_pool **pools) {
  (void)rng, (void)pools;
  const tare_kernels *k = tare_kernels_get(options.precision);
  way first = {.passes = options.passes, .bias = 1, .keep = 1};
  results joined = run(e, plan, &options, &first);
  agree(e, plan, &options, &first, &joined);
  static const struct { way how; const char *what; } others[] = {
    {{.passes = 7, .bias = 1, .keep = 0}, "nothing kept"},
    {{.passes = 7, .bias = 1, .keep = 1, .apart = 1}, "calls apart"},
    {{.passes = 7, .bias = 1, .keep = 0, .apart = 1}, "calls apart and nothing kept"},
    {{.passes = 5, .bias = 1, .keep = 1}, "no dx"},
    {{.passes = 3, .bias = 1, .keep = 1}, "no partial"},
    {{.passes = 6, .bias = 1}, "no forward"},
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    way how = others[i].how;
    how.passes &= options.passes;
    results r = run(e, plan, &options, &how);
    same(e, plan, k, others[i].what, &joined, &r);
    results_free(&r);
  }
  results_free(&joined);
}

static void joined_passes_agree(void **state) {
  (void)state;
  check_many(4, 40, check_joined, (tare_conv_options){.threads = 1});
  check_many(5, 10, check_joined, (tare_conv_options){.threads = 1, .layout = TARE_NCHW});
  check_many(6, 10, check_joined, (tare_conv_options){.threads = 1, .flags = TARE_CONV_BRIGHTNESS});
}

static size_t bytes_of(const tare_conv_plan *plan, tare_precision precision) {
  return (tare_conv_workspace_size(plan) + tare_conv_kept_size(plan)) * tare_kernels_get(precision)->real;
}

/* Plans under limits keep them or do not come to be; what a plan has taken is enough, also for other batches. */
static void check_limits(tare_rng *rng, const struct example *e, const tare_conv_plan *plan, tare_conv_options options, tare_pool **pools) {
  const size_t taken = bytes_of(plan, options.precision), tenth = taken / 10;
  const size_t limits[] = {taken + !taken, taken - tenth + 1, taken / 2 + 1, tenth + 1, 1};
  way how = {.passes = options.passes, .keep = draw(rng, 0, 1), .bias = 1, .pool = pools[draw(rng, 0, options.threads)]};
  for (int i = 0; i < 5; i++) {
    options.workspace_limit = limits[i];
    tare_conv_plan *tight = plan_of(&e->p, &options, i == 0);
    if (!tight) continue;
    assert_true(bytes_of(tight, options.precision) <= limits[i]);
    results r = run(e, tight, &options, &how);
    agree(e, tight, &options, &how, &r);
    results_free(&r);
    tare_conv_plan_free(tight);
  }
  options.workspace_limit = limits[0];
  tare_conv_problem doubled = e->p;
  doubled.batch *= 2;
  tare_conv_plan *twice = plan_of(&doubled, &options, 0);
  if (twice) assert_true(bytes_of(twice, options.precision) <= limits[0]);
  tare_conv_plan_free(twice);
}

static void limits_are_kept(void **state) {
  (void)state;
  check_many(6, 40, check_limits, (tare_conv_options){.threads = 1});
  check_many(7, 20, check_limits, (tare_conv_options){.threads = 3, .flags = TARE_CONV_SHARED, .layout = TARE_NCHW});
}

/* The more images, the more parts: a limit that one batch fits into is enough for any batch. */
static void a_larger_batch_has_more_parts(void **state) {
  (void)state;
  static const char *const texts[] = {"c3h20o4k3p1", "c8h16o8k5p2_reflect", "g8c8h24o8k7p3_edge", "c4w300o4k9_valid"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    for (int shared = 0; shared < 2; shared++) {
      tare_conv_problem p;
      assert_int_equal(tare_conv_problem_parse(texts[i], &p, NULL), TARE_OK);
      p.batch = 4;
      tare_conv_options options = {.layout = TARE_NCHW, .threads = 2, .flags = shared ? TARE_CONV_SHARED : 0, .passes = TARE_FORWARD};
      tare_conv_plan *plan = plan_of(&p, &options, 1);
      options.workspace_limit = 2 * bytes_of(plan, TARE_F32);
      tare_conv_plan_free(plan);
      for (p.batch = 4; p.batch <= 1024; p.batch *= 2) {
        plan = plan_of(&p, &options, 1);
        assert_true(bytes_of(plan, TARE_F32) <= options.workspace_limit);
        tare_conv_plan_free(plan);
      }
    }
}

/* Under a limit the copies of nchw need parts: what each keeps is its own. */
static void parts_keep_their_own(void **state) {
  (void)state;
  tare_rng rng;
  tare_conv_problem p;
  tare_rng_init(&rng, 9, 0);
  assert_int_equal(tare_conv_problem_parse("n32c1h9o32k5p2", &p, NULL), TARE_OK);
  struct example e = example_of(&rng, p);
  tare_conv_options options = {.layout = TARE_NCHW, .candidate = "fft", .passes = TARE_FORWARD | TARE_BACKWARD_WEIGHTS};
  tare_conv_plan *plan = plan_of(&p, &options, 1);
  const size_t taken = bytes_of(plan, TARE_F32);
  tare_conv_plan_free(plan);
  int several = 0;
  for (int i = 20; i > 0; i--) {
    options.workspace_limit = taken / 20 * (size_t)i;
    plan = plan_of(&p, &options, 0);
    if (!plan) continue;
    for (int g = 0; g < plan->group_count; g++) several += plan->groups[g].ready.kept && plan->groups[g].parts > 1;
    results r = run(&e, plan, &options, &(way){.passes = options.passes, .keep = 1});
    agree(&e, plan, &options, &(way){.passes = options.passes}, &r);
    results_free(&r);
    tare_conv_plan_free(plan);
  }
  assert_true(several > 0);
  example_free(&e);
}

/* Planned only: splits of the passes in which one group keeps something and others need workspace. */
static void limits_hold_for_all_groups_together(void **state) {
  (void)state;
  tare_rng rng;
  tare_rng_init(&rng, 10, 0);
  int made = 0, mixed = 0;
  for (int i = 0; i < 150; i++) {
    tare_conv_problem p = random_problem(&rng, 2e7);
    tare_conv_options options = {.threads = 2, .flags = i % 2 ? TARE_CONV_SHARED : 0, .layout = i % 3 ? TARE_NHWC : TARE_NCHW};
    if (i == 0) { /* backward data alone has the largest workspace, the others keep spectra */
      assert_int_equal(tare_conv_problem_parse("n8c1h13o32k7p3", &p, NULL), TARE_OK);
      options.candidate = "fft";
    }
    tare_conv_plan *plan = plan_of(&p, &options, 1);
    const size_t taken = bytes_of(plan, TARE_F32);
    mixed += plan->kept_size && plan->group_count > 1;
    tare_conv_plan_free(plan);
    for (int j = 0; j < 8 && taken > 64; j++) {
      options.workspace_limit = j ? taken - taken / 8 * (size_t)j : taken - 1;
      plan = plan_of(&p, &options, 0);
      if (!plan) continue;
      made++;
      assert_true(bytes_of(plan, TARE_F32) <= options.workspace_limit);
      tare_conv_plan_free(plan);
    }
  }
  assert_true(made > 100 && mixed > 0);
}

/* Callers at once, each with its own arrays and pool. */
enum { CALLERS = 3, CALLS = 9 };
typedef struct crowd {
  const struct example *e;
  const tare_conv_plan *plan;
  tare_conv_options options;
  way how;
  tare_pool *pools[CALLERS];
  results got[CALLS];
} crowd;

static void call_once(void *user, int job, int worker) {
  crowd *c = user;
  way how = c->how;
  how.pool = c->pools[worker];
  c->got[job] = run(c->e, c->plan, &c->options, &how);
}

static void check_callers(tare_rng *rng, const struct example *e, const tare_conv_plan *plan, tare_conv_options options, tare_pool **pools) {
  crowd c = {.e = e, .plan = plan, .options = options, .how = {.passes = options.passes, .keep = draw(rng, 0, 1), .bias = 1}};
  results alone = run(e, plan, &options, &c.how);
  for (int i = 0; i < CALLERS; i++) assert_int_equal(tare_pool_create(2, &c.pools[i], NULL), TARE_OK);
  tare_pool_run(pools[CALLERS], CALLS, call_once, &c);
  for (int i = 0; i < CALLERS; i++) tare_pool_free(c.pools[i]);
  for (int i = 0; i < CALLS; i++) {
    same(e, plan, tare_kernels_get(options.precision), "other callers", &alone, &c.got[i]);
    results_free(&c.got[i]);
  }
  results_free(&alone);
}

static void callers_share_a_plan(void **state) {
  (void)state;
  check_many(8, 10, check_callers, (tare_conv_options){.threads = 2, .flags = TARE_CONV_SHARED, .layout = TARE_NCHW});
}

/* Calls of passes that a plan does not cover. */
static void passes_that_a_plan_lacks_are_refused(void **state) {
  (void)state;
  tare_conv_problem p;
  float a[64] __attribute__((aligned(64))) = {0};
  assert_int_equal(tare_conv_problem_parse("c1h3o1k3", &p, NULL), TARE_OK);
  tare_conv_plan *forward = plan_of(&p, &(tare_conv_options){.passes = TARE_FORWARD}, 1);
  tare_conv_plan *backward = plan_of(&p, &(tare_conv_options){.passes = TARE_BACKWARD_DATA}, 1);
  assert_int_equal(tare_conv_forward(backward, a, a, NULL, a, NULL, a, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_conv_backward(forward, a, a, a, NULL, a, NULL, a, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_conv_backward(backward, a, a, a, NULL, NULL, a, a, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_conv_finish(backward, a, a, a, NULL), TARE_E_ARGUMENT);
  tare_conv_plan_free(forward);
  tare_conv_plan_free(backward);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(layouts_have_the_same_bits),
    cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    cmocka_unit_test(joined_passes_agree),
    cmocka_unit_test(limits_are_kept),
    cmocka_unit_test(a_larger_batch_has_more_parts),
    cmocka_unit_test(parts_keep_their_own),
    cmocka_unit_test(limits_hold_for_all_groups_together),
    cmocka_unit_test(callers_share_a_plan),
    cmocka_unit_test(passes_that_a_plan_lacks_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
