/* SPDX-License-Identifier: Apache-2.0 */
/* Wisdom: the input as a file; as the lines of a file whose frame is sound; as the choice that a plan finds for its key. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/conv.h>

#include "conv/wisdom.h"
#include "fuzz.h"

static void load(const void *data, size_t size) {
  tare_wisdom *wisdom;
  tare_error warning;
  must(tare_wisdom_create(&wisdom, NULL) == TARE_OK);
  must(tare_wisdom_load(wisdom, fuzz_file(0, data, size), &warning) == TARE_OK);
  must(warning.status == TARE_OK || (warning.status == TARE_E_DATA && tare_wisdom_count(wisdom) == 0));
  tare_wisdom_free(wisdom);
}

/* FNV-1a, as the last line of a wisdom file has it. */
static void load_framed(const char *text) {
  size_t room = strlen(text) + 80;
  char *file = malloc(room);
  must(file);
  size_t length = (size_t)snprintf(file, room, "tare wisdom 1\n%s\n", text);
  uint64_t sum = 14695981039346656037u;
  for (size_t i = 0; i < length; i++) sum = (sum ^ (unsigned char)file[i]) * 1099511628211u;
  length += (size_t)snprintf(file + length, room - length, "end %016" PRIx64 "\n", sum);
  load(file, length);
  free(file);
}

static tare_conv_plan *plan(tare_wisdom *wisdom) {
  const tare_conv_options options = {.passes = TARE_FORWARD | TARE_BACKWARD_WEIGHTS, .wisdom = wisdom};
  tare_conv_problem problem;
  tare_conv_plan *made = NULL;
  must(tare_conv_problem_parse("n1c2h6o2k3", &problem, NULL) == TARE_OK);
  must(tare_conv_plan_create(&problem, &options, &made, NULL) == TARE_OK); /* whatever the wisdom says */
  must(tare_conv_plan_candidate(made, TARE_FORWARD) && tare_conv_plan_candidate(made, TARE_BACKWARD_WEIGHTS));
  return made;
}

static void choose(const char *choice) {
  static char key[TARE_MOST_KEY];
  tare_wisdom *wisdom;
  must(tare_wisdom_create(&wisdom, NULL) == TARE_OK);
  if (!key[0]) {
    tare_conv_plan *plain = plan(wisdom);
    tare_wisdom_key(plain, key);
    tare_conv_plan_free(plain);
  }
  tare_wisdom_add(wisdom, key, choice);
  tare_conv_plan_free(plan(wisdom));
  tare_wisdom_free(wisdom);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = fuzz_text(data, size);
  load(data, size);
  load_framed(text);
  if (strlen(text) < TARE_MOST_CHOICE) choose(text);
  free(text);
  return 0;
}
