/* SPDX-License-Identifier: Apache-2.0 */
/* For tests that write one file at a time: a folder of their own, and the path of the file in it. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[128];

static inline int make_folder_for(const char *file) {
  strcpy(folder, P_tmpdir "/tare-test-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/%s", folder, file);
  return 0;
}

static inline int remove_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder); /* fails if anything was left behind */
}

#endif
