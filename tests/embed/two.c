/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads train two networks at once, each with a pool and a loader of its own: the bits are those of one after the other. For TSan above all. */
#include <flint/flint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare/train.h>

enum { THREADS = 2 };
typedef struct work { int which; tare_source *source; float *parameters; size_t count; tare_error error; } work;

static const char *const lines[THREADS] = {"conv 4x7 sum=0 spectral; bn; relu; maxpool 4; gap; dense 6", "conv 4x5 order=1 whitened; relu; conv 4x3 /2 sum=0 difference; gap; dense 6"};

static void *train(void *user) {
  work *w = user;
  const tare_net_options options = {.height = 48, .width = 48, .channels = 1, .batch = 16, .threads = 2, .seed = 3};
  tare_net *net = NULL;
  tare_source_batches *batches = NULL;
  tare_train_options how;
  tare_train_defaults(&how);
  how.steps = 4;
  tare_status status = tare_net_create(lines[w->which], &options, &net, &w->error);
  if (!status) status = tare_source_batches_create(w->source, TARE_TRAIN, 1, 16, &batches, &w->error);
  if (!status) status = tare_train(net, tare_source_batch, batches, &how, NULL, &w->error);
  if (!status) {
    w->count = tare_net_parameter_count(net);
    w->parameters = malloc(w->count * sizeof(float));
    memcpy(w->parameters, tare_net_parameters(net), w->count * sizeof(float));
  }
  tare_source_batches_free(batches);
  tare_net_free(net);
  flint_cleanup(); /* this thread's cache: tare/constraint.h */
  return NULL;
}

int main(void) {
  tare_source *source;
  tare_source_options options;
  tare_error error;
  pthread_t threads[THREADS];
  work alone[THREADS], both[THREADS];
  int failed = 0;
  tare_source_defaults(&options);
  options.images = 2;
  if (tare_source_open("leaves", &options, &source, &error)) return puts(error.message), 1;
  for (int i = 0; i < THREADS; i++) both[i] = alone[i] = (work){.which = i, .source = source};
  for (int i = 0; i < THREADS; i++) failed |= pthread_create(&threads[i], NULL, train, &both[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) {
    train(&alone[i]);
    int same = alone[i].parameters && both[i].parameters && alone[i].count == both[i].count &&
               memcmp(alone[i].parameters, both[i].parameters, alone[i].count * sizeof(float)) == 0;
    printf("%s: %s%s\n", lines[i], same ? "the same bits" : "other bits ", alone[i].error.message);
    failed |= !same;
    free(alone[i].parameters);
    free(both[i].parameters);
  }
  tare_source_free(source);
  return failed;
}
