/* SPDX-License-Identifier: Apache-2.0 */
/* `tare --version`: what a bug report needs. */
#include "cli.h"

#include <dlfcn.h>
#include <sched.h>
#include <string.h>

/* The libraries that were loaded say which they are: this file need not be built against them. */
static void *symbol(const char *name) { return dlsym(RTLD_DEFAULT, name); }

static const char *onednn_version(void) {
  typedef struct { int major, minor, patch; } version; /* the head of dnnl_version_t, the same in 2.x and 3.x */
  static char text[48];
  const version *(*get)(void) = NULL;
  *(void **)&get = symbol("dnnl_version");
  if (!get) return "no oneDNN";
  snprintf(text, sizeof text, "%d.%d.%d", get()->major, get()->minor, get()->patch);
  return text;
}

static const char *call(const char *name) {
  const char *(*get)(void) = NULL;
  *(void **)&get = symbol(name);
  return get ? get() : NULL;
}

static const char *blas_version(void) { return call("openblas_get_config"); }
static const char *flint_version(void) { return symbol("flint_version"); } /* an array of characters */
static const char *jansson_version(void) { return call("jansson_version_str"); }
static const char *zlib_version(void) { return call("zlibVersion"); }

static const char *build(void) {
  return
#ifdef __clang__
    "clang " __clang_version__
#else
    "gcc " __VERSION__
#endif
#ifdef __SANITIZE_ADDRESS__
    ", sanitizers"
#endif
    ;
}

/* The processor's name and how many of its cores this process may use. */
static const char *processor(void) {
  static char text[160];
  char line[256];
  const char *name = "unknown";
  FILE *file = fopen("/proc/cpuinfo", "r");
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    colon[strcspn(colon, "\n")] = 0;
    name = colon + 1 + (colon[1] == ' ');
    break;
  }
  cpu_set_t mine;
  int cores = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
  snprintf(text, sizeof text, "%.120s, %d core%s", name, cores, cores == 1 ? "" : "s");
  if (file) fclose(file);
  return text;
}

void cli_facts(void (*put)(void *user, const char *name, const char *value), void *user) {
  static const struct { const char *name; const char *(*get)(void); } facts[] = {
    {"tare", tare_version}, {"build", build}, {"CPU", processor}, {"CPU level", tare_cpu_level}, {"oneDNN", onednn_version},
    {"BLAS", blas_version}, {"FLINT", flint_version}, {"jansson", jansson_version}, {"zlib", zlib_version},
  };
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    const char *value = facts[i].get();
    if (value) put(user, facts[i].name, value);
  }
}

static void print(void *user, const char *name, const char *value) {
  if (strcmp(name, "tare") == 0) fprintf(user, "tare %s\n", value);
  else fprintf(user, "%s:%*s%s\n", name, 10 - (int)strlen(name), "", value);
}

void cli_version(void) { cli_facts(print, stdout); }
