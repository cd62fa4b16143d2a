/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered table of candidates, and what several of them need. */
#include <math.h>

#include "conv/candidate.h"

const tare_candidate *const tare_candidates[] = {&tare_candidate_onednn, &tare_candidate_direct, &tare_candidate_fft,
  &tare_candidate_im2col, &tare_candidate_reference, NULL};

static size_t planes_of(int n) { return n > 0 ? (size_t)n : 1; } /* left 0: one */

size_t tare_conv_weights_size(const tare_conv_problem *p) {
  size_t taps = planes_of(p->kernel[2]) * (size_t)p->kernel[0] * (size_t)p->kernel[1];
  return (size_t)p->outputs * (size_t)(p->channels / p->groups) * taps;
}

size_t tare_conv_pixels(const tare_conv_problem *p) { return planes_of(p->size[2]) * (size_t)p->size[0] * (size_t)p->size[1]; }

size_t tare_conv_output_pixels(const tare_conv_problem *p) {
  return (size_t)tare_conv_output_size(p, 2) * (size_t)tare_conv_output_size(p, 0) * (size_t)tare_conv_output_size(p, 1);
}

size_t tare_conv_image_size(const tare_conv_problem *p) { return tare_conv_pixels(p) * (size_t)p->channels; }

size_t tare_conv_result_size(const tare_conv_problem *p) { return tare_conv_output_pixels(p) * (size_t)p->outputs; }

double tare_conv_flops(const tare_conv_problem *p) {
  return 2.0 * p->batch * (double)tare_conv_output_pixels(p) * (double)tare_conv_weights_size(p);
}

tare_core tare_conv_core(void) { return tare_cpu_hardware() == TARE_LEVEL_AVX512 ? TARE_CORE_AVX512 : TARE_CORE_OLDER; }

double tare_conv_cycles_here(double cycles, double older) { return tare_conv_core() == TARE_CORE_OLDER ? cycles * older : cycles; }

double tare_conv_beyond(double bytes) {
  static const double all = 8 << 20, none = 24 << 20; /* the L3 cache has 32 MiB, and others use it too */
  return bytes < all ? 0 : bytes > none ? 1 : (bytes - all) / (none - all);
}

double tare_conv_memory_cycles(const tare_conv_problem *p) {
  static const double cycles_a_byte = 0.05; /* measured, one thread of an AMD EPYC */
  double floats = (double)tare_conv_image_size(p) + (double)tare_conv_result_size(p);
  double bytes = sizeof(float) * p->batch * floats;
  return bytes * cycles_a_byte * tare_conv_beyond(bytes);
}

double tare_conv_terms(const tare_conv_problem *p, tare_pass pass) {
  double taps = (double)planes_of(p->kernel[2]) * p->kernel[0] * p->kernel[1];
  if (pass == TARE_BACKWARD_WEIGHTS) return (double)p->batch * (double)tare_conv_output_pixels(p);
  return taps * (pass == TARE_FORWARD ? p->channels : p->outputs) / p->groups;
}

/* Partial sums grow with the root of their number: a chain's error is that of a rounding (0.7 of half a unit) times the root of a sixth of it. */
double tare_conv_chain_error(double terms, double chain) {
  double chains = ceil(terms / chain);
  return 1.8e-8 * sqrt((terms < chain ? terms : chain) + chains);
}
