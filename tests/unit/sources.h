/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for files, and sources opened as they should: what the tests of the data room share. */
#ifndef SOURCES_H
#define SOURCES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tare/data.h>

static char folder[64];

static inline int make_folder(void **state) {
  (void)state;
  strcpy(folder, P_tmpdir "/tare-data-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

static inline tare_source *open_source(const char *spec, tare_source_options options) {
  tare_source *source = NULL;
  tare_error error = {0};
  tare_status status = tare_source_open(spec, &options, &source, &error);
  if (status) print_error("%s: %s\n", spec, error.message);
  assert_int_equal(status, TARE_OK);
  return source;
}

static inline tare_source_options defaults(void) {
  tare_source_options options;
  tare_source_defaults(&options);
  options.threads = 2;
  return options;
}

#endif
