/* SPDX-License-Identifier: Apache-2.0 */
#include "net/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

static const char spaces[] = " \t\r\n\f\v";

/* How deep in braces behind `c`; a '}' without its '{' is an ordinary character. */
static int depth_after(int depth, char c) { return c == '{' ? depth + 1 : c == '}' && depth > 0 ? depth - 1 : depth; }

/* Layers that the line has: one more than its ';' outside of braces. */
static int count_layers(const char *line) {
  int count = 1;
  for (int depth = 0; *line; line++) {
    depth = depth_after(depth, *line);
    count += *line == ';' && depth == 0;
  }
  return count;
}

/* The length of the word at `text`: up to a space or ';' outside of braces; 0 if a brace is not closed. */
static size_t word_length(const char *text) {
  int depth = 0;
  size_t length = 0;
  for (; text[length] && (depth > 0 || !(strchr(spaces, text[length]) || text[length] == ';')); length++) depth = depth_after(depth, text[length]);
  return depth > 0 ? 0 : length;
}

static tare_status add_word(tare_words *words, const char *text, size_t length, int column, tare_error *error) {
  if ((words->count & (words->count - 1)) == 0) { /* full at every power of two */
    tare_word *more = tare_alloc(words->count ? 2 * (size_t)words->count : 1, sizeof *more);
    if (!more) return tare_fail_memory(error, sizeof *more, "a network line");
    if (words->count) memcpy(more, words->list, sizeof *more * (size_t)words->count);
    tare_free(words->list);
    words->list = more;
  }
  char *copy = tare_alloc(length + 1, 1);
  if (!copy) return tare_fail_memory(error, length, "a network line");
  memcpy(copy, text, length);
  words->list[words->count++] = (tare_word){copy, column};
  words->end = column + (int)length;
  return TARE_OK;
}

/* One layer from *at up to the ';' or the end. */
static tare_status split_layer(const char *line, const char **at, tare_words *words, tare_error *error) {
  words->end = (int)(*at - line) + 1;
  for (;;) {
    *at += strspn(*at, spaces);
    if (**at == 0 || **at == ';') break;
    size_t length = word_length(*at);
    int column = (int)(*at - line) + 1;
    if (!length) return tare_fail(error, TARE_E_SYNTAX, "layer %d, column %d: this '{' has no '}'", words->layer, column);
    tare_status status = add_word(words, *at, length, column, error);
    if (status) return status;
    *at += length;
  }
  if (words->count) return TARE_OK;
  return tare_fail(error, TARE_E_SYNTAX, "layer %d, column %d: expected a layer, found %s", words->layer, (int)(*at - line) + 1,
                   **at ? "';'" : "the end of the line");
}

tare_status tare_line_split(const char *line, tare_words **layers, int *count, tare_error *error) {
  if (strlen(line) > 1 << 20) return tare_fail(error, TARE_E_SYNTAX, "a network line of more than a million characters");
  int total = count_layers(line);
  tare_words *made = tare_alloc((size_t)total, sizeof *made);
  if (!made) return tare_fail_memory(error, sizeof *made * (size_t)total, "a network line");
  const char *at = line;
  for (int i = 0; i < total; i++, at++) {
    made[i].layer = i + 1;
    tare_status status = split_layer(line, &at, &made[i], error);
    if (status) {
      tare_line_free(made, total);
      return status;
    }
  }
  *layers = made;
  *count = total;
  return TARE_OK;
}

void tare_line_free(tare_words *layers, int count) {
  for (int i = 0; layers && i < count; i++) {
    for (int k = 0; k < layers[i].count; k++) tare_free(layers[i].list[k].text);
    tare_free(layers[i].list);
  }
  tare_free(layers);
}

const char *tare_words_peek(const tare_words *words) { return words->next < words->count ? words->list[words->next].text : NULL; }

const char *tare_words_take(tare_words *words) { return words->next < words->count ? words->list[words->next++].text : NULL; }

tare_status tare_words_fail(const tare_words *words, tare_status status, tare_error *error, const char *format, ...) {
  char message[600];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  int column = words->next < words->count ? words->list[words->next].column : words->end;
  return tare_fail(error, status, "layer %d, column %d: %s", words->layer, column, message);
}

tare_status tare_words_expected(const tare_words *words, const char *what, tare_error *error) {
  const char *word = tare_words_peek(words);
  if (!word) return tare_words_fail(words, TARE_E_SYNTAX, error, "expected %s, found the end of the layer", what);
  return tare_words_fail(words, TARE_E_SYNTAX, error, "expected %s, found '%.60s'", what, word);
}

tare_status tare_words_int(tare_words *words, const char *prefix, const char *what, int low, int high, int *value, tare_error *error) {
  const char *word = tare_words_peek(words);
  size_t length = strlen(prefix);
  int64_t number;
  if (!word || strncmp(word, prefix, length) || tare_parse_int(word + length, low, high, &number)) {
    char wanted[120];
    snprintf(wanted, sizeof wanted, "%s%s%s, a whole number from %d to %d", prefix, *prefix ? "N with N " : "", what, low, high);
    return tare_words_expected(words, wanted, error);
  }
  *value = (int)number;
  words->next++;
  return TARE_OK;
}

tare_status tare_words_end(const tare_words *words, tare_error *error) {
  return words->next == words->count ? TARE_OK : tare_words_expected(words, "';' or the end of the line", error);
}

enum { LONGEST = 40 };

static size_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), row[LONGEST + 1];
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
      if (above + 1 < best) best = above + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
      diagonal = above;
    }
  }
  return row[m];
}

const char *tare_nearest_name(const char *word, const char *(*name)(int i)) {
  if (strlen(word) > LONGEST) return NULL;
  const char *nearest = NULL, *candidate;
  size_t best = 3;
  for (int i = 0; (candidate = name(i)); i++) {
    size_t d = strlen(candidate) <= LONGEST ? distance(word, candidate) : best;
    if (d < best && 2 * d < strlen(candidate) + 1) {
      best = d;
      nearest = candidate;
    }
  }
  return nearest;
}
