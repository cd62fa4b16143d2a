/* SPDX-License-Identifier: Apache-2.0 */
/* The table: one row a method, from its race runs. */
#include "train/race.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

static const race_task *runs_of(const race_score *score, size_t entry) { return score->tasks + entry * (size_t)score->seeds; }

static double last_loss(const race_task *task, size_t steps) {
  size_t window = steps < RACE_WINDOW ? steps : RACE_WINDOW;
  double sum = 0;
  for (size_t i = steps - window; i < steps; i++) sum += task->loss[i];
  return sum / (double)window;
}

/* The smoothed mean curve of an entry's runs that did not diverge; all NAN without one. */
static void mean_curve(const race_score *score, size_t entry, double *scratch, double *curve) {
  const race_task *runs = runs_of(score, entry);
  for (size_t i = 0; i < score->steps; i++) {
    double sum = 0;
    int count = 0;
    for (int s = 0; s < score->seeds; s++)
      if (!runs[s].diverged) sum += runs[s].loss[i], count++;
    scratch[i] = count ? sum / count : NAN;
  }
  tare_race_smooth(scratch, score->steps, curve);
}

static void losses(const race_score *score, size_t entry, double *scratch, tare_race_row *row) {
  const race_task *runs = runs_of(score, entry);
  size_t count = 0;
  for (int s = 0; s < score->seeds; s++)
    if (!runs[s].diverged) scratch[count++] = runs[s].mean_loss;
  row->diverged = score->seeds - (int)count;
  tare_race_spread(scratch, count, &row->mean_loss, &row->mean_loss_spread);
  count = 0;
  for (int s = 0; s < score->seeds; s++)
    if (!runs[s].diverged) scratch[count++] = last_loss(&runs[s], score->steps);
  tare_race_spread(scratch, count, &row->final_loss, &row->final_loss_spread);
  row->learns = row->mean_loss <= RACE_LEARNS * score->chance;
}

/* The largest of the seeds' residuals and the mean of what the penalty reached. */
static void residuals(const race_score *score, size_t entry, double *scratch, tare_race_row *row) {
  const race_task *runs = runs_of(score, entry);
  size_t count = 0;
  double ignored;
  row->residual_max = NAN;
  for (int s = 0; s < score->seeds; s++) {
    if (isfinite(runs[s].residual_max)) row->residual_max = fmax(row->residual_max, runs[s].residual_max);
    if (isfinite(runs[s].penalty_residual)) scratch[count++] = runs[s].penalty_residual;
  }
  tare_race_spread(scratch, count, &row->penalty_residual, &ignored);
}

static tare_status accuracy(const race_score *score, size_t entry, tare_race_row *row, tare_error *error) {
  const race_task *runs = runs_of(score, entry);
  size_t images = score->tests->images;
  double *right = tare_alloc(2 * images, sizeof *right), hits = 0, all = 0;
  if (!right) return tare_fail_memory(error, 2 * images * sizeof *right, "a bootstrap");
  double *total = right + images;
  for (int s = 0; s < score->seeds; s++)
    for (size_t p = 0; runs[s].correct && p < score->tests->patches; p++) {
      right[score->tests->image[p]] += runs[s].correct[p];
      total[score->tests->image[p]]++;
      hits += runs[s].correct[p];
      all++;
    }
  row->test_accuracy = row->accuracy_low = row->accuracy_high = NAN;
  tare_status status = TARE_OK;
  if (all > 0) {
    row->test_accuracy = hits / all;
    status = tare_race_bootstrap(right, total, images, 1, &row->accuracy_low, &row->accuracy_high, error);
  }
  tare_free(right);
  return status;
}

static void pairs(const race_score *score, size_t entry, size_t reference, tare_race_row *row) {
  if (reference == score->field->count || entry == reference) return;
  const race_task *mine = runs_of(score, entry), *its = runs_of(score, reference);
  for (int s = 0; s < score->seeds; s++) {
    if (mine[s].diverged && its[s].diverged) continue;
    row->pairs++;
    row->wins += !mine[s].diverged && (its[s].diverged || mine[s].mean_loss < its[s].mean_loss);
  }
}

/* curve: the entry's, reference: the difference layer's, NULL when it does not race. */
static void steps_to(const race_score *score, const double *curve, const double *reference, tare_race_row *row) {
  row->steps_to_reference = -1;
  for (int i = 0; i < RACE_LEVELS; i++) {
    int64_t mine = tare_race_first(curve, score->steps, score->levels[i]);
    int64_t its = reference ? tare_race_first(reference, score->steps, score->levels[i]) : -1;
    row->speedup[i] = mine > 0 && its > 0 ? (double)its / (double)mine : NAN;
    if (i == RACE_LEVELS - 1) row->steps_to_reference = mine;
  }
  row->seconds_to_reference = row->steps_to_reference < 0 ? NAN : (double)row->steps_to_reference * row->step_ms / 1000;
}

static tare_status fill(const race_score *score, size_t entry, size_t reference, const double *its, double *scratch, double *curve,
                        tare_race_row *row, tare_error *error) {
  const race_times *times = &score->times[entry];
  *row = (tare_race_row){.method = score->field->entries[entry].name, .lr = runs_of(score, entry)->lr, .at_edge = score->at_edge[entry],
                         .step_ms = times->step_ms, .step_ms_median = times->step_ms_median, .layer_ms = times->layer_ms};
  losses(score, entry, scratch, row);
  residuals(score, entry, scratch, row);
  pairs(score, entry, reference, row);
  mean_curve(score, entry, scratch, curve);
  steps_to(score, curve, its, row);
  return accuracy(score, entry, row, error);
}

/* Rows with diverged runs last: their means are of the runs that survived. */
static int by_loss(const void *a, const void *b) {
  const tare_race_row *x = a, *y = b;
  if (!x->diverged != !y->diverged) return x->diverged ? 1 : -1;
  if (isnan(x->mean_loss) || isnan(y->mean_loss)) return isnan(x->mean_loss) - isnan(y->mean_loss);
  if (x->mean_loss != y->mean_loss) return x->mean_loss < y->mean_loss ? -1 : 1;
  return strcmp(x->method, y->method);
}

tare_status tare_race_score(race_score *score, tare_race_row *rows, tare_error *error) {
  size_t entries = score->field->count, reference = 0, longest = score->steps + (size_t)score->seeds;
  double *scratch = tare_alloc(3 * longest, sizeof *scratch);
  if (!scratch) return tare_fail_memory(error, 3 * longest * sizeof *scratch, "the curves of a race");
  double *curve = scratch + longest, *its = curve + longest;
  while (reference < entries && strcmp(score->field->entries[reference].name, RACE_REFERENCE)) reference++;
  if (reference < entries) mean_curve(score, reference, scratch, its);
  tare_race_levels(score->chance, reference < entries ? its[score->steps - 1] : NAN, score->levels);
  tare_status status = TARE_OK;
  for (size_t e = 0; e < entries && !status; e++)
    status = fill(score, e, reference, reference < entries ? its : NULL, scratch, curve, &rows[e], error);
  if (!status) qsort(rows, entries, sizeof *rows, by_loss);
  tare_free(scratch);
  return status;
}
