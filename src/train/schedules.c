/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: what the learning rate is multiplied by, as a function of the step alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "train/tables.h"

static double constant(const tare_schedule *schedule, uint64_t step, uint64_t steps) {
  (void)schedule, (void)step, (void)steps;
  return 1;
}

/* (1 + cos(pi step / steps)) / 2: Loshchilov & Hutter 2017, eq. 5, one cycle down to 0. */
static double cosine(const tare_schedule *schedule, uint64_t step, uint64_t steps) {
  (void)schedule;
  if (step >= steps) return 0;
  return (1 + cos(M_PI * (double)step / (double)steps)) / 2;
}

/* F^floor(step / N). */
static double stairs(const tare_schedule *schedule, uint64_t step, uint64_t steps) {
  (void)steps;
  return pow(schedule->times, (double)(step / schedule->every));
}

static const struct { const char *name; double (*factor)(const tare_schedule *, uint64_t, uint64_t); int takes_two; } schedules[] = {
  {"constant", constant, 0},
  {"cosine", cosine, 0},
  {"step", stairs, 1},
};

/* `arguments` is "N,F)"; 0 on success. */
static int parse_two(char *arguments, tare_schedule *out) {
  char *comma = strchr(arguments, ','), *end = strchr(arguments, ')');
  int64_t every;
  if (!comma || !end || end < comma || end[1]) return -1;
  *comma = *end = 0;
  if (tare_parse_int(arguments, 1, INT64_MAX, &every) || tare_parse_double(comma + 1, 0, 1, &out->times) || out->times == 0) return -1;
  out->every = (uint64_t)every;
  return 0;
}

static int parse(char *text, tare_schedule *out) {
  char *open = strchr(text, '(');
  if (open) *open = 0;
  for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
    if (strcmp(schedules[i].name, text) || schedules[i].takes_two != (open != NULL)) continue;
    out->factor = schedules[i].factor;
    snprintf(out->text, sizeof out->text, "%s", schedules[i].name);
    if (!open) return 0;
    if (parse_two(open + 1, out)) return -1;
    snprintf(out->text, sizeof out->text, "%s(%llu,%.17g)", schedules[i].name, (unsigned long long)out->every, out->times);
    return 0;
  }
  return -1;
}

tare_status tare_schedule_parse(const char *text, tare_schedule *out, tare_error *error) {
  char packed[96];
  size_t length = 0;
  tare_schedule schedule = {0};
  if (!text) text = "constant";
  for (const char *c = text; *c && length + 1 < sizeof packed; c++)
    if (*c != ' ') packed[length++] = *c;
  packed[length] = 0;
  if (parse(packed, &schedule))
    return tare_fail(error, TARE_E_SYNTAX,
                     "schedule '%.80s': expected constant, cosine or step(N,F): times F, above 0 and at most 1, every N steps", text);
  *out = schedule;
  return TARE_OK;
}

double tare_schedule_factor(const tare_schedule *schedule, uint64_t step, uint64_t steps) {
  return schedule->factor(schedule, step, steps);
}
