/* SPDX-License-Identifier: Apache-2.0 */
/* tare filter: the first layer of a model on an image of any size, tile by tile. */
#include "cli.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tare/image.h>
#include <tare/train.h>

enum { TILE = TARE_TIFF_TILE };

typedef struct filter {
  const cli_args *args;
  tare_conv_problem layer, tile; /* of the whole image; of one tile with the pixels around it */
  tare_conv_plan *plan;
  tare_image *image;
  tare_image_info info;
  int width, height;             /* of the response */
  float *weights, *bias, *x, *y, *prepared, *workspace, *part;
  double peak;                   /* the largest |response| */
  float *sheet;                  /* the middle of the response, outputs x side x side */
  int side, left, top;
} filter;

static int no_memory(void) { return cli_fail(TARE_E_MEMORY, "out of memory for a tile of the image"); }

static float *aligned(size_t count) {
  float *memory = aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64);
  if (memory) memset(memory, 0, (count * sizeof(float) + 127) / 64 * 64);
  return memory;
}

static int read_weights(filter *f, tare_model *model) {
  const tare_tensors *file = tare_model_file(model);
  const tare_tensor *bias = tare_tensors_find(file, "conv1.bias");
  tare_filters filters;
  tare_error error;
  if (tare_net_first_conv(tare_model_net(model), &f->layer, &error) || tare_filters_read(file, tare_tensors_find(file, "conv1.weight"), 0, &filters, &error))
    return cli_report(&error);
  size_t count = filters.filters * filters.taps, outputs = (size_t)f->layer.outputs;
  f->weights = aligned(count);
  f->bias = bias ? aligned(outputs) : NULL;
  int good = f->weights && (f->bias || !bias);
  if (good) memcpy(f->weights, filters.weights, count * sizeof *f->weights);
  if (good && bias) memcpy(f->bias, bias->data, outputs * sizeof *f->bias);
  tare_filters_free(&filters);
  return good ? 0 : no_memory();
}

/* Products that are added one by one, where such a way is offered: transforms would not keep exact sums exact. */
static int make_plan(filter *f) {
  tare_error error;
  tare_conv_options options = {.passes = TARE_FORWARD, .candidate = "im2col", .flags = TARE_CONV_ACCURATE};
  f->tile = f->layer;
  f->tile.border = TARE_BORDER_VALID;
  for (int axis = 0; axis < 2; axis++) {
    f->tile.pad[axis] = 0;
    f->tile.size[axis] = (TILE - 1) * f->layer.stride[axis] + (f->layer.kernel[axis] - 1) * f->layer.dilation[axis] + 1;
  }
  tare_status status = tare_conv_plan_create(&f->tile, &options, &f->plan, &error);
  options.candidate = NULL;
  if (status == TARE_E_UNSUPPORTED) status = tare_conv_plan_create(&f->tile, &options, &f->plan, &error);
  if (status) return cli_report(&error);
  f->x = aligned((size_t)f->tile.size[0] * (size_t)f->tile.size[1] * (size_t)f->tile.channels);
  f->part = aligned((size_t)f->tile.size[0] * (size_t)f->tile.size[1] * (size_t)f->tile.channels);
  f->y = aligned((size_t)TILE * TILE * (size_t)f->tile.outputs);
  f->prepared = aligned(tare_conv_prepared_size(f->plan));
  f->workspace = aligned(tare_conv_workspace_size(f->plan));
  if (!f->x || !f->part || !f->y || !f->prepared || !f->workspace) return no_memory();
  return tare_conv_prepare(f->plan, f->weights, f->prepared, f->workspace, NULL) ? cli_fail(TARE_E_LIBRARY, "the filters could not be prepared") : 0;
}

static int open_image(filter *f) {
  tare_error error;
  tare_conv_problem *p = &f->layer;
  if (tare_image_open(f->args->position[1], &f->image, &f->info, &error)) return cli_report(&error);
  p->size[0] = f->info.height;
  p->size[1] = f->info.width;
  if (tare_conv_problem_check(p, &error)) return cli_fail(TARE_E_DATA, "%s: %s", f->args->position[1], error.message);
  f->height = tare_conv_output_size(p, 0);
  f->width = tare_conv_output_size(p, 1);
  return 0;
}

/* The pixel that a place outside the image stands for; -1: 0. Reflected without the border itself, as the layer does it. */
static int mapped(int at, int size, tare_border border) {
  if (at >= 0 && at < size) return at;
  if (border == TARE_BORDER_EDGE) return at < 0 ? 0 : size - 1;
  int back = at < 0 ? -at : 2 * (size - 1) - at;
  return border == TARE_BORDER_REFLECT && back >= 0 && back < size ? back : -1;
}

typedef struct range { int first, count; } range;

/* The part of an axis that a tile's places stand for. */
static range needed(const filter *f, int axis, int from) {
  int low = f->layer.size[axis], high = -1;
  for (int i = 0; i < f->tile.size[axis]; i++) {
    int at = mapped(from + i, f->layer.size[axis], f->layer.border);
    if (at >= 0 && at < low) low = at;
    if (at > high) high = at;
  }
  return (range){low, high - low + 1};
}

/* x: the pixels under the tile whose first response is (row, column). What is beyond the image and its border is 0. */
static tare_status load_tile(filter *f, int row, int column, tare_error *error) {
  int from[2] = {row * f->layer.stride[0] - f->layer.pad[0], column * f->layer.stride[1] - f->layer.pad[1]};
  range rows = needed(f, 0, from[0]), columns = needed(f, 1, from[1]);
  size_t channels = (size_t)f->layer.channels, pitch = (size_t)columns.count * channels;
  memset(f->x, 0, (size_t)f->tile.size[0] * (size_t)f->tile.size[1] * channels * sizeof *f->x);
  if (rows.count < 1 || columns.count < 1) return TARE_OK;
  if ((size_t)rows.count * pitch > (size_t)f->tile.size[0] * (size_t)f->tile.size[1] * channels) { /* a reflected corner reaches further than a tile */
    free(f->part);
    if (!(f->part = aligned((size_t)rows.count * pitch))) return error->status = TARE_E_MEMORY, snprintf(error->message, sizeof error->message, "out of memory"), TARE_E_MEMORY;
  }
  tare_status status = tare_image_read(f->image, columns.first, rows.first, columns.count, rows.count, (int)channels, f->part, error);
  for (int i = 0; i < f->tile.size[0] && !status; i++) {
    int y = mapped(from[0] + i, f->layer.size[0], f->layer.border);
    for (int j = 0; j < f->tile.size[1] && y >= 0; j++) {
      int x = mapped(from[1] + j, f->layer.size[1], f->layer.border);
      if (x >= 0) memcpy(f->x + ((size_t)i * (size_t)f->tile.size[1] + (size_t)j) * channels,
                         f->part + (size_t)(y - rows.first) * pitch + (size_t)(x - columns.first) * channels, channels * sizeof *f->x);
    }
  }
  return status;
}

/* Clears what is outside the response; notes the peak; keeps what belongs on the sheet. */
static void keep_tile(filter *f, int row, int column) {
  size_t outputs = (size_t)f->layer.outputs;
  for (int i = 0; i < TILE; i++)
    for (int j = 0; j < TILE; j++) {
      float *at = f->y + ((size_t)i * TILE + (size_t)j) * outputs;
      int y = row + i - f->top, x = column + j - f->left, inside = row + i < f->height && column + j < f->width;
      for (size_t o = 0; o < outputs; o++) {
        if (!inside) at[o] = 0;
        if (fabs((double)at[o]) > f->peak) f->peak = fabs((double)at[o]);
        if (inside && f->sheet && y >= 0 && x >= 0 && y < f->side && x < f->side) f->sheet[(o * (size_t)f->side + (size_t)y) * (size_t)f->side + (size_t)x] = at[o];
      }
    }
}

static int run_tiles(filter *f, tare_tiff *tiff, tare_error *error) {
  tare_status status = TARE_OK;
  for (int row = 0; row < f->height && !status; row += TILE)
    for (int column = 0; column < f->width && !status; column += TILE) {
      status = load_tile(f, row, column, error);
      if (status) return cli_fail(status, "%s: %s", f->args->position[1], error->message);
      if (tare_conv_forward(f->plan, f->x, f->prepared, f->bias, f->y, NULL, f->workspace, NULL)) return cli_fail(TARE_E_LIBRARY, "a tile could not be computed");
      keep_tile(f, row, column);
      status = tare_tiff_tile(tiff, f->y, error);
      cli_progress_draw(((double)row * f->width + (double)column * TILE) / ((double)f->height * f->width), -1, "filtering");
      if (cli_interrupted()) return cli_fail(TARE_E_STOPPED, "interrupted: nothing was written");
    }
  cli_progress_clear();
  return status ? cli_report(error) : 0;
}

static int write_sheets(filter *f) {
  const char *responses = f->args->value[CLI_RESPONSES].text, *bank = f->args->value[CLI_BANK].text;
  int rows = f->layer.kernel[0], columns = f->layer.kernel[1], slices = f->layer.outputs * (f->layer.channels / f->layer.groups);
  int code = responses ? cli_sheet_write(responses, f->sheet, f->layer.outputs, f->side, f->side, 1) : 0;
  return code || !bank ? code : cli_sheet_write(bank, f->weights, slices, rows, columns, rows > columns ? 64 / rows + 1 : 64 / columns + 1);
}

static int make_sheet(filter *f) {
  f->side = f->width < f->height ? f->width : f->height;
  if (f->side > TILE) f->side = TILE;
  f->left = (f->width - f->side) / 2;
  f->top = (f->height - f->side) / 2;
  if (f->args->value[CLI_RESPONSES].text && !(f->sheet = calloc((size_t)f->layer.outputs * (size_t)f->side * (size_t)f->side, sizeof *f->sheet)))
    return no_memory();
  return 0;
}

static int run(filter *f, tare_model *model) {
  tare_error error = {0};
  tare_tiff *tiff;
  int code = read_weights(f, model);
  if (!code) code = open_image(f);
  if (!code) code = make_plan(f);
  if (!code) code = make_sheet(f);
  if (code) return code;
  if (tare_tiff_create(f->args->position[2], f->width, f->height, f->layer.outputs, &tiff, &error)) return cli_report(&error);
  code = run_tiles(f, tiff, &error);
  if (code) return tare_tiff_abandon(tiff), code;
  if (tare_tiff_commit(tiff, &error)) return cli_report(&error);
  code = write_sheets(f);
  if (code) return code;
  cli_say("%s: %dx%d, %d filter%s; the largest response is %.6g", f->args->position[2], f->width, f->height, f->layer.outputs,
          f->layer.outputs == 1 ? "" : "s", f->peak);
  return cli_output_json(f->args, json_pack("{s:s, s:i, s:i, s:i, s:o}", "file", f->args->position[2], "width", f->width, "height", f->height,
                                            "filters", f->layer.outputs, "peak", cli_json_number(f->peak)));
}

int cmd_filter(const cli_args *args) {
  tare_model *model;
  tare_error error;
  filter f = {.args = args};
  int code = cli_output_can(args->position[2], ".tif", ".tiff");
  if (!code && tare_model_load(args->position[0], 1, 1, &model, &error)) code = cli_report(&error);
  if (code) return code;
  cli_catch_interrupt();
  code = run(&f, model);
  tare_model_free(model);
  tare_conv_plan_free(f.plan);
  tare_image_close(f.image);
  float *arrays[] = {f.weights, f.bias, f.x, f.y, f.prepared, f.workspace, f.part, f.sheet};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
  return code;
}
