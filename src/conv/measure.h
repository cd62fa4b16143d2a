/* SPDX-License-Identifier: Apache-2.0 */
/* Plans timed on arrays of their own. */
#ifndef TARE_CONV_MEASURE_H
#define TARE_CONV_MEASURE_H

#include "conv/plan.h"

/* A plan, all its arrays, and a pool to run it with (NULL: none). */
typedef struct tare_trial tare_trial;
/* Takes the plan, also on failure. */
tare_status tare_trial_create(tare_conv_plan *plan, tare_pool *pool, tare_trial **out, tare_error *error);
void tare_trial_free(tare_trial *trial);
/*
 * The shortest time in seconds of a training step with each plan, or of those passes that it covers: prepare, forward, backward, finish. They
 * take turns, so that what disturbs the machine disturbs all alike, for at least `least` seconds each. Below 0: the plan failed.
 */
void tare_trials_time(tare_trial *const *trials, int count, double least, double *seconds);

/*
 * Costs of the candidates that accept, for the planner: nanoseconds where it was timed (a bit in the result), else
 * so much that it is not chosen: candidates that expect to be far slower than the best are not.
 */
unsigned tare_conv_measure(const tare_conv_plan *plan, int passes, const tare_verdict *verdicts, double *costs);

#endif
