/* SPDX-License-Identifier: Apache-2.0 */
/* Examples of each class, a network's first filters, and what the network says of the examples. */
#include "train/look.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/train.h"
#include "train/written.h"

enum { EACH = 6, MOST_EXAMPLES = 96, DRAWN = 32 };

static size_t image_size(const look_examples *e) { return (size_t)e->height * (size_t)e->width * (size_t)e->channels; }

static tare_status make_room(const tare_source_info *info, look_examples *e, tare_error *error) {
  *e = (look_examples){.height = info->height, .width = info->width, .channels = info->channels, .classes = info->classes};
  e->images = tare_alloc(MOST_EXAMPLES * image_size(e), sizeof *e->images);
  e->labels = tare_alloc(MOST_EXAMPLES, sizeof *e->labels);
  e->class_names = tare_alloc((size_t)e->classes, sizeof *e->class_names);
  int missing = !e->images || !e->labels || !e->class_names;
  for (int c = 0; c < e->classes && !missing; c++) missing = !(e->class_names[c] = tare_strdup(info->class_names[c]));
  return missing ? tare_fail_memory(error, MOST_EXAMPLES * image_size(e) * sizeof(float), "examples") : TARE_OK;
}

void tare_look_examples_free(look_examples *e) {
  for (int c = 0; e->class_names && c < e->classes; c++) tare_free(e->class_names[c]);
  tare_free(e->class_names);
  tare_free(e->images);
  tare_free(e->labels);
  *e = (look_examples){0};
}

/* A few test patches as the source gives them, and which image each is of. */
typedef struct drawn { float *images; int32_t *labels, *ids, *taken; int each, alike; } drawn;

/* Examples of a class are of different images, as far as there are so many. */
static void take(look_examples *e, drawn *d, int i) {
  int32_t label = d->labels[i];
  int have = 0, alike = 0;
  for (int k = 0; k < e->count; k++) {
    have += e->labels[k] == label;
    alike += e->labels[k] == label && d->taken[k] == d->ids[i];
  }
  if (have >= d->each || alike >= d->alike || e->count == MOST_EXAMPLES) return;
  memcpy(e->images + (size_t)e->count * image_size(e), d->images + (size_t)i * image_size(e), image_size(e) * sizeof *e->images);
  d->taken[e->count] = d->ids[i];
  e->labels[e->count++] = label;
}

tare_status tare_look_draw(const tare_source *source, uint64_t seed, look_examples *e, tare_error *error) {
  tare_source_info info;
  tare_source_get_info(source, &info);
  tare_status status = make_room(&info, e, error);
  if (status) return status;
  int each = MOST_EXAMPLES / info.classes < EACH ? MOST_EXAMPLES / info.classes : EACH;
  drawn d = {tare_alloc(DRAWN * image_size(e), sizeof(float)), tare_alloc(DRAWN, sizeof(int32_t)), tare_alloc(DRAWN, sizeof(int32_t)),
             tare_alloc(MOST_EXAMPLES, sizeof(int32_t)), each ? each : 1, EACH};
  if (info.images[TARE_TEST] > 0) d.alike = (int)((EACH + info.images[TARE_TEST] - 1) / info.images[TARE_TEST]);
  if (!d.images || !d.labels || !d.ids || !d.taken) status = tare_fail_memory(error, DRAWN * image_size(e) * sizeof(float), "examples");
  size_t patches = info.patches[TARE_TEST];
  int wanted = d.each * info.classes < MOST_EXAMPLES ? d.each * info.classes : MOST_EXAMPLES;
  for (size_t first = 0; first < patches && e->count < wanted && !status; first += DRAWN) {
    int count = patches - first < DRAWN ? (int)(patches - first) : DRAWN;
    status = tare_source_test_batch(source, seed, first, count, d.images, d.labels, d.ids, error);
    for (int i = 0; i < count && !status; i++) take(e, &d, i);
  }
  tare_free(d.images);
  tare_free(d.labels);
  tare_free(d.ids);
  tare_free(d.taken);
  return status;
}

void tare_look_free(look_seen *seen) {
  tare_free(seen->weights);
  tare_free(seen->response);
  tare_free(seen->says);
  tare_free(seen->sure);
}

/* The largest of a network's outputs, and its share in the softmax. */
static void decide(const float *outputs, int classes, int32_t *says, float *sure) {
  double sum = 0;
  int best = 0;
  for (int c = 1; c < classes; c++)
    if (outputs[c] > outputs[best]) best = c;
  for (int c = 0; c < classes; c++) sum += exp((double)outputs[c] - (double)outputs[best]);
  *says = best;
  *sure = (float)(1 / sum);
}

static tare_status ask(tare_net *net, const look_examples *e, look_seen *out, tare_error *error) {
  int batch = tare_net_get_options(net)->batch;
  out->says = tare_alloc((size_t)e->count, sizeof *out->says);
  out->sure = tare_alloc((size_t)e->count, sizeof *out->sure);
  if (!out->says || !out->sure) return tare_fail_memory(error, (size_t)e->count * sizeof *out->sure, "answers");
  for (int first = 0; first < e->count; first += batch) {
    int count = e->count - first < batch ? e->count - first : batch;
    const void *outputs;
    tare_status status = tare_net_forward(net, e->images + (size_t)first * image_size(e), count, 0, 0, &outputs, error);
    if (status) return status;
    for (int i = 0; i < count; i++)
      decide((const float *)outputs + (size_t)i * (size_t)e->classes, e->classes, &out->says[first + i], &out->sure[first + i]);
  }
  return TARE_OK;
}

static tare_status take_filters(tare_net *net, look_seen *out, tare_error *error) {
  tare_net_tensor info = {.dims = 0};
  for (size_t i = 0; i < tare_net_tensor_count(net); i++) {
    tare_status status = tare_net_tensor_info(net, i, &info, error);
    if (status) return status;
    if (strcmp(info.name, "conv1.weight") != 0) continue;
    out->weights = tare_alloc(tare_written_values(&info), sizeof *out->weights);
    if (!out->weights) return tare_fail_memory(error, tare_written_values(&info) * sizeof *out->weights, "filters");
    out->info = info;
    return tare_train_written_tensor(net, i, out->weights, NULL, error);
  }
  return TARE_OK;
}

tare_status tare_look_at(tare_net *net, const look_examples *examples, look_seen *out, tare_error *error) {
  *out = (look_seen){0};
  if (tare_net_output_size(net) != (size_t)examples->classes)
    return tare_fail(error, TARE_E_SHAPE, "the network gives %zu values an image, the source has %d classes", tare_net_output_size(net),
                     examples->classes);
  tare_status status = ask(net, examples, out, error);
  if (!status) status = take_filters(net, out, error);
  if (!status && out->weights) status = tare_look_response(net, &out->info, out->weights, &out->response, error);
  return status;
}
