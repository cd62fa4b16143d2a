/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, against the weights of one small filter. */
#include <stdlib.h>
#include <tare/round.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const float weights[] = {-1, 0.5f, 0.25f, 0.25f};
  char *text = fuzz_text(data, size);
  tare_error error = {0};
  tare_status status = tare_certificate_verify(text, 4, weights, &error);
  must(status == TARE_OK || error.message[0]);
  free(text);
  return 0;
}
