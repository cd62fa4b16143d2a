/* SPDX-License-Identifier: Apache-2.0 */
/* Photos and folders of classes: what is read, what is skipped, which part it is in. Skipped where the libvips module was not built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <tare/image.h>

#include "base/rng.h"
#include "data/photos.h"

static char folder[64], modules[4200];
static int have_module;

static int set_up(void **state) {
  (void)state;
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  strcpy(folder, P_tmpdir "/tare-photos-XXXXXX");
  if (length < 0 || !mkdtemp(folder)) return -1;
  self[length] = 0;
  *strrchr(self, '/') = 0;
  snprintf(modules, sizeof modules, "%s/../../src/data", self); /* where the build puts it */
  setenv("TARE_MODULES", modules, 1);
  char path[4300];
  snprintf(path, sizeof path, "%s/tare-photos.so", modules);
  have_module = access(path, R_OK) == 0;
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

#define NEED_MODULE() do { if (!have_module) skip(); } while (0)

/* ---- files to read ---- */

static char path_buffer[4][200];

static const char *path_of(const char *name) {
  static int turn;
  char *path = path_buffer[turn++ % 4];
  snprintf(path, sizeof path_buffer[0], "%s/%s", folder, name);
  return path;
}

static const char *make(const char *name) {
  const char *path = path_of(name);
  mkdir(path, 0777);
  return path;
}

static uint8_t *noise(int count, uint64_t seed) {
  uint8_t *pixels = malloc((size_t)count);
  tare_rng rng;
  tare_rng_init(&rng, seed, 3);
  for (int i = 0; i < count; i++) pixels[i] = (uint8_t)tare_rng_below(&rng, 256);
  return pixels;
}

static void write_png(const char *name, int width, int height, int channels, uint64_t seed) {
  uint8_t *pixels = noise(width * height * channels, seed);
  assert_int_equal(tare_png_write(path_of(name), pixels, width, height, channels, NULL), TARE_OK);
  free(pixels);
}

static void write_text(const char *name, const char *text) {
  FILE *file = fopen(path_of(name), "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void put(FILE *file, int bytes, uint32_t value) { /* little-endian */
  for (int i = 0; i < bytes; i++) fputc((int)(value >> 8 * i & 255), file);
}

/* A grey TIFF of 16 bits, uncompressed, with `rows` rows of pixels in the file: i * 327 + 5. */
static void write_tiff(const char *name, uint32_t width, uint32_t height, uint32_t rows) {
  const uint32_t tags[][2] = {{256, width}, {257, height}, {258, 16}, {259, 1}, {262, 1}, {273, 8 + 2 + 9 * 12 + 4}, {277, 1},
                              {278, height}, {279, width * height * 2}};
  FILE *file = fopen(path_of(name), "wb");
  assert_non_null(file);
  fputs("II*", file);
  put(file, 1, 0);
  put(file, 4, 8);
  put(file, 2, 9);
  for (int i = 0; i < 9; i++) {
    put(file, 2, tags[i][0]);
    put(file, 2, 4);
    put(file, 4, 1);
    put(file, 4, tags[i][1]);
  }
  put(file, 4, 0);
  for (uint32_t i = 0; i < width * rows; i++) put(file, 2, i * 327 + 5);
  fclose(file);
}

static void cut(const char *name, long size) { assert_int_equal(truncate(path_of(name), size), 0); }

/* A smooth grey JPEG of 64x48 with an EXIF orientation: 8 of 64 columns at the left are bright, the rest dark. */
static void write_jpeg(const char *name, int orientation) {
  struct jpeg_compress_struct e;
  struct jpeg_error_mgr manager;
  FILE *file = fopen(path_of(name), "wb");
  e.err = jpeg_std_error(&manager);
  jpeg_create_compress(&e);
  jpeg_stdio_dest(&e, file);
  e.image_width = 64, e.image_height = 48, e.input_components = 1, e.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&e);
  jpeg_start_compress(&e, TRUE);
  const unsigned char exif[] = {'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1,
                                0, (unsigned char)orientation, 0, 0, 0, 0, 0, 0};
  jpeg_write_marker(&e, JPEG_APP0 + 1, exif, sizeof exif);
  uint8_t row[64];
  memset(row, 40, sizeof row);
  memset(row, 220, 8);
  JSAMPROW rows = row;
  for (int y = 0; y < 48; y++) jpeg_write_scanlines(&e, &rows, 1);
  jpeg_finish_compress(&e);
  jpeg_destroy_compress(&e);
  fclose(file);
}

/* ---- opening ---- */

typedef struct lines { int count; char text[20][400]; } lines;

static void keep_line(void *user, const char *line) {
  lines *l = user;
  assert_true(l->count < 20);
  snprintf(l->text[l->count++], sizeof l->text[0], "%s", line);
}

static tare_status open_in(const char *kind, const char *name, int patch, int rgb, lines *warnings, tare_source **source,
                           tare_error *error) {
  char spec[300];
  tare_source_options options;
  tare_source_defaults(&options);
  options.patch = patch;
  options.rgb = rgb;
  options.threads = 2;
  if (warnings) options.warn = keep_line, options.warn_user = warnings, warnings->count = 0;
  snprintf(spec, sizeof spec, "%s:%s", kind, path_of(name));
  *source = NULL;
  error->message[0] = 0;
  return tare_source_open(spec, &options, source, error);
}

static tare_source *opened(const char *kind, const char *name, int patch, int rgb, lines *warnings) {
  tare_source *source;
  tare_error error;
  tare_status status = open_in(kind, name, patch, rgb, warnings, &source, &error);
  if (status) fail_msg("%s", error.message);
  return source;
}

static void refused(const char *kind, const char *name, int patch, tare_status want, const char *words) {
  tare_source *source;
  tare_error error;
  assert_int_equal(open_in(kind, name, patch, 0, NULL, &source, &error), want);
  if (!strstr(error.message, words)) fail_msg("'%s' does not say '%s'", error.message, words);
  assert_null(strchr(error.message, '\n'));
  assert_null(source);
}

static void a_missing_module_says_what_to_install(void **state) {
  (void)state;
  make("two");
  write_png("two/a.png", 60, 60, 1, 1);
  make("empty-modules");
  setenv("TARE_MODULES", path_of("empty-modules"), 1);
  tare_source *source;
  tare_error error;
  if (open_in("photos", "two", 0, 0, NULL, &source, &error) == TARE_E_UNSUPPORTED) /* unless it is installed on this machine */
    assert_non_null(strstr(error.message, "install libvips-dev"));
  tare_source_free(source);
  write_text("empty-modules/tare-photos.so", "not a library");
  setenv("TARE_MODULES", path_of("empty-modules"), 1);
  refused("photos", "two", 0, TARE_E_UNSUPPORTED, "tare-photos.so cannot be loaded");
  refused("folder", "nowhere", 0, TARE_E_DATA, "nowhere: cannot be read"); /* said before the module is asked for */
  setenv("TARE_MODULES", modules, 1);
}

static void photos_are_read_and_others_skipped(void **state) {
  (void)state;
  NEED_MODULE();
  lines warnings;
  make("mixed");
  make("mixed/sub");
  make("mixed/.hidden");
  for (int i = 0; i < 5; i++) {
    char name[40];
    snprintf(name, sizeof name, "mixed/%s%d.png", i % 2 ? "sub/" : "", i);
    write_png(name, 100 + i, 90, i % 2 ? 3 : 1, (uint64_t)i);
  }
  write_png("mixed/.hidden/h.png", 100, 90, 1, 1);
  write_text("mixed/notes[1].txt", "not an image");
  write_text("mixed/empty.png", "");
  write_png("mixed/short.png", 100, 90, 1, 9);
  cut("mixed/short.png", 4000);
  write_png("mixed/small.png", 100, 47, 1, 9);
  write_tiff("mixed/huge.tif", 20000, 20000, 0);
  tare_source *source = opened("photos", "mixed", 0, 0, &warnings);
  tare_source_info info;
  tare_source_get_info(source, &info);
  assert_int_equal(info.images[0] + info.images[1], 5);
  assert_int_equal(info.skipped, 5);
  assert_true(info.height == 48 && info.width == 48 && info.channels == 1 && info.classes == 6);
  assert_int_equal(warnings.count, 5);
  static const char *const said[][2] = {{"empty.png", "not an image"}, {"huge.tif", "268 megapixels"}, {"notes[1].txt", "not an image"},
                                        {"short.png", "damaged"}, {"small.png", "100x47 is smaller than the patch of 48"}};
  for (int i = 0; i < 5; i++)
    if (!strstr(warnings.text[i], said[i][0]) || !strstr(warnings.text[i], said[i][1])) fail_msg("%s", warnings.text[i]);
  float x[6 * 48 * 48];
  int32_t y[6];
  assert_int_equal(tare_source_train_batch(source, 1, 0, 6, x, y, NULL, NULL), TARE_OK);
  for (int i = 0; i < 6 * 48 * 48; i++) assert_true(x[i] >= 0 && x[i] < 1 && x[i] * 256 == (float)(int)(x[i] * 256));
  /* Names say nothing: the same images under other names are in the same parts. */
  uint64_t hashes[5], others[5];
  size_t count = tare_source_train_hashes(source, hashes, 5);
  assert_int_equal(rename(path_of("mixed/0.png"), path_of("mixed/zz.png")), 0);
  tare_source *renamed = opened("photos", "mixed", 0, 0, NULL);
  assert_int_equal(tare_source_train_hashes(renamed, others, 5), count);
  for (size_t i = 0; i < count; i++) {
    size_t found = 0;
    for (size_t j = 0; j < count; j++) found += hashes[i] == others[j];
    assert_int_equal(found, 1);
  }
  tare_source_free(source);
  tare_source_free(renamed);
}

/* --images: so many files, spread over the names, and it is said. */
static void more_files_than_asked_for_are_thinned_out(void **state) {
  (void)state;
  NEED_MODULE();
  lines warnings = {0};
  tare_source *source, *all;
  tare_source_options options;
  tare_error error;
  char spec[300];
  make("many");
  for (int i = 0; i < 9; i++) {
    char name[40];
    snprintf(name, sizeof name, "many/%d.png", i);
    write_png(name, 50, 50, 1, (uint64_t)i);
  }
  snprintf(spec, sizeof spec, "photos:%s", path_of("many"));
  tare_source_defaults(&options);
  options.images = 3;
  options.warn = keep_line;
  options.warn_user = &warnings;
  assert_int_equal(tare_source_open(spec, &options, &source, &error), TARE_OK);
  assert_int_equal(source->count, 3);
  assert_int_equal(warnings.count, 1);
  if (!strstr(warnings.text[0], "3 of its 9 files are read")) fail_msg("%s", warnings.text[0]);
  options.images = 0;
  assert_int_equal(tare_source_open(spec, &options, &all, &error), TARE_OK);
  assert_int_equal(all->count, 9);
  for (size_t i = 0; i < 3; i++) assert_true(source->items[i].hash == all->items[3 * i + 1].hash); /* the middle of each third */
  tare_source_free(source);
  tare_source_free(all);
}

static void copies_are_in_one_part(void **state) {
  (void)state;
  NEED_MODULE();
  make("copies");
  for (int i = 0; i < 8; i++) {
    char name[40];
    snprintf(name, sizeof name, "copies/%d.png", i);
    write_png(name, 50, 50, 1, i < 6 ? 11 : (uint64_t)i);
  }
  tare_source *source = opened("photos", "copies", 0, 0, NULL);
  for (size_t i = 1; i < 6; i++) {
    assert_true(source->items[i].hash == source->items[0].hash);
    assert_int_equal(source->items[i].part, source->items[0].part);
  }
  assert_true(source->info.images[0] >= 1 && source->info.images[1] >= 1);
  tare_source_free(source);
  for (int i = 6; i < 8; i++) {
    char name[40];
    snprintf(name, sizeof name, "copies/%d.png", i);
    unlink(path_of(name));
  }
  refused("photos", "copies", 0, TARE_E_DATA, "at least two different images");
}

static void unusable_folders_are_refused(void **state) {
  (void)state;
  NEED_MODULE();
  make("nothing");
  make("texts");
  write_text("texts/a.txt", "a");
  write_text("texts/b.txt", "b");
  make("tiny");
  write_png("tiny/a.png", 20, 20, 1, 1);
  refused("photos", "nothing", 0, TARE_E_DATA, "no files are in this folder");
  refused("photos", "missing", 0, TARE_E_DATA, "missing: cannot be read: No such file");
  refused("photos", "texts/a.txt", 0, TARE_E_DATA, "expected a folder, found a file");
  refused("photos", "texts", 0, TARE_E_DATA, "none of its 2 files can be used");
  refused("photos", "tiny", 0, TARE_E_DATA, "20x20 is smaller than the patch of 48");
  refused("folder", "nothing", 0, TARE_E_DATA, "expected at least two subfolders, one a class");
  make("classless");
  make("classless/a");
  make("classless/b");
  refused("folder", "classless", 0, TARE_E_DATA, "no files are in its class folders");
  if (geteuid() != 0) {
    chmod(path_of("tiny"), 0);
    refused("photos", "tiny", 0, TARE_E_DATA, "Permission denied");
    chmod(path_of("tiny"), 0777);
  }
}

/* ---- one image ---- */

static tare_item read_item(const char *name, tare_photo_want want) {
  const tare_photos_module *module;
  tare_item item = {0};
  tare_error error = {0};
  assert_int_equal(tare_photos_load(&module, NULL), TARE_OK);
  tare_status status = tare_photo_read(module, path_of(name), &want, &item, &error);
  if (status) fail_msg("%s", error.message);
  return item;
}

static void colour_becomes_luma_or_stays(void **state) {
  (void)state;
  NEED_MODULE();
  write_png("colour.png", 31, 17, 3, 5);
  uint8_t *rgb = noise(31 * 17 * 3, 5);
  tare_item grey = read_item("colour.png", (tare_photo_want){1, 8, 1, 1, 1 << 20}),
            colour = read_item("colour.png", (tare_photo_want){3, 8, 1, 1, 1 << 20});
  assert_memory_equal(colour.pictures[0].pixels, rgb, 31 * 17 * 3);
  for (int i = 0; i < 31 * 17; i++) {
    double want = 0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2], got = ((uint8_t *)grey.pictures[0].pixels)[i];
    assert_true(got - want <= 0.51 && want - got <= 0.51);
  }
  free(rgb);
  tare_item_free(&grey, 1);
  tare_item_free(&colour, 1);
  write_png("grey.png", 31, 17, 1, 6);
  uint8_t *one = noise(31 * 17, 6);
  grey = read_item("grey.png", (tare_photo_want){1, 8, 1, 1, 1 << 20});
  colour = read_item("grey.png", (tare_photo_want){3, 8, 1, 1, 1 << 20});
  assert_memory_equal(grey.pictures[0].pixels, one, 31 * 17);
  for (int i = 0; i < 31 * 17 * 3; i++) assert_int_equal(((uint8_t *)colour.pictures[0].pixels)[i], one[i / 3]);
  assert_true(grey.hash == tare_picture_hash(&grey.pictures[0]));
  free(one);
  tare_item_free(&grey, 1);
  tare_item_free(&colour, 1);
}

static void sixteen_bits_stay_or_lose_their_low_half(void **state) {
  (void)state;
  NEED_MODULE();
  write_tiff("deep.tif", 20, 10, 10);
  tare_item wide = read_item("deep.tif", (tare_photo_want){1, 16, 1, 0, 1 << 20}),
            narrow = read_item("deep.tif", (tare_photo_want){1, 8, 1, 1, 1 << 20});
  assert_true(wide.pictures[0].bits == 16 && narrow.pictures[0].bits == 8);
  for (int i = 0; i < 200; i++) {
    assert_int_equal(((uint16_t *)wide.pictures[0].pixels)[i], i * 327 + 5);
    assert_int_equal(((uint8_t *)narrow.pictures[0].pixels)[i], (i * 327 + 5) >> 8);
  }
  tare_item_free(&wide, 1);
  tare_item_free(&narrow, 1);
}

/* Orientation 6 asks for a quarter turn clockwise: the left columns become the top rows. */
static void photos_stand_upright(void **state) {
  (void)state;
  NEED_MODULE();
  write_jpeg("turned.jpg", 6);
  write_jpeg("straight.jpg", 1);
  tare_item turned = read_item("turned.jpg", (tare_photo_want){1, 8, 1, 1, 1 << 20}),
            straight = read_item("straight.jpg", (tare_photo_want){1, 8, 1, 1, 1 << 20});
  const uint8_t *t = turned.pictures[0].pixels, *s = straight.pictures[0].pixels;
  assert_true(straight.pictures[0].width == 64 && straight.pictures[0].height == 48);
  assert_true(turned.pictures[0].width == 48 && turned.pictures[0].height == 64);
  assert_true(s[20 * 64 + 2] > 200 && s[20 * 64 + 60] < 60);
  assert_true(t[2 * 48 + 20] > 200 && t[60 * 48 + 20] < 60 && t[2 * 48 + 45] > 200);
  tare_item_free(&turned, 1);
  tare_item_free(&straight, 1);
}

static void large_photos_are_cut_into_tiles(void **state) {
  (void)state;
  NEED_MODULE();
  enum { W = 1100, H = 1030 };
  write_png("large.png", W, H, 1, 8);
  uint8_t *pixels = noise(W * H, 8);
  tare_item all = read_item("large.png", (tare_photo_want){1, 8, 48, 1, 1 << 26}),
            two = read_item("large.png", (tare_photo_want){1, 8, 48, 1, 600000}),
            one = read_item("large.png", (tare_photo_want){1, 8, 48, 1, 10}),
            middle = read_item("large.png", (tare_photo_want){1, 8, 48, 0, 10000});
  assert_int_equal(all.tiles, 4);
  for (int tile = 0; tile < 4; tile++) {
    const tare_picture *p = &all.pictures[tile];
    assert_true(p->width == 550 && p->height == 515);
    for (int y = 0; y < 515; y++)
      assert_memory_equal((uint8_t *)p->pixels + y * 550, pixels + (tile / 2 * 515 + y) * W + tile % 2 * 550, 550);
  }
  assert_int_equal(two.tiles, 2);
  assert_true(one.tiles == 1 && one.pictures[0].width == 512 && one.pictures[0].height == 512);
  const tare_picture *m = &middle.pictures[0];
  assert_true(middle.tiles == 1 && m->width >= 48 && m->width * m->height <= 10000 && m->width > 90);
  assert_int_equal(((uint8_t *)m->pixels)[0], pixels[(H - m->height) / 2 * W + (W - m->width) / 2]);
  assert_true(all.hash == two.hash && all.hash == one.hash && all.hash == middle.hash); /* of the whole image, whatever is kept */
  free(pixels);
  tare_item_free(&all, 1);
  tare_item_free(&two, 1);
  tare_item_free(&one, 1);
  tare_item_free(&middle, 1);
}

/* ---- folders of classes ---- */

static void a_folder_is_a_class(void **state) {
  (void)state;
  NEED_MODULE();
  static const char *const names[] = {"dots", "bars"};
  make("classes");
  for (int c = 0; c < 2; c++)
    for (int i = 0; i < 5; i++) {
      char name[60];
      snprintf(name, sizeof name, "classes/%s", names[c]);
      make(name);
      snprintf(name, sizeof name, "classes/%s/%d.png", names[c], i);
      write_png(name, 40, 33 + i, 1, (uint64_t)(c * 10 + i));
    }
  write_text("classes/dots/notes.txt", "x");
  tare_source *source = opened("folder", "classes", 32, 0, NULL);
  tare_source_info info;
  tare_source_get_info(source, &info);
  assert_true(info.classes == 2 && info.skipped == 1 && info.images[0] + info.images[1] == 10);
  assert_string_equal(info.class_names[0], "bars");
  int seen[2][2] = {{0}};
  for (size_t i = 0; i < source->count; i++) seen[source->items[i].part][source->items[i].label]++;
  assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]); /* each class in each part */
  /* A test patch is the middle of its image. */
  float x[32 * 32];
  int32_t y, id;
  for (size_t i = 0; i < info.patches[TARE_TEST]; i++) {
    assert_int_equal(tare_source_test_batch(source, 1, i, 1, x, &y, &id, NULL), TARE_OK);
    const tare_picture *p = &source->items[id].pictures[0];
    assert_int_equal(y, source->items[id].label);
    assert_true(x[0] == (float)((uint8_t *)p->pixels)[(p->height - 32 + 1) / 2 * 40 + 4] / 256);
  }
  tare_source_free(source);
}

static void train_and_test_folders_decide(void **state) {
  (void)state;
  NEED_MODULE();
  static const char *const folders[] = {"own", "own/train", "own/test", "own/train/a", "own/train/b", "own/test/a", "own/test/b"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) make(folders[i]);
  for (int i = 0; i < 12; i++) {
    char name[60];
    snprintf(name, sizeof name, "own/%s/%s/%d.png", i < 8 ? "train" : "test", i % 2 ? "a" : "b", i);
    write_png(name, 30, 30, 3, (uint64_t)i);
  }
  write_png("own/test/a/leak.png", 30, 30, 3, 1); /* a training image too */
  lines warnings;
  tare_source *source = opened("folder", "own", 30, 1, &warnings);
  tare_source_info info;
  tare_source_get_info(source, &info);
  assert_true(info.images[0] == 8 && info.images[1] == 4 && info.channels == 3);
  assert_true(warnings.count == 1 && strstr(warnings.text[0], "1 test images left out"));
  uint64_t hash = 1;
  size_t left_out;
  assert_int_equal(tare_source_exclude(source, &hash, 1, &left_out, NULL), TARE_OK);
  tare_source_get_info(source, &info);
  assert_int_equal(info.images[1], 4); /* its own test images, and no training image */
  tare_source_free(source);
  make("own/test/c");
  refused("folder", "own", 30, TARE_E_DATA, "own/test/c: there is no such class");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_missing_module_says_what_to_install),
    cmocka_unit_test(photos_are_read_and_others_skipped),
    cmocka_unit_test(more_files_than_asked_for_are_thinned_out),
    cmocka_unit_test(copies_are_in_one_part),
    cmocka_unit_test(unusable_folders_are_refused),
    cmocka_unit_test(colour_becomes_luma_or_stays),
    cmocka_unit_test(sixteen_bits_stay_or_lose_their_low_half),
    cmocka_unit_test(photos_stand_upright),
    cmocka_unit_test(large_photos_are_cut_into_tiles),
    cmocka_unit_test(a_folder_is_a_class),
    cmocka_unit_test(train_and_test_folders_decide),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
