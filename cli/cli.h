/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's own parts: option descriptions, parsing, help, talk, output.
 * It uses only the public headers, but for the benchmark, which reaches for oneDNN itself. A verb is a row of the table in main.c and
 * a file cmd_VERB.c; an option is a row of the table in options.c, which
 * parsing and help both read. Data goes to stdout, talk to stderr.
 */
#ifndef TARE_CLI_H
#define TARE_CLI_H

#include <stdint.h>
#include <stdio.h>
#include <tare/status.h>

#define CLI_MANY 1000000000.0 /* a limit that nobody need be told */

typedef enum cli_kind { CLI_FLAG, CLI_INTEGER, CLI_NUMBER, CLI_TEXT, CLI_CHOICE } cli_kind;

typedef enum cli_id {
  CLI_END, /* ends a verb's list */
  CLI_KERNEL, CLI_CONSTRAINT, CLI_METHODS, CLI_STEPS, CLI_SEEDS, CLI_TUNING_SEEDS, CLI_INIT, CLI_NO_BN, CLI_FILTERS, CLI_TAIL, CLI_TIMING,
  CLI_NET, CLI_OUT, CLI_EPOCHS, CLI_BATCH, CLI_OPTIMIZER, CLI_LR, CLI_SCHEDULE, CLI_WEIGHT_DECAY, CLI_CHECKPOINT, CLI_CHECKPOINT_EVERY,
  CLI_RESUME, CLI_OWN_STATISTICS, CLI_LOG, CLI_DATA, CLI_BASIS, CLI_PICTURE, CLI_PREVIEW, CLI_COLUMNS,
  CLI_LIST, CLI_SET, CLI_PASSES, CLI_CANDIDATE, CLI_LAYOUT, CLI_LIMIT, CLI_OFFSET, CLI_ACCURATE, CLI_MEASURE, CLI_WISDOM, CLI_REFERENCE,
  CLI_ALONE, CLI_SECONDS, CLI_REASONS,
  CLI_TENSOR, CLI_WORST, CLI_FORMAT, CLI_GRADE, CLI_PIXELS, CLI_DIVISOR, CLI_FOLD, CLI_RESPONSES, CLI_BANK,
  CLI_REPORT, CLI_TENSORBOARD, CLI_BRIGHTNESS, CLI_PATCH, CLI_CHANNELS, CLI_IMAGES, CLI_SEED, CLI_THREADS, CLI_JSON, CLI_QUIET, CLI_VERBOSE, CLI_HELP,
  CLI_OPTIONS
} cli_id;

/* What an option is, whichever verb takes it. */
typedef struct cli_option {
  const char *name;     /* without the dashes */
  char letter;          /* short form, or 0 */
  cli_kind kind;
  const char *argument; /* "K"; for a choice "adam|sgd" */
  double low, high;     /* of numbers, both included */
  const char *help;
} cli_option;
extern const cli_option cli_option_table[CLI_OPTIONS];

/* That a verb takes an option, and with which default. */
typedef struct cli_use {
  cli_id id;
  const char *value; /* default, parsed as if it were given; NULL: none */
  const char *shown; /* what help calls the default where `value` does not say it */
} cli_use;

enum { CLI_POSITIONS = 3, CLI_EXAMPLES = 3, CLI_MOST_REST = 256 };

struct cli_args;
typedef struct cli_verb {
  const char *name, *task, *summary;
  const char *about;                      /* a paragraph for --help */
  const char *position[CLI_POSITIONS];    /* required arguments, by name ("SRC"); cli_position_help explains them */
  const char *rest;                       /* what any number of further arguments are ("PROBLEM"), or NULL */
  const cli_use *uses;
  const char *example[CLI_EXAMPLES];
  void (*more)(int width);                /* prints more help, or NULL */
  int (*run)(const struct cli_args *args); /* returns the exit code */
} cli_verb;

typedef struct cli_value { int given; int64_t integer; double number; const char *text; } cli_value;

typedef struct cli_args {
  const cli_verb *verb;
  cli_value value[CLI_OPTIONS];
  const char *position[CLI_POSITIONS];
  const char *rest[CLI_MOST_REST];
  int rest_count;
  int word_count; /* the words after the verb, as they were given */
  char **words;
} cli_args;

/* args.c: 0 on success, else the exit code, the reason printed. `argv` are the words after the verb. */
int cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *args);
/* "1 to 255", "at least 0": the range of a number option. */
void cli_range(const cli_option *option, char *text, size_t size);
/* Of `count` names (strings `stride` bytes apart, NULL ones skipped) the one that a mistyped `word` may have meant; NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *names, size_t count, size_t stride);

/* help.c */
void cli_help(const cli_verb *verb);
const char *cli_position_help(const char *name);
void cli_option_text(const cli_use *use, char *text, size_t size); /* what an option does, its range and its default */
void cli_wrap(FILE *file, const char *text, int indent, int column, int width); /* `text` at `indent`, the cursor being at `column` */

/* verbs, version: main.c, version.c */
extern const cli_verb cli_verbs[];
extern const size_t cli_verb_count;
void cli_version(void);
void cli_man(const cli_verb *verb);         /* man.c: a manual page; NULL: tare's own */
int cli_completion(const char *shell);      /* completion.c: a script for bash, zsh or fish. 0 or the exit code */
/* What a bug report and a report need to know of this machine and build, a pair at a time ("oneDNN", "2.6.0"). */
void cli_facts(void (*put)(void *user, const char *name, const char *value), void *user);

/*
 * say.c. Talk goes to stderr: `say` unless --quiet, `detail` only with --verbose.
 * An error is one line "tare VERB: message"; the functions return the exit code:
 * 0 done, 1 a check failed, 2 wrong use, 3 bad input, 4 the machine failed, 130 interrupted.
 */
void cli_talk(const cli_args *args); /* sets the verb's name and how much to say */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_quiet(void);
int cli_exit_code(tare_status status);
int cli_fail(tare_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_report(const tare_error *error);
/* Flushes stdout: the exit code, or 4 if what was printed could not be written. */
int cli_finish(int code);

/* progress.c: a bar on a terminal, nothing elsewhere. */
int cli_terminal_width(FILE *file);
void cli_progress_draw(double fraction, double seconds_left, const char *format, ...) __attribute__((format(printf, 3, 4)));
int cli_progress_shown(void); /* 1 if stderr is a terminal that shows the bar */
void cli_progress_clear(void);
void cli_duration(char *text, size_t size, double seconds); /* "1:05", "40 s" */
/* Ctrl-C: from here on it sets a flag (a second one kills). */
void cli_catch_interrupt(void);
int cli_interrupted(void);

/* output.c: text files written whole or not at all; "-" is stdout. */
/* Whether `path` ends in one of two endings (the second may be NULL) and can be written as a file: 0 or the exit code. */
int cli_output_can(const char *path, const char *ending, const char *other);
/* Whether each FILE option given can be written, none is named twice or as another kind of file: 0 or the exit code. Before any work. */
int cli_output_check(const cli_args *args);
int cli_output_write(const char *path, const char *text);
/* Writes `json` where --json says, if it says so; takes the reference. */
struct json_t;
int cli_output_json(const cli_args *args, struct json_t *json);
struct json_t *cli_json_number(double value); /* null unless it is finite */
int cli_to_stdout(const cli_args *args); /* 1 if --json - claims stdout: tables then go to stderr */

/* report.c: one page of HTML that needs nothing else (doc/report.md). */
/* Adds the command and the machine to `data`, whose reference it takes, and writes the page. 0 or the exit code. */
int cli_report_write(const cli_args *args, struct json_t *data);
/* report_race.c: the page's data from a race's JSON. */
int cli_report_race(const cli_args *args, const char *race);

/* table.c: aligned columns. */
typedef struct cli_table cli_table;
/* `columns` headings; one that begins with '<' is left-aligned. */
cli_table *cli_table_create(const char *const *headings, int columns);
void cli_table_cell(cli_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_table_print(cli_table *table, FILE *file); /* and frees it */
void cli_table_free(cli_table *table);

/* source.c */
struct tare_source;
int cli_threads(const cli_args *args);
/* ranks.c: which of several processes this is (0 alone), and the others, where mpirun started them (*ranks NULL: alone). */
struct tare_ranks;
int cli_rank(void);
int cli_ranks_join(const cli_args *args, struct tare_ranks **ranks);

/* Opens a source with the options of `args`; patch and rgb: -1 for the option's. Says what was skipped. 0 or the exit code. */
int cli_source_open(const cli_args *args, const char *spec, int patch, int rgb, struct tare_source **source);

/* score.c: accuracy on the test part, its interval bootstrapped by image (95 %). */
struct tare_net;
typedef struct cli_score { double accuracy, low, high, loss; size_t images, patches; } cli_score;
int cli_score_net(struct tare_net *net, const struct tare_source *source, uint64_t seed, cli_score *score);
void cli_score_print(FILE *file, const cli_score *score);

/* sheet.c: `count` squares of rows x columns values as a picture of grey tiles (at most 1024). Free the pixels after failure too. */
typedef struct cli_sheet { unsigned char *pixels; int width, height; } cli_sheet;
int cli_sheet_draw(const float *values, int count, int rows, int columns, int zoom, cli_sheet *sheet);
int cli_sheet_write(const char *path, const float *values, int count, int rows, int columns, int zoom);

/* picture.c: draws the basis that --basis names where --picture says. */
struct tare_constraint;
struct tare_covariance;
int cli_picture(const cli_args *args, const struct tare_constraint *rule, const struct tare_covariance *measured);

/* The verbs. */
int cmd_race(const cli_args *args);
void cmd_race_methods(int width); /* the methods, for help */
int cmd_train(const cli_args *args);
int cmd_eval(const cli_args *args);
int cmd_basis(const cli_args *args);
int cmd_data(const cli_args *args);
int cmd_bench(const cli_args *args);
int cmd_check(const cli_args *args);
int cmd_round(const cli_args *args);
int cmd_export(const cli_args *args);
int cmd_filter(const cli_args *args);

#endif
