/* SPDX-License-Identifier: Apache-2.0 */
/* The named sets of problems. */
#include "bench.h"

#include <string.h>

enum { MOST_KERNELS = 16, MOST_FAMILIES = 4 };

/* Stride 1, outputs as large as the images: a family of problems of one shape, or one shape for each filter size. */
static const struct set {
  const char *name, *about;
  const char *shapes[MOST_FAMILIES];
  int kernels[MOST_KERNELS], paired; /* paired: the i-th size goes with the i-th shape */
} sets[] = {
  {"quick", "one filter size of the next three sets", {"n8c1h128o32", "n8c32h64o32", "g32n8c32h64o32"}, {15}, 0},
  {"first", "a first layer: one input channel", {"n8c1h128o32"}, {3, 5, 7, 9, 11, 15, 21, 31}, 0},
  {"dense", "32 to 32 channels", {"n8c32h64o32"}, {3, 5, 7, 9, 11, 15, 21, 31}, 0},
  {"depthwise", "each channel by itself", {"g32n8c32h64o32"}, {3, 5, 7, 9, 11, 15, 21, 31}, 0},
  {"replknet", "the depthwise layers of RepLKNet-31B's four stages (Ding et al. 2022), 4 images",
   {"g128n4c128h56o128", "g256n4c256h28o256", "g512n4c512h14o512", "g1024n4c1024h7o1024"}, {31, 29, 27, 13}, 1},
  {"growth", "how a step's time grows with the filter, 3 to 63 (slow beside oneDNN)",
   {"n8c1h128o32", "n8c32h64o32", "g32n8c32h64o32"}, {3, 5, 7, 11, 15, 21, 31, 45, 63}, 0},
};
enum { SETS = sizeof sets / sizeof *sets };

const char *bench_set_name(size_t index) { return index < SETS ? sets[index].name : NULL; }
const char *bench_set_about(size_t index) { return sets[index].about; }

static int take_one(const char *shape, int kernel, int (*take)(void *user, const char *problem), void *user) {
  char problem[80];
  snprintf(problem, sizeof problem, "%sk%dp%d", shape, kernel, kernel / 2);
  return take(user, problem);
}

int bench_set_each(const char *name, int (*take)(void *user, const char *problem), void *user) {
  for (size_t i = 0; i < SETS; i++) {
    const struct set *s = &sets[i];
    if (strcmp(s->name, name) != 0) continue;
    int code = 0;
    for (int shape = 0; shape < MOST_FAMILIES && s->shapes[shape] && !code; shape++)
      for (int k = 0; k < MOST_KERNELS && s->kernels[k] && !code; k++)
        if (!s->paired || k == shape) code = take_one(s->shapes[shape], s->kernels[k], take, user);
    return code;
  }
  return -1;
}
