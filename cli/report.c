/* SPDX-License-Identifier: Apache-2.0 */
/* The page of --report: made when tare was built (report/), but for the data, which stand in the middle of it. */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* report_page.c, which report/embed.py makes: the page before the data and after them. */
extern const char cli_report_head[], cli_report_tail[];

/* A word as a shell takes it back. */
static void add_word(char *line, size_t size, const char *word) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%";
  size_t used = strlen(line);
  int quote = !*word || word[strspn(word, plain)];
  used += (size_t)snprintf(line + used, size - used, quote ? " '" : " ");
  for (; *word && used + 8 < size; word++) used += (size_t)snprintf(line + used, size - used, *word == '\'' ? "'\\''" : "%c", *word);
  if (quote && used + 2 < size) memcpy(line + used, "'", 2);
}

static json_t *command(const cli_args *args) {
  char line[8000];
  snprintf(line, sizeof line, "tare %s", args->verb->name);
  for (int i = 0; i < args->word_count; i++) add_word(line, sizeof line, args->words[i]);
  json_t *json = json_string(line);
  return json ? json : json_string("(a command that is not UTF-8 text)");
}

static void add_fact(void *user, const char *name, const char *value) {
  json_array_append_new(user, json_pack("[s, s]", name, value));
}

/* Inside a page "</script" would end the data; in JSON '<' may be written so that nothing can. */
static char *escape(const char *json) {
  size_t size = 1, at = 0;
  for (const char *p = json; *p; p++) size += *p == '<' ? 6 : 1;
  char *text = malloc(size);
  for (const char *p = json; text && *p; p++) {
    if (*p == '<') memcpy(text + at, "\\u003c", 6), at += 6;
    else text[at++] = *p;
  }
  if (text) text[at] = 0;
  return text;
}

static int write_page(const char *path, const char *data) {
  size_t size = strlen(cli_report_head) + strlen(data) + strlen(cli_report_tail) + 1;
  char *page = malloc(size);
  if (!page) return cli_fail(TARE_E_MEMORY, "out of memory for a report of %zu bytes", size);
  snprintf(page, size, "%s%s%s", cli_report_head, data, cli_report_tail);
  int code = cli_output_write(path, page);
  free(page);
  return code;
}

int cli_report_write(const cli_args *args, json_t *data) {
  json_t *facts = json_array();
  cli_facts(add_fact, facts);
  json_object_set_new(data, "command", command(args));
  json_object_set_new(data, "facts", facts);
  char *json = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(7)), *escaped = json ? escape(json) : NULL;
  int code = escaped ? write_page(args->value[CLI_REPORT].text, escaped) : cli_fail(TARE_E_MEMORY, "out of memory for a report");
  if (!code) cli_say("wrote %s: open it in a browser", args->value[CLI_REPORT].text);
  free(json);
  free(escaped);
  json_decref(data);
  return code;
}
