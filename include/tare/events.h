/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorBoard's event files: scalars, histograms and pictures by step (doc/formats.md). A file grows as it is written, so that
 * TensorBoard shows a training that runs. Used by one thread at a time.
 */
#ifndef TARE_EVENTS_H
#define TARE_EVENTS_H

#include <stdint.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_events tare_events; /* a file that is being written */

/* Begins a new file in `folder`, which is made if it is missing. TARE_E_IO names the path and the reason. On success *out is the caller's. */
TARE_API tare_status tare_events_create(const char *folder, tare_events **out, tare_error *error);
/* Each appends one event. A tag may have parts ("weights/conv1.weight"). */
TARE_API tare_status tare_events_scalar(tare_events *events, const char *tag, uint64_t step, double value, tare_error *error);
/* The distribution of `count` values, 1 or more; those that are not finite are left out, and nothing is written if none is. */
TARE_API tare_status tare_events_histogram(tare_events *events, const char *tag, uint64_t step, const float *values, size_t count,
                                           tare_error *error);
/* 8-bit pixels as in tare_png_write. */
TARE_API tare_status tare_events_image(tare_events *events, const char *tag, uint64_t step, const uint8_t *pixels, int width, int height,
                                       int channels, tare_error *error);
/* What was appended so far can be read. */
TARE_API tare_status tare_events_flush(tare_events *events, tare_error *error);
/* Flushes and frees, also on failure. NULL is fine. */
TARE_API tare_status tare_events_close(tare_events *events, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
