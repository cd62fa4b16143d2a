/* SPDX-License-Identifier: Apache-2.0 */
/* JSON files of rows, for filters of 2 x 2 taps and two channels: scope slice and scope filter. */
#include <stdio.h>
#include <tare/constraint.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const tare_filter_shape shape = {.dims = 2, .size = {2, 2}, .channels = 2};
  const char *path = fuzz_file(0, data, size);
  for (int filter = 0; filter < 2; filter++) {
    char text[80];
    tare_constraint *rule = NULL;
    tare_error error = {0};
    snprintf(text, sizeof text, "rows=%s%s", path, filter ? "@filter" : "");
    tare_status status = tare_constraint_create(text, &shape, 1, &rule, &error);
    must((status == TARE_OK) == (rule != NULL));
    must(rule ? tare_constraint_rows(rule) <= tare_constraint_taps(rule) : error.message[0] != 0);
    tare_constraint_free(rule);
  }
  return 0;
}
