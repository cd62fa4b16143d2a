/* SPDX-License-Identifier: Apache-2.0 */
/* One correction by a lattice: what is to be mended in its basis, then Babai's nearest plane. */
#include <math.h>

#include "base/alloc.h"
#include "constraint/rational.h"
#include "round/part.h"

enum { PASSES = 64 };

static void set_wide(fmpz_t out, __int128 value) {
  unsigned __int128 size = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
  fmpz_set_uiui(out, (ulong)(size >> 64), (ulong)size);
  if (value < 0) fmpz_neg(out, out);
}

/* step -= sum of units that make up `excess`. 0 if they are not whole or too large (never, where the target obeys). */
static int mend(const tare_lattice *l, const __int128 *excess, __int128 *step) {
  fmpz *wide = _fmpz_vec_init(l->rows);
  fmpz_t times;
  fmpz_init(times);
  for (int row = 0; row < l->rows; row++) set_wide(&wide[row], excess[row]);
  int done = 1;
  for (int i = 0; i < l->rows && done; i++) {
    fmpz_zero(times);
    for (int row = 0; row < l->rows; row++) fmpz_addmul(times, fmpz_mat_entry(l->inverse, i, row), &wide[row]);
    done = fmpz_divisible(times, l->divisor);
    if (done) fmpz_divexact(times, times, l->divisor);
    done = done && fmpz_fits_si(times);
    if (!done) break;
    __int128 factor = fmpz_get_si(times);
    for (int k = 0; factor != 0 && k < l->taps; k++) step[k] -= factor * l->unit[i * l->taps + k];
  }
  fmpz_clear(times);
  _fmpz_vec_clear(wide, l->rows);
  return done;
}

/* From the last vector to the first, the multiple that brings `distance` nearest to the plane of those before. Returns whether any was taken. */
static int nearest_plane(const tare_lattice *l, __int128 *step, double *distance) {
  int changed = 0, k = l->taps;
  for (int row = l->rank - 1; row >= 0; row--) {
    const double *ortho = l->ortho + row * k;
    const int64_t *vector = l->kernel + row * k;
    double times = 0;
    for (int i = 0; i < k; i++) times += distance[i] * ortho[i];
    times = nearbyint(times);
    if (times == 0) continue;
    changed = 1;
    for (int i = 0; i < k; i++) {
      step[i] -= (__int128)times * vector[i];
      distance[i] -= times * (double)vector[i] * l->root[i];
    }
  }
  return changed;
}

static int apply(const tare_lattice *l, const __int128 *step, int64_t *entry, int64_t bound) {
  int done = 1;
  for (int i = 0; i < l->taps && done; i++) {
    __int128 q = entry[l->place[i]] + step[i];
    done = q <= bound && q >= -bound;
    if (done) entry[l->place[i]] = (int64_t)q;
  }
  return done;
}

int tare_correct_lattice(const tare_lattice *l, const double *x, int64_t *entry, int64_t bound, const __int128 *excess) {
  __int128 *step = tare_alloc((size_t)l->taps, sizeof *step);
  double *distance = tare_alloc((size_t)l->taps, sizeof *distance);
  int done = step && distance ? mend(l, excess, step) : -1, changed = done > 0;
  for (int pass = 0; pass < PASSES && changed; pass++) { /* more than once while numbers exceed a double's 53 bits */
    for (int i = 0; i < l->taps; i++) {
      int at = l->place[i];
      distance[i] = ((double)entry[at] - x[at] + (double)step[i]) * l->root[i];
    }
    changed = nearest_plane(l, step, distance);
  }
  if (done > 0) done = apply(l, step, entry, bound);
  tare_free(step);
  tare_free(distance);
  return done;
}
