/* SPDX-License-Identifier: Apache-2.0 */
/* Every option, once: parsing, ranges and help read these rows. Defaults are the verb's own (main.c). */
#include "cli.h"

#define SEED_MAX 9007199254740992.0 /* 2^53: a range kept as a double */

const cli_option cli_option_table[CLI_OPTIONS] = {
  [CLI_KERNEL] = {"kernel", 0, CLI_INTEGER, "K", 1, 255, "rows and columns of the constrained filters"},
  [CLI_CONSTRAINT] = {"constraint", 0, CLI_TEXT, "RULE", 0, 0,
    "what the filters must obey: sum=V, order=Q, bayar, centre=V, moment(P,Q)=V, derivative(P,Q) accuracy=A, symmetric, antisymmetric, "
    "rows=FILE.json, joined by ';', each ending in @slice (its default) or @filter; or none"},
  [CLI_METHODS] = {"methods", 0, CLI_TEXT, "LIST", 0, 0,
    "what races, joined by commas: methods (see below), or default, rivals, all; one may bring a rule of its own: spectral:order=1"},
  [CLI_STEPS] = {"steps", 0, CLI_INTEGER, "N", 1, CLI_MANY, "training steps (batches)"},
  [CLI_SEEDS] = {"seeds", 0, CLI_INTEGER, "N", 1, 1000, "race runs of each method, each from another start; a claim of order needs 8"},
  [CLI_TUNING_SEEDS] = {"tuning-seeds", 0, CLI_INTEGER, "N", 1, 1000, "runs for each learning rate tried, on seeds of their own"},
  [CLI_INIT] = {"init", 0, CLI_CHOICE, "method|response", 0, 0,
    "how weights start: as each method's users start them, or all from the same functions, of unit response"},
  [CLI_NO_BN] = {"no-bn", 0, CLI_FLAG, NULL, 0, 0, "without batch norm"},
  [CLI_FILTERS] = {"filters", 0, CLI_INTEGER, "N", 1, 1024, "filters in the constrained layer"},
  [CLI_TAIL] = {"tail", 0, CLI_TEXT, "LINE", 0, 0, "the network after the constrained layer"},
  [CLI_TIMING] = {"timing", 0, CLI_NUMBER, "SECONDS", 0, 10000, "for measuring the time of a step, at the end, with nothing else running"},
  [CLI_NET] = {"net", 0, CLI_TEXT, "LINE", 0, 0,
    "the network, layers joined by ';': conv OxK [/STRIDE] [RULE] [METHOD] [pad=...], bn, relu, maxpool K, avgpool K, gap, flatten, "
    "dense N, dropout P"},
  [CLI_OUT] = {"out", 'o', CLI_TEXT, "FILE", 0, 0, "the model file to write (safetensors)"},
  [CLI_EPOCHS] = {"epochs", 0, CLI_INTEGER, "N", 1, 1000000, "passes over the training part"},
  [CLI_BATCH] = {"batch", 0, CLI_INTEGER, "N", 1, 4096, "images a step"},
  [CLI_OPTIMIZER] = {"optimizer", 0, CLI_CHOICE, "adam|adamw|sgd", 0, 0, "how weights are stepped"},
  [CLI_LR] = {"lr", 0, CLI_NUMBER, "X", 1e-8, 1000, "learning rate"},
  [CLI_SCHEDULE] = {"schedule", 0, CLI_TEXT, "NAME", 0, 0, "how the learning rate goes: constant, cosine, or step(N,F): times F every N steps"},
  [CLI_WEIGHT_DECAY] = {"weight-decay", 0, CLI_NUMBER, "X", 0, 10, "decay of the trained parameters"},
  [CLI_CHECKPOINT] = {"checkpoint", 0, CLI_TEXT, "FILE", 0, 0, "where the state of the training is kept, to go on with --resume"},
  [CLI_CHECKPOINT_EVERY] = {"checkpoint-every", 0, CLI_INTEGER, "N", 1, CLI_MANY, "steps between checkpoints"},
  [CLI_RESUME] = {"resume", 0, CLI_FLAG, NULL, 0, 0, "continue from the checkpoint; without one, start afresh"},
  [CLI_LOG] = {"log", 0, CLI_TEXT, "FILE", 0, 0, "write a line of JSON a step"},
  [CLI_DATA] = {"data", 0, CLI_TEXT, "SRC", 0, 0, "measure on patches of this source: leaves, photos:DIR, mnist:DIR or folder:DIR"},
  [CLI_BASIS] = {"basis", 0, CLI_TEXT, "NAME", 0, 0, "the basis in the picture; also listed if it is not among the usual ones (spectral(0.5))"},
  [CLI_PICTURE] = {"picture", 0, CLI_TEXT, "FILE", 0, 0, "write a picture of the basis functions (PNG)"},
  [CLI_PREVIEW] = {"preview", 0, CLI_TEXT, "FILE", 0, 0, "write a sheet of what the network sees, a row a class (PNG)"},
  [CLI_COLUMNS] = {"columns", 0, CLI_INTEGER, "N", 1, 100, "patches of each class on the sheet"},
  [CLI_BRIGHTNESS] = {"brightness", 0, CLI_NUMBER, "D", 0, 1000,
    "add one random number in [-D, D] to each image as it is drawn (a pixel is value / 256)"},
  [CLI_PATCH] = {"patch", 0, CLI_INTEGER, "N", 1, 4096, "rows and columns of a patch"},
  [CLI_CHANNELS] = {"channels", 0, CLI_CHOICE, "luma|rgb", 0, 0, "what of a colour is kept"},
  [CLI_IMAGES] = {"images", 0, CLI_INTEGER, "N", 2, 100000, "leaves: how many images to make"},
  [CLI_SEED] = {"seed", 0, CLI_INTEGER, "N", 0, SEED_MAX, "of every random number: the same seed gives the same bits"},
  [CLI_THREADS] = {"threads", 't', CLI_INTEGER, "N", 1, 256, "threads; the result does not depend on it"},
  [CLI_JSON] = {"json", 0, CLI_TEXT, "FILE", 0, 0, "write the result as JSON ('-': standard output)"},
  [CLI_QUIET] = {"quiet", 'q', CLI_FLAG, NULL, 0, 0, "say nothing but errors"},
  [CLI_VERBOSE] = {"verbose", 'v', CLI_FLAG, NULL, 0, 0, "say more: name the files that are skipped"},
  [CLI_HELP] = {"help", 'h', CLI_FLAG, NULL, 0, 0, "show this text"},
};
