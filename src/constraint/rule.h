/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the room: rules from text, rows from rules, rows combined. constraint.h is what other rooms see. */
#ifndef TARE_CONSTRAINT_RULE_H
#define TARE_CONSTRAINT_RULE_H

#include "constraint/constraint.h"
#include "constraint/rational.h"

typedef enum tare_rule_kind {
  TARE_RULE_SUM, TARE_RULE_ORDER, TARE_RULE_BAYAR, TARE_RULE_CENTRE, TARE_RULE_MOMENT, TARE_RULE_DERIVATIVE,
  TARE_RULE_SYMMETRIC, TARE_RULE_ANTISYMMETRIC, TARE_RULE_ROWS
} tare_rule_kind;

typedef struct tare_rule {
  tare_rule_kind kind;
  int filter;                /* scope: 1 over all channels, 0 each slice by itself */
  int power[TARE_MAX_DIMS];  /* moment, derivative */
  int order;                 /* order: Q; derivative: accuracy */
  fmpq_t value;              /* sum, centre, moment */
  char *path;                /* rows */
  char *text;                /* canonical */
} tare_rule;

typedef struct tare_rules { tare_rule *rule; int count; } tare_rules;

/* The largest total order of a moment. */
enum { TARE_MAX_ORDER = 20 };

tare_status tare_rules_parse(const char *text, const tare_filter_shape *shape, tare_rules *out, tare_error *error);
void tare_rules_free(tare_rules *rules);

/*
 * Rows in the order of the rules, each made for the unit (slice rules repeated for each channel if `filter`).
 * Free them also after a failure.
 */
typedef struct tare_rows { tare_row *row; int count, capacity; } tare_rows;
tare_status tare_rows_build(const tare_rules *rules, const tare_filter_shape *shape, int filter, tare_rows *out, tare_error *error);
void tare_rows_truncate(tare_rows *rows, int count); /* only the first `count` stay */
void tare_rows_free(tare_rows *rows);

/* A matrix of rationals read from a JSON file: rows x (columns + 1), the right-hand side last. */
typedef struct tare_table { fmpq *entry; int rows, columns; } tare_table;
tare_status tare_table_read(const char *path, tare_table *out, tare_error *error);
void tare_table_free(tare_table *table);

/*
 * Exact Gaussian elimination of the rows whose rule has a 1 in `use` (NULL: all).
 * keep[i] becomes 1 for a set of independent rows and 0 for those that follow from them;
 * *conflict is the row that contradicts others, or -1.
 */
tare_status tare_rows_combine(const tare_rows *rows, int taps, const char *use, char *keep, int *conflict, tare_error *error);

#endif
