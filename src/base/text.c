/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static int reserve(tare_text *text, size_t more) {
  if (text->length + more + 1 <= text->capacity) return 0;
  size_t capacity = (text->length + more + 64) * 2;
  char *data = tare_alloc(capacity, 1);
  if (!data) return text->failed = 1;
  if (text->data) memcpy(data, text->data, text->length + 1);
  tare_free(text->data);
  text->data = data;
  text->capacity = capacity;
  return 0;
}

void tare_text_add(tare_text *text, const char *format, ...) {
  if (text->failed) return;
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  if (length < 0) text->failed = 1;
  else if (reserve(text, (size_t)length) == 0) {
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
  va_end(args);
}

char *tare_text_take(tare_text *text) {
  tare_text_add(text, "%s", "");
  char *data = text->failed ? NULL : text->data;
  if (!data) tare_free(text->data);
  *text = (tare_text){0};
  return data;
}

void tare_text_free(tare_text *text) {
  tare_free(text->data);
  *text = (tare_text){0};
}

int tare_parse_int(const char *text, int64_t low, int64_t high, int64_t *value) {
  char *end;
  if (!isdigit((unsigned char)text[0]) && text[0] != '-' && text[0] != '+') return -1;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  if (end == text || *end || errno || number < low || number > high) return -1;
  *value = number;
  return 0;
}

int tare_parse_double(const char *text, double low, double high, double *value) {
  char *end;
  if (isspace((unsigned char)text[0])) return -1;
  errno = 0;
  double number = strtod(text, &end);
  if (end == text || *end || !isfinite(number) || number < low || number > high) return -1;
  *value = number;
  return 0;
}

const char *tare_number_text(double value, char buffer[32]) {
  for (int digits = 6; digits <= 17; digits++) {
    double back;
    snprintf(buffer, 32, "%.*g", digits, value);
    if (tare_parse_double(buffer, value, value, &back) == 0) break;
  }
  return buffer;
}
