/* SPDX-License-Identifier: Apache-2.0 */
#include "train_watch.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int cli_watch_open(cli_watch *w) {
  const char *path = w->args->value[CLI_LOG].text;
  if (!path) return cli_board_open(w);
  w->log = strcmp(path, "-") == 0 ? stdout : fopen(path, w->args->value[CLI_RESUME].given ? "a" : "w");
  return w->log ? cli_board_open(w) : cli_fail(TARE_E_IO, "%s: cannot be written: %s", path, strerror(errno));
}

static void log_step(FILE *log, const tare_progress *p) {
  if (!isfinite(p->loss)) { /* JSON has no NaN */
    fprintf(log, "{\"step\": %llu, \"loss\": null, \"penalty\": null, \"accuracy\": null, \"lr\": %.9g, \"seconds\": %.3f}\n",
            (unsigned long long)p->step, p->lr, p->seconds);
    return;
  }
  fprintf(log, "{\"step\": %llu, \"loss\": %.9g, \"penalty\": %.9g, \"accuracy\": %.9g, \"lr\": %.9g, \"seconds\": %.3f}\n",
          (unsigned long long)p->step, p->loss, p->penalty, p->accuracy, p->lr, p->seconds);
}

static void add_to_curve(cli_curve *curve, const tare_progress *p) {
  size_t i = (size_t)((p->step - 1) * CLI_POINTS / p->steps); /* steps are at most 10^9 */
  curve->point[i].loss += p->loss;
  curve->point[i].accuracy += p->accuracy;
  curve->point[i].lr += p->lr;
  curve->point[i].count++;
  curve->point[i].last = p->step;
}

static void end_epoch(cli_watch *w, const tare_progress *p) {
  uint64_t epoch = (p->step + w->per_epoch - 1) / w->per_epoch, epochs = (w->steps + w->per_epoch - 1) / w->per_epoch;
  char time[32];
  cli_duration(time, sizeof time, p->seconds);
  cli_say("epoch %llu of %llu: training loss %.4f, accuracy %.2f %%, %s", (unsigned long long)epoch, (unsigned long long)epochs,
          w->loss / (double)w->summed, w->accuracy / (double)w->summed * 100, time);
  if (p->skipped > w->told) cli_say("%llu steps were skipped so far: their loss or gradient was not finite", (unsigned long long)p->skipped);
  w->told = p->skipped;
  w->loss = w->accuracy = 0;
  w->summed = 0;
}

/* The bar shows means over the epoch so far: single batches are noise. */
static void draw(const cli_watch *w, const tare_progress *p) {
  double done = (double)(p->step - p->first), summed = (double)w->summed;
  double pace = p->seconds > 0 ? done * w->batch / p->seconds : 0, left = done > 0 ? p->seconds / done * (double)(p->steps - p->step) : 0;
  cli_progress_draw((double)p->step / (double)p->steps, left, "loss %.4f, accuracy %.1f %%, %.0f images/s, step %llu of %llu",
                    w->summed ? w->loss / summed : p->loss, (w->summed ? w->accuracy / summed : p->accuracy) * 100, pace,
                    (unsigned long long)p->step, (unsigned long long)p->steps);
}

int cli_watch_step(void *user, const tare_progress *p) {
  cli_watch *w = user;
  if (p->step == p->first + 1 && *tare_net_notes(w->net)) cli_say("%s", tare_net_notes(w->net));
  if (w->log) log_step(w->log, p);
  if (isfinite(p->loss)) { /* else the step was skipped */
    w->loss += p->loss;
    w->accuracy += p->accuracy;
    w->summed++;
    add_to_curve(&w->curve, p);
  }
  if (p->step % w->per_epoch == 0 || p->step == w->steps) end_epoch(w, p);
  draw(w, p);
  if (!w->failed) w->failed = cli_board_step(w, p);
  return w->failed || cli_interrupted();
}

int cli_watch_close(cli_watch *w) {
  int why = w->log && (w->log == stdout ? fflush(w->log) : fclose(w->log)) ? errno : 0;
  w->log = NULL;
  int code = cli_board_close(w);
  if (code) return code;
  return why ? cli_fail(TARE_E_IO, "%s: cannot be written: %s", w->args->value[CLI_LOG].text, strerror(why)) : 0;
}
