/* SPDX-License-Identifier: Apache-2.0 */
/* What the page of a race shows: its JSON, with the losses of all runs made into one thin curve a method. */
#include "cli.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 300, MOST_CHARACTERS = 1200000 }; /* points of a curve; of all filters on a page, in base64 */

static double at(const json_t *array, size_t i) { return json_number_value(json_array_get(array, i)); }

/* The mean of a run's losses over the window that ends at step `end`. */
static double window_mean(const json_t *loss, size_t end, size_t window) {
  double sum = 0;
  for (size_t i = end - window; i < end; i++) sum += at(loss, i);
  return sum / (double)window;
}

typedef struct curve { json_t *mean, *spread; } curve;

/* Mean and standard deviation (n - 1) over the runs that did not diverge. */
static void add_point(curve *c, const json_t *runs, const char *method, size_t end, size_t window) {
  double sum = 0, squares = 0;
  size_t count = 0, i;
  const json_t *run;
  json_array_foreach(runs, i, run) {
    const json_t *loss = json_object_get(run, "loss");
    if (strcmp(json_string_value(json_object_get(run, "method")), method) != 0 || !json_is_array(loss)) continue;
    double value = window_mean(loss, end, window);
    sum += value;
    squares += value * value;
    count++;
  }
  double mean = sum / (double)count, variance = count > 1 ? (squares - sum * mean) / (double)(count - 1) : 0;
  json_array_append_new(c->mean, cli_json_number(mean));
  json_array_append_new(c->spread, cli_json_number(count ? sqrt(fmax(variance, 0)) : NAN));
}

/* The steps at which curves are shown: the first full window, then evenly to the last. */
static json_t *shown_steps(size_t steps, size_t window) {
  json_t *shown = json_array();
  size_t points = steps - window + 1 < POINTS ? steps - window + 1 : POINTS;
  for (size_t p = 0; p < points; p++)
    json_array_append_new(shown, json_integer((json_int_t)(points == 1 ? steps : window + p * (steps - window) / (points - 1))));
  return shown;
}

static json_t *curves(const json_t *race, json_t *shown, size_t window) {
  json_t *all = json_object();
  const json_t *row, *step;
  size_t i, p;
  json_array_foreach(json_object_get(race, "summary"), i, row) {
    const char *method = json_string_value(json_object_get(row, "method"));
    curve c = {json_array(), json_array()};
    json_array_foreach(shown, p, step)
      add_point(&c, json_object_get(race, "runs"), method, (size_t)json_integer_value(step), window);
    json_object_set_new(all, method, json_pack("{s:o, s:o}", "mean", c.mean, "spread", c.spread));
  }
  return all;
}

/* A page stays small: where filters are so large or many that they would not fit, it goes without their pictures. */
static void thin_filters(json_t *race) {
  json_t *looks = json_object_get(race, "looks"), *seen;
  size_t i, characters = 0;
  json_array_foreach(looks, i, seen)
    characters += json_string_length(json_object_get(json_object_get(seen, "filters"), "values"));
  if (characters <= MOST_CHARACTERS) return;
  json_array_foreach(looks, i, seen) json_object_set_new(seen, "filters", json_null());
}

int cli_report_race(const cli_args *args, const char *text) {
  json_t *race = json_loads(text, 0, NULL);
  if (!race) return cli_fail(TARE_E_MEMORY, "out of memory for a report");
  size_t steps = (size_t)args->value[CLI_STEPS].integer, window = (size_t)json_integer_value(json_object_get(race, "window")), i;
  if (window > steps) window = steps;
  json_t *shown = shown_steps(steps, window), *run;
  json_t *data = json_pack("{s:s, s:o, s:o}", "kind", "race", "steps", shown, "curves", curves(race, shown, window));
  json_array_foreach(json_object_get(race, "runs"), i, run) json_object_del(run, "loss");
  thin_filters(race);
  json_object_set_new(data, "race", race);
  return cli_report_write(args, data);
}
