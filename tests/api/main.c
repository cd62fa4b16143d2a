/* SPDX-License-Identifier: Apache-2.0 */
/* api INCLUDE: all wrong calls, then whether a function of the headers in INCLUDE/tare was left out. TAP. */
#include "api.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_NAMES = 1000, LONGEST = 80 };
static char called[MOST_NAMES][LONGEST];
static int names, tests;

static void report(int held, const char *what, const char *why) { printf("%sok %d - %s%s%s\n", held ? "" : "not ", ++tests, what, *why ? ": " : "", why); }

int api_fork(void) {
  enum { SECONDS = 60 };
  fflush(stdout);
  if (fork()) return 0;
  alarm(SECONDS); /* a call that never returns is a failure too */
  return 1;
}

void api_child(int held, const char *why) {
  if (!held) printf("# %s\n", why);
  fflush(stdout);
  _exit(!held);
}

static void note_name(const char *call) {
  size_t length = strcspn(call, "(");
  if (names < MOST_NAMES) snprintf(called[names++], LONGEST, "%.*s", (int)length, call);
}

void api_parent(const char *call, const char *file, int line) {
  int status = 0;
  char why[LONGEST + 40] = "";
  wait(&status);
  int held = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (WIFSIGNALED(status)) snprintf(why, sizeof why, "signal %d, line %d", WTERMSIG(status), line);
  else if (!held) snprintf(why, sizeof why, "%s line %d", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
  note_name(call);
  report(held, call, why);
}

int api_refused(tare_status status, const tare_error *error) {
  return status < 0 && error->status == status && error->message[0] && !strchr(error->message, '\n');
}

void api_need(tare_status status, const tare_error *error, const char *call) {
  if (!status) return;
  printf("Bail out! %s: %s\n", call, error->message);
  exit(1);
}

static int is_called(const char *name) {
  for (int i = 0; i < names; i++)
    if (strcmp(called[i], name) == 0) return 1;
  return 0;
}

/* The name before the first '(' behind each TARE_API. */
static int check_header(const char *path) {
  static char text[1 << 16];
  FILE *file = fopen(path, "r");
  size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
  int functions = 0;
  if (file) fclose(file);
  text[size] = 0;
  for (char *at = text; (at = strstr(at, "\nTARE_API ")); at++) {
    char *end = at + strcspn(at, "("), *begin = end;
    char name[LONGEST];
    while (isalnum((unsigned char)begin[-1]) || begin[-1] == '_') begin--;
    snprintf(name, sizeof name, "%.*s", (int)(end - begin), begin);
    if (!is_called(name) && !dlsym(RTLD_DEFAULT, name)) printf("# %s is not in the libraries\n", name);
    else if (!is_called(name)) report(0, name, "no test calls it");
    functions++;
  }
  return functions;
}

static void check_headers(const char *include) {
  char path[4096];
  snprintf(path, sizeof path, "%s/tare", include);
  DIR *folder = opendir(path);
  int functions = 0;
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/tare/%s", include, entry->d_name);
    functions += check_header(path);
  }
  if (folder) closedir(folder);
  printf("# %d functions in the headers\n", functions);
  report(functions > 100, "the headers were read", "");
}

int main(int argc, char **argv) {
  api_rules();
  api_convs();
  api_files();
  api_nets();
  if (argc > 1) check_headers(argv[1]);
  printf("1..%d\n", tests);
  return 0;
}
