/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a constraint, for this room only. */
#ifndef TARE_CONSTRAINT_CREATE_H
#define TARE_CONSTRAINT_CREATE_H

#include "constraint/rule.h"

struct tare_constraint {
  tare_filter_shape shape;
  int taps, filter, homogeneous;
  tare_rows rows; /* independent */
  char *text, *notes;
};

#endif
