/* SPDX-License-Identifier: Apache-2.0 */
/* The convolutions of a file and the rules that they are under: what check and round share. */
#ifndef TARE_CLI_BANK_H
#define TARE_CLI_BANK_H

#include <tare/format.h>

#include "cli.h"

#define CLI_CERTIFICATE "certificate:" /* and the tensor's name: the key of its certificate in a file's metadata */

struct json_t;

typedef struct cli_file {
  const char *path;
  tare_tensors *tensors;
  struct json_t *rules; /* the file's own, NULL without */
} cli_file;

/*
 * One convolution. The rule holds for the weights times `times`, a power of two (export scales first filters), over `divisor`, a whole number
 * (1; round --allow-divisor leaves multiples of filters).
 */
typedef struct cli_bank {
  tare_filters filters;
  tare_constraint *rule;
  double times;
  int divisor;
} cli_bank;

/* Reads the file and its "rules". 0 or the exit code; with neither rules nor --constraint it says so. */
int cli_file_open(const cli_args *args, const char *path, int needs_rules, cli_file *file);
void cli_file_close(cli_file *file);

/*
 * Tensor `index` with its rule: --constraint for every convolution, else the file's for those that it names. out->rule is NULL for
 * tensors that are under none; `nearest`: as in tare_filters_read. 0 or the exit code.
 */
int cli_file_bank(const cli_args *args, const cli_file *file, size_t index, int nearest, cli_bank *out);
void cli_bank_free(cli_bank *bank);

#endif
