/* SPDX-License-Identifier: Apache-2.0 */
/* Units to fp32, without more ado: what a trainer writes. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/group.h"

int tare_round_supported(const tare_constraint *constraint, tare_error *why) {
  if (!constraint) return tare_fail(why, TARE_E_ARGUMENT, "rounding: a constraint is needed; it is NULL") == TARE_OK;
  tare_plan *plan = NULL;
  tare_status status = tare_plan_create(constraint, 0, &plan, why);
  tare_plan_free(plan);
  return status == TARE_OK;
}

static tare_status round_units(tare_job *job, size_t units, const float *w, float *out, tare_error *error) {
  size_t n = (size_t)job->plan->taps;
  int32_t *q = tare_alloc(n, sizeof *q);
  if (!q) return tare_fail_memory(error, n * sizeof *q, "rounded weights");
  tare_status status = TARE_OK;
  for (size_t i = 0; i < units && !status; i++) {
    float scale;
    status = tare_group_round(job, w + i * n, q, &scale, error);
    if (status) tare_fail_prefix(error, status, "unit %zu", i);
    for (size_t k = 0; k < n && !status; k++) out[i * n + k] = (float)q[k] * scale;
  }
  tare_free(q);
  return status;
}

/* Into memory of our own, so that `out` is untouched if a late unit fails. */
static tare_status round_apart(tare_job *job, size_t units, const float *w, float *out, tare_error *error) {
  size_t count = units * (size_t)job->plan->taps;
  float *rounded = tare_alloc(count, sizeof *rounded);
  if (!rounded) return tare_fail_memory(error, count * sizeof *rounded, "rounded weights");
  tare_status status = tare_scratch_create(job->plan, 1, &job->scratch, error);
  if (!status) status = round_units(job, units, w, rounded, error);
  if (!status) memcpy(out, rounded, count * sizeof *out);
  tare_scratch_free(&job->scratch);
  tare_free(rounded);
  return status;
}

tare_status tare_round_fp32(const tare_constraint *constraint, size_t units, const float *w, float *out, tare_error *error) {
  if (!constraint || !w || !out)
    return tare_fail(error, TARE_E_ARGUMENT, "rounding: a constraint, weights and a place for the result are needed; one is NULL");
  if (tare_constraint_rows(constraint) == 0) {
    memmove(out, w, units * (size_t)tare_constraint_taps(constraint) * sizeof *out);
    return TARE_OK;
  }
  tare_plan *plan = NULL;
  tare_status status = tare_plan_create(constraint, 0, &plan, error);
  tare_job job = {.constraint = constraint, .plan = plan, .format = TARE_FORMAT_FP32, .units = 1};
  if (!status) status = round_apart(&job, units, w, out, error);
  tare_plan_free(plan);
  return status;
}
