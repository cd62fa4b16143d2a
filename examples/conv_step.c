/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One training step of a convolution layer with libtare alone: forward, both gradients, on all cores.
 * cc conv_step.c $(pkg-config --cflags --libs tare)
 */
#include <stdio.h>
#include <stdlib.h>
#include <tare/conv.h>

static float *floats(size_t n) {
  float *p = aligned_alloc(64, (n * sizeof *p + 64) / 64 * 64);
  for (size_t i = 0; p && i < n; i++) p[i] = (float)(i % 17) / 17 - 0.5f;
  return p;
}

static int failed(tare_status status, const tare_error *error) {
  if (status) fprintf(stderr, "%s\n", error->message);
  return status != TARE_OK;
}

int main(void) {
  enum { THREADS = 2, X = 8 * 64 * 64 * 32, Y = X, WEIGHTS = 32 * 32 * 15 * 15 };
  const tare_conv_options options = {.flags = TARE_CONV_SHARED, .threads = THREADS};
  tare_conv_problem problem;
  tare_conv_plan *plan;
  tare_pool *pool;
  tare_error error;
  if (failed(tare_conv_problem_parse("n8c32h64o32k15p7", &problem, &error), &error)) return 1;
  if (failed(tare_conv_plan_create(&problem, &options, &plan, &error), &error)) return 1;
  if (failed(tare_pool_create(THREADS, &pool, &error), &error)) return 1;
  printf("forward: %s, %s\n", tare_conv_plan_candidate(plan, TARE_FORWARD), tare_conv_plan_algorithm(plan, TARE_FORWARD));

  float *x = floats(X), *y = floats(Y), *dy = floats(Y), *dx = floats(X), *w = floats(WEIGHTS), *dw = floats(WEIGHTS);
  float *prepared = floats(tare_conv_prepared_size(plan)), *partial = floats(tare_conv_partial_size(plan));
  float *kept = floats(tare_conv_kept_size(plan)), *workspace = floats(tare_conv_workspace_size(plan));

  tare_status status = tare_conv_prepare(plan, w, prepared, workspace, pool);
  if (!status) status = tare_conv_forward(plan, x, prepared, NULL, y, kept, workspace, pool);
  if (!status) status = tare_conv_backward(plan, x, dy, prepared, kept, dx, partial, workspace, pool);
  if (!status) status = tare_conv_finish(plan, partial, dw, workspace, pool);
  printf("y %g, dx %g, dw %g\n", (double)y[0], (double)dx[0], (double)dw[0]);

  float *arrays[] = {x, y, dy, dx, w, dw, prepared, partial, kept, workspace};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
  tare_pool_free(pool);
  tare_conv_plan_free(plan);
  return status != TARE_OK;
}
