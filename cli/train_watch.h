/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a training while it runs: the bar, --log, the curves of --report, --tensorboard. */
#ifndef TARE_CLI_TRAIN_WATCH_H
#define TARE_CLI_TRAIN_WATCH_H

#include <jansson.h>
#include <tare/train.h>

#include "cli.h"

enum { CLI_POINTS = 300 }; /* points of a curve in a report */

/* Means over stretches of steps, as many as a report has points. */
typedef struct cli_curve { struct { double loss, accuracy, lr; uint64_t count, last; } point[CLI_POINTS]; } cli_curve;

/* train_events.c: --tensorboard. */
typedef struct cli_board {
  struct tare_events *events; /* NULL: nobody asked */
  uint64_t every, scenes;     /* steps between points of the curves, and between histograms and pictures */
  double loss, accuracy, penalty, seconds; /* summed since the last point; when that was */
  uint64_t count;
} cli_board;

typedef struct cli_watch {
  const cli_args *args;
  tare_net *net;
  uint64_t steps, per_epoch;
  int batch;
  FILE *log;
  double loss, accuracy;  /* summed over this epoch's steps */
  uint64_t summed, told;  /* told: skipped steps that were reported */
  cli_curve curve;
  cli_board board;
  int failed;             /* the exit code of what could not be written; the training was stopped for it */
} cli_watch;

/* `watch` has args, net, steps, per_epoch and batch. Opens what the options name. 0 or the exit code; close it after failure too. */
int cli_watch_open(cli_watch *watch);
int cli_watch_step(void *watch, const tare_progress *progress); /* as tare_train's progress */
int cli_watch_close(cli_watch *watch);

int cli_board_open(cli_watch *watch);
int cli_board_step(cli_watch *watch, const tare_progress *progress);
int cli_board_test(cli_watch *watch, const cli_score *score); /* the result, when all is done */
int cli_board_close(cli_watch *watch);

/* report_train.c: the page of a training. `run` is its JSON, `look` what tare_look_json gave; takes the reference of `run`. */
int cli_report_train(const cli_args *args, const cli_curve *curve, json_t *run, const char *look);

#endif
