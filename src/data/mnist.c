/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source "mnist": four idx files, plain or .gz (yann.lecun.com/exdb/mnist):
 * big-endian 0x00000803, images, rows, columns, then a byte a pixel; and
 * 0x00000801, labels, then a byte each. Nothing in a file is believed before it is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "data/source.h"

enum { IMAGES_MAGIC = 0x803, LABELS_MAGIC = 0x801, MAX_IMAGES = 100000000, MAX_SIDE = 4096 };

static const char *const files[2][2] = { /* [part][images, labels] */
  {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
  {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
};

/* One open file; zlib reads a plain file as it is. */
typedef struct idx { gzFile gz; char path[4096]; } idx;

static tare_status open_path(idx *file, tare_error *error) {
  struct stat info;
  int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not hang the open */
  if (fd < 0) return tare_fail(error, TARE_E_DATA, "%s: cannot be opened: %s", file->path, strerror(errno));
  if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
    close(fd);
    return tare_fail(error, TARE_E_DATA, "%s: expected a file, found something else", file->path);
  }
  if (!(file->gz = gzdopen(fd, "rb"))) {
    close(fd);
    return tare_fail_memory(error, 0, file->path);
  }
  gzbuffer(file->gz, 1 << 17);
  return TARE_OK;
}

/* NAME or NAME.gz in the folder. */
static tare_status idx_open(const char *folder, const char *name, idx *file, tare_error *error) {
  file->gz = NULL;
  for (int zipped = 0; zipped < 2; zipped++) {
    int length = snprintf(file->path, sizeof file->path, "%s/%s%s", folder, name, zipped ? ".gz" : "");
    if (length < 0 || (size_t)length >= sizeof file->path) return tare_fail(error, TARE_E_DATA, "%s: the path is too long", folder);
    if (access(file->path, F_OK) == 0) return open_path(file, error);
  }
  struct stat info;
  if (stat(folder, &info)) return tare_fail(error, TARE_E_DATA, "%s: cannot be opened: %s", folder, strerror(errno));
  if (!S_ISDIR(info.st_mode)) return tare_fail(error, TARE_E_DATA, "%s: expected a folder, found a file", folder);
  if (access(folder, R_OK | X_OK)) return tare_fail(error, TARE_E_DATA, "%s: cannot be read: %s", folder, strerror(errno));
  return tare_fail(error, TARE_E_DATA, "%s: neither %s nor %s.gz is there", folder, name, name);
}

static void idx_close(idx *file) {
  if (file->gz) gzclose(file->gz);
}

/* How many bytes there were, up to `size`. */
static size_t read_up_to(idx *file, void *data, size_t size) {
  int got = gzread(file->gz, data, (unsigned)size);
  return got < 0 ? 0 : (size_t)got;
}

static tare_status cut_short(const idx *file, size_t have, size_t want, const char *what, tare_error *error) {
  int code;
  const char *reason = gzerror(file->gz, &code);
  if (code == Z_OK || code == Z_BUF_ERROR || code == Z_STREAM_END) reason = "the file ends there";
  return tare_fail(error, TARE_E_DATA, "%s: %zu of %zu %s: %s", file->path, have, want, what, reason);
}

/* The magic number, then `count` sizes. */
static tare_status read_header(idx *file, uint32_t magic, uint32_t *sizes, size_t count, tare_error *error) {
  unsigned char bytes[16];
  size_t want = 4 * (count + 1), got = read_up_to(file, bytes, want);
  if (got < want) return cut_short(file, got, want, "bytes of its header", error);
  uint32_t words[4];
  for (size_t i = 0; i <= count; i++)
    words[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 | (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
  if (words[0] != magic)
    return tare_fail(error, TARE_E_DATA, "%s: not an idx file of %s: it begins with 0x%08x, expected 0x%08x", file->path,
                     magic == IMAGES_MAGIC ? "images" : "labels", words[0], magic);
  memcpy(sizes, words + 1, count * sizeof *sizes);
  return TARE_OK;
}

/* Reading on must give nothing; this also lets zlib check the length and the checksum of a .gz file. */
static tare_status expect_end(idx *file, tare_error *error) {
  unsigned char byte;
  int got = gzread(file->gz, &byte, 1), code;
  const char *reason = gzerror(file->gz, &code);
  if (got > 0) return tare_fail(error, TARE_E_DATA, "%s: longer than its header says", file->path);
  if (got < 0 || code != Z_OK) return tare_fail(error, TARE_E_DATA, "%s: damaged: %s", file->path, reason);
  return TARE_OK;
}

/* Appends `count` items whose labels are read; `items` grows with the bytes that are really there. */
static tare_status read_labels(idx *file, tare_source *source, int part, size_t count, tare_error *error) {
  enum { CHUNK = 1 << 16 };
  unsigned char labels[CHUNK];
  for (size_t done = 0; done < count;) {
    size_t want = count - done < CHUNK ? count - done : CHUNK, got = read_up_to(file, labels, want);
    if (got < want) return cut_short(file, done + got, count, "labels", error);
    tare_item *items = tare_alloc(source->count + got, sizeof *items);
    if (!items) return tare_fail_memory(error, (source->count + got) * sizeof *items, "a list of images");
    if (source->count) memcpy(items, source->items, source->count * sizeof *items);
    tare_free(source->items);
    source->items = items;
    for (size_t i = 0; i < got; i++) items[source->count++] = (tare_item){.label = labels[i], .part = part};
    done += got;
  }
  return expect_end(file, error);
}

static tare_status read_images(idx *file, tare_item *items, size_t count, int height, int width, tare_error *error) {
  size_t size = (size_t)height * (size_t)width;
  for (size_t i = 0; i < count; i++) {
    if (!(items[i].pictures = tare_alloc(1, sizeof *items[i].pictures))) return tare_fail_memory(error, size, "an image");
    tare_status status = tare_picture_create(width, height, 1, 8, items[i].pictures, error);
    if (status) return status;
    items[i].tiles = 1;
    if (read_up_to(file, items[i].pictures->pixels, size) < size) return cut_short(file, i, count, "images are whole", error);
    items[i].hash = tare_picture_hash(items[i].pictures);
  }
  return expect_end(file, error);
}

static tare_status check_sizes(const idx *file, const uint32_t sizes[3], size_t labels, const tare_source_info *info, tare_error *error) {
  if (sizes[0] != labels)
    return tare_fail(error, TARE_E_DATA, "%s: %u images, but there are %zu labels", file->path, sizes[0], labels);
  if (sizes[1] < 1 || sizes[2] < 1 || sizes[1] > MAX_SIDE || sizes[2] > MAX_SIDE)
    return tare_fail(error, TARE_E_DATA, "%s: images of %ux%u, expected 1x1 to %dx%d", file->path, sizes[1], sizes[2], MAX_SIDE, MAX_SIDE);
  if (info->height && (sizes[1] != (uint32_t)info->height || sizes[2] != (uint32_t)info->width))
    return tare_fail(error, TARE_E_DATA, "%s: images of %ux%u, but those for training are %dx%d", file->path, sizes[1], sizes[2],
                     info->height, info->width);
  return TARE_OK;
}

static tare_status read_part(tare_source *source, const char *folder, int part, tare_error *error) {
  idx images = {0}, labels = {0};
  uint32_t count = 0, sizes[3] = {0};
  size_t before = source->count;
  tare_status status = idx_open(folder, files[part][0], &images, error);
  if (!status) status = idx_open(folder, files[part][1], &labels, error);
  if (!status) status = read_header(&labels, LABELS_MAGIC, &count, 1, error);
  if (!status && (count < 1 || count > MAX_IMAGES))
    status = tare_fail(error, TARE_E_DATA, "%s: %u labels, expected 1 to %d", labels.path, count, MAX_IMAGES);
  if (!status) status = read_header(&images, IMAGES_MAGIC, sizes, 3, error);
  if (!status) status = check_sizes(&images, sizes, count, &source->info, error);
  if (!status) status = read_labels(&labels, source, part, count, error);
  if (!status) {
    source->info.height = (int)sizes[1];
    source->info.width = (int)sizes[2];
    status = read_images(&images, source->items + before, count, source->info.height, source->info.width, error);
  }
  idx_close(&images);
  idx_close(&labels);
  return status;
}

/* Classes "0", "1", ... up to the largest training label; a test label beyond it is a mistake. */
static tare_status set_digits(tare_source *source, const char *folder, tare_error *error) {
  int largest[2] = {0};
  char text[256][4];
  const char *names[256];
  for (size_t i = 0; i < source->count; i++)
    if (source->items[i].label > largest[source->items[i].part]) largest[source->items[i].part] = source->items[i].label;
  if (largest[TARE_TEST] > largest[TARE_TRAIN])
    return tare_fail(error, TARE_E_DATA, "%s/%s: label %d, but those for training go up to %d", folder, files[TARE_TEST][1],
                     largest[TARE_TEST], largest[TARE_TRAIN]);
  if (largest[TARE_TRAIN] == 0)
    return tare_fail(error, TARE_E_DATA, "%s/%s: every label is 0, expected at least two classes", folder, files[TARE_TRAIN][1]);
  for (int i = 0; i <= largest[TARE_TRAIN]; i++) {
    snprintf(text[i], sizeof text[i], "%d", i);
    names[i] = text[i];
  }
  return tare_source_set_classes(source, names, largest[TARE_TRAIN] + 1, error);
}

static tare_status check_patch(const tare_source *source, tare_error *error) {
  int patch = source->options.patch, height = source->info.height, width = source->info.width;
  if (patch == 0 || (patch == height && patch == width)) return TARE_OK;
  if (patch > height || patch > width)
    return tare_fail(error, TARE_E_DATA, "%s: images of %dx%d are smaller than the patch of %d", source->info.spec, height, width, patch);
  return tare_fail(error, TARE_E_ARGUMENT, "%s: its images of %dx%d are used whole; a patch of %d cannot be asked for", source->info.spec,
                   height, width, patch);
}

tare_status tare_mnist_open(tare_source *source, const char *folder, tare_pool *pool, tare_error *error) {
  (void)pool;
  source->own_split = 1;
  tare_status status = read_part(source, folder, TARE_TRAIN, error);
  if (!status) status = check_patch(source, error);
  if (!status) status = read_part(source, folder, TARE_TEST, error);
  if (!status) status = set_digits(source, folder, error);
  return status;
}
