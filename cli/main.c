/* SPDX-License-Identifier: Apache-2.0 */
/* tare: the table of verbs, and the choice among them. A new verb is a row here and a file cmd_VERB.c. */
#include "cli.h"

#include <signal.h>
#include <string.h>

#define CORES "the machine's cores"
#define COMMON {CLI_JSON, NULL, NULL}, {CLI_QUIET, NULL, NULL}, {CLI_VERBOSE, NULL, NULL}, {CLI_HELP, NULL, NULL}, {CLI_END, NULL, NULL}
#define SOURCE \
  {CLI_PATCH, NULL, "48; mnist: its own size"}, {CLI_CHANNELS, "luma", NULL}, {CLI_IMAGES, NULL, "64"}, {CLI_SEED, "1", NULL}, \
  {CLI_THREADS, NULL, CORES}

static const cli_use race_uses[] = {
  {CLI_KERNEL, "7", NULL}, {CLI_CONSTRAINT, "sum=0", NULL}, {CLI_METHODS, "default", NULL}, {CLI_STEPS, "400", NULL}, {CLI_SEEDS, "2", NULL},
  {CLI_TUNING_SEEDS, "1", NULL}, {CLI_OPTIMIZER, "adam", NULL}, {CLI_LR, NULL, "the best of one grid for all, for each method"},
  {CLI_SCHEDULE, "constant", NULL}, {CLI_INIT, "method", NULL}, {CLI_NO_BN, NULL, NULL}, {CLI_FILTERS, "8", NULL},
  {CLI_TAIL, NULL, "conv 16x3 /2; bn; relu; conv 32x3 /2; bn; relu; gap; dense CLASSES"}, {CLI_BATCH, "32", NULL},
  {CLI_TIMING, "10", NULL}, {CLI_REPORT, NULL, NULL}, {CLI_BRIGHTNESS, "0.5", NULL}, SOURCE, COMMON,
};
static const cli_use train_uses[] = {
  {CLI_NET, NULL, "conv 16x7 sum=0 spectral; bn; relu; conv 32x3 /2; bn; relu; conv 64x3 /2; bn; relu; gap; dense CLASSES"},
  {CLI_OUT, NULL, NULL}, {CLI_EPOCHS, NULL, "3"}, {CLI_STEPS, NULL, "as many as the epochs have"}, {CLI_BATCH, "32", NULL},
  {CLI_OPTIMIZER, "adam", NULL}, {CLI_LR, NULL, "adam, adamw: 0.02 with batch norm, else 0.003; sgd: 0.01"}, {CLI_SCHEDULE, "cosine", NULL}, {CLI_WEIGHT_DECAY, "0", NULL},
  {CLI_CHECKPOINT, NULL, "beside the model, removed when it is written"}, {CLI_CHECKPOINT_EVERY, NULL, "an epoch"}, {CLI_RESUME, NULL, NULL},
  {CLI_OWN_STATISTICS, NULL, NULL}, {CLI_LOG, NULL, NULL}, {CLI_TENSORBOARD, NULL, NULL}, {CLI_REPORT, NULL, NULL}, {CLI_BRIGHTNESS, "0", NULL}, SOURCE, COMMON,
};
static const cli_use eval_uses[] = {
  {CLI_BRIGHTNESS, "0", NULL}, {CLI_BATCH, "64", NULL}, {CLI_IMAGES, NULL, "64"}, {CLI_SEED, "1", NULL}, {CLI_THREADS, NULL, CORES}, COMMON,
};
static const cli_use basis_uses[] = {
  {CLI_KERNEL, "7", NULL}, {CLI_CONSTRAINT, "sum=0", NULL}, {CLI_BASIS, "spectral", NULL}, {CLI_PICTURE, NULL, NULL},
  {CLI_DATA, NULL, "the model: power 1/f^2, as photos have"}, {CLI_BRIGHTNESS, "0.5", NULL}, SOURCE, COMMON,
};
static const cli_use data_uses[] = {
  {CLI_PREVIEW, NULL, NULL}, {CLI_COLUMNS, "8", NULL}, {CLI_BRIGHTNESS, "0", NULL}, SOURCE, COMMON,
};
static const cli_use bench_uses[] = {
  {CLI_LIST, NULL, NULL}, {CLI_SET, NULL, "quick, if no problem is given"}, {CLI_PASSES, NULL, "all; without backward data for up to 4 channels, a first layer"},
  {CLI_CANDIDATE, NULL, "the planner's choice"}, {CLI_LAYOUT, "nhwc", NULL}, {CLI_LIMIT, NULL, "no limit"}, {CLI_OFFSET, NULL, "none"},
  {CLI_ACCURATE, NULL, NULL}, {CLI_MEASURE, NULL, NULL}, {CLI_WISDOM, NULL, NULL}, {CLI_REFERENCE, NULL, NULL}, {CLI_ALONE, NULL, NULL},
  {CLI_SECONDS, "1", NULL}, {CLI_REASONS, NULL, NULL}, {CLI_SEED, "1", NULL}, {CLI_THREADS, NULL, CORES}, {CLI_JSON, NULL, NULL}, {CLI_QUIET, NULL, NULL},
  {CLI_HELP, NULL, NULL}, {CLI_END, NULL, NULL},
};
static const cli_use check_uses[] = {
  {CLI_CONSTRAINT, NULL, "the rules in the file"}, {CLI_TENSOR, NULL, "all"}, {CLI_WORST, "5", NULL}, {CLI_JSON, NULL, NULL},
  {CLI_QUIET, NULL, NULL}, {CLI_HELP, NULL, NULL}, {CLI_END, NULL, NULL},
};
static const cli_use round_uses[] = {
  {CLI_FORMAT, "fp32", NULL}, {CLI_GRADE, "exact", NULL}, {CLI_PIXELS, "8", NULL}, {CLI_DIVISOR, NULL, NULL},
  {CLI_CONSTRAINT, NULL, "the rules in the file"}, {CLI_TENSOR, NULL, "all"}, {CLI_JSON, NULL, NULL}, {CLI_QUIET, NULL, NULL}, {CLI_HELP, NULL, NULL}, {CLI_END, NULL, NULL},
};
static const cli_use export_uses[] = {
  {CLI_FORMAT, NULL, "the weights as the model has them"}, {CLI_GRADE, "exact", NULL}, {CLI_PIXELS, "8", "8; 16: the file takes 0..65535"}, {CLI_FOLD, NULL, NULL},
  {CLI_JSON, NULL, NULL}, {CLI_QUIET, NULL, NULL}, {CLI_HELP, NULL, NULL}, {CLI_END, NULL, NULL},
};
static const cli_use filter_uses[] = {
  {CLI_RESPONSES, NULL, NULL}, {CLI_BANK, NULL, NULL}, {CLI_JSON, NULL, NULL}, {CLI_QUIET, NULL, NULL}, {CLI_HELP, NULL, NULL}, {CLI_END, NULL, NULL},
};

const cli_verb cli_verbs[] = {
  {"race", "Compare", "which way of holding a rule trains fastest",
   "Trains the same network on the same batches by every method, each at its best learning rate out of one grid for all, and prints which wins. "
   "An image is in training or in test, never in both.",
   {"SRC"}, NULL, race_uses,
   {"tare race leaves --report race.html", "tare race photos:DIR --kernel 15 --seeds 8 --json race.json", "tare race mnist:DIR --brightness 2 --methods all"},
   cmd_race_methods, cmd_race},
  {"basis", "Compare", "how well conditioned each basis of a rule is",
   "Prints the condition number of training by each basis, against the model of natural images or measured on a source.",
   {NULL}, NULL, basis_uses, {"tare basis --kernel 15", "tare basis --data leaves --picture basis.png", "tare basis --constraint 'order=1' --json -"},
   NULL, cmd_basis},
  {"train", "Train", "a network whose filters obey rules, to a model file",
   "Trains, writes the model with every single-row rule holding exactly, and prints its accuracy on images that it was not trained on.",
   {"SRC"}, NULL, train_uses,
   {"tare train leaves --out leaves.safetensors", "tare train mnist:DIR --net 'conv 8x7 sum=0; bn; relu; gap; dense 10' --out m.safetensors",
    "mpirun -n 4 tare train photos:DIR --brightness 0.5 --out p.safetensors --resume"},
   NULL, cmd_train},
  {"eval", "Train", "the accuracy of a model on a source",
   "Images that the model was trained on are left out, and counted.",
   {"MODEL", "SRC"}, NULL, eval_uses, {"tare eval leaves.safetensors leaves", "tare eval m.safetensors mnist:DIR --brightness 2 --json -"}, NULL, cmd_eval},
  {"check", "Ship", "whether the filters of a file obey their rules, exactly",
   "Computes the residual of every convolution as a rational number, names the worst filters and verifies certificates. "
   "Exit code 0: every rule holds exactly; 1: one is broken; 3: not a file that can be read.",
   {"FILE"}, NULL, check_uses,
   {"tare check model.safetensors", "tare check model.onnx --json -", "tare check kernel.npy --constraint 'order=1'"}, NULL, cmd_check},
  {"round", "Ship", "the filters of a file to a number format, their rules exact",
   "Finds the nearest weights of the format for which every rule holds over the rationals, and stores a certificate of each. Convolutions under no rule are "
   "rounded plainly. Prints the cost: the distance to the weights that were given over that of plain rounding. Integers get one scale a filter, beside "
   "them as NAME_scale.",
   {"IN", "OUT"}, NULL, round_uses,
   {"tare round model.safetensors model-int8.safetensors --format int8", "tare round model.safetensors grid.safetensors --grade grid",
    "tare round kernel.npy thirds.safetensors --constraint 'derivative(2,0) accuracy=4' --allow-divisor"}, NULL, cmd_round},
  {"export", "Ship", "a model as an ONNX file",
   "Writes plain operators of opset 17 with the model's names. The file takes pixels as they are, 0..255: the factor 2^-8 that training had on them goes into the first "
   "filters. int8 and int4 weights stand behind a DequantizeLinear with one scale a filter and zero-point 0.",
   {"MODEL", "OUT.onnx"}, NULL, export_uses,
   {"tare export model.safetensors model.onnx", "tare export model.safetensors model.onnx --format int8 --grade grid --fold"}, NULL, cmd_export},
  {"filter", "Look", "the first layer of a model on an image of any size",
   "Computes tile by tile, so that memory does not grow with the image. A pixel is value / 256 (16 bits: / 65536; floats as they are). With filters of "
   "'tare round --grade grid' an even area gives exactly 0.",
   {"MODEL", "IMAGE", "OUT.tif"}, NULL, filter_uses,
   {"tare filter model.safetensors photo.png responses.tif", "tare filter model.safetensors scan.tif out.tif --responses sheet.png --bank filters.png"},
   NULL, cmd_filter},
  {"data", "Look", "what a source holds, and what a network sees of it",
   "Prints classes and counts of images, and writes a sheet of patches.",
   {"SRC"}, NULL, data_uses, {"tare data leaves --preview sheet.png", "tare data photos:DIR --verbose"}, NULL, cmd_data},
  {"bench", "Look", "how fast convolutions are here, beside oneDNN",
   "Times the passes of convolutions and a whole training step, by our plan and by oneDNN at its best, in turns, with their errors against exact values.",
   {NULL}, "PROBLEM", bench_uses,
   {"tare bench n8c32h64o32k15p7", "tare bench --set depthwise --json depthwise.json", "tare bench --list dense"}, NULL, cmd_bench},
};
const size_t cli_verb_count = sizeof cli_verbs / sizeof *cli_verbs;

static void map(void) {
  printf("tare %s: convolution filters that obey linear rules\n\nUsage: tare VERB ... (tare VERB --help says more)\n", tare_version());
  for (size_t i = 0; i < cli_verb_count; i++) {
    if (i == 0 || strcmp(cli_verbs[i].task, cli_verbs[i - 1].task) != 0) printf("\n%s\n", cli_verbs[i].task);
    printf("  %-8s%s\n", cli_verbs[i].name, cli_verbs[i].summary);
  }
  printf("\nNothing at hand? 'tare race leaves' races on built-in images.\n"
         "'tare --version' says what this build is, 'tare --completion bash' (zsh, fish) prints completions for a shell.\n");
}

static const cli_verb *find_verb(const char *name) {
  for (size_t i = 0; i < cli_verb_count; i++)
    if (strcmp(cli_verbs[i].name, name) == 0) return &cli_verbs[i];
  return NULL;
}

static int unknown_word(const char *word) {
  static const char *const options[] = {"--help", "--version", "--completion", "--man"};
  int is_option = word[0] == '-';
  const char *nearest = is_option ? cli_nearest(word, options, sizeof options / sizeof *options, sizeof *options)
                                  : cli_nearest(word, &cli_verbs[0].name, cli_verb_count, sizeof cli_verbs[0]);
  const char *what = is_option ? "option" : "verb";
  if (nearest) return cli_fail(TARE_E_ARGUMENT, "unknown %s '%s'; did you mean 'tare %s'?", what, word, nearest);
  return cli_fail(TARE_E_ARGUMENT, "unknown %s '%s'; 'tare' alone lists the verbs", what, word);
}

static int run_verb(const cli_verb *verb, int argc, char **argv) {
  static cli_args args;
  args.verb = verb;
  cli_talk(&args);
  int code = cli_parse(verb, argc, argv, &args);
  if (code) return code;
  cli_talk(&args);
  if (args.value[CLI_HELP].given) cli_help(verb);
  else code = cli_output_check(&args);
  return code || args.value[CLI_HELP].given ? code : verb->run(&args);
}

static int run(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "--help";
  if (strcmp(word, "--version") == 0) return cli_version(), 0;
  if (strcmp(word, "--completion") == 0) return cli_completion(argc > 2 ? argv[2] : NULL);
  int man = strcmp(word, "--man") == 0;
  if (man && argc < 3) return cli_man(NULL), 0;
  int help = man || strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
  if (help && argc < 3) return map(), 0;
  const cli_verb *verb = find_verb(help ? argv[2] : word);
  if (!verb) return unknown_word(help ? argv[2] : word);
  if (man) return cli_man(verb), 0;
  if (help) return cli_help(verb), 0;
  return run_verb(verb, argc - 2, argv + 2);
}

int main(int argc, char **argv) {
  signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is then an error with a message, like a full disk */
  return cli_finish(run(argc, argv));
}
