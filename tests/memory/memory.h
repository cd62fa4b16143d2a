/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failing allocations: a scenario is run again and again, and each time another one of its allocations fails, once. It must then end with
 * TARE_E_MEMORY (or do without) and nothing may be left.
 */
#ifndef TARE_TESTS_MEMORY_H
#define TARE_TESTS_MEMORY_H

#include <stddef.h>
#include <tare/status.h>

typedef struct scenario {
  const char *name;
  tare_status (*run)(tare_error *error);
  int may_do_without; /* 1: success without the memory is fine, as for wisdom that is only a hint */
} scenario;
extern const scenario scenarios[];
extern const size_t scenario_count;

#endif
