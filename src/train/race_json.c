/* SPDX-License-Identifier: Apache-2.0 */
/* The whole result as JSON (the format: doc/race.md). A number that is not finite becomes null. */
#include "train/race.h"

#include <jansson.h>
#include <math.h>

#include "base/error.h"
#include "base/text.h"

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
static json_t *count(int64_t value) { return value < 0 ? json_null() : json_integer(value); }

/* A path need not be UTF-8, JSON must be: other bytes become '?'. */
static json_t *text(const char *value) {
  json_t *json = value ? json_string(value) : json_null();
  if (json) return json;
  tare_text ascii = {0};
  for (const char *p = value; *p; p++) tare_text_add(&ascii, "%c", (unsigned char)*p < 0x80 ? *p : '?');
  json = json_string(ascii.data ? ascii.data : "");
  tare_text_free(&ascii);
  return json;
}

static json_t *numbers(const double *values, size_t n) {
  json_t *array = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(array, number(values[i]));
  return array;
}

static json_t *loss_array(const float *loss, size_t steps) {
  if (!loss) return json_null();
  json_t *array = json_array();
  for (size_t i = 0; i < steps; i++) json_array_append_new(array, number((double)loss[i]));
  return array;
}

static const tare_race_row *row_of(const tare_race_result *result, const char *method) {
  const tare_race_row *row = result->rows;
  while (row->method != method) row++;
  return row;
}

static json_t *run_json(const tare_race_result *result, const tare_race_run *run) {
  json_t *json = json_object();
  json_object_set_new(json, "method", text(run->method));
  json_object_set_new(json, "optimizer", text(result->optimizer));
  json_object_set_new(json, "lr", number(run->lr));
  json_object_set_new(json, "seed", json_integer((json_int_t)run->seed));
  json_object_set_new(json, "diverged", json_boolean(run->diverged));
  json_object_set_new(json, "loss", loss_array(run->loss, result->options.steps));
  json_object_set_new(json, "step_ms", number(row_of(result, run->method)->step_ms));
  json_object_set_new(json, "test_accuracy", number(run->test_accuracy));
  json_object_set_new(json, "residual_max", number(run->residual_max));
  return json;
}

static json_t *row_json(const tare_race_row *r) {
  const struct { const char *key; json_t *value; } fields[] = {
    {"method", text(r->method)},
    {"lr", number(r->lr)},
    {"lr_at_edge", json_boolean(r->at_edge)},
    {"learns", json_boolean(r->learns)},
    {"diverged", json_integer(r->diverged)},
    {"mean_loss", number(r->mean_loss)},
    {"mean_loss_spread", number(r->mean_loss_spread)},
    {"final_loss", number(r->final_loss)},
    {"final_loss_spread", number(r->final_loss_spread)},
    {"test_accuracy", number(r->test_accuracy)},
    {"accuracy_low", number(r->accuracy_low)},
    {"accuracy_high", number(r->accuracy_high)},
    {"steps_to_reference", count(r->steps_to_reference)},
    {"seconds_to_reference", number(r->seconds_to_reference)},
    {"speedup", numbers(r->speedup, RACE_LEVELS)},
    {"step_ms", number(r->step_ms)},
    {"step_ms_median", number(r->step_ms_median)},
    {"layer_ms", number(r->layer_ms)},
    {"residual_max", number(r->residual_max)},
    {"penalty_residual", number(r->penalty_residual)},
    {"wins", json_integer(r->wins)},
    {"pairs", json_integer(r->pairs)},
  };
  json_t *json = json_object();
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) json_object_set_new(json, fields[i].key, fields[i].value);
  return json;
}

static json_t *options_json(const tare_race_result *result) {
  const tare_race_options *o = &result->options;
  json_t *json = json_object(), *networks = json_object();
  json_object_set_new(json, "steps", json_integer((json_int_t)o->steps));
  json_object_set_new(json, "seeds", json_integer(o->seeds));
  json_object_set_new(json, "seed", json_integer((json_int_t)o->seed));
  json_object_set_new(json, "batch", json_integer(o->batch));
  json_object_set_new(json, "filters", json_integer(o->filters));
  json_object_set_new(json, "optimizer", text(result->optimizer));
  json_object_set_new(json, "schedule", text(result->schedule ? result->schedule : "constant"));
  json_object_set_new(json, "init", text(o->init == TARE_INIT_RESPONSE ? "response" : "method"));
  json_object_set_new(json, "batch_norm", json_boolean(o->batch_norm));
  json_object_set_new(json, "threads", json_integer(o->threads));
  for (size_t e = 0; e < result->field.count; e++)
    json_object_set_new(networks, result->field.entries[e].name, text(result->field.entries[e].line));
  json_object_set_new(json, "networks", networks);
  return json;
}

/* null when the rate was given. */
static json_t *tuning_json(const tare_race_result *result) {
  const race_tuning *tuning = &result->tuning;
  if (!tuning->count) return json_null();
  json_t *json = json_object(), *rates = json_array(), *seeds = json_array(), *runs = json_array();
  for (int r = tuning->rates.low; r <= tuning->rates.high; r++) json_array_append_new(rates, number(tare_race_rate(r)));
  for (int s = 0; s < result->options.tuning_seeds; s++) json_array_append_new(seeds, json_integer((json_int_t)result->tuning_seeds[s]));
  for (size_t i = 0; i < tuning->count; i++) {
    const race_task *task = &tuning->tasks[i];
    json_t *run = json_object();
    json_object_set_new(run, "method", text(result->field.entries[task->entry].name));
    json_object_set_new(run, "lr", number(task->lr));
    json_object_set_new(run, "seed", json_integer((json_int_t)task->seed));
    json_object_set_new(run, "diverged", json_boolean(task->diverged));
    json_object_set_new(run, "mean_loss", number(task->mean_loss));
    json_array_append_new(runs, run);
  }
  json_object_set_new(json, "rates", rates);
  json_object_set_new(json, "seeds", seeds);
  json_object_set_new(json, "runs", runs);
  return json;
}

/* What a report shows beyond the table: doc/report.md. */
static void add_report(const tare_race_result *result, json_t *json) {
  json_t *looks = json_array(), *sizes = json_object(), *kernels = json_array(), *times = json_object();
  for (size_t i = 0; i < result->task_count; i++) {
    if (!result->tasks[i].look) continue;
    json_t *seen = tare_look_to_json(result->tasks[i].look, &result->examples);
    json_object_set_new(seen, "method", text(result->runs[i].method));
    json_array_append_new(looks, seen);
  }
  size_t count = (size_t)result->sizes.count;
  for (size_t s = 0; s < count; s++) json_array_append_new(kernels, json_integer(result->sizes.kernel[s]));
  for (size_t e = 0; e < result->field.count; e++)
    json_object_set_new(times, result->field.entries[e].name, numbers(result->sizes.layer_ms + e * count, count));
  json_object_set_new(sizes, "kernel", kernels);
  json_object_set_new(sizes, "layer_ms", times);
  json_object_set_new(json, "sizes", sizes);
  json_object_set_new(json, "examples", tare_look_examples_to_json(&result->examples));
  json_object_set_new(json, "looks", looks);
}

static json_t *result_json(const tare_race_result *result) {
  json_t *json = json_object(), *runs = json_array(), *summary = json_array();
  json_object_set_new(json, "data", text(result->data));
  json_object_set_new(json, "kernel", json_integer(result->options.kernel));
  json_object_set_new(json, "constraint", text(result->constraint));
  for (size_t i = 0; i < result->task_count; i++) json_array_append_new(runs, run_json(result, &result->runs[i]));
  for (size_t i = 0; i < result->field.count; i++) json_array_append_new(summary, row_json(&result->rows[i]));
  json_object_set_new(json, "runs", runs);
  json_object_set_new(json, "summary", summary);
  json_object_set_new(json, "chance", number(result->chance));
  json_object_set_new(json, "window", json_integer(RACE_WINDOW));
  json_object_set_new(json, "reference", text(RACE_REFERENCE));
  json_object_set_new(json, "levels", numbers(result->levels, RACE_LEVELS));
  json_object_set_new(json, "classes", json_integer((json_int_t)result->classes));
  json_object_set_new(json, "train_images", json_integer((json_int_t)result->train_images));
  json_object_set_new(json, "test_images", json_integer((json_int_t)result->tests.images));
  json_object_set_new(json, "test_patches", json_integer((json_int_t)result->tests.patches));
  json_object_set_new(json, "options", options_json(result));
  json_object_set_new(json, "tuning", tuning_json(result));
  if (result->options.report) add_report(result, json);
  json_object_set_new(json, "version", text(tare_version()));
  json_object_set_new(json, "cpu", text(tare_cpu_level()));
  return json;
}

tare_status tare_race_json(const tare_race_result *result, char **out, tare_error *error) {
  if (!result || !out) return tare_fail(error, TARE_E_ARGUMENT, "tare_race_json needs a result and a place for the text");
  json_t *json = result_json(result);
  char *made = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(10));
  json_decref(json);
  if (!made) return tare_fail(error, TARE_E_MEMORY, "not enough memory for the JSON text of a race");
  *out = made;
  return TARE_OK;
}
