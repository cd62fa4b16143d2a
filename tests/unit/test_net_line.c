/* SPDX-License-Identifier: Apache-2.0 */
/* The network line: what is accepted, what it is written back as, where an error points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/layers.h"

static const tare_net_options options = {.height = 16, .width = 18, .channels = 2, .batch = 3, .threads = 1};

static tare_net *make(const char *line) {
  tare_net *net = NULL;
  tare_error error;
  if (tare_net_create(line, &options, &net, &error)) fail_msg("%s: %s", line, error.message);
  return net;
}

static const struct { const char *line, *canonical; int shape[3]; } good[] = {
  {"conv 8x7", "conv 8x7", {10, 12, 8}},
  {"conv 8x7 none", "conv 8x7", {10, 12, 8}},
  {"  conv   8x7x3\tsum=0 ", "conv 8x7x3 sum=0 spectral", {10, 16, 8}},
  {"conv 8x7 spectral(1) sum=0 /2", "conv 8x7 /2 sum=0 spectral", {5, 6, 8}},
  {"conv 8x7 sum=0.50 spectral(.5)", "conv 8x7 sum=1/2 spectral(0.5)", {10, 12, 8}},
  {"conv 8x7 {sum=0} none", "conv 8x7 sum=0 none", {10, 12, 8}},
  {"conv 8x7 sum=0 penalty", "conv 8x7 sum=0 penalty(0.01)", {10, 12, 8}},
  {"conv 8x7 {order=1;symmetric} pad=reflect nobias; bn; relu", "conv 8x7 {order=1; symmetric} spectral pad=reflect nobias; bn; relu",
   {16, 18, 8}},
  {"conv 8x7 {derivative(2,0)  accuracy=2} pivot", "conv 8x7 {derivative(2,0) accuracy=2} pivot", {10, 12, 8}},
  {"conv 8x5 pad=same; conv 8x5 pad=zero; conv 8x5 pad=valid", "conv 8x5 pad=same; conv 8x5 pad=same; conv 8x5", {12, 14, 8}},
  {"conv 8x5 pad=0; conv 8x3 pad=1; conv 8x3 border=edge; conv 8x3 border=edge pad=2",
   "conv 8x5; conv 8x3 pad=1; conv 8x3 pad=edge; conv 8x3 pad=2 border=edge", {14, 16, 8}},
  {"conv 8x3 groups=2 dilation=2 pad=same", "conv 8x3 pad=same groups=2 dilation=2", {16, 18, 8}},
  {"conv 8x3 sum=0@filter difference /2; gap; dense 5", "conv 8x3 /2 sum=0@filter difference; gap; dense 5", {1, 1, 5}},
  {"maxpool 3 /2; avgpool 2; flatten", "maxpool 3 /2; avgpool 2; flatten", {1, 1, 24}},
  {"maxpool 2 /2; dense 7 nobias; dropout .25", "maxpool 2; dense 7 nobias; dropout 0.25", {1, 1, 7}},
  {"image-mean;local-mean 5;laplacian;gradients", "image-mean; local-mean 5; laplacian; gradients", {13, 15, 4}},
};

static void lines_are_written_back(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    tare_net *net = make(good[i].line);
    int shape[3];
    assert_string_equal(tare_net_line(net), good[i].canonical);
    tare_net_output_shape(net, shape);
    assert_memory_equal(shape, good[i].shape, sizeof shape);
    assert_int_equal(tare_net_output_size(net), shape[0] * shape[1] * shape[2]);
    tare_net *again = make(tare_net_line(net));
    assert_string_equal(tare_net_line(again), good[i].canonical);
    assert_int_equal(tare_net_parameter_count(again), tare_net_parameter_count(net));
    tare_net_free(again);
    tare_net_free(net);
  }
}

static const struct { const char *line; tare_status status; const char *message; } bad[] = {
  {"", TARE_E_SYNTAX, "layer 1, column 1: expected a layer, found the end of the line"},
  {";", TARE_E_SYNTAX, "layer 1, column 1: expected a layer, found ';'"},
  {"conv 8x7;", TARE_E_SYNTAX, "layer 2, column 10: expected a layer, found the end of the line"},
  {"conv 8x7 sum=0; bn; reluu; gap", TARE_E_SYNTAX, "layer 3, column 21: expected a layer, found 'reluu'; did you mean 'relu'?"},
  {"bn; blurb", TARE_E_SYNTAX, "layer 2, column 5: expected a layer (conv, bn, relu, sort, maxpool,"},
  {"conv", TARE_E_SYNTAX, "layer 1, column 5: expected FILTERSxSIZE"},
  {"conv 8y7", TARE_E_SYNTAX, "layer 1, column 6: expected FILTERSxSIZE"},
  {"conv 8x7x", TARE_E_SYNTAX, "layer 1, column 6: expected FILTERSxSIZE"},
  {"conv 8x7x3x3", TARE_E_SYNTAX, "layer 1, column 6: expected FILTERSxSIZE"},
  {"conv 0x7", TARE_E_SYNTAX, "layer 1, column 6: expected FILTERSxSIZE"},
  {"conv 8x99999", TARE_E_SYNTAX, "layer 1, column 6: expected FILTERSxSIZE"},
  {"conv 8x7 sum=0 spectrel", TARE_E_SYNTAX,
   "layer 1, column 16: expected a method or an option, found 'spectrel'; did you mean 'spectral'?"},
  {"conv 8x7 pivto", TARE_E_SYNTAX, "layer 1, column 10: expected a rule, a method or an option, found 'pivto'; did you mean 'pivot'?"},
  {"conv 8x7 padd=3", TARE_E_SYNTAX, "layer 1, column 10: expected a rule, a method or an option, found 'padd=3'; did you mean 'pad='?"},
  {"conv 8x7 sum=0 order=1", TARE_E_SYNTAX, "layer 1, column 16: a second rule 'order=1': join rules in braces"},
  {"conv 8x7 sum=0 pivot dct", TARE_E_SYNTAX, "layer 1, column 22: a second method 'dct' beside 'pivot'"},
  {"conv 8x7 sum=0 pivot(1)", TARE_E_SYNTAX, "layer 1, column 16: expected pivot, found 'pivot(1)'"},
  {"conv 8x7 sum=0 spectral(9)", TARE_E_SYNTAX,
   "layer 1, column 16: expected spectral(S) with a number S from -4 to 4, found 'spectral(9)'"},
  {"conv 8x7 sum=0 penalty(", TARE_E_SYNTAX, "layer 1, column 16: expected penalty(S)"},
  {"conv 8x7 sum=0 penalty()", TARE_E_SYNTAX, "layer 1, column 16: expected penalty(S)"},
  {"conv 8x7 sum=0 penalty(x)", TARE_E_SYNTAX, "layer 1, column 16: expected penalty(S)"},
  {"conv 8x7 summ=0", TARE_E_SYNTAX, "layer 1, column 10: "},
  {"conv 8x7 {sum=0", TARE_E_SYNTAX, "layer 1, column 10: this '{' has no '}'"},
  {"conv 8x7 {sum=0; sum=1}", TARE_E_CONFLICT, "layer 1, column 10: "},
  {"conv 8x3 {order=4}", TARE_E_CONFLICT, "layer 1, column 10: "},
  {"conv 8x7 penalty", TARE_E_ARGUMENT, "layer 1, column 6: penalty needs a rule"},
  {"conv 8x4 sum=0 difference", TARE_E_ARGUMENT, "layer 1, column 10: difference needs odd filter sizes, found 4x4"},
  {"conv 8x4 bayar", TARE_E_SHAPE, "layer 1, column 10: "},
  {"conv 8x17", TARE_E_SHAPE, "layer 1, column 6: the 17x17 filter is larger than its 16x18 input"},
  {"conv 8x7 groups=3", TARE_E_SHAPE, "layer 1, column 6: 3 groups do not divide 2 input channels and 8 filters"},
  {"conv 8x7 /0", TARE_E_SYNTAX, "layer 1, column 10: expected /N with N the stride"},
  {"conv 8x7 pad=bent", TARE_E_SYNTAX, "layer 1, column 10: expected pad=N"},
  {"conv 8x7 border=valid", TARE_E_SYNTAX, "layer 1, column 10: expected border=zero, border=reflect or border=edge"},
  {"conv 8x7 nobiass", TARE_E_SYNTAX, "layer 1, column 10: expected nobias, found 'nobiass'"},
  {"bn 3", TARE_E_SYNTAX, "layer 1, column 4: expected ';' or the end of the line, found '3'"},
  {"conv 3x3; sort", TARE_E_SHAPE, "layer 2, column 11: sort takes channels in pairs: expected an even number of them, found 3"},
  {"maxpool", TARE_E_SYNTAX, "layer 1, column 8: expected the window's size"},
  {"maxpool 17", TARE_E_SHAPE, "layer 1, column 1: the 17x17 window is larger than its 16x18 input"},
  {"dense", TARE_E_SYNTAX, "layer 1, column 6: expected the number of outputs"},
  {"dense 0", TARE_E_SYNTAX, "layer 1, column 7: expected the number of outputs"},
  {"dense 6 bias", TARE_E_SYNTAX, "layer 1, column 9: expected ';' or the end of the line, found 'bias'"},
  {"dropout 1", TARE_E_SYNTAX, "layer 1, column 9: expected the share of values"},
  {"dropout", TARE_E_SYNTAX, "layer 1, column 8: expected the share of values"},
  {"local-mean 4", TARE_E_SYNTAX, "layer 1, column 12: expected an odd size of the window, found '4'"},
  {"local-mean 33", TARE_E_SHAPE, "layer 1, column 1: the 33x33 window is too large"},
  {"gap; laplacian", TARE_E_SHAPE, "layer 2, column 6: the 3x3 window is too large for its 1x1 input"},
};

static void errors_say_where(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tare_net *net = NULL;
    tare_error error = {0};
    tare_status status = tare_net_create(bad[i].line, &options, &net, &error);
    if (status != bad[i].status || strncmp(error.message, bad[i].message, strlen(bad[i].message)))
      fail_msg("'%s': status %d, \"%s\"", bad[i].line, status, error.message);
    assert_null(net);
    assert_int_equal(tare_net_create(bad[i].line, &options, &net, NULL), status);
  }
}

static void options_are_checked(void **state) {
  (void)state;
  tare_net *net = NULL;
  tare_net_options o[] = {options, options, options, options, options};
  o[0].height = 0;
  o[1].batch = -1;
  o[2].threads = 1000;
  o[3].channels = 0;
  o[4].precision = (tare_precision)7;
  for (size_t i = 0; i < sizeof o / sizeof *o; i++) assert_int_equal(tare_net_create("gap", &o[i], &net, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_create(NULL, &options, &net, NULL), TARE_E_ARGUMENT);
  assert_int_equal(tare_net_create("gap", NULL, &net, NULL), TARE_E_ARGUMENT);
  assert_null(net);
}

/* Lines cut, doubled and shuffled at random: an error or a network, never worse (the sanitizers watch). */
static void damaged_lines_do_no_harm(void **state) {
  (void)state;
  static const char letters[] = "conv bnrelu8x7;{}()/=0.5@sumpad-";
  tare_rng rng;
  tare_rng_init(&rng, 5, 0);
  for (int round = 0; round < 3000; round++) {
    char line[200];
    size_t length = strlen(strcpy(line, good[tare_rng_below(&rng, sizeof good / sizeof *good)].line));
    for (int edits = (int)tare_rng_below(&rng, 4) + 1; edits > 0; edits--) {
      size_t at = (size_t)tare_rng_below(&rng, length);
      if (tare_rng_below(&rng, 3) == 0) line[length = at + 1] = 0;
      line[at] = letters[tare_rng_below(&rng, sizeof letters - 1)];
    }
    tare_net *net = NULL;
    tare_error error;
    if (tare_net_create(line, &options, &net, &error) == TARE_OK) tare_net_free(net);
    else assert_null(net);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(lines_are_written_back),
    cmocka_unit_test(errors_say_where),
    cmocka_unit_test(options_are_checked),
    cmocka_unit_test(damaged_lines_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
