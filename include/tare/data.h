/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sources: labelled patches, drawn as a pure function of (seed, index).
 *
 *   leaves          dead-leaves images, built in (Lee, Mumford & Huang 2001): class = how the patch was manipulated
 *   photos:DIR      the same task on any images that libvips reads
 *   mnist:DIR       idx files, plain or .gz: train-images-idx3-ubyte, ...
 *   folder:DIR      a folder of images a class (under train/ and test/ if they are there)
 *
 * A pixel is value / 256 (value / 65536 for 16 bits). An image is a test image by a hash of
 * its decoded pixels (about 1 in 4, at least one on each side). Sources are safe to draw from with many threads at once.
 */
#ifndef TARE_DATA_H
#define TARE_DATA_H

#include <stdint.h>
#include <tare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_source tare_source; /* images, and how patches are drawn from them */

/* How a source is opened; tare_source_defaults fills it. */
typedef struct tare_source_options {
  int patch;          /* rows and columns of a patch; 0: 48, or the image's own size for mnist */
  int rgb;            /* 0 luma, 1 three channels (leaves and mnist: TARE_E_UNSUPPORTED) */
  double brightness;  /* D: one number an image and draw, uniform in [-D, D], is added, never clipped */
  uint64_t seed;      /* of leaves' images and of the manipulations' noise */
  int threads;        /* for making and decoding images */
  int images;         /* leaves: how many 512x512 images to make, 0: 64; photos: read at most so many files, 0: 256 (rgb: 85) */
  void (*warn)(void *user, const char *line); /* skipped files and the like, a line each; may be NULL */
  void *warn_user; /* handed to warn */
} tare_source_options;

/* All zero but those that have another default. */
TARE_API void tare_source_defaults(tare_source_options *options);

/* TARE_E_DATA: missing, empty or unreadable folder, no usable image, damaged idx, images smaller than the patch. */
TARE_API tare_status tare_source_open(const char *spec, const tare_source_options *options, tare_source **out, tare_error *error);
TARE_API void tare_source_free(tare_source *source);

/* The images for training, and those for testing: none is in both. */
typedef enum tare_part { TARE_TRAIN, TARE_TEST } tare_part;

/* What a source holds. */
typedef struct tare_source_info {
  const char *spec; /* as it was opened: "photos:DIR" */
  int height, width, channels; /* of a patch */
  int classes; /* labels go from 0 to classes - 1 */
  const char *const *class_names; /* one a class */
  size_t images[2];   /* images in train, in test */
  size_t patches[2];  /* of an epoch and of the test set: mnist and folder all images; else 8000 and at least 600 */
  size_t skipped;     /* files that could not be used */
} tare_source_info;
TARE_API void tare_source_get_info(const tare_source *source, tare_source_info *info); /* pointers live as long as the source */

/*
 * Batch `index` of the training part: labels balanced at random; for mnist and
 * folder every image comes once an epoch, shuffled. A pure function of
 * (seed, index, count). images: count x h x w x c floats; labels: count.
 * `image_ids` (may be NULL): which source image each came from.
 */
TARE_API tare_status tare_source_train_batch(const tare_source *source, uint64_t seed, uint64_t index, int count,
                                             float *images, int32_t *labels, int32_t *image_ids, tare_error *error);
/* Only images from .. from+shared-1 of that batch, its share for one of several; `labels` has room for `count` all the same. */
TARE_API tare_status tare_source_train_share(const tare_source *source, uint64_t seed, uint64_t index, int count, int from, int shared,
                                             float *images, int32_t *labels, int32_t *image_ids, tare_error *error);
/* Patches first .. first+count-1 of the fixed test set (brightness drawn from `seed`). */
TARE_API tare_status tare_source_test_batch(const tare_source *source, uint64_t seed, size_t first, int count,
                                            float *images, int32_t *labels, int32_t *image_ids, tare_error *error);
/* 64-bit hashes of the decoded pixels of the training images; returns how many, fills at most `size`. */
TARE_API size_t tare_source_train_hashes(const tare_source *source, uint64_t *hashes, size_t size);
/*
 * Use every image whose hash is not in the list as a test image (the list a
 * model file holds); *left_out gets how many images were in it. Sources whose files say which images are
 * for testing keep to those. With nothing left: TARE_E_DATA. Not while other threads draw from the source.
 */
TARE_API tare_status tare_source_exclude(tare_source *source, const uint64_t *hashes, size_t count, size_t *left_out, tare_error *error);

/* A sheet of what the network sees, a row a class, as PNG. */
TARE_API tare_status tare_source_preview(const tare_source *source, uint64_t seed, int columns, const char *path, tare_error *error);

/* Batches made ahead of use, in order, by a thread of its own. */
typedef struct tare_loader tare_loader;
TARE_API tare_status tare_loader_create(const tare_source *source, uint64_t seed, uint64_t first, int count, tare_loader **out,
                                        tare_error *error);
/* The same with tare_source_train_share: `images` of `count` images from `from` on. */
TARE_API tare_status tare_loader_create_share(const tare_source *source, uint64_t seed, uint64_t first, int count, int from, int images,
                                              tare_loader **out, tare_error *error);
/* The next batch; pointers stay valid until the next call. */
TARE_API tare_status tare_loader_next(tare_loader *loader, const float **images, const int32_t **labels, tare_error *error);
TARE_API void tare_loader_free(tare_loader *loader);

#ifdef __cplusplus
}
#endif
#endif
