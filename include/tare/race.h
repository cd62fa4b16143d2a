/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The race: the same network, data, batches and seeds for every method, each
 * at its best learning rate out of one grid for all. What the numbers mean
 * exactly: doc/race.md.
 */
#ifndef TARE_RACE_H
#define TARE_RACE_H

#include <tare/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A method of the race: what stands for "conv 8xK" at the head of the network.
 * In `head` $o is the number of filters, $k, $j and $i are K, K-1 and K-2, $r
 * the rule in braces, $m the method as it was named ("spectral(0.5)").
 */
typedef struct tare_race_method {
  const char *name;      /* "spectral" */
  const char *summary;   /* one line for help and the report */
  int rival;             /* 1: others' ideas, beyond the ways to hold the rule */
  int in_default;        /* 1: raced when no list is given */
  const char *head;      /* "conv $ox$k $r $m" */
  int parameter;         /* 1: may be followed by a number, as penalty(0.1) and spectral(0.5) */
  int smallest;          /* K */
  int largest;           /* K; 0: any */
  int odd;               /* 1: needs an odd K */
} tare_race_method;
/* All methods, in table order; *count gets how many. */
TARE_API const tare_race_method *tare_race_methods(size_t *count);

/* Where a race stands. */
typedef struct tare_race_progress {
  size_t runs_done, runs;    /* runs may grow when the grid of learning rates does */
  uint64_t steps_done, steps; /* of all runs together */
  double seconds, seconds_left; /* so far, and about how many more */
  const char *doing;         /* "tuning spectral, lr 0.01", "timing difference" */
} tare_race_progress;

/* A race; tare_race_defaults fills it. */
typedef struct tare_race_options {
  int kernel;                /* K, 7 */
  const char *constraint;    /* "sum=0" */
  /*
   * What races: names joined by commas; "default", "rivals" and "all" stand
   * for many (NULL: default). penalty races four strengths, penalty(S) one. A
   * method may bring a rule of its own: "spectral,spectral:order=1".
   */
  const char *methods;
  uint64_t steps;            /* 400 */
  int seeds;                 /* 2 */
  int tuning_seeds;          /* 1 */
  int batch;                 /* 32 */
  uint64_t seed;             /* the first race seed; tuning seeds are others */
  const char *optimizer;     /* "adam" */
  const char *schedule;      /* NULL: constant */
  double lr;                 /* 0: tune; else this one for all */
  tare_init init;            /* how all methods start */
  int batch_norm;            /* 1 */
  int threads;               /* runs at once, one thread each; 1 to 256 */
  int filters;               /* 8 */
  const char *tail;          /* the network after the first convolution (and its bn; relu); NULL: the race's own */
  double timing_seconds;     /* for the interleaved timing at the end, about; 10 */
  int report;                /* 1: the JSON also has what a report shows (doc/report.md): filters, examples, times of other filter sizes */
  int (*progress)(void *user, const tare_race_progress *progress); /* from any thread, one at a time; not 0 stops with TARE_E_STOPPED */
  void *user;                /* handed to progress */
} tare_race_options;
/* The values that the comments above name; 0 and NULL for the others. */
TARE_API void tare_race_defaults(tare_race_options *options);

/* One run: one method with one seed. */
typedef struct tare_race_run {
  const char *method;        /* as it was named: "spectral:order=1" */
  double lr;                 /* its learning rate */
  uint64_t seed;             /* of its start and its batches */
  int diverged;              /* 1: a loss was not a finite number */
  const float *loss;         /* `steps` values, penalties not counted; NULL when diverged */
  double test_accuracy;      /* 0..1; NAN when diverged */
  double residual_max;       /* of the weights as they would be written; NAN when diverged or without a rule */
} tare_race_run;

/* One row of the table: a method over all seeds. */
typedef struct tare_race_row {
  const char *method;        /* as it was named: "spectral:order=1" */
  double lr;                 /* its learning rate */
  int at_edge;               /* 1: the best rate lies at an end of the grid, which was not grown further (doc/race.md) */
  int learns;                /* 0: within 2 % of chance, or above it */
  int diverged;              /* runs that diverged; they are left out of the means */
  double mean_loss, mean_loss_spread;   /* over the whole curve, averaged over seeds; standard deviation over seeds */
  double final_loss, final_loss_spread; /* of the last 25 steps */
  double test_accuracy, accuracy_low, accuracy_high; /* 95 % bootstrapped by image */
  int64_t steps_to_reference;           /* -1: never, or no reference in the race */
  double seconds_to_reference;          /* steps x step time; NAN: never */
  double speedup[5];                    /* steps of difference over steps of this one at five loss levels; NAN where one never gets there */
  double step_ms, step_ms_median;       /* minimum and median of the interleaved timing */
  double layer_ms;                      /* the first layer alone, forward and backward weights; minimum */
  double residual_max;                  /* the largest of all runs */
  double penalty_residual;              /* penalty: mean |A w - b| at the end; else NAN */
  int wins, pairs;                      /* against difference: seeds in which the mean loss is lower */
} tare_race_row;

typedef struct tare_race_result tare_race_result; /* all runs and the table */
/*
 * Everything that can be wrong with the options is said before the first run.
 * The source must outlive the call, not the result. The result is the same for
 * any number of threads, but for its times.
 */
TARE_API tare_status tare_race(const tare_source *source, const tare_race_options *options, tare_race_result **out, tare_error *error);
TARE_API void tare_race_free(tare_race_result *result);
TARE_API size_t tare_race_runs(const tare_race_result *result, const tare_race_run **runs);  /* race runs, not the tuning ones */
/* sorted by mean loss, rows with diverged runs last */
TARE_API size_t tare_race_rows(const tare_race_result *result, const tare_race_row **rows);
TARE_API uint64_t tare_race_steps(const tare_race_result *result);
TARE_API double tare_race_chance(const tare_race_result *result); /* loss of a guess: ln(classes) */
TARE_API size_t tare_race_test_images(const tare_race_result *result);
/* The whole result as JSON text (doc/race.md has the format); free() it. */
TARE_API tare_status tare_race_json(const tare_race_result *result, char **text, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
