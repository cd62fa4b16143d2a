/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of rules, on filters of one to three axes with up to two channels (the first byte). Files of rows: fuzz_rows.c. */
#include <stdlib.h>
#include <string.h>
#include <tare/constraint.h>

#include "fuzz.h"

static void check_rule(const tare_constraint *rule, const tare_filter_shape *shape) {
  tare_constraint *again = NULL;
  must(tare_constraint_create(tare_constraint_text(rule), shape, 1, &again, NULL) == TARE_OK);
  must(tare_constraint_rows(again) == tare_constraint_rows(rule));
  must(strcmp(tare_constraint_text(again), tare_constraint_text(rule)) == 0);
  must(tare_constraint_notes(rule) != NULL);
  tare_constraint_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > 200) return 0;
  const tare_filter_shape shape = {.dims = 1 + data[0] % 3, .size = {3 + data[0] / 3 % 3, 3, 2}, .channels = 1 + data[0] / 9 % 2};
  char *text = fuzz_text(data + 1, size - 1);
  tare_constraint *rule = NULL;
  tare_error error = {0};
  if (!strstr(text, "rows")) {
    tare_status status = tare_constraint_create(text, &shape, data[0] / 18 % 2, &rule, &error);
    must((status == TARE_OK) == (rule != NULL));
    if (rule) check_rule(rule, &shape);
    else must(error.message[0]);
  }
  tare_constraint_free(rule);
  free(text);
  return 0;
}
