/* SPDX-License-Identifier: Apache-2.0 */
/* `tare --version`: what a bug report needs. */
#include "cli.h"

#include <dlfcn.h>

/* The libraries that were loaded say which they are: this file need not be built against them. */
static void *symbol(const char *name) { return dlsym(RTLD_DEFAULT, name); }

static void print_onednn(void) {
  typedef struct { int major, minor, patch; } version; /* the head of dnnl_version_t, the same in 2.x and 3.x */
  const version *(*get)(void) = NULL;
  *(void **)&get = symbol("dnnl_version");
  if (get) printf("oneDNN:    %d.%d.%d\n", get()->major, get()->minor, get()->patch);
  else puts("no oneDNN");
}

static void print_text(const char *label, const char *name) {
  const char *(*get)(void) = NULL;
  *(void **)&get = symbol(name);
  if (get) printf("%s%s\n", label, get());
}

void cli_version(void) {
  printf("tare %s\n", tare_version());
  printf("CPU level: %s\n", tare_cpu_level());
  print_onednn();
  print_text("BLAS:      ", "openblas_get_config");
  const char *flint = symbol("flint_version"); /* an array of characters */
  if (flint) printf("FLINT:     %s\n", flint);
  print_text("jansson:   ", "jansson_version_str");
  print_text("zlib:      ", "zlibVersion");
}
