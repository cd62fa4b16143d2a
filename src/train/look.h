/* SPDX-License-Identifier: Apache-2.0 */
/* What a trained network looks like: inside of include/tare/look.h. The meaning of each number: doc/report.md. */
#ifndef TARE_TRAIN_LOOK_H
#define TARE_TRAIN_LOOK_H

#include <tare/look.h>

struct json_t;

enum { LOOK_WAVES = 24 }; /* frequencies an axis */

/* Test patches of every class, as every network of a report is asked about them. */
typedef struct look_examples {
  int height, width, channels, classes;
  int count;
  float *images;   /* count x height x width x channels */
  int32_t *labels;
  char **class_names;
} look_examples;
/* Free it after failure too. */
tare_status tare_look_draw(const tare_source *source, uint64_t seed, look_examples *out, tare_error *error);
void tare_look_examples_free(look_examples *examples);

typedef struct look_seen {
  tare_net_tensor info; /* of the first convolution's weights; dims 0: there is none */
  float *weights;       /* as a model file would hold them */
  /*
   * filters x (LOOK_WAVES / 2 + 1) x LOOK_WAVES: by how much a wave comes out larger, rows of 0 .. 1/2 cycles a pixel downwards, columns
   * of 0 .. 1 to the right. NULL where layers before the convolution are not linear.
   */
  float *response;
  int32_t *says;        /* the class of each example */
  float *sure;          /* its probability */
} look_seen;
tare_status tare_look_at(tare_net *net, const look_examples *examples, look_seen *out, tare_error *error); /* free it after failure too */
void tare_look_free(look_seen *seen);

/* look_response.c: of the layers up to the first convolution, whose weights these are; *response NULL if they are not linear. */
tare_status tare_look_response(const tare_net *net, const tare_net_tensor *info, const float *weights, float **response, tare_error *error);

/* look_json.c */
struct json_t *tare_look_examples_to_json(const look_examples *examples);
struct json_t *tare_look_to_json(const look_seen *seen, const look_examples *examples);

#endif
