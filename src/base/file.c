/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

static tare_status read_open(int fd, const char *path, size_t limit, void **data, size_t *size, tare_error *error) {
  struct stat info;
  if (fstat(fd, &info)) return tare_fail(error, TARE_E_DATA, "%s: cannot be read: %s", path, strerror(errno));
  if (!S_ISREG(info.st_mode)) return tare_fail(error, TARE_E_DATA, "%s: expected a file, found something else", path);
  if ((size_t)info.st_size > limit)
    return tare_fail(error, TARE_E_DATA, "%s: %lld bytes, expected at most %zu", path, (long long)info.st_size, limit);
  size_t want = (size_t)info.st_size, have = 0;
  char *bytes = tare_alloc(want + 1, 1);
  if (!bytes) return tare_fail_memory(error, want, path);
  while (have < want) {
    ssize_t got = read(fd, bytes + have, want - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      tare_free(bytes);
      return tare_fail(error, TARE_E_DATA, "%s: cannot be read: %s", path, got < 0 ? strerror(errno) : "it became shorter");
    }
    have += (size_t)got;
  }
  *data = bytes;
  *size = want;
  return TARE_OK;
}

tare_status tare_file_read(const char *path, size_t limit, void **data, size_t *size, tare_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not hang the open */
  if (fd < 0) return tare_fail(error, TARE_E_DATA, "%s: cannot be opened: %s", path, strerror(errno));
  tare_status status = read_open(fd, path, limit, data, size, error);
  close(fd);
  return status;
}

struct tare_file {
  int fd, nameless; /* nameless: it has no name before the commit */
  char *path, *temporary, *folder;
};

static atomic_uint temporaries; /* makes names unique within the process; nothing else depends on it */

static void file_free(tare_file *file) {
  if (file->fd >= 0) close(file->fd);
  tare_free(file->path);
  tare_free(file->temporary);
  tare_free(file->folder);
  tare_free(file);
}

static tare_status cannot_write(const char *path, tare_error *error) {
  return tare_fail(error, TARE_E_IO, "%s: cannot be written: %s", path, strerror(errno));
}

/* The folder of a path, freed with tare_free; NULL when out of memory. */
static char *folder_of(const char *path) {
  char *folder = tare_strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
  if (slash) slash[slash == folder] = 0;
  else if (folder) {
    tare_free(folder);
    folder = tare_strdup(".");
  }
  return folder;
}

/* Where the system can, the file has no name while it is written, so that a process that is killed leaves nothing behind. */
static void open_file(tare_file *file) {
#ifdef O_TMPFILE
  if (access("/proc/self/fd", X_OK) == 0) file->fd = open(file->folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  file->nameless = file->fd >= 0;
#endif
  if (!file->nameless) file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

/* 0: it has its temporary name. */
static int give_name(const tare_file *file) {
  char own[40];
  if (!file->nameless) return 0;
  snprintf(own, sizeof own, "/proc/self/fd/%d", file->fd);
  return linkat(AT_FDCWD, own, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW);
}

tare_status tare_file_begin(const char *path, tare_file **out, tare_error *error) {
  struct stat info;
  if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
    errno = EISDIR;
    return cannot_write(path, error);
  }
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) /* the rename would replace the device itself */
    return tare_fail(error, TARE_E_IO, "%s: cannot be written: expected a file, found a device or a pipe", path);
  tare_file *file = tare_alloc(1, sizeof *file);
  if (!file) return tare_fail_memory(error, sizeof *file, path);
  tare_text name = {0};
  tare_text_add(&name, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&temporaries, 1));
  file->fd = -1;
  file->temporary = tare_text_take(&name);
  file->path = tare_strdup(path);
  file->folder = folder_of(path);
  tare_status status = TARE_OK;
  if (!file->temporary || !file->path || !file->folder) status = tare_fail_memory(error, strlen(path), "a file name");
  else {
    open_file(file);
    if (file->fd < 0) status = cannot_write(path, error);
  }
  if (status) file_free(file);
  else *out = file;
  return status;
}

tare_status tare_file_write(tare_file *file, const void *data, size_t size, tare_error *error) {
  const char *bytes = data;
  while (size > 0) {
    ssize_t put = write(file->fd, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return cannot_write(file->path, error);
    bytes += put;
    size -= (size_t)put;
  }
  return TARE_OK;
}

/* The rename itself must survive a power cut. */
static void sync_folder(const char *folder) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    (void)fsync(fd);
    close(fd);
  }
}

tare_status tare_file_commit(tare_file *file, tare_error *error) {
  tare_status status = TARE_OK;
  int bad = fsync(file->fd);
  if (bad && (errno == EINVAL || errno == EROFS)) bad = 0; /* a file system that cannot sync */
  if (!bad) bad = give_name(file);
  int closed = close(file->fd);
  file->fd = -1;
  if (bad || closed || rename(file->temporary, file->path)) status = cannot_write(file->path, error);
  if (status) unlink(file->temporary);
  else sync_folder(file->folder);
  file_free(file);
  return status;
}

void tare_file_abandon(tare_file *file) {
  if (!file) return;
  if (!file->nameless) unlink(file->temporary);
  file_free(file);
}

tare_status tare_file_can_write(const char *path, tare_error *error) {
  if (strcmp(path, "-") == 0) return TARE_OK;
  tare_file *file;
  tare_status status = tare_file_begin(path, &file, error);
  if (status == TARE_OK) tare_file_abandon(file);
  return status;
}
