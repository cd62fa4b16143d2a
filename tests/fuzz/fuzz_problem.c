/* SPDX-License-Identifier: Apache-2.0 */
/* Problem strings: what is accepted is sound, and its canonical text gives it back. */
#include <stdlib.h>
#include <string.h>
#include <tare/conv.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = fuzz_text(data, size), canonical[400], again[400];
  tare_conv_problem problem, same;
  tare_error error = {0};
  if (tare_conv_problem_parse(text, &problem, &error) == TARE_OK) {
    must(tare_conv_problem_check(&problem, NULL) == TARE_OK);
    for (int axis = 0; axis < 2; axis++) must(tare_conv_output_size(&problem, axis) >= 1);
    must(tare_conv_problem_text(&problem, canonical, sizeof canonical) < sizeof canonical);
    must(tare_conv_problem_parse(canonical, &same, NULL) == TARE_OK);
    tare_conv_problem_text(&same, again, sizeof again);
    must(strcmp(canonical, again) == 0);
  } else must(error.message[0]);
  free(text);
  return 0;
}
