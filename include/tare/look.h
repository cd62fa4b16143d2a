/* SPDX-License-Identifier: Apache-2.0 */
/* A trained network as a report shows it: its filters, what they answer to, and what it says of examples. */
#ifndef TARE_LOOK_H
#define TARE_LOOK_H

#include <tare/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * JSON text, to be freed with free(); doc/report.md has the format. `net` must be ready for evaluation, with the source's image size
 * and classes. The examples are test patches: a few of each class, the same for the same source and seed.
 */
TARE_API tare_status tare_look_json(tare_net *net, const tare_source *source, uint64_t seed, char **text, tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
