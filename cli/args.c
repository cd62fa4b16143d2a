/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a verb's words by its option descriptions. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Edit distance with neighbours swapped (optimal string alignment), of words up to 63 characters. */
static int distance(const char *a, const char *b) {
  enum { MAX = 64 };
  size_t m = strlen(a), n = strlen(b);
  if (m >= MAX || n >= MAX) return MAX;
  int d[MAX][MAX];
  for (size_t i = 0; i <= m; i++) d[i][0] = (int)i;
  for (size_t j = 0; j <= n; j++) d[0][j] = (int)j;
  for (size_t i = 1; i <= m; i++) {
    for (size_t j = 1; j <= n; j++) {
      int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
      if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
      d[i][j] = best;
    }
  }
  return d[m][n];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count, size_t stride) {
  const char *nearest = NULL;
  size_t length = strlen(word);
  int best = length < 3 ? 2 : 1 + (int)length / 3; /* further than a third of it is another word */
  for (size_t i = 0; i < count; i++) {
    const char *name = *(const char *const *)(const void *)((const char *)names + i * stride);
    if (!name) continue;
    int d = length >= 3 && strncmp(word, name, length) == 0 ? 1 : distance(word, name);
    if (d < best) {
      best = d;
      nearest = name;
    }
  }
  return nearest;
}

static const cli_use *find_use(const cli_verb *verb, const char *name, size_t length, char letter) {
  for (const cli_use *use = verb->uses; use->id != CLI_END; use++) {
    const cli_option *option = &cli_option_table[use->id];
    if (letter ? option->letter == letter : strlen(option->name) == length && memcmp(option->name, name, length) == 0) return use;
  }
  return NULL;
}

static int unknown_option(const cli_verb *verb, const char *word) {
  const char *names[CLI_OPTIONS] = {0};
  size_t count = 0;
  for (const cli_use *use = verb->uses; use->id != CLI_END; use++) names[count++] = cli_option_table[use->id].name;
  char name[64];
  size_t dashes = strspn(word, "-"), length = strcspn(word + dashes, "=");
  snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 0), word + dashes);
  const char *nearest = cli_nearest(name, names, count, sizeof *names);
  int shown = (int)(dashes + length);
  if (nearest) return cli_fail(TARE_E_ARGUMENT, "unknown option '%.*s'; did you mean --%s?", shown, word, nearest);
  return cli_fail(TARE_E_ARGUMENT, "unknown option '%.*s'; 'tare %s --help' lists what there is", shown, word, verb->name);
}

void cli_range(const cli_option *option, char *text, size_t size) {
  if (option->high >= CLI_MANY) snprintf(text, size, "at least %.16g", option->low);
  else snprintf(text, size, "%.16g to %.16g", option->low, option->high);
}

static int out_of_range(const cli_option *option, const char *text) {
  return cli_fail(TARE_E_ARGUMENT, "--%s: expected %.16g to %.16g, found %s", option->name, option->low, option->high, text);
}

static int set_number(const cli_option *option, const char *text, cli_value *value) {
  int whole = option->kind == CLI_INTEGER;
  char *end = NULL;
  errno = 0;
  long long integer = whole ? strtoll(text, &end, 10) : 0;
  double number = whole ? (double)integer : strtod(text, &end);
  if (end == text || *end || !strchr("+-.0123456789", text[0]) || !text[0] || isnan(number))
    return cli_fail(TARE_E_ARGUMENT, "--%s: expected %s, found '%s'", option->name, whole ? "a whole number" : "a number", text);
  if (number < option->low || number > option->high || (errno == ERANGE && number != 0))
    return out_of_range(option, text);
  value->integer = integer;
  value->number = number;
  return 0;
}

static int set_choice(const cli_option *option, const char *text) {
  size_t length = strlen(text);
  for (const char *choice = option->argument; length; choice += strcspn(choice, "|"), choice += *choice == '|') {
    if (!*choice) break;
    if (strcspn(choice, "|") == length && memcmp(choice, text, length) == 0) return 0;
  }
  return cli_fail(TARE_E_ARGUMENT, "--%s: expected %s, found '%s'", option->name, option->argument, text);
}

static int set_value(const cli_option *option, const char *text, cli_value *value) {
  value->text = text;
  if (option->kind == CLI_INTEGER || option->kind == CLI_NUMBER) return set_number(option, text, value);
  if (option->kind == CLI_CHOICE) return set_choice(option, text);
  if (option->kind == CLI_TEXT && !*text) return cli_fail(TARE_E_ARGUMENT, "--%s: expected %s, found nothing", option->name, option->argument);
  return 0;
}

/* "--name", "--name=value" or "-n" at argv[*i]; takes the next word as the value where one is needed. */
static int parse_option(const cli_verb *verb, int argc, char **argv, int *i, cli_args *args) {
  const char *word = argv[*i];
  int is_long = word[1] == '-';
  const char *name = word + 1 + is_long, *equals = strchr(name, '=');
  size_t length = equals ? (size_t)(equals - name) : strlen(name);
  const cli_use *use = is_long ? find_use(verb, name, length, 0) : length == 1 ? find_use(verb, NULL, 0, name[0]) : NULL;
  if (!use) return unknown_option(verb, word);
  const cli_option *option = &cli_option_table[use->id];
  cli_value *value = &args->value[use->id];
  value->given = 1;
  if (option->kind == CLI_FLAG) return equals ? cli_fail(TARE_E_ARGUMENT, "--%s takes no value", option->name) : 0;
  if (equals) return set_value(option, equals + 1, value);
  if (*i + 1 >= argc || (argv[*i + 1][0] == '-' && argv[*i + 1][1] == '-'))
    return cli_fail(TARE_E_ARGUMENT, "--%s: expected %s after it", option->name,
                    option->kind == CLI_INTEGER ? "a whole number" : option->kind == CLI_NUMBER ? "a number" : option->argument);
  return set_value(option, argv[++*i], value);
}

static int parse_position(const char *word, cli_args *args) {
  for (int i = 0; i < CLI_POSITIONS; i++) {
    if (args->position[i] || !args->verb->position[i]) continue;
    if (!*word) return cli_fail(TARE_E_ARGUMENT, "%s: expected %s, found nothing", args->verb->position[i], cli_position_help(args->verb->position[i]));
    args->position[i] = word;
    return 0;
  }
  if (!args->verb->rest || args->rest_count == CLI_MOST_REST) return cli_fail(TARE_E_ARGUMENT, "unexpected argument '%s'", word);
  args->rest[args->rest_count++] = word;
  return 0;
}

int cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *args) {
  *args = (cli_args){.verb = verb, .word_count = argc, .words = argv};
  int code = 0, options = 1;
  for (const cli_use *use = verb->uses; use->id != CLI_END && !code; use++)
    if (use->value) code = set_value(&cli_option_table[use->id], use->value, &args->value[use->id]);
  for (int i = 0; i < argc; i++) /* help wins over every mistake */
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) args->value[CLI_HELP].given = 1;
  if (args->value[CLI_HELP].given) return 0;
  for (int i = 0; i < argc && !code; i++) {
    if (options && strcmp(argv[i], "--") == 0) options = 0;
    else if (options && argv[i][0] == '-' && argv[i][1]) code = parse_option(verb, argc, argv, &i, args);
    else code = parse_position(argv[i], args);
  }
  for (int i = 0; i < CLI_POSITIONS && !code; i++)
    if (verb->position[i] && !args->position[i])
      code = cli_fail(TARE_E_ARGUMENT, "expected %s, %s", verb->position[i], cli_position_help(verb->position[i]));
  return code;
}
