/* SPDX-License-Identifier: Apache-2.0 */
/* `tare VERB --help`, printed from the option descriptions. */
#include "cli.h"

#include <string.h>

static const struct { const char *name, *help; } position_table[] = {
  {"SRC", "a data source: leaves, photos:DIR, mnist:DIR or folder:DIR"},
  {"FILE", "a safetensors, ONNX or npy file"},
  {"IN", "the file to read"},
  {"OUT", "the file to write: its ending says the format"},
  {"OUT.onnx", "the ONNX file to write"},
  {"IMAGE", "the image to read: 8-bit, 16-bit or float, of any size"},
  {"OUT.tif", "the TIFF to write: floats, a channel for each filter"},
  {"MODEL", "a model file that 'tare train' wrote"},
  {"PROBLEM", "a convolution: letters with numbers, n images, c channels, h (and w) pixels, o outputs, k taps, p padding, s stride, d dilation, g groups"},
};

const char *cli_position_help(const char *name) {
  for (size_t i = 0; i < sizeof position_table / sizeof *position_table; i++)
    if (strcmp(position_table[i].name, name) == 0) return position_table[i].help;
  return "";
}

void cli_wrap(FILE *file, const char *text, int indent, int column, int width) {
  fprintf(file, "%*s", column < indent ? indent - column : 0, "");
  int at = column < indent ? indent : column, first = 1;
  for (const char *word = text; *word;) {
    int length = (int)strcspn(word, " ");
    if (!first && at + 1 + length > width) {
      fprintf(file, "\n%*s", indent, "");
      at = indent;
      first = 1;
    }
    fprintf(file, "%s%.*s", first ? "" : " ", length, word);
    at += length + !first;
    first = 0;
    word += length + (word[length] == ' ');
  }
  fputc('\n', file);
}

void cli_option_text(const cli_use *use, char *text, size_t size) {
  const cli_option *option = &cli_option_table[use->id];
  const char *value = use->shown ? use->shown : use->value;
  char range[64] = "";
  if (option->kind == CLI_INTEGER || option->kind == CLI_NUMBER) cli_range(option, range, sizeof range);
  snprintf(text, size, "%s%s%s%s%s%s%s", option->help, *range || value ? " (" : "", range, *range && value ? "; " : "",
           value ? "default: " : "", value ? value : "", *range || value ? ")" : "");
}

static void option_line(const cli_use *use, int width) {
  enum { INDENT = 26 };
  const cli_option *option = &cli_option_table[use->id];
  char head[64], text[800], letter[4] = "  ";
  if (option->letter) snprintf(letter, sizeof letter, "-%c", option->letter);
  snprintf(head, sizeof head, "  %s%s --%s%s%s", letter, option->letter ? "," : " ", option->name, option->argument ? " " : "",
           option->argument ? option->argument : "");
  cli_option_text(use, text, sizeof text);
  fputs(head, stdout);
  if (strlen(head) + 2 > INDENT) fputc('\n', stdout);
  cli_wrap(stdout, text, INDENT, strlen(head) + 2 > INDENT ? 0 : (int)strlen(head), width);
}

static void position_line(const char *name, int width) {
  cli_wrap(stdout, cli_position_help(name), 26, printf("  %s", name), width);
}

void cli_help(const cli_verb *verb) {
  int width = cli_terminal_width(stdout);
  printf("tare %s: %s\n\nUsage: tare %s", verb->name, verb->summary, verb->name);
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) printf(" %s", verb->position[i]);
  if (verb->rest) printf(" [%s...]", verb->rest);
  printf(" [OPTIONS]\n\n");
  cli_wrap(stdout, verb->about, 0, 0, width);
  printf("\n");
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) position_line(verb->position[i], width);
  if (verb->rest) position_line(verb->rest, width);
  printf("%sOptions:\n", verb->position[0] || verb->rest ? "\n" : "");
  for (const cli_use *use = verb->uses; use->id != CLI_END; use++) option_line(use, width);
  if (verb->more) {
    printf("\n");
    verb->more(width);
  }
  printf("\nExamples:\n");
  for (int i = 0; i < CLI_EXAMPLES && verb->example[i]; i++) printf("  %s\n", verb->example[i]);
}
