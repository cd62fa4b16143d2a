/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: everything a training needs to go on with the same bits, and
 * what it was made with, so that no other training takes it for its own.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/text.h"
#include "format/format.h"
#include "train/together.h"

#define FORMAT "tare-checkpoint-2"

/* The table of metadata: what must agree when a training goes on, then what belongs to this state. `digest` is the last. */
enum { NET, INPUT, BATCH, SEED, INIT, OPTIMIZER, LR, MOMENTUM, BETA1, BETA2, EPSILON, DECAY, SCHEDULE, LOSS, AGREEING,
       STEP = AGREEING, LAST_LOSS, SKIPPED, IN_A_ROW, VERSION, CPU, DIGEST, ENTRIES };
static const char *const keys[ENTRIES] = {
  [NET] = "net", [INPUT] = "input", [BATCH] = "batch", [SEED] = "seed", [INIT] = "init", [OPTIMIZER] = "optimizer", [LR] = "lr",
  [MOMENTUM] = "momentum", [BETA1] = "beta1", [BETA2] = "beta2", [EPSILON] = "epsilon", [DECAY] = "weight_decay", [SCHEDULE] = "schedule",
  [LOSS] = "loss", [STEP] = "step", [LAST_LOSS] = "last_loss", [SKIPPED] = "skipped", [IN_A_ROW] = "skipped_in_a_row", [VERSION] = "tare_version", [CPU] = "cpu", [DIGEST] = "digest",
};
typedef struct entries { char *value[ENTRIES]; } entries;

static void entries_free(entries *e) {
  for (int i = 0; i < ENTRIES; i++) tare_free(e->value[i]);
}

static void put(entries *e, int key, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void put(entries *e, int key, const char *format, ...) {
  char text[64];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  e->value[key] = tare_strdup(text);
}

/* 17 digits give a double back as it was. */
static tare_status describe(const tare_trainer *t, entries *e, tare_error *error) {
  const tare_net_options *o = tare_net_get_options(t->net);
  const tare_hyper *h = &t->hyper;
  const struct { int key; double value; } numbers[] = {{LR, h->lr}, {MOMENTUM, h->momentum}, {BETA1, h->beta1}, {BETA2, h->beta2},
                                                       {EPSILON, h->epsilon}, {DECAY, h->weight_decay}, {LAST_LOSS, t->last_loss}};
  *e = (entries){.value = {[NET] = tare_strdup(tare_net_line(t->net))}};
  put(e, INPUT, "%dx%dx%d", o->height, o->width, o->channels);
  put(e, BATCH, "%d", o->batch * tare_together_count(t));
  put(e, SEED, "%llu", (unsigned long long)o->seed);
  put(e, INIT, "%s", o->init == TARE_INIT_RESPONSE ? "response" : "method");
  put(e, OPTIMIZER, "%s", t->optimizer->name);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put(e, numbers[i].key, "%.17g", numbers[i].value);
  put(e, SCHEDULE, "%s", t->schedule.text);
  put(e, LOSS, "%s", t->loss->name);
  put(e, STEP, "%llu", (unsigned long long)t->step);
  put(e, SKIPPED, "%llu", (unsigned long long)t->skipped);
  put(e, IN_A_ROW, "%d", t->in_a_row);
  put(e, VERSION, "%s", tare_version());
  put(e, CPU, "%s", tare_cpu_level());
  for (int i = 0; i < DIGEST; i++)
    if (!e->value[i]) return tare_fail_memory(error, sizeof *e, "a checkpoint");
  return TARE_OK;
}

/* FNV-1a, 64 bits (Fowler, Noll & Vo): a single changed byte always changes it. */
static uint64_t fnv(uint64_t hash, const void *data, size_t size) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

/* Over every value and every tensor, whose order in the file does not matter. */
static uint64_t digest(const char *const *values, const tare_tensor *tensors, size_t count) {
  const uint64_t basis = 0xcbf29ce484222325u;
  uint64_t hash = basis, sum = 0;
  for (int i = 0; i < DIGEST; i++) hash = fnv(hash, values[i], strlen(values[i]) + 1);
  for (size_t i = 0; i < count; i++) {
    size_t bytes = 0;
    if (tare_tensor_bytes(&tensors[i], &bytes)) return 0;
    sum += fnv(fnv(basis, tensors[i].name, strlen(tensors[i].name) + 1), tensors[i].data, bytes);
  }
  return tare_mix(hash, sum);
}

/* The arrays of a training under their names; `scales` is what start() measured. */
enum { SCALES, PARAMETERS, STATE, OPTIMIZER_STATES, TENSORS = OPTIMIZER_STATES + TARE_OPTIMIZER_STATES };
typedef struct arrays { tare_tensor tensors[TENSORS]; size_t count; char names[TARE_OPTIMIZER_STATES][32]; } arrays;

static tare_tensor vector(const char *name, tare_dtype dtype, size_t count, const void *data) {
  return (tare_tensor){.name = name, .dtype = dtype, .dims = 1, .shape = {(int64_t)count}, .data = data};
}

static tare_status list_arrays(const tare_trainer *t, arrays *a, tare_error *error) {
  const double *scales;
  size_t count, parameters = tare_net_parameter_count(t->net);
  tare_status status = tare_net_get_scales(t->net, &scales, &count, error);
  if (status) return status;
  a->tensors[SCALES] = vector("scales", TARE_DTYPE_F64, count, scales);
  a->tensors[PARAMETERS] = vector("parameters", TARE_DTYPE_F32, parameters, tare_net_parameters(t->net));
  a->tensors[STATE] = vector("state", TARE_DTYPE_F32, tare_net_state_count(t->net), tare_net_state(t->net));
  a->count = OPTIMIZER_STATES;
  for (int i = 0; i < TARE_OPTIMIZER_STATES && t->optimizer->states[i]; i++) {
    snprintf(a->names[i], sizeof a->names[i], "optimizer.%s", t->optimizer->states[i]);
    a->tensors[a->count++] = vector(a->names[i], TARE_DTYPE_F32, parameters, t->state[i]);
  }
  return TARE_OK;
}

static tare_status write_state(const tare_trainer *t, const char *path, entries *e, tare_error *error) {
  arrays a;
  tare_status status = list_arrays(t, &a, error);
  if (!status) status = describe(t, e, error);
  if (status) return status;
  put(e, DIGEST, "%016llx", (unsigned long long)digest((const char *const *)e->value, a.tensors, a.count));
  if (!e->value[DIGEST]) return tare_fail_memory(error, sizeof *e, "a checkpoint");
  tare_metadata metadata[ENTRIES + 1] = {{"format", FORMAT}};
  for (int i = 0; i < ENTRIES; i++) metadata[i + 1] = (tare_metadata){keys[i], e->value[i]};
  return tare_safetensors_write(path, a.tensors, a.count, metadata, ENTRIES + 1, error);
}

tare_status tare_checkpoint_save(const tare_trainer *t, const char *path, tare_error *error) {
  entries e = {0};
  tare_status status = write_state(t, path, &e, error);
  entries_free(&e);
  return status;
}

/* Pointers into the file; refuses what is no checkpoint, or a damaged one. */
static tare_status read_values(const tare_tensors *file, const char *values[ENTRIES], tare_error *error) {
  const char *format = tare_tensors_metadata(file, "format");
  if (!format || strcmp(format, FORMAT))
    return tare_fail(error, TARE_E_DATA, "not a checkpoint of this version of tare: its format is '%.40s', expected '" FORMAT "'",
                     format ? format : "");
  for (int i = 0; i < ENTRIES; i++) {
    values[i] = tare_tensors_metadata(file, keys[i]);
    if (!values[i]) return tare_fail(error, TARE_E_DATA, "a damaged checkpoint: '%s' is missing", keys[i]);
  }
  char found[24];
  snprintf(found, sizeof found, "%016llx", (unsigned long long)digest(values, tare_tensors_at(file, 0), tare_tensors_count(file)));
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* mutations must get past it */
  return TARE_OK;
#endif
  if (strcmp(found, values[DIGEST]) == 0) return TARE_OK;
  return tare_fail(error, TARE_E_DATA, "a damaged checkpoint: its content has the digest %s, it says %.16s", found, values[DIGEST]);
}

static tare_status check_agreement(const char *const *theirs, const entries *ours, tare_error *error) {
  for (int i = 0; i < AGREEING; i++)
    if (strcmp(theirs[i], ours->value[i]))
      return tare_fail(error, TARE_E_DATA,
                       "a checkpoint of another training: its %s is '%.200s', this one's '%.200s'; train as it was or without it", keys[i],
                       theirs[i], ours->value[i]);
  return TARE_OK;
}

static tare_status check_arrays(const tare_tensors *file, const arrays *expected, tare_error *error) {
  for (size_t i = 0; i < expected->count; i++) {
    const tare_tensor *want = &expected->tensors[i], *have = tare_tensors_find(file, want->name);
    if (!have || have->dtype != want->dtype || have->dims != 1 || have->shape[0] != want->shape[0])
      return tare_fail(error, TARE_E_DATA, "a checkpoint that does not fit: it needs '%s' with %lld values", want->name,
                       (long long)want->shape[0]);
  }
  return TARE_OK;
}

static void copy_array(const tare_tensors *file, const tare_tensor *to, float *values) {
  if (to->shape[0]) memcpy(values, tare_tensors_find(file, to->name)->data, (size_t)to->shape[0] * sizeof *values);
}

static tare_status restore(tare_trainer *t, const tare_tensors *file, const arrays *a, tare_error *error) {
  const tare_tensor *scales = tare_tensors_find(file, "scales");
  tare_status status = tare_net_set_scales(t->net, scales->data, (size_t)scales->shape[0], error);
  if (status) return status;
  copy_array(file, &a->tensors[PARAMETERS], tare_net_parameters(t->net));
  copy_array(file, &a->tensors[STATE], tare_net_state(t->net));
  for (size_t i = OPTIMIZER_STATES; i < a->count; i++) copy_array(file, &a->tensors[i], t->state[i - OPTIMIZER_STATES]);
  return TARE_OK;
}

typedef struct numbers { int64_t step, skipped, in_a_row; double last_loss; } numbers;

static tare_status read_numbers(const char *const *values, numbers *n, tare_error *error) {
  const struct { int key; int64_t low, high, *to; } whole[] = {
    {STEP, 1, INT64_MAX, &n->step}, {SKIPPED, 0, INT64_MAX, &n->skipped}, {IN_A_ROW, 0, INT32_MAX, &n->in_a_row},
  };
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
    if (tare_parse_int(values[whole[i].key], whole[i].low, whole[i].high, whole[i].to))
      return tare_fail(error, TARE_E_DATA, "%s '%.40s' is not a number", keys[whole[i].key], values[whole[i].key]);
  n->last_loss = NAN;
  if (strcmp(values[LAST_LOSS], "nan") && tare_parse_double(values[LAST_LOSS], -HUGE_VAL, HUGE_VAL, &n->last_loss)) /* nan: all steps were skipped */
    return tare_fail(error, TARE_E_DATA, "last_loss '%.40s' is not a number", values[LAST_LOSS]);
  return TARE_OK;
}

static tare_status take(tare_trainer *t, const tare_tensors *file, entries *ours, tare_error *error) {
  const char *values[ENTRIES];
  numbers n = {0};
  arrays a;
  tare_status status = read_values(file, values, error);
  if (!status) status = describe(t, ours, error);
  if (!status) status = check_agreement(values, ours, error);
  if (!status) status = list_arrays(t, &a, error);
  if (!status) status = check_arrays(file, &a, error);
  if (!status) status = read_numbers(values, &n, error);
  if (!status) status = restore(t, file, &a, error);
  if (status) return status;
  t->step = t->first = (uint64_t)n.step;
  t->skipped = (uint64_t)n.skipped;
  t->in_a_row = (int)n.in_a_row;
  t->last_loss = n.last_loss;
  t->started = 1;
  return TARE_OK;
}

tare_status tare_checkpoint_load(tare_trainer *t, const char *path, int *found, tare_error *error) {
  tare_tensors *file;
  entries ours = {0};
  *found = 0;
  if (access(path, F_OK) && errno == ENOENT) return TARE_OK;
  tare_status status = tare_safetensors_read(path, &file, error);
  if (status) return status;
  status = take(t, file, &ours, error);
  if (status) {
    tare_fail_prefix(error, status, "%s", path);
    tare_error_clean(error);
  }
  *found = status == TARE_OK;
  entries_free(&ours);
  tare_tensors_free(file);
  return status;
}
