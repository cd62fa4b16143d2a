/* SPDX-License-Identifier: Apache-2.0 */
/* A network line as words: layers between ';', words between spaces, {...} kept together. Errors name layer, column and word. */
#ifndef TARE_NET_LINE_H
#define TARE_NET_LINE_H

#include <tare/status.h>

typedef struct tare_word { char *text; int column; } tare_word;

/* The words of one layer, and how far they have been read. */
typedef struct tare_words {
  int layer;       /* from 1 */
  int end;         /* column behind the last word */
  int count, next;
  tare_word *list;
} tare_words;

/* Frees with tare_line_free. TARE_E_SYNTAX: an empty layer, a brace that is not closed. */
tare_status tare_line_split(const char *line, tare_words **layers, int *count, tare_error *error);
void tare_line_free(tare_words *layers, int count);

/* The next word, NULL at the end; tare_words_peek does not move on. */
const char *tare_words_peek(const tare_words *words);
const char *tare_words_take(tare_words *words);

/* "layer 3, column 27: " and the message, about the word that is next. */
tare_status tare_words_fail(const tare_words *words, tare_status status, tare_error *error, const char *format, ...)
  __attribute__((format(printf, 4, 5)));
/* "layer 3, column 27: expected WHAT, found 'WORD'"; takes no word. */
tare_status tare_words_expected(const tare_words *words, const char *what, tare_error *error);
/* The next word as a whole number, alone or behind `prefix` ("pad="). */
tare_status tare_words_int(tare_words *words, const char *prefix, const char *what, int low, int high, int *value, tare_error *error);
/* TARE_OK if no word is left. */
tare_status tare_words_end(const tare_words *words, tare_error *error);

/* The name nearest to `word` (Levenshtein's distance at most 2, under half its length), NULL if none is. name(i): NULL behind the last. */
const char *tare_nearest_name(const char *word, const char *(*name)(int i));


#endif
