/* SPDX-License-Identifier: Apache-2.0 */
/* `tare --man [VERB]`: manual pages (man(7) macros), from the descriptions that --help prints. */
#include "cli.h"

#include <ctype.h>
#include <string.h>

/* Text that groff takes as it is: no escapes, hyphens that can be copied, no line that begins with a control character. */
static void put(const char *text) {
  for (const char *p = text; *p; p++) {
    if (p == text && (*p == '.' || *p == '\'')) fputs("\\&", stdout);
    if (*p == '\\') fputs("\\e", stdout);
    else if (*p == '-') fputs("\\-", stdout);
    else putchar(*p);
  }
}

static void put_upper(const char *text) {
  for (; *text; text++) putchar(toupper((unsigned char)*text));
}

static void heading(const char *name, const char *verb) {
  printf(".\\\" Made by tare --man.\n.TH TARE");
  if (verb) putchar('-'), put_upper(verb);
  printf(" 1 \"\" \"tare %s\" \"tare\"\n.SH NAME\n", tare_version());
  put(name);
}

static void examples(const cli_verb *verb) {
  printf(".SH EXAMPLES\n");
  for (int i = 0; i < CLI_EXAMPLES && verb->example[i]; i++) {
    printf(".PP\n.RS\n.nf\n");
    put(verb->example[i]);
    printf("\n.fi\n.RE\n");
  }
}

static void option(const cli_use *use) {
  const cli_option *o = &cli_option_table[use->id];
  char text[1000];
  printf(".TP\n");
  if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
  printf("\\fB\\-\\-");
  put(o->name);
  printf("\\fR");
  if (o->argument) printf(" \\fI"), put(o->argument), printf("\\fR");
  putchar('\n');
  cli_option_text(use, text, sizeof text);
  put(text);
  putchar('\n');
}

static void synopsis(const cli_verb *verb) {
  printf(".SH SYNOPSIS\n.B tare %s\n", verb->name);
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) printf(".I %s\n", verb->position[i]);
  if (verb->rest) printf(".RI [ %s ...]\n", verb->rest);
  printf("[\\fIOPTIONS\\fR]\n");
}

static void argument(const char *name) {
  printf(".TP\n.I %s\n", name);
  put(cli_position_help(name));
  putchar('\n');
}

static void exits(void) {
  static const struct { int code; const char *meaning; } codes[] = {
    {0, "done"}, {1, "the check failed"}, {2, "wrong use"}, {3, "bad input"}, {4, "the machine failed: a full disk, no memory"}, {130, "interrupted"},
  };
  printf(".SH EXIT STATUS\n");
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) printf(".TP\n.B %d\n%s\n", codes[i].code, codes[i].meaning);
}

static void verb_page(const cli_verb *verb) {
  heading("tare", verb->name);
  printf("\\-%s \\- ", verb->name);
  put(verb->summary);
  putchar('\n');
  synopsis(verb);
  printf(".SH DESCRIPTION\n");
  put(verb->about);
  putchar('\n');
  if (verb->position[0] || verb->rest) printf(".SH ARGUMENTS\n");
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) argument(verb->position[i]);
  if (verb->rest) argument(verb->rest);
  printf(".SH OPTIONS\n");
  for (const cli_use *use = verb->uses; use->id != CLI_END; use++) option(use);
  if (verb->more) {
    printf(".SH MORE\n.nf\n");
    fflush(stdout);
    verb->more(70);
    printf(".fi\n");
  }
  exits();
  examples(verb);
  printf(".SH SEE ALSO\n.BR tare (1)\n");
}

static void main_page(void) {
  static const struct { const char *name, *meaning; } variables[] = {
    {"TARE_CPU", "the highest level of kernels to use: baseline, avx2 or avx512"},
    {"TARE_VERBOSE", "1: say on standard error which way each convolution goes, and why not another"},
    {"NO_COLOR", "anything: no colour"},
    {"COLUMNS", "the width of text, instead of the terminal's"},
  };
  heading("tare", NULL);
  printf(" \\- convolution filters that obey linear rules\n");
  printf(".SH SYNOPSIS\n.B tare\n.I VERB\n[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n.br\n.B tare \\-\\-version\n.br\n"
         ".B tare \\-\\-completion\nbash|zsh|fish\n.SH DESCRIPTION\n"
         "Trains networks whose filters obey a linear rule A w = b (their weights sum to 0, their moments vanish), in bases in which they converge fast, and writes "
         "weights in which the rule holds exactly. Data goes to standard output, talk to standard error.\n");
  for (size_t i = 0; i < cli_verb_count; i++) {
    if (i == 0 || strcmp(cli_verbs[i].task, cli_verbs[i - 1].task) != 0) printf(".SS %s\n", cli_verbs[i].task);
    printf(".TP\n.BR tare\\-%s (1)\n", cli_verbs[i].name);
    put(cli_verbs[i].summary);
    putchar('\n');
  }
  exits();
  printf(".SH ENVIRONMENT\n");
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) printf(".TP\n.B %s\n%s\n", variables[i].name, variables[i].meaning);
  printf(".SH SEE ALSO\n");
  for (size_t i = 0; i < cli_verb_count; i++) printf(".BR tare\\-%s (1)%s\n", cli_verbs[i].name, i + 1 < cli_verb_count ? "," : "");
}

void cli_man(const cli_verb *verb) {
  if (verb) verb_page(verb);
  else main_page();
}
