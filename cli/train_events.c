/* SPDX-License-Identifier: Apache-2.0 */
/* --tensorboard: curves at every few steps; filters and histograms at the end of every epoch, or at fewer moments of a long training. */
#include "train_watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/events.h>

enum { POINTS = 2000, SCENES = 100 }; /* of one training, about */

int cli_board_open(cli_watch *w) {
  const char *folder = w->args->value[CLI_TENSORBOARD].text;
  tare_error error;
  if (!folder) return 0;
  w->board.every = 1 + (w->steps - 1) / POINTS;
  w->board.scenes = w->per_epoch > w->steps / SCENES ? w->per_epoch : w->steps / SCENES;
  return tare_events_create(folder, &w->board.events, &error) ? cli_report(&error) : 0;
}

/* The means since the last point. */
static tare_status put_curves(cli_watch *w, const tare_progress *p, tare_error *error) {
  cli_board *b = &w->board;
  double count = (double)b->count, seconds = p->seconds - b->seconds;
  const struct { const char *tag; double value; int wanted; } points[] = {
    {"train/loss", b->loss / count, 1},
    {"train/accuracy", b->accuracy / count, 1},
    {"train/penalty", b->penalty / count, b->penalty > 0},
    {"train/learning_rate", p->lr, 1},
    {"train/images_per_second", count * w->batch / seconds, seconds > 0},
  };
  tare_status status = TARE_OK;
  for (size_t i = 0; i < sizeof points / sizeof *points && !status; i++)
    if (points[i].wanted) status = tare_events_scalar(b->events, points[i].tag, p->step, points[i].value, error);
  b->loss = b->accuracy = b->penalty = 0;
  b->count = 0;
  b->seconds = p->seconds;
  return status;
}

static size_t value_count(const tare_net_tensor *info) {
  size_t count = 1;
  for (int d = 0; d < info->dims; d++) count *= (size_t)info->shape[d];
  return count;
}

static tare_status no_memory(const char *what, tare_error *error) {
  error->status = TARE_E_MEMORY;
  snprintf(error->message, sizeof error->message, "out of memory for %s", what);
  return TARE_E_MEMORY;
}

/* Small filters large enough to be seen. */
static tare_status put_filters(cli_watch *w, const tare_net_tensor *info, const float *values, uint64_t step, tare_error *error) {
  int rows = (int)info->shape[2], columns = (int)info->shape[3], most = rows > columns ? rows : columns;
  char tag[96];
  cli_sheet sheet;
  snprintf(tag, sizeof tag, "filters/%s", info->name);
  if (cli_sheet_draw(values, (int)(info->shape[0] * info->shape[1]), rows, columns, 1 + 48 / most, &sheet))
    return no_memory("a picture of the filters", error);
  tare_status status = tare_events_image(w->board.events, tag, step, sheet.pixels, sheet.width, sheet.height, 1, error);
  free(sheet.pixels);
  return status;
}

/* Weights as composed, the coefficients that are trained, and the first convolution's filters. */
static tare_status put_tensor(cli_watch *w, size_t index, uint64_t step, tare_error *error) {
  tare_net_tensor info;
  char tag[96];
  tare_status status = tare_net_tensor_info(w->net, index, &info, error);
  if (status) return status;
  size_t count = value_count(&info);
  float *values = calloc(count, sizeof *values);
  if (!values) return no_memory(info.name, error);
  status = tare_net_tensor_get(w->net, index, values, error);
  snprintf(tag, sizeof tag, "weights/%s", info.name);
  if (!status) status = tare_events_histogram(w->board.events, tag, step, values, count, error);
  if (!status && strcmp(info.name, "conv1.weight") == 0) status = put_filters(w, &info, values, step, error);
  free(values);
  const float *coefficients = tare_net_parameters(w->net);
  snprintf(tag, sizeof tag, "coefficients/%s", info.name);
  if (!status && info.parameters && info.constraint)
    status = tare_events_histogram(w->board.events, tag, step, coefficients + info.parameter, info.parameters, error);
  return status;
}

static tare_status put_scene(cli_watch *w, uint64_t step, tare_error *error) {
  tare_status status = TARE_OK;
  for (size_t i = 0; i < tare_net_tensor_count(w->net) && !status; i++) status = put_tensor(w, i, step, error);
  return status ? status : tare_events_flush(w->board.events, error);
}

int cli_board_step(cli_watch *w, const tare_progress *p) {
  cli_board *b = &w->board;
  tare_error error;
  if (!b->events) return 0;
  b->loss += p->loss;
  b->accuracy += p->accuracy;
  b->penalty += p->penalty;
  b->count++;
  int last = p->step == w->steps;
  tare_status status = TARE_OK;
  if (p->step % b->every == 0 || last) status = put_curves(w, p, &error);
  if (!status && (p->step == 1 || p->step % b->scenes == 0 || last)) status = put_scene(w, p->step, &error);
  return status ? cli_report(&error) : 0;
}

int cli_board_test(cli_watch *w, const cli_score *score) {
  tare_events *events = w->board.events;
  tare_error error;
  if (!events) return 0;
  tare_status status = tare_events_scalar(events, "test/accuracy", w->steps, score->accuracy, &error);
  if (!status) status = tare_events_scalar(events, "test/loss", w->steps, score->loss, &error);
  return status ? cli_report(&error) : 0;
}

int cli_board_close(cli_watch *w) {
  tare_error error;
  tare_status status = tare_events_close(w->board.events, &error);
  w->board.events = NULL;
  return status ? cli_report(&error) : 0;
}
