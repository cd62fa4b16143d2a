/* SPDX-License-Identifier: Apache-2.0 */
/* What the planner asks of wisdom. */
#ifndef TARE_CONV_WISDOM_H
#define TARE_CONV_WISDOM_H

#include <tare/wisdom.h>

#include "conv/plan.h"

enum { TARE_MOST_KEY = 512, TARE_MOST_CHOICE = 256 };

/* What a plan asks for, on this machine, as text without tabs or newlines. */
void tare_wisdom_key(const tare_conv_plan *plan, char key[TARE_MOST_KEY]);
/* 1 and the choice, "1:onednn 6:fft" (sums of passes and candidates); 0: unknown. */
int tare_wisdom_find(const tare_wisdom *wisdom, const char *key, char choice[TARE_MOST_CHOICE]);
/* Replaces an older choice of the key. Without memory nothing is added. */
void tare_wisdom_add(tare_wisdom *wisdom, const char *key, const char *choice);

#endif
