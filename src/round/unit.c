/* SPDX-License-Identifier: Apache-2.0 */
/* One unit: what it should come close to, and its integers on one grid. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "round/number.h"
#include "round/plan.h"

tare_status tare_scratch_create(const tare_plan *plan, size_t units, tare_scratch *out, tare_error *error) {
  size_t n = (size_t)plan->variables, count = (size_t)plan->most_count, rows = (size_t)plan->most_rows;
  *out = (tare_scratch){.target = tare_alloc(units * n, sizeof *out->target), .x = tare_alloc(n, sizeof *out->x)};
  out->y = tare_alloc(count, sizeof *out->y);
  out->r = tare_alloc(rows, sizeof *out->r);
  out->q = tare_alloc(n, sizeof *out->q);
  out->entry = tare_alloc(count, sizeof *out->entry);
  out->excess = tare_alloc(rows, sizeof *out->excess);
  out->order = tare_alloc(count, sizeof *out->order);
  if (out->target && out->x && out->y && out->r && out->q && out->entry && out->excess && out->order) return TARE_OK;
  tare_scratch_free(out);
  return tare_fail_memory(error, units * n * sizeof *out->target, "rounding");
}

void tare_scratch_free(tare_scratch *scratch) {
  tare_free(scratch->target);
  tare_free(scratch->x);
  tare_free(scratch->y);
  tare_free(scratch->r);
  tare_free(scratch->q);
  tare_free(scratch->entry);
  tare_free(scratch->excess);
  tare_free(scratch->order);
  *scratch = (tare_scratch){0};
}

void tare_unit_target(const tare_plan *plan, tare_scratch *t, const float *w, double *target, double *largest, double *sum) {
  memset(target, 0, (size_t)plan->variables * sizeof *target);
  for (int tap = 0; tap < plan->taps; tap++)
    if (plan->variable[tap] >= 0) target[plan->variable[tap]] += (double)plan->sign[tap] * w[tap];
  for (int i = 0; i < plan->variables; i++) target[i] *= plan->share[i];
  for (int k = 0; k < plan->parts; k++) {
    const tare_part *part = &plan->part[k];
    for (int i = 0; i < part->count; i++) t->y[i] = target[part->variable[i]];
    tare_part_project(part, t->y, t->r);
    for (int i = 0; i < part->count; i++) target[part->variable[i]] = t->y[i];
  }
  for (int i = 0; i < plan->variables; i++) {
    if (fabs(target[i]) > *largest) *largest = fabs(target[i]);
    *sum += plan->members[i] * fabs(target[i]);
  }
  for (int i = 0; i < plan->fixed_count; i++) {
    double size = fabs(ldexp((double)plan->fixed[i].odd, plan->fixed[i].shift));
    *largest = fmax(*largest, size);
    *sum += size;
  }
}

/* odd * 2^(shift - e); 0 if that is beyond every sum that the taps can reach. */
static int on_grid(__int128 odd, int shift, int e, __int128 *out) {
  if (odd != 0 && log2(fabs((double)odd)) + (shift - e) > 120) return 0;
  *out = odd == 0 ? 0 : odd * ((__int128)1 << (shift - e));
  return 1;
}

/* a entry - b in steps of the grid. */
static int set_excess(const tare_part *part, tare_scratch *t, int e) {
  for (int row = 0; row < part->rows; row++) {
    __int128 sum;
    if (!on_grid(part->b_odd[row], part->b_shift[row], e, &sum)) return 0;
    sum = -sum;
    const int64_t *a = part->a + row * part->count;
    for (int i = 0; i < part->count; i++) sum += (__int128)a[i] * t->entry[i];
    t->excess[row] = sum;
  }
  return 1;
}

static int round_part(const tare_part *part, tare_scratch *t, int e, int64_t bound) {
  for (int i = 0; i < part->count; i++) {
    t->y[i] = t->x[part->variable[i]];
    t->entry[i] = t->q[part->variable[i]];
  }
  if (!set_excess(part, t, e)) return TARE_UNIT_NO_ROOM;
  int done = tare_correct(part, t->order, t->y, t->entry, bound, t->excess);
  for (int i = 0; done > 0 && i < part->count; i++) t->q[part->variable[i]] = t->entry[i];
  return done;
}

static int place_fixed(const tare_plan *plan, int e, int64_t bound, int32_t *out) {
  for (int i = 0; i < plan->fixed_count; i++) {
    __int128 q;
    if (!on_grid(plan->fixed[i].odd, plan->fixed[i].shift, e, &q) || q > bound || q < -bound) return TARE_UNIT_NO_ROOM;
    out[plan->fixed[i].tap] = (int32_t)q;
  }
  return TARE_UNIT_DONE;
}

int tare_unit_round(const tare_plan *plan, tare_scratch *t, const double *target, double scale, int e, int64_t bound, int32_t *out) {
  double most = (double)bound;
  for (int i = 0; i < plan->variables; i++) {
    t->x[i] = target[i] / scale;
    t->q[i] = (int64_t)tare_nearest(t->x[i], most);
  }
  int done = place_fixed(plan, e, bound, out);
  for (int k = 0; k < plan->parts && done > 0; k++) done = round_part(&plan->part[k], t, e, bound);
  for (int tap = 0; done > 0 && tap < plan->taps; tap++)
    if (plan->variable[tap] >= 0) out[tap] = (int32_t)(plan->sign[tap] * t->q[plan->variable[tap]]);
  return done;
}
