/* SPDX-License-Identifier: Apache-2.0 */
/* Files of tensors: row FORMAT of the table of formats (0 safetensors, 1 npy, 2 ONNX), and all that is asked of a file that was read. */
#include <string.h>

#include "format/format.h"
#include "fuzz.h"

static void look(const tare_tensors *file) {
  for (size_t i = 0; i < tare_tensors_count(file); i++) {
    const tare_tensor *tensor = tare_tensors_at(file, i);
    tare_filters filters;
    tare_error error = {0};
    must(tare_tensors_find(file, tensor->name));
    tare_filters_scale_of(file, tensor);
    if (tare_filters_read(file, tensor, 1, &filters, &error) == TARE_OK) {
      must(filters.taps * filters.filters > 0);
      tare_filters_free(&filters);
    } else must(error.message[0]);
  }
  tare_metadata list[8];
  size_t count = tare_tensors_all_metadata(file, list, 8);
  for (size_t i = 0; i < count && i < 8; i++) must(tare_tensors_metadata(file, list[i].key) == list[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tare_tensors *file = NULL;
  tare_error error = {0};
  tare_status status = tare_format_parse(tare_format_at(FORMAT), data, size, &file, &error);
  must(status == TARE_OK || status == TARE_E_DATA || status == TARE_E_MEMORY);
  must((status == TARE_OK) == (file != NULL));
  if (!status) look(file);
  else must(error.message[0] && !strpbrk(error.message, "\n\033"));
  tare_tensors_free(file);
  return 0;
}
