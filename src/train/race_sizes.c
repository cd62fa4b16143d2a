/* SPDX-License-Identifier: Apache-2.0 */
/* How the first layer's time grows with the filter: each method's head at a few sizes, timed as race_time.c times the race's own. */
#include "train/race.h"

#include <math.h>

#include "base/alloc.h"
#include "base/error.h"

static const int usual[] = {3, 7, 11, 15};
enum { USUAL = sizeof usual / sizeof *usual };

/* The usual sizes that fit the patches, and the race's own among them. */
static void choose(const race_context *race, race_sizes *sizes) {
  int own = race->options->kernel, largest = race->info.height < race->info.width ? race->info.height : race->info.width, placed = 0;
  for (int i = 0; i < USUAL; i++) {
    if (!placed && own <= usual[i]) sizes->kernel[sizes->count++] = own, placed = 1;
    if (usual[i] != own && usual[i] <= largest) sizes->kernel[sizes->count++] = usual[i];
  }
  if (!placed) sizes->kernel[sizes->count++] = own;
}

/* The entries that exist at this size (a rule may not fit it, nor a method): their heads in `field`, which they are in `which`. */
static tare_status field_at(const race_context *race, int kernel, race_field *field, size_t *which, tare_error *error) {
  const tare_race_options *o = race->options;
  race_shape shape = {kernel, o->filters, o->batch_norm, race->info.classes, race->rule, o->tail};
  *field = (race_field){.entries = tare_alloc(race->field.count, sizeof *field->entries)};
  if (!field->entries) return tare_fail_memory(error, race->field.count * sizeof *field->entries, "the methods of a race");
  for (size_t e = 0; e < race->field.count; e++) {
    race_field one;
    tare_net *net;
    if (tare_race_field(race->field.entries[e].name, &shape, &one, NULL)) continue;
    if (one.count != 1 || tare_race_net(race, one.entries[0].head, o->seed, &net, NULL)) {
      tare_race_field_free(&one);
      continue;
    }
    tare_net_free(net);
    which[field->count] = e;
    field->entries[field->count++] = one.entries[0];
    tare_free(one.entries);
  }
  return TARE_OK;
}

static tare_status time_size(const race_context *race, race_sizes *sizes, int s, size_t *which, double *ms, tare_error *error) {
  race_field field;
  for (size_t e = 0; e < race->field.count; e++) sizes->layer_ms[e * (size_t)sizes->count + (size_t)s] = NAN;
  tare_status status = field_at(race, sizes->kernel[s], &field, which, error);
  if (!status) status = tare_race_time_layers(race, &field, 0.3 * race->options->timing_seconds / sizes->count, ms, error);
  for (size_t i = 0; i < field.count && !status; i++) sizes->layer_ms[which[i] * (size_t)sizes->count + (size_t)s] = ms[i];
  tare_race_field_free(&field);
  return status;
}

tare_status tare_race_time_sizes(const race_context *race, race_sizes *sizes, tare_error *error) {
  size_t entries = race->field.count;
  *sizes = (race_sizes){0};
  choose(race, sizes);
  sizes->layer_ms = tare_alloc(entries * (size_t)sizes->count, sizeof *sizes->layer_ms);
  size_t *which = tare_alloc(entries, sizeof *which);
  double *ms = tare_alloc(entries, sizeof *ms);
  tare_status status = TARE_OK;
  if (!sizes->layer_ms || !which || !ms) status = tare_fail_memory(error, entries * sizeof *sizes->layer_ms, "the times of a race");
  for (int s = 0; s < sizes->count && !status; s++) status = time_size(race, sizes, s, which, ms, error);
  tare_free(which);
  tare_free(ms);
  return status;
}
