/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const nowhere = "/nowhere/at/all.safetensors";

static void tensors(void) {
  tare_tensors *file;
  tare_filters filters;
  const float values[2] = {1, 2};
  const tare_tensor good = {.name = "t", .dtype = TARE_DTYPE_F32, .dims = 1, .shape = {2}, .data = values};
  tare_tensor name = good, dtype = good, dims = good, negative = good, data = good, metadata = good, most = good;
  char out[] = P_tmpdir "/tare-api-XXXXXX";
  close(mkstemp(out));
  name.name = NULL, dtype.dtype = (tare_dtype)44, dims.dims = 9, negative.shape[0] = -2, data.data = NULL, metadata.name = "__metadata__";
  most.dims = 3, most.shape[0] = most.shape[1] = most.shape[2] = INT64_MAX;
  const tare_tensor *wrong[] = {&name, &dtype, &dims, &negative, &data, &metadata, &most};
  const tare_tensor twice[2] = {good, good};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) REFUSES(tare_safetensors_write(out, wrong[i], 1, NULL, 0, ERR));
  for (size_t i = 1; i < 5; i++) REFUSES(tare_tensors_write(P_tmpdir "/tare-api.npy", wrong[i], 1, NULL, 0, ERR));
  REFUSES(tare_safetensors_write(NULL, &good, 1, NULL, 0, ERR));
  REFUSES(tare_safetensors_write(out, NULL, 1, NULL, 0, ERR));
  REFUSES(tare_safetensors_write(out, twice, 2, NULL, 0, ERR));
  REFUSES(tare_safetensors_write(out, &good, 1, NULL, 1, ERR));
  REFUSES(tare_safetensors_write(out, &good, 1, (const tare_metadata[1]){{NULL, "value"}}, 1, ERR));
  REFUSES(tare_safetensors_write(out, &good, 1, (const tare_metadata[1]){{"key", NULL}}, 1, ERR));
  REFUSES(tare_safetensors_write(out, &good, 1, (const tare_metadata[1]){{"key", "\xff"}}, 1, ERR));
  REFUSES(tare_safetensors_write(nowhere, &good, 1, NULL, 0, ERR));
  REFUSES(tare_safetensors_write("/dev/full", &good, 1, NULL, 0, ERR));
  REFUSES(tare_tensors_write(NULL, &good, 1, NULL, 0, ERR));
  REFUSES(tare_tensors_write("x.onnx", &good, 1, NULL, 0, ERR));
  REFUSES(tare_tensors_write("x.npy", twice, 2, NULL, 0, ERR));
  REFUSES(tare_tensors_write("x.npy", NULL, 1, NULL, 0, ERR));
  REFUSES(tare_safetensors_read(NULL, &file, ERR));
  REFUSES(tare_safetensors_read(nowhere, &file, ERR));
  REFUSES(tare_safetensors_read("/dev", &file, ERR));
  REFUSES(tare_safetensors_read(out, NULL, ERR));
  REFUSES(tare_tensors_read(NULL, &file, ERR));
  REFUSES(tare_tensors_read("x.png", &file, ERR));
  REFUSES(tare_tensors_read("x.npy", NULL, ERR));
  NEED(tare_safetensors_write(out, &good, 1, NULL, 0, ERR));
  NEED(tare_safetensors_read(out, &file, ERR));
  GIVES_0(tare_tensors_count(NULL));
  GIVES_NULL(tare_tensors_at(NULL, 0));
  GIVES_NULL(tare_tensors_at(file, 7));
  GIVES_NULL(tare_tensors_find(NULL, "t"));
  GIVES_NULL(tare_tensors_find(file, NULL));
  GIVES_NULL(tare_tensors_metadata(NULL, "key"));
  GIVES_NULL(tare_tensors_metadata(file, NULL));
  GIVES_0(tare_tensors_all_metadata(NULL, NULL, 0));
  GIVES_0(tare_tensors_all_metadata(file, NULL, 9));
  GIVES_NULL(tare_filters_scale_of(NULL, &good));
  GIVES_NULL(tare_filters_scale_of(file, NULL));
  GIVES_0(tare_filters_are(file, NULL));
  GIVES_0(tare_filters_are(NULL, &good));
  REFUSES(tare_filters_read(NULL, &good, 0, &filters, ERR));
  REFUSES(tare_filters_read(file, NULL, 0, &filters, ERR));
  REFUSES(tare_filters_read(file, tare_tensors_at(file, 0), 0, NULL, ERR));
  REFUSES(tare_filters_read(file, tare_tensors_at(file, 0), 0, &filters, ERR));
  IGNORES(tare_filters_free(NULL));
  IGNORES(tare_tensors_free(NULL));
  tare_tensors_free(file);
  unlink(out);
}

static void images(void) {
  tare_image *image;
  tare_image_info info;
  tare_tiff *tiff;
  const uint8_t pixel[3] = {1, 2, 3};
  float one;
  REFUSES(tare_png_write(NULL, pixel, 1, 1, 1, ERR));
  REFUSES(tare_png_write("/nowhere/x.png", pixel, 1, 1, 1, ERR));
  REFUSES(tare_png_write("x.png", NULL, 1, 1, 1, ERR));
  REFUSES(tare_png_write("x.png", pixel, 0, 1, 1, ERR));
  REFUSES(tare_png_write("x.png", pixel, 1, -1, 1, ERR));
  REFUSES(tare_png_write("x.png", pixel, 1 << 24, 1 << 24, 1, ERR));
  REFUSES(tare_png_write("x.png", pixel, 1, 1, 2, ERR));
  REFUSES(tare_image_open(NULL, &image, &info, ERR));
  REFUSES(tare_image_open("/dev/null", NULL, &info, ERR));
  REFUSES(tare_image_open("/dev/null", &image, NULL, ERR));
  REFUSES(tare_image_open("/nowhere.png", &image, &info, ERR));
  REFUSES(tare_image_read(NULL, 0, 0, 1, 1, 1, &one, ERR));
  IGNORES(tare_image_close(NULL));
  REFUSES(tare_tiff_create(NULL, 1, 1, 1, &tiff, ERR));
  REFUSES(tare_tiff_create("/nowhere/x.tif", 1, 1, 1, &tiff, ERR));
  REFUSES(tare_tiff_create("x.tif", 0, 1, 1, &tiff, ERR));
  REFUSES(tare_tiff_create("x.tif", 1, 1, 1 << 20, &tiff, ERR));
  REFUSES(tare_tiff_create("x.tif", 1, 1, 1, NULL, ERR));
  REFUSES(tare_tiff_tile(NULL, &one, ERR));
  REFUSES(tare_tiff_commit(NULL, ERR));
  NEED(tare_tiff_create(P_tmpdir "/tare-api.tif", 1, 1, 1, &tiff, ERR));
  REFUSES(tare_tiff_tile(tiff, NULL, ERR));
  tare_tiff_abandon(tiff);
  IGNORES(tare_tiff_abandon(NULL));
}

static void open_sources(void) {
  tare_source *source;
  tare_source_options options;
  tare_source_defaults(&options);
  const tare_source_options good = options;
  IGNORES(tare_source_defaults(NULL));
  REFUSES(tare_source_open(NULL, &good, &source, ERR));
  REFUSES(tare_source_open("leaves", NULL, &source, ERR));
  REFUSES(tare_source_open("leaves", &good, NULL, ERR));
  REFUSES(tare_source_open("", &good, &source, ERR));
  REFUSES(tare_source_open("mnist:", &good, &source, ERR));
  REFUSES(tare_source_open("mnist:/nowhere", &good, &source, ERR));
  REFUSES(tare_source_open("photos:/nowhere", &good, &source, ERR));
  REFUSES(tare_source_open("folder:/nowhere", &good, &source, ERR));
#define WITH(field, value) options = good, options.field = value; REFUSES(tare_source_open("leaves", &options, &source, ERR))
  WITH(patch, -1);
  WITH(patch, 1 << 20);
  WITH(brightness, -1);
  WITH(brightness, (double)NAN);
  WITH(images, -5);
  WITH(images, 1 << 30);
  WITH(threads, 0);
  WITH(threads, 100000);
  WITH(rgb, 1);
}

static void sources(tare_source *source) {
  tare_source_info info;
  tare_loader *loader;
  static float images[48 * 48];
  int32_t labels[1];
  const float *out;
  const int32_t *numbers;
  IGNORES(tare_source_get_info(NULL, &info));
  IGNORES(tare_source_get_info(source, NULL));
  REFUSES(tare_source_train_batch(NULL, 1, 0, 1, images, labels, NULL, ERR));
  REFUSES(tare_source_train_batch(source, 1, 0, 0, images, labels, NULL, ERR));
  REFUSES(tare_source_train_batch(source, 1, 0, 1, NULL, labels, NULL, ERR));
  REFUSES(tare_source_train_batch(source, 1, 0, 1, images, NULL, NULL, ERR));
  REFUSES(tare_source_test_batch(NULL, 1, 0, 1, images, labels, NULL, ERR));
  REFUSES(tare_source_test_batch(source, 1, SIZE_MAX, 1, images, labels, NULL, ERR));
  REFUSES(tare_source_test_batch(source, 1, 0, -3, images, labels, NULL, ERR));
  REFUSES(tare_source_test_batch(source, 1, 0, 1, NULL, labels, NULL, ERR));
  GIVES_0(tare_source_train_hashes(NULL, NULL, 5));
  GIVES(size_t, tare_source_train_hashes(source, NULL, 5), got > 0);
  REFUSES(tare_source_exclude(NULL, NULL, 0, NULL, ERR));
  REFUSES(tare_source_exclude(source, NULL, 5, NULL, ERR));
  REFUSES(tare_source_preview(NULL, 1, 4, P_tmpdir "/tare-api.png", ERR));
  REFUSES(tare_source_preview(source, 1, 0, P_tmpdir "/tare-api.png", ERR));
  REFUSES(tare_source_preview(source, 1, 1 << 30, P_tmpdir "/tare-api.png", ERR));
  REFUSES(tare_source_preview(source, 1, 4, NULL, ERR));
  REFUSES(tare_source_preview(source, 1, 4, "/nowhere/x.png", ERR));
  REFUSES(tare_loader_create(NULL, 1, 0, 1, &loader, ERR));
  REFUSES(tare_loader_create(source, 1, 0, 0, &loader, ERR));
  REFUSES(tare_loader_create(source, 1, 0, 1, NULL, ERR));
  REFUSES(tare_loader_next(NULL, &out, &numbers, ERR));
  IGNORES(tare_loader_free(NULL));
  IGNORES(tare_source_free(NULL));
}

void api_files(void) {
  tare_source *source;
  tare_source_options options;
  tensors();
  images();
  open_sources();
  tare_source_defaults(&options);
  options.images = 2;
  NEED(tare_source_open("leaves", &options, &source, ERR));
  sources(source);
  tare_source_free(source);
}
