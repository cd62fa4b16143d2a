/* SPDX-License-Identifier: Apache-2.0 */
/* The values that go to a file: rounded where that makes a rule hold exactly, and measured again. */
#include <math.h>
#include <tare/round.h>

#include "base/error.h"
#include "train/train.h"
#include "train/written.h"

size_t tare_written_values(const tare_net_tensor *info) {
  size_t values = 1;
  for (int d = 0; d < info->dims; d++) values *= (size_t)info->shape[d];
  return values;
}

tare_status tare_written_exact(const tare_constraint *rule, const float *values, size_t count, int *exact, tare_error *error) {
  tare_residual residual = {0};
  *exact = 1;
  if (!rule || tare_constraint_rows(rule) == 0) return TARE_OK;
  tare_status status = tare_constraint_residual(rule, values, count / (size_t)tare_constraint_taps(rule), &residual, error);
  *exact = status == TARE_OK && residual.max_abs == 0;
  return status;
}

static tare_status check_finite(const tare_net_tensor *info, const float *values, size_t count, tare_error *error) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i]))
      return tare_fail(error, TARE_E_DIVERGED, "%s: value %zu is not a finite number: the training diverged", info->name, i);
  return TARE_OK;
}

/* A rule that its method only asks for (penalty) or leaves alone (none) is not forced on what was trained. */
static tare_status find_whether(const tare_net_tensor *info, int *round, tare_error *error) {
  const tare_constraint *rule = info->constraint;
  tare_error why = {0};
  *round = rule && info->rule_trained && tare_constraint_rows(rule) > 0 && tare_round_supported(rule, &why);
  return why.status == TARE_E_MEMORY ? tare_fail(error, TARE_E_MEMORY, "%s: %s", info->name, why.message) : TARE_OK;
}

/* Weights so large that no grid of theirs holds b (1/2 beside 1e10) stay as they are. */
static tare_status round_weights(const tare_net_tensor *info, float *values, size_t count, int *rounded, tare_error *error) {
  tare_status status = tare_round_fp32(info->constraint, count / (size_t)tare_constraint_taps(info->constraint), values, values, error);
  *rounded = status == TARE_OK;
  return status == TARE_E_ARGUMENT || status == TARE_E_UNSUPPORTED ? TARE_OK : status;
}

tare_status tare_train_written_tensor(tare_net *net, size_t index, float *values, int *exact, tare_error *error) {
  tare_net_tensor info;
  int holds;
  tare_status status = tare_net_tensor_info(net, index, &info, error);
  if (!status) status = tare_net_tensor_get(net, index, values, error);
  if (status) return status;
  size_t count = tare_written_values(&info);
  int rounded = 0, round = 0;
  status = check_finite(&info, values, count, error);
  if (!status) status = find_whether(&info, &round, error);
  if (!status && round) status = round_weights(&info, values, count, &rounded, error);
  if (!status) status = tare_written_exact(info.constraint, values, count, &holds, error);
  if (!status && rounded && !holds)
    status = tare_fail(error, TARE_E_LIBRARY, "%s: rounding did not make '%s' hold exactly", info.name,
                       tare_constraint_text(info.constraint));
  if (!status && exact) *exact = holds;
  return status;
}
