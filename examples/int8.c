/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a model file to a C function without any library: the first layer's filters become int8 so that their rule still holds
 * exactly, and are written as C source that filters 8-bit pixels with integers alone. Under sum=0 no zero-point is needed, and a
 * constant image gives 0.
 *
 * cc int8.c $(pkg-config --cflags --libs tare-train); ./a.out MODEL.safetensors >filters.c
 * cc -DTRY_IT filters.c && ./a.out         (a test of what was written, for any machine that runs a program)
 */
#include <stdio.h>
#include <string.h>
#include <tare/train.h>

static const char function[] =
  "/* out: (height - K + 1) x (width - K + 1) x FILTERS, the exact sums; response f is out * scale[f] / 256 for pixels 0..255. */\n"
  "void filter(const uint8_t *pixels, int height, int width, int32_t *out) {\n"
  "  for (int y = 0; y <= height - K; y++)\n"
  "    for (int x = 0; x <= width - K; x++)\n"
  "      for (int f = 0; f < FILTERS; f++) {\n"
  "        int32_t sum = 0;\n"
  "        for (int i = 0; i < K; i++)\n"
  "          for (int j = 0; j < K; j++) sum += taps[f][i * K + j] * pixels[(y + i) * width + x + j];\n"
  "        *out++ = sum;\n"
  "      }\n"
  "}\n";
static const char try_it[] =
  "\n#ifdef TRY_IT\n#include <stdio.h>\n"
  "int main(void) {\n"
  "  static uint8_t pixels[K * K];\n"
  "  static int32_t out[FILTERS];\n"
  "  int others = 0;\n"
  "  for (int value = 0; value < 256; value++) {\n"
  "    for (int i = 0; i < K * K; i++) pixels[i] = (uint8_t)value;\n"
  "    filter(pixels, K, K, out);\n"
  "    for (int f = 0; f < FILTERS; f++) others += out[f] != 0;\n"
  "  }\n"
  "  printf(\"%d of %d responses to constant images are not 0\\n\", others, 256 * FILTERS);\n"
  "  return 0;\n"
  "}\n#endif\n";

static void write_c(const tare_constraint *rule, const tare_rounding *r, int k) {
  printf("/* %zu filters of %d x %d taps, int8, under %s exactly. */\n#include <stdint.h>\n", r->filters, k, k, tare_constraint_text(rule));
  printf("enum { FILTERS = %zu, K = %d };\n", r->filters, k);
  printf("const float scale[FILTERS] = {");
  for (size_t f = 0; f < r->filters; f++) printf("%s%.9gf", f ? ", " : "", (double)r->scale[f * r->scales]);
  printf("};\nconst int8_t taps[FILTERS][K * K] = {\n");
  for (size_t i = 0; i < r->filters * r->taps; i++)
    printf("%s%4d%s", i % r->taps ? "," : "  {", r->integers[i], i % r->taps + 1 < r->taps ? "" : "},\n");
  printf("};\n\n%s%s", function, try_it);
}

int main(int argc, char **argv) {
  tare_model *model = NULL;
  tare_rounding *rounding = NULL;
  tare_net_tensor info;
  tare_error error;
  if (argc != 2) return fprintf(stderr, "usage: int8 MODEL.safetensors >filters.c\n"), 2;
  tare_status status = tare_model_load(argv[1], 1, 1, &model, &error);
  if (!status) status = tare_net_tensor_info(tare_model_net(model), 0, &info, &error);
  if (!status && (strcmp(info.name, "conv1.weight") || info.shape[1] != 1 || info.shape[2] != info.shape[3] || !info.constraint)) {
    status = TARE_E_DATA;
    snprintf(error.message, sizeof error.message, "%s: expected a model that begins with square filters of grey pixels under a rule",
             argv[1]);
  }
  const tare_round_options options = {.format = TARE_FORMAT_INT8};
  if (!status) {
    const tare_tensor *stored = tare_tensors_find(tare_model_file(model), info.name);
    status = tare_round(info.constraint, &options, (size_t)info.shape[0], stored->data, &rounding, &error);
  }
  if (!status) write_c(info.constraint, rounding, (int)info.shape[2]);
  else fprintf(stderr, "%s\n", error.message);
  tare_rounding_free(rounding);
  tare_model_free(model);
  return status != TARE_OK;
}
