/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory [EVERY [NAME [N]]]: TAP. The linker sends the library's calls of tare_alloc, tare_strdup and tare_free here (--wrap), jansson's come by
 * json_set_alloc_funcs. What other libraries allocate by themselves (FLINT, OpenBLAS, oneDNN, zlib) does not fail: FLINT and OpenBLAS end the
 * process without memory. With EVERY, only each EVERY-th allocation is made to fail. memory 1 NAME: one scenario; memory 1 NAME N: its
 * allocation N alone, with a trace of where that was.
 */
#include "memory.h"

#include <execinfo.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_tare_alloc(size_t count, size_t size);
char *__real_tare_strdup(const char *text);
void __real_tare_free(void *pointer);
void *__wrap_tare_alloc(size_t count, size_t size);
char *__wrap_tare_strdup(const char *text);
void __wrap_tare_free(void *pointer);

static atomic_long made, alive, failing; /* allocations of this run; not freed yet; which one is to fail, 0: none */
static atomic_int failed, in_json; /* in_json: the failed one was jansson's, which does not say why it gave nothing */
static int trace;

static int fails(void) {
  int now = atomic_fetch_add(&made, 1) + 1 == atomic_load(&failing);
  if (!now) return 0;
  void *calls[16];
  if (trace) backtrace_symbols_fd(calls, backtrace(calls, 16), 2);
  atomic_store(&failed, 1);
  return 1;
}

static void *counted(void *pointer) {
  if (pointer) atomic_fetch_add(&alive, 1);
  return pointer;
}

void *__wrap_tare_alloc(size_t count, size_t size) { return fails() ? NULL : counted(__real_tare_alloc(count, size)); }
char *__wrap_tare_strdup(const char *text) { return fails() ? NULL : counted(__real_tare_strdup(text)); }

void __wrap_tare_free(void *pointer) {
  if (pointer) atomic_fetch_sub(&alive, 1);
  __real_tare_free(pointer);
}

/* Not counted: what json_dumps gives is freed with free. The leak checker of ASan sees these. */
static void *json_malloc_here(size_t size) {
  if (!fails()) return malloc(size);
  atomic_store(&in_json, 1);
  return NULL;
}

/* One run in which allocation `which` fails (0: none); NULL if all is well, else what is not. */
static const char *run_once(const scenario *s, long which, char *text, size_t size) {
  tare_error error = {0};
  long before = atomic_load(&alive);
  atomic_store(&made, 0);
  atomic_store(&failed, 0);
  atomic_store(&in_json, 0);
  atomic_store(&failing, which);
  tare_status status = s->run(&error);
  long left = atomic_load(&alive) - before;
  atomic_store(&failing, 0);
  if (left) return snprintf(text, size, "allocation %ld failed: %ld others are left", which, left), text;
  if (!atomic_load(&failed)) return status ? snprintf(text, size, "without a failure: %s", error.message), text : NULL;
  if ((status == TARE_E_MEMORY || (status && atomic_load(&in_json))) && error.message[0]) return NULL;
  if (status == TARE_OK && s->may_do_without) return NULL;
  return snprintf(text, size, "allocation %ld failed: %s, '%s'", which, tare_status_name(status), error.message), text;
}

/* The first complaint, after all allocations were tried; NULL: none. */
static const char *run_all(const scenario *s, long every, long *tried) {
  static char text[1200], first[1200];
  *tried = 0;
  s->run(&(tare_error){0}); /* what it makes once and keeps */
  if (run_once(s, 0, first, sizeof first)) return first;
  first[0] = 0;
  int complaints = 0;
  for (long which = 1, total = atomic_load(&made); which <= total; which += every, (*tried)++) {
    const char *complaint = run_once(s, which, text, sizeof text);
    if (complaint && complaints++ < 8) printf("# %s: %s\n", s->name, complaint);
    if (complaint && !first[0]) memcpy(first, text, sizeof first);
  }
  return first[0] ? first : NULL;
}

int main(int argc, char **argv) {
  long every = argc > 1 ? atol(argv[1]) : 1, tried;
  const char *only = argc > 2 ? argv[2] : NULL;
  long one = argc > 3 ? atol(argv[3]) : 0;
  trace = one != 0;
  json_set_alloc_funcs(json_malloc_here, free);
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < scenario_count; i++) {
    if (only && strcmp(only, scenarios[i].name)) continue;
    if (one) {
      static char text[1200];
      scenarios[i].run(&(tare_error){0});
      const char *complaint = run_once(&scenarios[i], one, text, sizeof text);
      puts(complaint ? complaint : "as it should");
      continue;
    }
    const char *complaint = run_all(&scenarios[i], every, &tried);
    printf("%sok %zu - %s, %ld failures%s%s\n", complaint ? "not " : "", i + 1, scenarios[i].name, tried, complaint ? ": " : "", complaint ? complaint : "");
  }
  printf("1..%zu\n", scenario_count);
  return 0;
}
