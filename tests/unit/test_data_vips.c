/* SPDX-License-Identifier: Apache-2.0 */
/* The manipulations against libvips' own, away from the borders. Skipped in a build without photos. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#ifdef TARE_WITH_VIPS
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

#include "data/leaves.h"
#include "data/manipulate.h"

static int start(void **state) {
  (void)state;
  return vips_init("test");
}

/* Compares version `which` of an image with what libvips makes of it: no pixel further off than `most`. */
static void compare(int which, int (*run)(VipsImage *in, VipsImage **out), int most) {
  enum { MARGIN = 12 };
  tare_picture image, mine;
  tare_rng rng = {{1, 2, 3, 4}};
  assert_int_equal(tare_leaves_image(2, 0, &image, NULL), TARE_OK);
  assert_int_equal(tare_manipulations[which].run(&image, &rng, &mine, NULL), TARE_OK);
  VipsImage *in = vips_image_new_from_memory(image.pixels, 512 * 512, 512, 512, 1, VIPS_FORMAT_UCHAR), *out = NULL, *rounded = NULL;
  assert_int_equal(run(in, &out), 0);
  assert_int_equal(vips_rint(out, &rounded, NULL), 0);
  size_t size;
  g_object_unref(out);
  assert_int_equal(vips_cast_uchar(rounded, &out, NULL), 0);
  unsigned char *theirs = vips_image_write_to_memory(out, &size);
  assert_true(out->Xsize >= mine.width && out->Ysize >= mine.height);
  for (int y = MARGIN; y < mine.height - MARGIN; y++)
    for (int x = MARGIN; x < mine.width - MARGIN; x++) {
      int a = ((unsigned char *)mine.pixels)[y * mine.width + x], b = theirs[y * out->Xsize + x];
      if (abs(a - b) > most) fail_msg("%s: (%d,%d) is %d, libvips has %d", tare_manipulations[which].name, y, x, a, b);
    }
  g_free(theirs);
  g_object_unref(in);
  g_object_unref(rounded);
  g_object_unref(out);
  tare_picture_free(&image);
  tare_picture_free(&mine);
}

static int median(VipsImage *in, VipsImage **out) {
  VipsImage *wide = NULL; /* libvips up to 8.17 has its 8-bit path wrong (its pull request 4610) */
  int failed = vips_cast_ushort(in, &wide, NULL) || vips_median(wide, out, 5, NULL);
  g_object_unref(wide);
  return failed;
}

static int gaussian(VipsImage *in, VipsImage **out) {
  VipsImage *wide = NULL;
  int failed = vips_cast_float(in, &wide, NULL) ||
    vips_gaussblur(wide, out, 1.1, "precision", VIPS_PRECISION_FLOAT, "min_ampl", 0.0015, NULL);
  g_object_unref(wide);
  return failed;
}

static int resampled(VipsImage *in, VipsImage **out) { /* output centres on input centres, as in doc/data.md */
  VipsImage *wide = NULL;
  VipsInterpolate *bilinear = vips_interpolate_new("bilinear");
  int failed = vips_cast_float(in, &wide, NULL) ||
    vips_affine(wide, out, 1.5, 0, 0, 1.5, "interpolate", bilinear, "idx", 0.5, "idy", 0.5, "odx", -0.5, "ody", -0.5, "extend",
                VIPS_EXTEND_COPY, NULL);
  g_object_unref(wide);
  g_object_unref(bilinear);
  return failed;
}

static void the_median_is_that_of_libvips(void **state) {
  (void)state;
  compare(1, median, 0);
}

static void the_gaussian_is_that_of_libvips(void **state) {
  (void)state;
  compare(2, gaussian, 1); /* halves may round either way */
}

static void resampling_is_that_of_libvips(void **state) {
  (void)state;
  compare(4, resampled, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_median_is_that_of_libvips),
    cmocka_unit_test(the_gaussian_is_that_of_libvips),
    cmocka_unit_test(resampling_is_that_of_libvips),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
#else
static void needs_libvips(void **state) {
  (void)state;
  skip();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(needs_libvips)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
