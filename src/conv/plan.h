/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan is: groups of passes, each done by one candidate. plan.c makes
 * it, choose.c finds the groups, run.c calls them.
 */
#ifndef TARE_CONV_PLAN_H
#define TARE_CONV_PLAN_H

#include "base/pass.h"
#include "base/text.h"
#include "conv/candidate.h"
#include "conv/level.h"

enum { TARE_MOST_CANDIDATES = 32 };

/*
 * Passes that one candidate does together. Around it the plan makes what it cannot do: another layout, a border, and
 * the batch cut into equal parts: jobs for the threads of a pool, or (no jobs) one after another, so that the copies of a part keep the
 * limit. Sizes in elements, 0 if they are not needed. The workspace: `partials`, then for each part that runs at a time
 * the areas of its copies and of brightness, in the order below, and the candidate's workspace: `stride` together.
 */
typedef struct tare_group {
  tare_ready ready; /* of one part */
  char algorithm[96];
  int parts, jobs;
  size_t plain_x, bordered_x;   /* x as nhwc; with its border */
  size_t plain_dx, bordered_dx; /* the same of dx */
  size_t plain_y;               /* y or dy as nhwc */
  tare_brightness level;             /* brightness */
  size_t stride;
  size_t partials, partial_stride;
  size_t kept_stride;           /* what each part keeps */
  size_t prepared, partial;     /* where they begin in those of the plan */
  size_t filters, gradient;     /* where brightness has its own in the group's */
  size_t prepared_size, partial_size;
} tare_group;

struct tare_conv_plan {
  tare_conv_problem problem;
  tare_conv_options options;
  const tare_kernels *kernels;
  tare_group groups[TARE_PASSES];
  int group_count;
  int group_of[TARE_PASSES];   /* -1: the pass is not covered */
  size_t prepared_size, partial_size, kept_size, workspace_size;
  char *reasons;
};

/* choose.c: fills the plan's groups and adds the verdicts to notes. */
tare_status tare_conv_choose(tare_conv_plan *plan, tare_text *notes, tare_error *error);
/* plan.c: how a candidate would do passes: its query, the parts, their copies. Nothing is made. */
void tare_conv_outline(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_group *out);
/* Makes one group ready; on failure the group is empty. */
tare_status tare_conv_make_group(const tare_conv_plan *plan, const tare_candidate *how, int passes, tare_group *out, tare_error *error);
void tare_conv_free_group(tare_group *group);
/* Elements of workspace and kept together that the plan may have. */
size_t tare_conv_limit(const tare_conv_plan *plan);
/* Sums the sizes of the groups up: those of the plan. */
void tare_conv_add_sizes(tare_conv_plan *plan);

#endif
