/* SPDX-License-Identifier: Apache-2.0 */
/* What the page of one training shows: its curves, its result, and the model's look. */
#include "train_watch.h"

#include <math.h>

/* The curves as arrays; stretches that this run did not train (it was resumed) are left out. */
static json_t *curves(const cli_curve *curve) {
  json_t *steps = json_array(), *loss = json_array(), *accuracy = json_array(), *lr = json_array();
  for (int i = 0; i < CLI_POINTS; i++) {
    double count = (double)curve->point[i].count;
    if (!(count > 0)) continue;
    json_array_append_new(steps, json_integer((json_int_t)curve->point[i].last));
    json_array_append_new(loss, cli_json_number(curve->point[i].loss / count));
    json_array_append_new(accuracy, cli_json_number(curve->point[i].accuracy / count));
    json_array_append_new(lr, cli_json_number(curve->point[i].lr / count));
  }
  return json_pack("{s:s, s:o, s:o, s:o, s:o}", "kind", "train", "steps", steps, "loss", loss, "accuracy", accuracy, "lr", lr);
}

int cli_report_train(const cli_args *args, const cli_curve *curve, json_t *run, const char *look) {
  json_t *seen = json_loads(look, 0, NULL), *data = curves(curve);
  json_object_update(run, seen);
  json_decref(seen);
  json_object_set_new(data, "run", run);
  return cli_report_write(args, data);
}
