/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wisdom files: a first line "tare wisdom VERSION", a line "KEY<tab>CHOICE" each, and a last line "end CHECKSUM" of all that stands
 * before it, in hexadecimal.
 */
#include "conv/wisdom.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "onednn/onednn.h"

static const char first_line[] = "tare wisdom 1\n", any_first[] = "tare wisdom ", last_word[] = "end ";
enum { MOST_BYTES = 16 << 20 };

typedef struct entry { char *key, *choice; } entry;

struct tare_wisdom {
  pthread_mutex_t lock;
  entry *entries; /* in the order in which they came */
  size_t count, capacity;
};

void tare_wisdom_key(const tare_conv_plan *plan, char key[TARE_MOST_KEY]) {
  const tare_conv_options *o = &plan->options;
  char cpu[80], onednn[40], problem[200];
  tare_cpu_model(cpu, sizeof cpu);
  tare_onednn_version(onednn, sizeof onednn);
  tare_conv_problem_text(&plan->problem, problem, sizeof problem);
  snprintf(key, TARE_MOST_KEY, "%s; %s; tare %s; %s of %d lanes; %s; %s %s passes %d flags %d threads %d limit %zu", cpu, tare_cpu_level(),
           tare_version(), onednn, tare_onednn_lanes(), problem, o->precision == TARE_F64 ? "f64" : "f32",
           o->layout == TARE_NCHW ? "nchw" : "nhwc", o->passes, o->flags, o->threads, o->workspace_limit);
  for (char *c = key; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' ';
}

/* The wisdom's lock, for functions that only look too. */
static void lock(const tare_wisdom *w) { pthread_mutex_lock(&((tare_wisdom *)(size_t)w)->lock); }
static void unlock(const tare_wisdom *w) { pthread_mutex_unlock(&((tare_wisdom *)(size_t)w)->lock); }

tare_status tare_wisdom_create(tare_wisdom **out, tare_error *error) {
  if (!out) return tare_fail(error, TARE_E_ARGUMENT, "wisdom needs a place for the result");
  tare_wisdom *w = tare_alloc(1, sizeof *w);
  if (!w) return tare_fail_memory(error, sizeof *w, "wisdom");
  pthread_mutex_init(&w->lock, NULL);
  *out = w;
  return TARE_OK;
}

static void drop_entries(tare_wisdom *w) {
  for (size_t i = 0; i < w->count; i++) {
    tare_free(w->entries[i].key);
    tare_free(w->entries[i].choice);
  }
  tare_free(w->entries);
}

void tare_wisdom_free(tare_wisdom *w) {
  if (!w) return;
  drop_entries(w);
  pthread_mutex_destroy(&w->lock);
  tare_free(w);
}

size_t tare_wisdom_count(const tare_wisdom *w) {
  if (!w) return 0;
  lock(w);
  size_t count = w->count;
  unlock(w);
  return count;
}

static entry *find(const tare_wisdom *w, const char *key) {
  for (size_t i = 0; i < w->count; i++)
    if (strcmp(w->entries[i].key, key) == 0) return &w->entries[i];
  return NULL;
}

int tare_wisdom_find(const tare_wisdom *w, const char *key, char choice[TARE_MOST_CHOICE]) {
  lock(w);
  const entry *e = find(w, key);
  if (e) snprintf(choice, TARE_MOST_CHOICE, "%s", e->choice);
  unlock(w);
  return e != NULL;
}

static int grow(tare_wisdom *w) {
  if (w->count < w->capacity) return 0;
  size_t capacity = 2 * w->capacity + 64;
  entry *entries = tare_alloc(capacity, sizeof *entries);
  if (!entries) return -1;
  if (w->count) memcpy(entries, w->entries, w->count * sizeof *entries);
  tare_free(w->entries);
  w->entries = entries;
  w->capacity = capacity;
  return 0;
}

/* 0, or -1: no memory, nothing is changed. The lock is held. */
static int put(tare_wisdom *w, const char *key, const char *choice) {
  entry *old = find(w, key), new = {old ? NULL : tare_strdup(key), tare_strdup(choice)};
  if (!new.choice || (!old && (!new.key || grow(w)))) {
    tare_free(new.key);
    tare_free(new.choice);
    return -1;
  }
  if (old) {
    tare_free(old->choice);
    old->choice = new.choice;
  } else w->entries[w->count++] = new;
  return 0;
}

void tare_wisdom_add(tare_wisdom *w, const char *key, const char *choice) {
  lock(w);
  put(w, key, choice);
  unlock(w);
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo): against damage, not against malice. */
static uint64_t checksum(const char *data, size_t size) {
  uint64_t sum = 14695981039346656037u;
  for (size_t i = 0; i < size; i++) sum = (sum ^ (unsigned char)data[i]) * 1099511628211u;
  return sum;
}

/* Where the lines of choices end, or NULL with the reason. */
static const char *check_frame(const char *text, size_t size, const char **why) {
  *why = "no wisdom file";
  if (strncmp(text, any_first, sizeof any_first - 1) != 0) return NULL;
  *why = "of another version of tare";
  if (strncmp(text, first_line, sizeof first_line - 1) != 0) return NULL;
  *why = "damaged";
  const char *end = size && strlen(text) == size && text[size - 1] == '\n' ? text + size - 1 : NULL;
  while (end && end > text && end[-1] != '\n') end--;
  char expected[40];
  if (!end) return NULL;
  snprintf(expected, sizeof expected, "%s%016" PRIx64 "\n", last_word, checksum(text, (size_t)(end - text)));
  return strcmp(end, expected) == 0 ? end : NULL;
}

/* Adds the lines from text to end, which are cut up; lines that are no choices are passed over. -1: no memory. */
static int add_lines(tare_wisdom *w, char *text, const char *end) {
  int failed = 0;
  lock(w);
  while (text < end && !failed) {
    char *newline = strchr(text, '\n'), *tab;
    *newline = 0;
    tab = strchr(text, '\t');
    if (tab) {
      *tab = 0;
      failed = put(w, text, tab + 1);
    }
    text = newline + 1;
  }
  unlock(w);
  return failed;
}

tare_status tare_wisdom_load(tare_wisdom *w, const char *path, tare_error *warning) {
  void *data;
  size_t size;
  const char *why;
  if (warning) *warning = (tare_error){.status = TARE_OK};
  if (!w || !path) return tare_fail(warning, TARE_E_ARGUMENT, "wisdom is loaded from a file into a tare_wisdom");
  if (access(path, F_OK) != 0) return TARE_OK;
  tare_status status = tare_file_read(path, MOST_BYTES, &data, &size, warning);
  if (status) return status == TARE_E_MEMORY ? status : TARE_OK;
  const char *end = check_frame(data, size, &why);
  if (!end) tare_fail(warning, TARE_E_DATA, "%s: %s: it is not used", path, why);
  else if (add_lines(w, (char *)data + sizeof first_line - 1, end)) status = tare_fail_memory(warning, size, "wisdom");
  tare_free(data);
  return status;
}

/* What `w` knows, and what `held` knows besides. */
static void write_entries(tare_text *text, const tare_wisdom *w, const tare_wisdom *held) {
  tare_text_add(text, "%s", first_line);
  lock(w);
  for (size_t i = 0; i < held->count; i++)
    if (!find(w, held->entries[i].key)) tare_text_add(text, "%s\t%s\n", held->entries[i].key, held->entries[i].choice);
  for (size_t i = 0; i < w->count; i++) tare_text_add(text, "%s\t%s\n", w->entries[i].key, w->entries[i].choice);
  unlock(w);
  if (!text->failed) tare_text_add(text, "%s%016" PRIx64 "\n", last_word, checksum(text->data, text->length));
}

static tare_status write_file(const char *path, const tare_text *text, tare_error *error) {
  tare_file *file;
  if (text->failed) return tare_fail_memory(error, text->length, "wisdom");
  tare_status status = tare_file_begin(path, &file, error);
  if (status) return status;
  status = tare_file_write(file, text->data, text->length, error);
  if (!status) return tare_file_commit(file, error);
  tare_file_abandon(file);
  return status;
}

tare_status tare_wisdom_save(const tare_wisdom *w, const char *path, tare_error *error) {
  tare_wisdom *held;
  tare_text text = {0};
  if (!w || !path) return tare_fail(error, TARE_E_ARGUMENT, "wisdom is saved from a tare_wisdom into a file");
  tare_status status = tare_wisdom_create(&held, error);
  if (status) return status;
  if (tare_wisdom_load(held, path, NULL)) status = tare_fail_memory(error, 1, "wisdom");
  if (!status) {
    write_entries(&text, w, held);
    status = write_file(path, &text, error);
  }
  tare_text_free(&text);
  tare_wisdom_free(held);
  return status;
}
