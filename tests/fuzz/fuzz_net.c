/* SPDX-License-Identifier: Apache-2.0 */
/* Network lines, on images of 12 x 12 with one to three channels (the first byte). Lines with numbers of three digits are left out: they ask for memory. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <tare/net.h>

#include "fuzz.h"

enum { DIGITS = 3, LAYERS = 12 };

static int is_small(const char *line) {
  int layers = 0;
  for (int run = 0; *line; line++) {
    run = isdigit((unsigned char)*line) ? run + 1 : 0;
    layers += *line == ';';
    if (run >= DIGITS || layers > LAYERS) return 0;
  }
  return 1;
}

/* The canonical line is a line, and its own canonical form. */
static void check_line(const tare_net *net, const tare_net_options *options) {
  tare_net *again = NULL;
  must(tare_net_create(tare_net_line(net), options, &again, NULL) == TARE_OK);
  must(strcmp(tare_net_line(net), tare_net_line(again)) == 0);
  must(tare_net_output_size(net) == tare_net_output_size(again) && tare_net_parameter_count(net) == tare_net_parameter_count(again));
  tare_net_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > 400) return 0;
  tare_net_options options = {.height = 12, .width = 12, .channels = 1 + data[0] % 3, .batch = 1, .threads = 1, .precision = TARE_F64};
  char *line = fuzz_text(data + 1, size - 1);
  tare_error error = {0};
  tare_net *net = NULL;
  if (is_small(line) && !strstr(line, "rows")) {
    tare_status status = tare_net_create(line, &options, &net, &error);
    must((status == TARE_OK) == (net != NULL));
    if (net) check_line(net, &options);
    else must(error.message[0]);
  }
  tare_net_free(net);
  free(line);
  return 0;
}
