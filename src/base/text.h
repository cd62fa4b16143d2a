/* SPDX-License-Identifier: Apache-2.0 */
/* Text: growing strings, and numbers read strictly. */
#ifndef TARE_BASE_TEXT_H
#define TARE_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A string that grows; start with {0}. After a failed allocation `failed` stays set and later calls do nothing. */
typedef struct tare_text { char *data; size_t length, capacity; int failed; } tare_text;

void tare_text_add(tare_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The string, to be freed with tare_free, "" for an empty one; NULL if it failed. Resets text. */
char *tare_text_take(tare_text *text);
void tare_text_free(tare_text *text);

/* The whole of `text` as a number; 0 on success, -1 if it is not one (empty, trailing characters, not finite) or out of [low, high]. */
int tare_parse_int(const char *text, int64_t low, int64_t high, int64_t *value);
int tare_parse_double(const char *text, double low, double high, double *value);

/* The shortest decimal that reads back as `value`, into buffer; returns buffer. */
const char *tare_number_text(double value, char buffer[32]);

#endif
