/* SPDX-License-Identifier: Apache-2.0 */
#include "toy.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "train/tables.h"

/* ---- optimisers: against references in double, written from the papers ---- */

typedef struct reference { double p, a, b; } reference;

static void reference_step(const char *name, const tare_hyper *h, double lr, int t, double g, reference *r) {
  if (strcmp(name, "sgd") == 0) {
    r->a = h->momentum * r->a + g + h->weight_decay * r->p;
    r->p = r->p - lr * r->a;
    return;
  }
  int decoupled = strcmp(name, "adamw") == 0;
  if (!decoupled) g += h->weight_decay * r->p;
  r->a = h->beta1 * r->a + (1 - h->beta1) * g;
  r->b = h->beta2 * r->b + (1 - h->beta2) * g * g;
  double m = r->a / (1 - pow(h->beta1, t)), v = r->b / (1 - pow(h->beta2, t)), before = r->p;
  r->p -= lr * m / (sqrt(v) + h->epsilon);
  if (decoupled) r->p -= lr * h->weight_decay * before;
}

static void optimizers_match_their_papers(void **state) {
  (void)state;
  enum { N = 37, STEPS = 12 };
  const char *names[] = {"sgd", "adam", "adamw"};
  for (size_t o = 0; o < 3; o++)
    for (int decays = 0; decays < 2; decays++) {
      const tare_optimizer *optimizer;
      tare_hyper h;
      tare_train_options options;
      tare_train_defaults(&options);
      options.weight_decay = decays ? 0.1 : 0;
      options.epsilon = 1e-3; /* large enough to be seen */
      assert_ok(tare_optimizer_find(names[o], &optimizer, ERR));
      assert_ok(tare_hyper_set(&options, optimizer, &h, ERR));
      assert_true(h.lr == optimizer->lr && h.momentum == 0.9 && h.beta1 == 0.9 && h.beta2 == 0.999);
      float p[N], g[N], a[N] = {0}, b[N] = {0}, *const states[] = {a, b};
      reference r[N] = {{0}};
      tare_rng rng;
      tare_rng_init(&rng, 3, 0);
      for (int i = 0; i < N; i++) r[i].p = p[i] = (float)tare_rng_normal(&rng);
      for (int t = 1; t <= STEPS; t++) {
        double lr = 0.05 / t;
        for (int i = 0; i < N; i++) g[i] = (float)(tare_rng_normal(&rng) * (i % 3 ? 1 : 1e-4));
        optimizer->update(&h, lr, (uint64_t)t, N, g, p, states);
        for (int i = 0; i < N; i++) {
          reference_step(names[o], &h, lr, t, (double)g[i], &r[i]);
          if (!(fabs((double)p[i] - r[i].p) <= 2e-6 * (1 + fabs(r[i].p))))
            fail_msg("%s, step %d: %.9g, expected %.9g", names[o], t, (double)p[i], r[i].p);
        }
      }
    }
}

static void hyper_parameters_are_checked(void **state) {
  (void)state;
  const tare_optimizer *optimizer;
  tare_error error = {0};
  expect_failure(tare_optimizer_find("adm", &optimizer, &error), TARE_E_ARGUMENT, &error,
                 "no optimizer 'adm'; there are: adam, adamw, sgd");
  expect_failure(tare_optimizer_find(NULL, &optimizer, &error), TARE_E_ARGUMENT, &error, "no optimizer ''");
  assert_ok(tare_optimizer_find("sgd", &optimizer, ERR));
  const struct { size_t at; double value; const char *because; } bad[] = {
    {offsetof(tare_train_options, lr), -1, "learning rate"}, {offsetof(tare_train_options, lr), (double)NAN, "learning rate"},
    {offsetof(tare_train_options, lr), (double)INFINITY, "learning rate"}, {offsetof(tare_train_options, momentum), 1, "momentum"},
    {offsetof(tare_train_options, beta1), -0.1, "beta1"}, {offsetof(tare_train_options, beta2), 1, "beta2"},
    {offsetof(tare_train_options, epsilon), -1e-8, "epsilon"}, {offsetof(tare_train_options, weight_decay), -1, "weight decay"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tare_train_options options;
    tare_hyper hyper;
    tare_train_defaults(&options);
    memcpy((char *)&options + bad[i].at, &bad[i].value, sizeof bad[i].value);
    expect_failure(tare_hyper_set(&options, optimizer, &hyper, &error), TARE_E_ARGUMENT, &error, bad[i].because);
  }
}

static double factor(const char *text, uint64_t step, uint64_t steps) {
  tare_schedule schedule;
  assert_ok(tare_schedule_parse(text, &schedule, ERR));
  double value = tare_schedule_factor(&schedule, step, steps);
  tare_schedule again;
  assert_ok(tare_schedule_parse(schedule.text, &again, ERR));
  assert_string_equal(schedule.text, again.text);
  assert_true(tare_schedule_factor(&again, step, steps) == value);
  return value;
}

static void schedules_follow_their_formulas(void **state) {
  (void)state;
  assert_true(factor(NULL, 5, 10) == 1 && factor("constant", 100, 10) == 1);
  assert_true(factor("cosine", 0, 8) == 1 && factor("cosine", 8, 8) == 0 && factor("cosine", 9, 8) == 0);
  assert_true(fabs(factor("cosine", 4, 8) - 0.5) < 1e-15);
  assert_true(fabs(factor("cosine", 2, 8) - (2 + sqrt(2)) / 4) < 1e-15);
  assert_true(factor("step(3,0.1)", 2, 9) == 1 && factor("step(3,0.1)", 3, 9) == 0.1);
  assert_true(fabs(factor(" step ( 3 , .1 ) ", 8, 9) - 0.01) < 1e-15);
  assert_true(factor("step(4,0.5)", 11, 9) == 0.25);
  const char *bad[] = {"", "cosin", "step", "step()", "step(3)", "step(0,0.5)", "step(3,0)", "step(3,1.5)", "step(3,nan)", "step(3,0.5",
                       "step(3,0.5)x", "step(-1,0.5)", "step(1.5,0.5)", "cosine(3)", "constant()", "step(3,0.5,1)"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tare_schedule schedule;
    tare_error error = {0};
    expect_failure(tare_schedule_parse(bad[i], &schedule, &error), TARE_E_SYNTAX, &error, bad[i]);
    assert_non_null(strstr(error.message, "step(N,F)"));
  }
}

/* ---- losses ---- */

static double loss_of(tare_loss loss, size_t size, const tare_batch *batch, const float *output, float *gradient) {
  tare_loss_sum sum = {0};
  assert_ok(tare_loss_batch(tare_loss_kind_at(loss), size, batch, 1, output, gradient, &sum, NULL, ERR));
  return sum.loss / (double)sum.images;
}

/* The gradient of the batch's mean loss by central differences; steps are powers of two, so that floats hold them. */
static void loss_gradients_are_right(void **state) {
  (void)state;
  enum { IMAGES = 5, SIZE = 7, N = IMAGES * SIZE };
  float output[N], target[N], gradient[N];
  int32_t label[IMAGES];
  tare_rng rng;
  tare_rng_init(&rng, 11, 0);
  for (int i = 0; i < N; i++) {
    output[i] = (float)tare_rng_below(&rng, 1 << 12) / 1024 - 2;
    target[i] = (float)tare_rng_normal(&rng);
  }
  for (int i = 0; i < IMAGES; i++) label[i] = (int32_t)tare_rng_below(&rng, SIZE);
  for (int count = 1; count <= IMAGES; count += 2)
    for (int loss = TARE_LOSS_CROSS_ENTROPY; loss <= TARE_LOSS_MSE; loss++) {
      tare_batch batch = {.count = count, .labels = label, .targets = target};
      for (int i = 0; i < N; i++) gradient[i] = NAN;
      loss_of((tare_loss)loss, SIZE, &batch, output, gradient);
      for (int i = 0; i < count * SIZE; i++) {
        const float h = 0x1p-10f, z = output[i];
        output[i] = z + h;
        double up = loss_of((tare_loss)loss, SIZE, &batch, output, NULL);
        output[i] = z - h;
        double down = loss_of((tare_loss)loss, SIZE, &batch, output, NULL);
        output[i] = z;
        double numeric = (up - down) / (2 * (double)h);
        if (!(fabs(numeric - (double)gradient[i]) <= 1e-6)) fail_msg("loss %d, %d: %g, numeric %g", loss, i, (double)gradient[i], numeric);
      }
      if (count < IMAGES) assert_true(isnan(gradient[count * SIZE])); /* a short batch touches no more */
    }
}

static void losses_have_the_right_values(void **state) {
  (void)state;
  float even[6] = {2, 2, 2, 2, 2, 2}, large[3] = {3e38f, -3e38f, 0}, bad[3] = {0, NAN, 0}, g[6];
  const int32_t labels[2] = {1, 2};
  tare_batch batch = {.count = 2, .labels = labels};
  assert_true(fabs(loss_of(TARE_LOSS_CROSS_ENTROPY, 3, &batch, even, g) - log(3)) < 1e-15);
  batch.count = 1;
  double most = loss_of(TARE_LOSS_CROSS_ENTROPY, 3, &batch, large, g);
  assert_true(isfinite(most) && most > 5e38 && g[0] == 1 && g[1] == -1);
  assert_true(isnan(loss_of(TARE_LOSS_CROSS_ENTROPY, 3, &batch, bad, g)));
  const float y[4] = {1, 2, 3, 4}, target[4] = {1, 0, 3, 1};
  batch = (tare_batch){.count = 2, .targets = target};
  assert_true(loss_of(TARE_LOSS_MSE, 2, &batch, y, g) == (2 + 4.5) / 2);
  assert_null(tare_loss_kind_at((tare_loss)2));
  const int32_t wrong[2] = {0, 3}, negative[1] = {-1};
  tare_loss_sum sum = {0};
  tare_error error = {0};
  batch = (tare_batch){.count = 2, .labels = wrong};
  expect_failure(tare_loss_batch(tare_loss_kind_at(TARE_LOSS_CROSS_ENTROPY), 3, &batch, 1, even, g, &sum, NULL, &error), TARE_E_DATA, &error,
                 "image 1 of a batch has label 3, the network gives 3 values: expected 0 to 2");
  batch = (tare_batch){.count = 1, .labels = negative};
  expect_failure(tare_loss_batch(tare_loss_kind_at(TARE_LOSS_CROSS_ENTROPY), 3, &batch, 1, even, g, &sum, NULL, &error), TARE_E_DATA, &error,
                 "label -1");
}

static const char usual[] = "conv 4x5 sum=0 spectral; bn; relu; dropout 0.1; conv 6x3 /2; bn; relu; gap; dense 3";

typedef struct watcher { uint64_t calls, stop_at, first; double loss, lr; } watcher;

static int watch(void *user, const tare_progress *p) {
  watcher *w = user;
  if (++w->calls == 1) w->first = p->first;
  assert_int_equal(p->step, p->first + w->calls);
  assert_true(isfinite(p->loss) && p->accuracy >= 0 && p->accuracy <= 1 && p->seconds >= 0);
  w->loss = p->loss;
  w->lr = p->lr;
  return w->stop_at && p->step >= w->stop_at;
}

static int same_parameters(tare_net *a, tare_net *b) {
  size_t n = tare_net_parameter_count(a), s = tare_net_state_count(a);
  return n == tare_net_parameter_count(b) && !memcmp(tare_net_parameters(a), tare_net_parameters(b), n * sizeof(float)) &&
         !memcmp(tare_net_state(a), tare_net_state(b), s * sizeof(float));
}

static void training_learns(void **state) {
  (void)state;
  toy data = {0}, test = {0};
  watcher w = {0};
  tare_net *net = new_net(usual, 1, 1);
  tare_train_options options = defaults(80);
  options.schedule = "step(40,0.5)";
  options.progress = watch;
  options.user = &w;
  tare_train_result result;
  assert_ok(tare_train(net, toy_batch, &data, &options, &result, ERR));
  assert_true(w.calls == 80 && result.steps == 80 && !result.resumed && result.last_loss == w.loss && w.lr == 0.005);
  /* started from batches 0..15 = 256 images, then from batch 0 again */
  assert_int_equal(data.asks, 16 + 80 + 50); /* and the last 50 again at the end */
  for (uint64_t i = 0; i < data.asks; i++) assert_int_equal(data.asked[i], i < 16 ? i : i < 96 ? i - 16 : i - 66);
  uint8_t correct[4 * BATCH];
  memset(correct, 9, sizeof correct);
  tare_eval_result score;
  test.count = 13;
  assert_ok(tare_evaluate(net, toy_batch, &test, 4, TARE_LOSS_CROSS_ENTROPY, &score, correct, ERR));
  assert_int_equal(score.images, 52);
  size_t right = 0;
  for (int i = 0; i < 52; i++) right += correct[i];
  assert_true(score.accuracy == (double)right / 52 && correct[52] == 9);
  if (!(score.accuracy > 0.9 && score.loss < 0.5)) fail_msg("accuracy %g, loss %g", score.accuracy, score.loss);
  options.started = 1; /* goes on from these weights instead of drawing others */
  options.steps = 1;
  options.progress = NULL;
  data.asks = 0;
  assert_ok(tare_train(net, toy_batch, &data, &options, &result, ERR));
  if (!(data.asks == 2 && result.last_loss < 0.5)) fail_msg("loss %g after %d batches", result.last_loss, (int)data.asks);
  tare_net_free(net);
}

/* The start is drawn from the first 256 images, however they are cut: the same as a start by hand. */
static void training_starts_from_the_first_images(void **state) {
  (void)state;
  toy data = {.count = 13};
  tare_train_options options = defaults(2);
  tare_net *net = new_net(usual, 1, 6), *by_hand = new_net(usual, 1, 6);
  assert_ok(tare_train(net, toy_batch, &data, &options, NULL, ERR));
  float *images = tare_alloc(256 * PIXELS, sizeof *images);
  for (size_t i = 0; i < 256; i++) {
    tare_batch batch = {0};
    assert_ok(toy_batch(&data, i / 13, &batch, ERR));
    memcpy(images + i * PIXELS, batch.images + i % 13 * PIXELS, PIXELS * sizeof *images);
  }
  assert_ok(tare_net_start(by_hand, images, 256, ERR));
  options.started = 1;
  assert_ok(tare_train(by_hand, toy_batch, &data, &options, NULL, ERR));
  assert_true(same_parameters(net, by_hand));
  tare_free(images);
  tare_net_free(net);
  tare_net_free(by_hand);
}

/* After the last step batch norm sees the last 50 batches again, with the final weights. */
static void running_statistics_settle(void **state) {
  (void)state;
  for (uint64_t steps = 3; steps < 70; steps += 60) {
    toy data = {0};
    tare_train_options options = defaults(steps);
    tare_progress progress;
    tare_trainer *trainer;
    tare_net *net = new_net(usual, 2, 8), *by_hand = new_net(usual, 1, 8);
    assert_ok(tare_train(net, toy_batch, &data, &options, NULL, ERR));
    assert_ok(tare_trainer_create(by_hand, toy_batch, &data, &options, &trainer, ERR));
    for (uint64_t i = 0; i < steps; i++) assert_ok(tare_trainer_step(trainer, &progress, ERR));
    assert_false(same_parameters(net, by_hand)); /* the state differs */
    for (uint64_t i = steps < 50 ? 0 : steps - 50; i < steps; i++) {
      tare_batch batch = {0};
      const void *output;
      assert_ok(toy_batch(&data, i, &batch, ERR));
      assert_ok(tare_net_forward(by_hand, batch.images, batch.count, 1, i, &output, ERR));
    }
    assert_true(same_parameters(net, by_hand));
    tare_trainer_free(trainer);
    tare_net_free(net);
    tare_net_free(by_hand);
  }
}

/* A linear filter is found again from image targets, by gradient descent on the mean squared error. */
static void mean_squared_error_finds_a_filter(void **state) {
  (void)state;
  const float kernel[9] = {0.5f, -1, 0.25f, 2, -3.5f, 1, 0.75f, -1, 1};
  const char *lines[] = {"conv 1x3 nobias", "conv 1x3 sum=0 spectral nobias"};
  for (size_t i = 0; i < 2; i++) {
    toy data = {.kernel = kernel}, test = {.kernel = kernel};
    tare_net *net = new_net(lines[i], 2, 4);
    tare_train_options options = defaults(400);
    options.lr = 0.1;
    options.schedule = "cosine";
    options.loss = TARE_LOSS_MSE;
    tare_eval_result score;
    assert_ok(tare_train(net, toy_batch, &data, &options, NULL, ERR));
    assert_ok(tare_evaluate(net, toy_batch, &test, 3, TARE_LOSS_MSE, &score, NULL, ERR));
    float found[9];
    assert_ok(tare_net_tensor_get(net, 0, found, ERR));
    for (int k = 0; k < 9; k++)
      if (!(fabsf(found[k] - kernel[k]) < 0.02f)) fail_msg("%s, tap %d: %g, expected %g", lines[i], k, (double)found[k], (double)kernel[k]);
    assert_true(isnan(score.accuracy) && score.loss < 1e-3);
    tare_net_free(net);
  }
}

static void resumed_training_has_the_same_bits(void **state) {
  static const char *const heads[] = {"conv 4x5 sum=0 spectral", "conv 4x5 sum=0 whitened", "conv 4x5 sum=1 projection",
                                      "conv 4x5 sum=0 difference", "conv 4x5 order=1 centred", "conv 4x5 sum=0 penalty(0.1)", "conv 4x5"};
  static const char *const optimizers[] = {"adam", "sgd", "adamw"};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    char line[160];
    snprintf(line, sizeof line, "%s; bn; relu; dropout 0.2; gap; dense 3", heads[i]);
    toy data = {0};
    watcher w = {0}, stopped = {.stop_at = 9};
    tare_train_options options = defaults(20);
    options.optimizer = optimizers[i % 3];
    options.weight_decay = 1e-3;
    options.schedule = i % 2 ? "cosine" : NULL;
    tare_net *straight = new_net(line, 1, 5), *first = new_net(line, 2, 5), *second = new_net(line, 1, 5);
    tare_train_result result, resumed;
    assert_ok(tare_train(straight, toy_batch, &data, &options, &result, ERR));
    options.checkpoint = state_path;
    options.resume = 1;
    options.progress = watch;
    options.user = &stopped;
    tare_error error = {0};
    expect_failure(tare_train(first, toy_batch, &data, &options, &resumed, &error), TARE_E_STOPPED, &error, "stopped after step 9 of 20");
    options.user = &w;
    assert_ok(tare_train(second, toy_batch, &data, &options, &resumed, ERR));
    assert_true(resumed.resumed == 1 && resumed.steps == 20 && w.first == 9 && w.calls == 11 && resumed.last_loss == result.last_loss);
    if (!same_parameters(straight, second)) fail_msg("%s: other bits after a resume", line);
    tare_net *third = new_net(line, 1, 5); /* finished already: nothing to do, the same again */
    assert_ok(tare_train(third, toy_batch, &data, &options, &resumed, ERR));
    assert_true(same_parameters(straight, third) && resumed.resumed == 1 && resumed.last_loss == result.last_loss && w.calls == 11);
    tare_net_free(straight);
    tare_net_free(first);
    tare_net_free(second);
    tare_net_free(third);
    clean_folder(state);
  }
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
  (void)state;
  tare_net *net[3];
  for (int i = 0; i < 3; i++) {
    toy data = {.count = BATCH - 3};
    tare_train_options options = defaults(8);
    net[i] = new_net(usual, i + 1, 2);
    assert_ok(tare_train(net[i], toy_batch, &data, &options, NULL, ERR));
  }
  assert_true(same_parameters(net[0], net[1]) && same_parameters(net[0], net[2]));
  for (int i = 0; i < 3; i++) tare_net_free(net[i]);
}

static void failures_end_a_training_cleanly(void **state) {
  (void)state;
  tare_error error = {0};
  toy failing = {.fail_at = 18}, spoilt = {.spoil_at = 17}, data = {0};
  tare_train_options options = defaults(30);
  tare_net *net = new_net(small, 1, 5);
  options.most_skipped = 0;
  options.checkpoint = state_path;
  options.checkpoint_every = 10;
  expect_failure(tare_train(net, toy_batch, &failing, &options, NULL, &error), TARE_E_DATA, &error, "toy: no batch 18");
  tare_net_free(net);
  struct stat before, after;
  assert_int_equal(stat(state_path, &before), 0); /* of step 10 */
  net = new_net(small, 1, 5);
  options.resume = 1;
  expect_failure(tare_train(net, toy_batch, &spoilt, &options, NULL, &error), TARE_E_DIVERGED, &error, "step 18: the ");
  assert_int_equal(stat(state_path, &after), 0);
  assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
  tare_net_free(net);
  net = new_net("conv 2x3; relu; gap; dense 3", 1, 5);
  options = defaults(50);
  options.optimizer = "sgd";
  options.lr = 1e30;
  expect_failure(tare_train(net, toy_batch, &data, &options, NULL, &error), TARE_E_DIVERGED, &error,
                 "try a smaller learning rate than 1e+30");
  tare_net_free(net);
}

static void wrong_use_is_refused_before_training(void **state) {
  (void)state;
  tare_error error = {0};
  toy data = {0};
  tare_net *net = new_net(small, 1, 5);
  tare_train_options options = defaults(3);
#define REFUSED(status, because) \
  expect_failure(tare_train(net, toy_batch, &data, &options, NULL, &error), status, &error, because); \
  options = defaults(3)
  options.steps = 0;
  REFUSED(TARE_E_ARGUMENT, "1 step or more");
  options.optimizer = "adma";
  REFUSED(TARE_E_ARGUMENT, "no optimizer 'adma'");
  options.schedule = "sin";
  REFUSED(TARE_E_SYNTAX, "schedule 'sin'");
  options.loss = (tare_loss)5;
  REFUSED(TARE_E_ARGUMENT, "no loss 5");
  options.checkpoint = "/nowhere/at/all";
  REFUSED(TARE_E_IO, "/nowhere/at/all");
  options.checkpoint = folder;
  REFUSED(TARE_E_IO, folder);
  options.checkpoint = "-";
  REFUSED(TARE_E_ARGUMENT, "'-'");
  assert_int_equal(data.asks, 0);
  options.loss = TARE_LOSS_MSE;
  REFUSED(TARE_E_ARGUMENT, "batch 0 has no targets: mean-squared-error needs them");
  data.kernel = (const float[9]){0};
  REFUSED(TARE_E_ARGUMENT, "batch 0 has no labels");
  data.kernel = NULL;
  data.count = -1;
  REFUSED(TARE_E_ARGUMENT, "batch 0 has -1 images");
  expect_failure(tare_train(net, NULL, NULL, &options, NULL, &error), TARE_E_ARGUMENT, &error, "NULL");
  expect_failure(tare_model_save(net, "/nowhere/m", NULL, 0, NULL, 0, NULL, 0, &error), TARE_E_IO, &error, "/nowhere/m");
  tare_net_free(net);
  net = new_net("conv 2x3 sum=0; relu; gap; dense 2", 1, 5);
  toy three = {0};
  expect_failure(tare_train(net, toy_batch, &three, &options, NULL, &error), TARE_E_DATA, &error, "label 2");
  tare_net_free(net);
  tare_net_options doubles = {.height = SIDE, .width = SIDE, .channels = 1, .batch = BATCH, .threads = 1, .precision = TARE_F64};
  assert_ok(tare_net_create(small, &doubles, &net, ERR));
  expect_failure(tare_train(net, toy_batch, &data, &options, NULL, &error), TARE_E_UNSUPPORTED, &error, "double");
  tare_net_free(net);
}

/* ---- batches of a source: the same as the source gives, in any order ---- */

static void same_batch(const tare_source *source, tare_source_batches *batches, uint64_t index, int count) {
  enum { PATCH = 16 * 16 };
  float images[40 * PATCH];
  int32_t labels[40];
  tare_batch batch = {0};
  assert_ok(tare_source_batch(batches, index, &batch, ERR));
  assert_int_equal(batch.count, count);
  assert_ok(tare_source_train_batch(source, 3, index, count, images, labels, NULL, ERR));
  assert_memory_equal(batch.images, images, (size_t)count * PATCH * sizeof(float));
  assert_memory_equal(batch.labels, labels, (size_t)count * sizeof(int32_t));
}

static void source_batches_come_in_any_order(void **state) {
  (void)state;
  tare_source_options options;
  tare_source *source;
  tare_source_info info;
  tare_source_batches *train, *test;
  tare_batch batch = {0};
  tare_error error = {0};
  tare_source_defaults(&options);
  options.patch = 16;
  options.images = 4;
  options.threads = 2;
  assert_ok(tare_source_open("leaves", &options, &source, ERR));
  tare_source_get_info(source, &info);
  assert_ok(tare_source_batches_create(source, TARE_TRAIN, 3, 37, &train, ERR));
  assert_int_equal(tare_source_batches_count(train), (info.patches[TARE_TRAIN] + 36) / 37);
  const uint64_t order[] = {0, 1, 2, 0, 1, 1, 1, 7, 8, 3, 4, 4};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) same_batch(source, train, order[i], 37);
  assert_ok(tare_source_batches_create(source, TARE_TEST, 3, 37, &test, ERR));
  size_t total = 0;
  uint64_t count = tare_source_batches_count(test);
  for (uint64_t i = 0; i < count; i++) {
    assert_ok(tare_source_batch(test, i, &batch, ERR));
    assert_true(batch.count == 37 || (i + 1 == count && batch.count < 37));
    total += (size_t)batch.count;
  }
  assert_int_equal(total, info.patches[TARE_TEST]);
  expect_failure(tare_source_batch(test, count, &batch, &error), TARE_E_ARGUMENT, &error, "no test batch");
  tare_source_batches *none;
  expect_failure(tare_source_batches_create(source, TARE_TRAIN, 3, 0, &none, &error), TARE_E_ARGUMENT, &error, "not 0");
  tare_source_batches_free(train);
  tare_source_batches_free(test);
  tare_source_free(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(optimizers_match_their_papers),
    cmocka_unit_test(hyper_parameters_are_checked),
    cmocka_unit_test(schedules_follow_their_formulas),
    cmocka_unit_test(loss_gradients_are_right),
    cmocka_unit_test(losses_have_the_right_values),
    cmocka_unit_test(training_learns),
    cmocka_unit_test(training_starts_from_the_first_images),
    cmocka_unit_test(running_statistics_settle),
    cmocka_unit_test(mean_squared_error_finds_a_filter),
    cmocka_unit_test_teardown(resumed_training_has_the_same_bits, clean_folder),
    cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    cmocka_unit_test_teardown(failures_end_a_training_cleanly, clean_folder),
    cmocka_unit_test(wrong_use_is_refused_before_training),
    cmocka_unit_test(source_batches_come_in_any_order),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
