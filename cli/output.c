/* SPDX-License-Identifier: Apache-2.0 */
/* Text files written whole or not at all: to a name beside the file, synced, renamed. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Options that name a file to write. The library writes the first ones, which must be plain files. */
static const struct { cli_id id; int text; const char *ending; } outputs[] = {
  {CLI_OUT, 0, ".safetensors"}, {CLI_CHECKPOINT, 0, NULL}, {CLI_PICTURE, 0, ".png"}, {CLI_PREVIEW, 0, ".png"}, {CLI_RESPONSES, 0, ".png"},
  {CLI_BANK, 0, ".png"}, {CLI_REPORT, 0, ".html"}, {CLI_LOG, 1, NULL}, {CLI_JSON, 1, ".json"},
};
enum { OUTPUTS = sizeof outputs / sizeof *outputs };

static int cannot_write(const char *path, const char *why) { return cli_fail(TARE_E_IO, "%s: cannot be written: %s", path, why); }

/* 1 if `path` is there and is neither a file nor a folder: a device, a pipe. */
static int is_special(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static char *temporary_name(const char *path) {
  size_t size = strlen(path) + 32;
  char *name = malloc(size);
  if (name) snprintf(name, size, "%s.tmp-%ld", path, (long)getpid());
  return name;
}

/* Makes the file beside `path` that will be renamed; -1 with errno. */
static int open_beside(const char *path, char **name) {
  struct stat info;
  if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return errno = EISDIR, -1;
  if (access(path, F_OK) == 0 && access(path, W_OK) != 0) return -1;
  if (!(*name = temporary_name(path))) return errno = ENOMEM, -1;
  int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) {
    int why = errno;
    free(*name);
    *name = NULL;
    errno = why;
  }
  return fd;
}

static int check_one(const char *path, int text) {
  if (text && strcmp(path, "-") == 0) return 0;
  if (is_special(path)) {
    if (!text) return cannot_write(path, "expected a file, found a device or a pipe");
    return access(path, W_OK) ? cannot_write(path, strerror(errno)) : 0;
  }
  char *name = NULL;
  int fd = open_beside(path, &name);
  if (fd < 0) return cannot_write(path, strerror(errno));
  close(fd);
  unlink(name);
  free(name);
  return 0;
}

static int ends_in(const char *path, const char *ending) {
  size_t length = strlen(path), tail = ending ? strlen(ending) : 0;
  return tail && length > tail && strcasecmp(path + length - tail, ending) == 0;
}

int cli_output_can(const char *path, const char *ending, const char *other) {
  if (is_special(path) || ends_in(path, ending) || ends_in(path, other)) return check_one(path, 0);
  return cli_fail(TARE_E_ARGUMENT, "%s: expected a file to write that ends in %s%s%s", path, ending, other ? " or " : "", other ? other : "");
}

/* An ending that promises what the file will not be: a reader goes by it. Names without one, and others, are the user's own. */
static int is_of_another_kind(const char *path, const char *ending) {
  static const char *const known[] = {".safetensors", ".onnx", ".npy", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".html", ".json"};
  for (size_t i = 0; ending && i < sizeof known / sizeof *known; i++)
    if (ends_in(path, known[i])) return strcmp(known[i], ending) != 0;
  return 0;
}

int cli_output_check(const cli_args *args) {
  for (int i = 0; i < OUTPUTS; i++) {
    const char *path = args->value[outputs[i].id].text;
    if (!path) continue;
    for (int j = 0; j < i; j++) {
      const char *other = args->value[outputs[j].id].text;
      if (other && strcmp(path, other) == 0)
        return cli_fail(TARE_E_ARGUMENT, "--%s and --%s name the same file: %s", cli_option_table[outputs[j].id].name,
                        cli_option_table[outputs[i].id].name, path);
    }
    if (is_of_another_kind(path, outputs[i].ending))
      return cli_fail(TARE_E_ARGUMENT, "--%s: expected a file that ends in %s, found '%s'", cli_option_table[outputs[i].id].name, outputs[i].ending, path);
    int code = check_one(path, outputs[i].text);
    if (code) return code;
  }
  return 0;
}

int cli_to_stdout(const cli_args *args) {
  const char *json = args->value[CLI_JSON].text;
  return json && strcmp(json, "-") == 0;
}

static int write_all(int fd, const char *text) {
  for (size_t left = strlen(text); left > 0;) {
    ssize_t put = write(fd, text, left);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    text += put;
    left -= (size_t)put;
  }
  return 0;
}

static int write_special(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  int bad = fd < 0 || write_all(fd, text);
  if (fd >= 0 && close(fd)) bad = 1;
  return bad ? cannot_write(path, strerror(errno)) : 0;
}

int cli_output_write(const char *path, const char *text) {
  if (strcmp(path, "-") == 0) {
    fputs(text, stdout);
    return 0;
  }
  if (is_special(path)) return write_special(path, text);
  char *name = NULL;
  int fd = open_beside(path, &name), bad = fd < 0 || write_all(fd, text) || (fsync(fd) && errno != EINVAL && errno != EROFS);
  if (fd >= 0 && close(fd)) bad = 1;
  if (!bad) bad = rename(name, path);
  int code = bad ? cannot_write(path, strerror(errno)) : 0;
  if (bad && name) unlink(name);
  free(name);
  return code;
}

json_t *cli_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

int cli_output_json(const cli_args *args, json_t *json) {
  const char *path = args->value[CLI_JSON].text;
  int code = 0;
  if (path) {
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL; /* 9 digits hold a float */
    size_t length = text ? strlen(text) : 0;
    char *line = text ? realloc(text, length + 2) : NULL;
    if (line) memcpy(line + length, "\n", 2);
    code = line ? cli_output_write(path, line) : cli_fail(TARE_E_MEMORY, "out of memory for the JSON of the result");
    free(line);
  }
  json_decref(json);
  return code;
}
