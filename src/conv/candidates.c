/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered table of candidates, and what several of them need. */
#include "conv/candidate.h"

const tare_candidate *const tare_candidates[] = {&tare_candidate_onednn, &tare_candidate_fft, &tare_candidate_im2col, &tare_candidate_reference, NULL};

size_t tare_conv_weights_size(const tare_conv_problem *p) {
  return (size_t)p->outputs * (size_t)(p->channels / p->groups) * (size_t)p->kernel[0] * (size_t)p->kernel[1];
}

double tare_conv_flops(const tare_conv_problem *p) {
  return 2.0 * p->batch * tare_conv_output_size(p, 0) * tare_conv_output_size(p, 1) * (double)tare_conv_weights_size(p);
}
