/* SPDX-License-Identifier: Apache-2.0 */
/* What checkpoints and model files hold, and what is refused. */
#include "toy.h"

#include <jansson.h>

#include "base/alloc.h"
#include "base/file.h"

/* Trains `line` on `steps` steps with the checkpoint there and expects it to be refused. */
static void checkpoint_refused(const char *line, uint64_t seed, const tare_train_options *options, const char *because) {
  toy data = {0};
  tare_net *net = new_net(line, 1, seed);
  tare_error error = {0};
  tare_status status = tare_train(net, toy_batch, &data, options, NULL, &error);
  expect_failure(status, TARE_E_DATA, &error, because);
  assert_true(strncmp(error.message, state_path, strlen(state_path)) == 0);
  assert_int_equal(data.asks, 0);
  tare_net_free(net);
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static void foreign_and_damaged_checkpoints_are_refused(void **state) {
  (void)state;
  toy data = {0};
  tare_net *net = new_net(small, 1, 5);
  tare_train_options options = defaults(6), other;
  options.checkpoint = state_path;
  options.resume = 1;
  tare_train_result result = {.resumed = 7};
  assert_ok(tare_train(net, toy_batch, &data, &options, &result, ERR)); /* none is there yet: afresh */
  assert_int_equal(result.resumed, 0);
  options.steps = 12;
  checkpoint_refused("conv 3x3 sum=0; bn; relu; gap; dense 3", 5, &options, "its net is 'conv 2x3");
  checkpoint_refused(small, 6, &options, "its seed is '5', this one's '6'");
#define WITH(field, value, because) other = options, other.field = value, checkpoint_refused(small, 5, &other, because)
  WITH(lr, 0.02, "its lr is '0.01");
  WITH(optimizer, "sgd", "its optimizer is 'adam', this one's 'sgd'");
  WITH(beta2, 0.99, "its beta2");
  WITH(weight_decay, 0.5, "its weight_decay is '0'");
  WITH(schedule, "step(5,0.5)", "its schedule is 'constant', this one's 'step(5,0.5)'");
  WITH(loss, TARE_LOSS_MSE, "its loss is 'cross-entropy', this one's 'mean-squared-error'");
  tare_error error = {0};
  other = options;
  other.steps = 5;
  expect_failure(tare_train(net, toy_batch, &data, &other, NULL, &error), TARE_E_ARGUMENT, &error, "at step 6, past the 5 asked for");
  char *bytes;
  size_t size;
  assert_ok(tare_file_read(state_path, 1 << 20, (void **)&bytes, &size, ERR));
  for (size_t i = 8; i < size; i += i < 1000 ? 7 : 131) { /* header and payload: whatever is changed, it is noticed */
    bytes[i] = (char)(bytes[i] ^ 1);
    write_bytes(state_path, bytes, size);
    checkpoint_refused(small, 5, &options, "");
    bytes[i] = (char)(bytes[i] ^ 1);
  }
  bytes[size - 3] = (char)(bytes[size - 3] ^ 4);
  write_bytes(state_path, bytes, size);
  checkpoint_refused(small, 5, &options, "a damaged checkpoint: its content has the digest");
  write_bytes(state_path, bytes, size / 2);
  checkpoint_refused(small, 5, &options, "");
  write_bytes(state_path, "damaged\n", 8);
  checkpoint_refused(small, 5, &options, "not a safetensors file");
  assert_ok(tare_model_save(net, state_path, NULL, 0, NULL, 0, NULL, 0, ERR));
  checkpoint_refused(small, 5, &options, "not a checkpoint");
  tare_free(bytes);
  tare_net_free(net);
}

/* An independent reader: the header by hand, the values straight from the bytes; the sum of each slice in exact integers. */
static void check_sums_in_bytes(const char *name, size_t taps, double expected) {
  unsigned char *bytes;
  size_t size;
  assert_ok(tare_file_read(model_path, 1 << 24, (void **)&bytes, &size, ERR));
  uint64_t length = 0;
  for (int i = 0; i < 8; i++) length |= (uint64_t)bytes[i] << (8 * i);
  json_t *header = json_loadb((char *)bytes + 8, length, 0, NULL), *tensor = json_object_get(header, name);
  assert_non_null(tensor);
  json_t *offsets = json_object_get(tensor, "data_offsets");
  size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0)), end = (size_t)json_integer_value(json_array_get(offsets, 1));
  const float *w = (const float *)(const void *)(bytes + 8 + length + begin);
  for (size_t unit = 0; unit * taps * 4 < end - begin; unit++) {
    __int128 sum = 0; /* of w 2^80: exact for floats from 2^-57 to 2^20 */
    for (size_t i = 0; i < taps; i++) {
      double scaled = ldexp((double)w[unit * taps + i], 80);
      assert_true(fabs((double)w[unit * taps + i]) < 0x1p20 && scaled == floor(scaled));
      sum += (__int128)scaled;
    }
    assert_true(sum == (__int128)ldexp(expected, 80));
  }
  json_decref(header);
  tare_free(bytes);
}

static const char *const classes[] = {"a", "b \"quoted\"", "ç"};
static const uint64_t hashes[] = {0, 0x0123456789abcdefu, UINT64_MAX};

static void check_stored(const tare_tensors *file, const char *line) {
  assert_string_equal(tare_tensors_metadata(file, "format"), "tare-model-1");
  assert_string_equal(tare_tensors_metadata(file, "net"), line);
  assert_string_equal(tare_tensors_metadata(file, "input"), "12x12x1");
  assert_string_equal(tare_tensors_metadata(file, "classes"), "[\"a\",\"b \\\"quoted\\\"\",\"ç\"]");
  assert_string_equal(tare_tensors_metadata(file, "train_hashes"), "00000000000000000123456789abcdefffffffffffffffff");
  assert_string_equal(tare_tensors_metadata(file, "data"), "toy");
}

static void model_files_hold_rules_exactly(void **state) {
  static const struct { const char *head, *rules; double sum; int exact; } cases[] = {
    {"conv 4x5 sum=0", "[{\"tensor\":\"conv1.weight\",\"rule\":\"sum=0\",\"exact\":true}]", 0, 1},
    {"conv 4x5 sum=1 projection", "\"exact\":true", 1, 1},
    {"conv 4x5 sum=1/2 difference", "\"exact\":true", 0.5, 1},
    {"conv 4x5 sum=0 whitened; relu; conv 4x3 sum=0 pivot", "\"tensor\":\"conv2.weight\",\"rule\":\"sum=0\",\"exact\":true", 0, 1},
    {"conv 4x5 order=1", "\"exact\":true", 0, 1},
    {"conv 4x5 sum=0.1", "\"exact\":false", 0, 0},
    {"conv 4x5 sum=0 penalty(0.1)", "\"exact\":false", 0, 0},
    {"conv 4x5", "[]", 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char line[160];
    snprintf(line, sizeof line, "%s; bn; relu; gap; dense 3", cases[i].head);
    toy data = {0};
    tare_net *net = new_net(line, 1, 9);
    tare_train_options options = defaults(15);
    assert_ok(tare_train(net, toy_batch, &data, &options, NULL, ERR));
    const tare_metadata extra[] = {{"data", "toy"}};
    assert_ok(tare_model_save(net, model_path, classes, 3, hashes, 3, extra, 1, ERR));
    if (cases[i].exact) check_sums_in_bytes("conv1.weight", 25, cases[i].sum);
    tare_model *model;
    assert_ok(tare_model_load(model_path, BATCH, 2, &model, ERR));
    check_stored(tare_model_file(model), tare_net_line(net));
    const char *rules = tare_tensors_metadata(tare_model_file(model), "rules");
    if (!strstr(rules, cases[i].rules)) fail_msg("rules %s, expected %s", rules, cases[i].rules);
    uint64_t back[3] = {0};
    assert_int_equal(tare_model_train_hashes(model, NULL, 0), 3);
    assert_int_equal(tare_model_train_hashes(model, back, 3), 3);
    assert_memory_equal(back, hashes, sizeof back);
    assert_int_equal(tare_model_classes(model), 3);
    /* what was loaded computes as what was written: the stored values to the last bit, the function within the rounding */
    float stored[400];
    for (size_t t = 0; t < tare_net_tensor_count(tare_model_net(model)); t++) {
      tare_net_tensor info;
      assert_ok(tare_net_tensor_info(tare_model_net(model), t, &info, ERR));
      assert_ok(tare_net_tensor_get(tare_model_net(model), t, stored, ERR));
      const tare_tensor *tensor = tare_tensors_find(tare_model_file(model), info.name);
      size_t bytes = sizeof(float);
      for (int d = 0; d < info.dims; d++) bytes *= (size_t)info.shape[d];
      assert_memory_equal(stored, tensor->data, bytes);
    }
    tare_eval_result before, after;
    assert_ok(tare_evaluate(net, toy_batch, &data, 4, TARE_LOSS_CROSS_ENTROPY, &before, NULL, ERR));
    assert_ok(tare_evaluate(tare_model_net(model), toy_batch, &data, 4, TARE_LOSS_CROSS_ENTROPY, &after, NULL, ERR));
    if (!(fabs(before.loss - after.loss) < 1e-4)) fail_msg("%s: loss %.9g, loaded %.9g", line, before.loss, after.loss);
    /* loaded on other threads: the same bits */
    tare_model *again;
    tare_eval_result same;
    assert_ok(tare_model_load(model_path, BATCH, 1, &again, ERR));
    assert_ok(tare_evaluate(tare_model_net(again), toy_batch, &data, 4, TARE_LOSS_CROSS_ENTROPY, &same, NULL, ERR));
    assert_true(same.loss == after.loss && same.accuracy == after.accuracy);
    tare_model_free(again);
    tare_model_free(model);
    tare_net_free(net);
    clean_folder(state);
  }
}

static void save_changed(const tare_tensors *file, const char *key, const char *value, size_t drop, const char *because) {
  tare_metadata metadata[6];
  static const char *const keys[6] = {"format", "net", "input", "classes", "rules", "train_hashes"};
  size_t count = 0;
  for (size_t i = 0; i < 6; i++) {
    int changed = key && strcmp(keys[i], key) == 0;
    if (!changed || value) metadata[count++] = (tare_metadata){keys[i], changed ? value : tare_tensors_metadata(file, keys[i])};
  }
  char *path = state_path; /* any other file */
  assert_ok(tare_safetensors_write(path, tare_tensors_at(file, 0), tare_tensors_count(file) - drop, metadata, count, ERR));
  tare_model *model = NULL;
  tare_error error = {0};
  expect_failure(tare_model_load(path, BATCH, 1, &model, &error), TARE_E_DATA, &error, because);
  assert_true(strncmp(error.message, path, strlen(path)) == 0);
  assert_null(model);
  assert_null(strpbrk(error.message, "\n\033"));
}

static void wrong_model_files_are_refused(void **state) {
  (void)state;
  toy data = {0};
  tare_net *net = new_net(small, 1, 9);
  tare_train_options options = defaults(2);
  tare_model *model;
  assert_ok(tare_train(net, toy_batch, &data, &options, NULL, ERR));
  assert_ok(tare_model_save(net, model_path, classes, 3, hashes, 3, NULL, 0, ERR));
  assert_ok(tare_model_load(model_path, BATCH, 1, &model, ERR));
  const tare_tensors *file = tare_model_file(model);
  const struct { const char *key, *value, *because; } cases[] = {
    {"format", NULL, "no 'format'"}, {"format", "pt", "its format is 'pt'"}, {"net", NULL, "no 'net'"}, {"input", NULL, "no 'input'"},
    {"classes", NULL, "no 'classes'"}, {"rules", NULL, "no 'rules'"}, {"train_hashes", NULL, "no 'train_hashes'"},
    {"net", "conv 2x3 sum=0; bn; rel; gap; dense 3", "its network: "}, {"net", "conv 2x3 sum=0 \033[31m\n", "its network: "},
    {"net", "conv 2x5 sum=0; bn; relu; gap; dense 3", "tensor 'conv1.weight'"},
    {"net", "conv 2x3 sum=0; bn; relu; gap; dense 4", "tensor 'dense1"},
    {"net", "conv 2x3 sum=0; relu; gap; dense 3", "its network needs 4"}, {"net", "conv 2x3 sum=1; bn; relu; gap; dense 3", "is not true"},
    {"input", "12x12", "input '12x12'"}, {"input", "12x12x1x1", "input"}, {"input", "12x12x0", "input"},
    {"input", "99999999999x12x1", "input"},
    {"input", "12x12x", "input"}, {"input", "2x2x1", "its network"}, {"classes", "[1]", "classes"}, {"classes", "{}", "classes"},
    {"classes", "", "classes"},
    {"rules", "[]", "'rules' says nothing"}, {"rules", "nonsense", "'rules' says nothing"},
    {"rules", "[{\"tensor\":\"conv1.weight\",\"rule\":\"sum=0\",\"exact\":false}]", "is not true"},
    {"rules", "[{\"tensor\":\"conv1.weight\",\"rule\":7,\"exact\":true}]", "is not true"},
    {"train_hashes", "0123456789abcde", "train_hashes"}, {"train_hashes", "0123456789abcdeg", "train_hashes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) save_changed(file, cases[i].key, cases[i].value, 0, cases[i].because);
  save_changed(file, NULL, NULL, 1, "tensors, its network needs");
  float *weights = (float *)tare_tensors_find(file, "conv1.weight")->data, old = weights[3];
  weights[3] = NAN;
  save_changed(file, NULL, NULL, 0, "value 3 is not a finite number");
  weights[3] = nextafterf(old, 9);
  save_changed(file, NULL, NULL, 0, "what 'rules' says of it is not true"); /* one bit off the rule */
  weights[3] = old;
  tare_error error = {0};
  tare_model *none = NULL;
  expect_failure(tare_model_load(folder, BATCH, 1, &none, &error), TARE_E_DATA, &error, folder);
  expect_failure(tare_model_load("/nowhere/at/all", BATCH, 1, &none, &error), TARE_E_DATA, &error, "/nowhere/at/all");
  expect_failure(tare_model_load(model_path, 0, 1, &none, &error), TARE_E_ARGUMENT, &error, "batch");
  float *parameters = tare_net_parameters(net);
  parameters[0] = INFINITY;
  assert_ok(tare_net_after_step(net, ERR));
  unlink(model_path);
  expect_failure(tare_model_save(net, model_path, NULL, 0, NULL, 0, NULL, 0, &error), TARE_E_DIVERGED, &error, "not a finite number");
  assert_int_not_equal(access(model_path, F_OK), 0);
  tare_model_free(model);
  tare_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(foreign_and_damaged_checkpoints_are_refused, clean_folder),
    cmocka_unit_test_teardown(model_files_hold_rules_exactly, clean_folder),
    cmocka_unit_test_teardown(wrong_model_files_are_refused, clean_folder),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
