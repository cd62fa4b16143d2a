/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: a word a line, the verb first. Only read, never run. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "fuzz.h"

enum { MOST_WORDS = 40 };

static const cli_verb *verb_of(const char *word) {
  for (size_t i = 0; i < cli_verb_count; i++)
    if (strcmp(cli_verbs[i].name, word) == 0) return &cli_verbs[i];
  return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static cli_args args;
  char *text = fuzz_text(data, size), *rest = text, *words[MOST_WORDS + 1] = {0};
  int count = 0;
  while (rest && count < MOST_WORDS) words[count++] = strsep(&rest, "\n");
  const cli_verb *verb = count ? verb_of(words[0]) : NULL;
  if (verb) {
    int code = cli_parse(verb, count - 1, words + 1, &args);
    must(code == 0 || code == 2);
    for (int i = 0; !code && !args.value[CLI_HELP].given && i < CLI_POSITIONS; i++) must(!verb->position[i] || args.position[i]);
    if (args.value[CLI_THREADS].given && !code && !args.value[CLI_HELP].given) must(args.value[CLI_THREADS].integer >= 1);
  }
  free(text);
  return 0;
}
