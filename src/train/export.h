/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of an exported convolution, as they go into the graph: export_filters.c makes them, export.c writes the layers. */
#ifndef TARE_TRAIN_EXPORT_H
#define TARE_TRAIN_EXPORT_H

#include <tare/train.h>

#include "format/onnx_build.h"

typedef struct tare_exporter {
  tare_model *model;
  const tare_export_options *options;
  tare_onnx *onnx;
  struct json_t *rules;
  int bits;        /* of a pixel */
  int pending;     /* 1 until the factor 2^-bits is in a convolution's filters */
  tare_export_result *result;
} tare_exporter;

/* The values of a tensor as floats, with its length; NULL if the file has none of that name. Freed by the caller with tare_free. */
tare_status tare_export_values(const tare_model *model, const char *name, float **values, size_t *count, tare_error *error);
/*
 * Adds NAME.weight (NAME "conv1") and, with `norm` ("bn1", or NULL), that batch norm folded in; has_bias gets 1 if NAME.bias was added. `weights` gets the
 * name of the value that a Conv takes. `constraint` NULL: no rule. outputs filters.
 */
tare_status tare_export_filters(tare_exporter *e, const char *name, const char *norm, const tare_constraint *constraint, int scale_pixels,
                                char weights[80], int *has_bias, tare_error *error);

#endif
