/* SPDX-License-Identifier: Apache-2.0 */
/* Passes as rows of a table: forward, backward data, backward weights. */
#ifndef TARE_BASE_PASS_H
#define TARE_BASE_PASS_H

#include <tare/conv.h>

enum { TARE_PASSES = 3 };

static inline tare_pass tare_pass_at(int i) { return (tare_pass)(1 << i); }
static inline int tare_pass_index(tare_pass pass) { return (int)pass >> 1; }

#endif
