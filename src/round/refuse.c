/* SPDX-License-Identifier: Apache-2.0 */
/* What is said where a format holds no such weights, and what would do instead. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "constraint/constraint.h"
#include "constraint/rational.h"
#include "round/group.h"

/* From the smallest. */
static const tare_number_format by_size[] = {TARE_FORMAT_INT4, TARE_FORMAT_INT8, TARE_FORMAT_BF16, TARE_FORMAT_FP16, TARE_FORMAT_FP32};

/* The next larger format in which this group can be rounded, NULL if none. A refusal in a larger format looks no further itself. */
static const char *smallest_format(tare_job *job, const float *w) {
  const char *name = NULL;
  int at = 0, count = (int)(sizeof by_size / sizeof *by_size);
  while (at < count && by_size[at] != job->format) at++;
  int32_t *out = tare_alloc(job->units * (size_t)job->plan->taps, sizeof *out);
  float scale;
  if (out && ++at < count) {
    tare_job larger = *job;
    larger.format = by_size[at];
    name = tare_number_format_name(by_size[at]);
    if (tare_group_round(&larger, w, out, &scale, NULL)) name = smallest_format(&larger, w);
  }
  tare_free(out);
  return name;
}

static tare_status fail_with_format(tare_job *job, const float *w, tare_status status, const char *what, tare_error *error) {
  if (!error) return status;
  const char *name = smallest_format(job, w);
  if (name) return tare_fail(error, status, "rounding: %s; the smallest format that does is %s", what, name);
  return tare_fail(error, status, "rounding: %s, nor does a larger format", what);
}

tare_status tare_group_fail_zero(tare_job *job, const float *w, tare_error *error) {
  char what[400];
  snprintf(what, sizeof what, "%s holds no filter but 0 that obeys \"%.200s\" near these weights", tare_number_format_name(job->format),
           tare_constraint_text(job->constraint));
  return fail_with_format(job, w, TARE_E_UNSUPPORTED, what, error);
}

tare_status tare_group_fail_room(tare_job *job, const float *w, double largest, tare_error *error) {
  char what[400];
  snprintf(what, sizeof what, "%s holds no weights that obey \"%.200s\" near these (up to %.9g)", tare_number_format_name(job->format),
           tare_constraint_text(job->constraint), largest);
  return fail_with_format(job, w, TARE_E_ARGUMENT, what, error);
}

/* Is the row's right side no multiple of what integers on grid 2^e reach? Then it and the nearest that is one. */
static int is_between(const tare_row *row, int divisor, int e, double *side, double *nearest) {
  fmpz_t common;
  fmpz_init(common);
  for (int i = 0; i < row->count; i++) fmpz_gcd(common, common, &row->a[i]);
  double step = ldexp(tare_rational_double(common, row->den), e) / divisor;
  fmpz_clear(common);
  *side = tare_rational_double(row->b, row->den);
  *nearest = nearbyint(*side / step) * step;
  return *nearest != *side;
}

tare_status tare_group_fail_grid(tare_job *job, const float *w, double largest, int e, tare_error *error) {
  char what[500];
  double side, nearest;
  int length = snprintf(what, sizeof what, "weights up to %.9g need steps of 2^%d in %s, ", largest, e, tare_number_format_name(job->format));
  char *rest = what + length;
  size_t room = sizeof what - (size_t)length;
  snprintf(rest, room, "\"%.200s\" steps of 2^%d or less", tare_constraint_text(job->constraint), job->plan->coarsest);
  for (int i = tare_constraint_rows(job->constraint) - 1; i >= 0; i--)
    if (is_between(tare_constraint_row(job->constraint, i), job->plan->divisor, e, &side, &nearest))
      snprintf(rest, room, "of which the right-hand side %.17g is no multiple; the nearest that is one is %.17g", side, nearest);
  return fail_with_format(job, w, TARE_E_ARGUMENT, what, error);
}
