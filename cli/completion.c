/* SPDX-License-Identifier: Apache-2.0 */
/* `tare --completion SHELL`: what a shell needs to complete tare's words, from the tables that --help prints. */
#include "cli.h"

#include <string.h>
#include <tare/basis.h>
#include <tare/race.h>

/* What may stand at a place: a kind of file, one of a few words, or anything. */
typedef enum place { ANYTHING, FILES, FOLDERS, SOURCES, WORDS } place;

static place place_of(const char *argument) {
  static const struct { const char *begin; place is; } places[] = {
    {"FILE", FILES}, {"IN", FILES}, {"OUT", FILES}, {"MODEL", FILES}, {"IMAGE", FILES}, {"DIR", FOLDERS}, {"SRC", SOURCES},
  };
  for (size_t i = 0; argument && i < sizeof places / sizeof *places; i++)
    if (strncmp(argument, places[i].begin, strlen(places[i].begin)) == 0) return places[i].is;
  return ANYTHING;
}

/* The words that an option takes, with spaces between; "" for any. */
static const char *words_of(cli_id id, char *text, size_t size) {
  const cli_option *option = &cli_option_table[id];
  size_t count, used = 0;
  *text = 0;
  if (option->kind == CLI_CHOICE) {
    snprintf(text, size, "%s", option->argument);
    for (char *p = text; *p; p++)
      if (*p == '|') *p = ' ';
  } else if (id == CLI_METHODS) {
    const tare_race_method *methods = tare_race_methods(&count);
    for (size_t i = 0; i < count && used < size; i++) used += (size_t)snprintf(text + used, size - used, "%s ", methods[i].name);
    if (used < size) snprintf(text + used, size - used, "default rivals all");
  } else if (id == CLI_BASIS) {
    const char *const *names = tare_basis_names();
    for (size_t i = 0; names[i] && used < size; i++) used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "", names[i]);
  } else if (id == CLI_SCHEDULE) {
    snprintf(text, size, "constant cosine");
  }
  return text;
}

static place option_place(cli_id id) {
  char words[1000];
  if (cli_option_table[id].kind == CLI_FLAG) return ANYTHING;
  return *words_of(id, words, sizeof words) ? WORDS : place_of(cli_option_table[id].argument);
}

/* Prints text for a place between quotes: each character of `special` behind a backslash, quotes as `quote`. */
static void escaped(const char *text, const char *special, const char *quote) {
  for (; *text; text++) {
    if (*text == '\'') fputs(quote, stdout);
    else if (strchr(special, *text)) printf("\\%c", *text);
    else putchar(*text);
  }
}

/* bash: the options of one place share a row; ':' and '=' divide words there, so "photos:DIR" comes as three. */

static void bash_case(place wanted, const char *action) {
  int any = 0;
  for (int id = CLI_END + 1; id < CLI_OPTIONS; id++) {
    const cli_option *option = &cli_option_table[id];
    if (option->kind == CLI_FLAG || option_place(id) != wanted) continue;
    printf("%s--%s", any++ ? "|" : "    ", option->name);
    if (option->letter) printf("|-%c", option->letter);
  }
  if (any) printf(") %s ;;\n", action);
}

static void bash_options(void) {
  char words[1000];
  for (int id = CLI_END + 1; id < CLI_OPTIONS; id++) {
    if (option_place(id) != WORDS) continue;
    printf("    --%s", cli_option_table[id].name);
    if (cli_option_table[id].letter) printf("|-%c", cli_option_table[id].letter);
    printf(") _tare_words '%s' ;;\n", words_of(id, words, sizeof words));
  }
  bash_case(FILES, "_tare_files -f");
  bash_case(FOLDERS, "_tare_files -d");
  bash_case(SOURCES, "_tare_sources");
  bash_case(ANYTHING, "");
}

static const char *bash_position(const cli_verb *verb) {
  int sources = 0, files = 0;
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) {
    sources |= place_of(verb->position[i]) == SOURCES;
    files |= place_of(verb->position[i]) == FILES;
  }
  return sources && files ? "_tare_sources; _tare_files -f" : sources ? "_tare_sources" : files ? "_tare_files -f" : ":";
}

static void bash_verbs(void) {
  for (size_t i = 0; i < cli_verb_count; i++) {
    printf("    %s) options='", cli_verbs[i].name);
    for (const cli_use *use = cli_verbs[i].uses; use->id != CLI_END; use++) printf("--%s ", cli_option_table[use->id].name);
    printf("' positions='%s' ;;\n", bash_position(&cli_verbs[i]));
  }
}

static void bash(void) {
  printf("# bash completion for tare, made by 'tare --completion bash'\n"
         "_tare_words() { mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
         "_tare_files() { compopt -o filenames 2>/dev/null; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen \"$1\" -- \"$cur\"); }\n"
         "_tare_sources() { compopt -o nospace 2>/dev/null; _tare_words 'leaves photos: mnist: folder:'; }\n"
         "_tare() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options= positions=\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then _tare_words '--help --version --completion ");
  for (size_t i = 0; i < cli_verb_count; i++) printf("%s ", cli_verbs[i].name);
  printf("help'; return; fi\n"
         "  case $cur in :|=) prev=$cur cur= ;; esac\n"
         "  if [ \"$prev\" = : ]; then _tare_files -d; return; fi\n"
         "  if [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-1]}; [ \"$prev\" != = ] || prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "  case ${COMP_WORDS[1]} in\n");
  bash_verbs();
  printf("    help) _tare_words '");
  for (size_t i = 0; i < cli_verb_count; i++) printf("%s ", cli_verbs[i].name);
  printf("'; return ;;\n    --completion) _tare_words 'bash zsh fish'; return ;;\n  esac\n  case $prev in\n");
  bash_options();
  printf("    *) case $cur in -*) _tare_words \"$options\" ;; *) eval \"$positions\" ;; esac ;;\n  esac\n}\ncomplete -F _tare tare\n");
}

/* zsh: a specification for _arguments for each option and position. */

static void zsh_action(place is, const char *words) {
  static const char *const actions[] = {[ANYTHING] = " ", [FILES] = "_files", [FOLDERS] = "_files -/", [SOURCES] = "_tare_source"};
  if (is == WORDS) printf("(%s)", words);
  else fputs(actions[is], stdout);
}

static void zsh_option(cli_id id) {
  const cli_option *option = &cli_option_table[id];
  char words[1000];
  int flag = option->kind == CLI_FLAG;
  if (option->letter) printf("    '(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name, option->letter, flag ? "" : "+", option->name, flag ? "" : "=");
  else printf("    '--%s%s[", option->name, flag ? "" : "=");
  escaped(option->help, "[]\\", "'\\''");
  putchar(']');
  if (!flag) {
    putchar(':');
    escaped(option->argument, ":\\", "");
    putchar(':');
    zsh_action(option_place(id), words_of(id, words, sizeof words));
  }
  printf("' \\\n");
}

static void zsh_verb(const cli_verb *verb) {
  printf("  %s) _arguments \\\n", verb->name);
  for (const cli_use *use = verb->uses; use->id != CLI_END; use++) zsh_option(use->id);
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) {
    printf("    '%d:%s:", i + 1, verb->position[i]);
    zsh_action(place_of(verb->position[i]), "");
    printf("' \\\n");
  }
  if (verb->rest) printf("    '*:%s: ' \\\n", verb->rest);
  printf("    ;;\n");
}

static void zsh(void) {
  printf("#compdef tare\n# zsh completion for tare, made by 'tare --completion zsh'\n"
         "_tare_source() {\n"
         "  if compset -P '(photos|mnist|folder):'; then _files -/; else compadd leaves; compadd -S '' photos: mnist: folder:; fi\n"
         "}\n"
         "_tare() {\n  local curcontext=$curcontext state line\n  local -a verbs\n  verbs=(\n");
  for (size_t i = 0; i < cli_verb_count; i++) {
    printf("    '%s:", cli_verbs[i].name);
    escaped(cli_verbs[i].summary, ":\\", "'\\''");
    printf("'\n");
  }
  printf("  )\n"
         "  _arguments -C '(- *)--version[say what this build is]' '(- *)--help[list the verbs]' \\\n"
         "    '(- *)--completion=[print the completions of a shell]:shell:(bash zsh fish)' '1:verb:->verb' '*::argument:->argument' && return\n"
         "  if [[ $state == verb ]]; then _describe verb verbs; return; fi\n"
         "  case $words[1] in\n");
  for (size_t i = 0; i < cli_verb_count; i++) zsh_verb(&cli_verbs[i]);
  printf("  esac\n}\nif [[ $funcstack[1] == _tare ]]; then _tare \"$@\"; else compdef _tare tare; fi\n");
}

/* fish: a command for each verb, and for each option of a verb. */

static void fish_use(const cli_verb *verb, cli_id id) {
  const cli_option *option = &cli_option_table[id];
  char words[1000];
  printf("complete -c tare -n '__fish_seen_subcommand_from %s' -l %s", verb->name, option->name);
  if (option->letter) printf(" -s %c", option->letter);
  switch (option->kind == CLI_FLAG ? WORDS : option_place(id)) {
    case WORDS: if (option->kind != CLI_FLAG) printf(" -x -a '%s'", words_of(id, words, sizeof words)); break;
    case FILES: printf(" -r -F"); break;
    case FOLDERS: printf(" -x -a '(__fish_complete_directories)'"); break;
    case SOURCES: printf(" -x -a '(__tare_sources)'"); break;
    case ANYTHING: printf(" -x"); break;
  }
  printf(" -d '");
  escaped(option->help, "\\", "\\'");
  printf("'\n");
}

static void fish_positions(const cli_verb *verb) {
  for (int i = 0; i < CLI_POSITIONS && verb->position[i]; i++) {
    place is = place_of(verb->position[i]);
    if (is == SOURCES) printf("complete -c tare -n '__fish_seen_subcommand_from %s' -a '(__tare_sources)'\n", verb->name);
    if (is == FILES) printf("complete -c tare -n '__fish_seen_subcommand_from %s' -F\n", verb->name);
  }
}

static void fish(void) {
  printf("# fish completion for tare, made by 'tare --completion fish'\n"
         "function __tare_sources\n"
         "  set -l word (commandline -ct)\n"
         "  if string match -qr '^(photos|mnist|folder):' -- $word\n"
         "    set -l parts (string split -m 1 : -- $word)\n"
         "    __fish_complete_directories $parts[2] | string replace -r '^' $parts[1]:\n"
         "  else\n    printf '%%s\\n' leaves photos: mnist: folder:\n  end\nend\n"
         "complete -c tare -f\n"
         "complete -c tare -n __fish_use_subcommand -l version -d 'say what this build is'\n"
         "complete -c tare -n __fish_use_subcommand -l help -d 'list the verbs'\n"
         "complete -c tare -n __fish_use_subcommand -l completion -x -a 'bash zsh fish' -d 'print the completions of a shell'\n");
  for (size_t i = 0; i < cli_verb_count; i++) {
    printf("complete -c tare -n __fish_use_subcommand -a %s -d '", cli_verbs[i].name);
    escaped(cli_verbs[i].summary, "\\", "\\'");
    printf("'\n");
    for (const cli_use *use = cli_verbs[i].uses; use->id != CLI_END; use++) fish_use(&cli_verbs[i], use->id);
    fish_positions(&cli_verbs[i]);
  }
}

int cli_completion(const char *shell) {
  static const struct { const char *name; void (*print)(void); } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
  for (size_t i = 0; shell && i < sizeof shells / sizeof *shells; i++)
    if (strcmp(shells[i].name, shell) == 0) return shells[i].print(), 0;
  return cli_fail(TARE_E_ARGUMENT, "--completion: expected bash, zsh or fish, found %s%s%s", shell ? "'" : "", shell ? shell : "nothing", shell ? "'" : "");
}
