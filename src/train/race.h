/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the race share. The meaning of every number: doc/race.md. */
#ifndef TARE_TRAIN_RACE_H
#define TARE_TRAIN_RACE_H

#include <pthread.h>
#include <stdint.h>

#include <tare/race.h>
#include "train/look.h"
#include "train/train.h"

enum { RACE_WINDOW = 25, RACE_LEVELS = 5 };
#define RACE_REFERENCE "difference"
#define RACE_LEARNS 0.98 /* a mean loss above this share of chance: does not learn */

/* race_methods.c: who races */
typedef struct race_entry {
  char *name;       /* as the table shows it: "penalty(0.1)", "spectral:order=1" */
  char *head;       /* "conv 8x7 {sum=0} spectral" */
  char *line;       /* the whole network */
  char *rule;       /* what its filters are measured against; "" for a head without a rule */
  int penalty;      /* 1: reports the mean residual it reached */
  double seconds;   /* of one step, as estimated before the race */
} race_entry;

typedef struct race_field { race_entry *entries; size_t count; } race_field;

/* What the network lines are made from. */
typedef struct race_shape { int kernel, filters, batch_norm, classes; const char *constraint, *tail; } race_shape;

/* Parses a list of methods; on failure *field is untouched. */
tare_status tare_race_field(const char *list, const race_shape *shape, race_field *field, tare_error *error);
void tare_race_field_free(race_field *field);

/* One training run: what is asked for, then what came of it. */
typedef struct race_task {
  size_t entry;
  double lr;
  uint64_t seed;
  int tuning;        /* 1: only the losses count */
  int diverged;
  float *loss;       /* one a step; NULL when diverged */
  double mean_loss;  /* NAN when diverged */
  uint8_t *correct;  /* one a test patch; NULL when tuning or diverged */
  double residual_max, penalty_residual; /* NAN where they do not apply */
  look_seen *look;   /* for a report; else NULL */
} race_task;

void tare_race_tasks_free(race_task *tasks, size_t count);
/* Fills the results of every task; a diverged run is a result, not a failure. */
typedef tare_status (*race_runner)(void *user, race_task *tasks, size_t count, tare_error *error);

/* race_tune.c: the grid of learning rates */
typedef struct race_rates { int low, high; } race_rates; /* indices of the ends */
double tare_race_rate(int index);                        /* ..., -1: 0.3, 0: 1, 1: 3, 2: 10, ... */
race_rates tare_race_grid(const char *optimizer);        /* where the search begins */

typedef struct race_tuning {
  race_rates rates;
  race_task *tasks;
  size_t count;
  double *best;   /* of each entry */
  int *at_edge;
} race_tuning;

typedef struct race_tune_job { size_t entries; race_rates rates; const uint64_t *seeds; int seed_count; double chance; } race_tune_job;
tare_status tare_race_tune(const race_tune_job *job, race_runner run, void *user, race_tuning *out, tare_error *error);
void tare_race_tuning_free(race_tuning *tuning);

/* race_stats.c: numbers from losses; nothing here knows about networks */
/* The mean over a trailing window; values before the first full window are NAN. */
void tare_race_smooth(const double *values, size_t count, double *curve);
/* The first step (counted from 1) whose value is at or under `level`; -1: never. */
int64_t tare_race_first(const double *curve, size_t count, double level);
/* Mean and standard deviation (n - 1) of `count` values; NAN and NAN of none, a deviation of 0 of one. */
void tare_race_spread(const double *values, size_t count, double *mean, double *deviation);
/* 95 % interval of sum right / sum total when whole images are drawn again. */
tare_status tare_race_bootstrap(const double *right, const double *total, size_t images, uint64_t seed, double *low, double *high,
                                tare_error *error);
/* Loss levels on the way from chance to the reference's last value, the last is that value. */
void tare_race_levels(double chance, double reference, double levels[RACE_LEVELS]);

/* race_rows.c: the table */
typedef struct race_tests { size_t patches, images; int32_t *image; } race_tests; /* image: of each patch, 0 .. images-1 */
typedef struct race_times { double step_ms, step_ms_median, layer_ms; } race_times;

typedef struct race_score {
  const race_field *field;
  const race_task *tasks; /* seeds in a row for each entry */
  int seeds;
  size_t steps;
  double chance;
  const race_tests *tests;
  const race_times *times;
  const int *at_edge;
  double levels[RACE_LEVELS]; /* filled: NAN without a reference */
} race_score;
/* rows: one an entry, sorted. */
tare_status tare_race_score(race_score *score, tare_race_row *rows, tare_error *error);

/* race.c: everything one race needs while it runs */
typedef struct race_context {
  const tare_source *source;
  tare_source_info info;
  const tare_race_options *options;
  race_field field;
  race_tests tests;
  const char *rule;       /* canonical */
  look_examples examples; /* for a report */
  struct race_crew *crew;
} race_context;

/* race_feed.c: batches, as tare_batch_fn on a race_feed */
typedef struct race_feed {
  const race_context *race;
  uint64_t seed;
  float *images;
  int32_t *labels;
} race_feed;
/* free it after failure too */
tare_status tare_race_feed_create(const race_context *race, uint64_t seed, race_feed *feed, tare_error *error);
void tare_race_feed_free(race_feed *feed);
tare_status tare_race_train_batch(void *feed, uint64_t index, tare_batch *batch, tare_error *error);
tare_status tare_race_test_batch(void *feed, uint64_t index, tare_batch *batch, tare_error *error);
uint64_t tare_race_test_batches(const race_context *race);
tare_status tare_race_find_tests(race_context *race, tare_error *error); /* fills race->tests */

/* race_run.c: one run. `advance` is told after each step, and ends the run with TARE_E_STOPPED when it returns not 0. */
tare_status tare_race_task_run(const race_context *race, race_task *task, int (*advance)(void *user), void *user, tare_error *error);
tare_status tare_race_net(const race_context *race, const char *line, uint64_t seed, tare_net **out, tare_error *error);
tare_status tare_race_trainer(const race_context *race, tare_net *net, double lr, tare_batch_fn batches, void *user, tare_trainer **out,
                              tare_error *error);

/* race_crew.c: many runs at once, longest first */
typedef struct race_crew race_crew;
tare_status tare_race_crew_create(const race_context *race, race_crew **out, tare_error *error);
void tare_race_crew_free(race_crew *crew);
void tare_race_crew_plan(race_crew *crew, size_t runs_each); /* this many more runs of each entry are to come */
tare_status tare_race_crew_run(void *race, race_task *tasks, size_t count, tare_error *error); /* a race_runner */
/* Between runs: says what is done; not 0: the caller wants to stop. */
int tare_race_crew_say(race_crew *crew, const char *doing);

/* race_time.c */
/* A few steps of every entry: fills entry->seconds, and fails where a network cannot be made or trained. */
tare_status tare_race_estimate(race_context *race, tare_error *error);
/* times: one an entry. */
tare_status tare_race_time(const race_context *race, race_times *times, tare_error *error);

/* race_sizes.c: the first layer at other filter sizes, for a report */
enum { RACE_SIZES = 5 };
typedef struct race_sizes { int kernel[RACE_SIZES], count; double *layer_ms; } race_sizes; /* entries x count; NAN: no such filter */
tare_status tare_race_time_sizes(const race_context *race, race_sizes *sizes, tare_error *error); /* free layer_ms after failure too */
/* race_time.c: each entry's head alone, forward and backward weights. */
tare_status tare_race_time_layers(const race_context *race, const race_field *field, double seconds, double *layer_ms, tare_error *error);

/* race_json.c takes the result apart. */
struct tare_race_result {
  char *data, *constraint, *optimizer, *schedule; /* constraint: canonical */
  tare_race_options options;                      /* its numbers; no pointers */
  double chance;
  size_t classes, train_images;
  race_field field;
  race_tests tests;
  look_examples examples;
  race_sizes sizes;
  race_tuning tuning;
  uint64_t *tuning_seeds;
  race_task *tasks;
  size_t task_count;
  tare_race_run *runs;
  tare_race_row *rows;
  double levels[RACE_LEVELS];
};

#endif
