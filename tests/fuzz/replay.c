/* SPDX-License-Identifier: Apache-2.0 */
/* replay FOLDER...: runs a fuzz target on every file of the folders, as a plain program: what was found once stays found. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#undef main /* the command's own is renamed where a target holds it */

static int replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) return perror(path), 1;
  size_t size = (size_t)ftell(file);
  uint8_t *data = malloc(size ? size : 1); /* exactly so long, so that a sanitizer sees a step beyond */
  rewind(file);
  int failed = !data || fread(data, 1, size, file) != size;
  fclose(file);
  if (!failed) LLVMFuzzerTestOneInput(data, size);
  free(data);
  return failed;
}

int main(int argc, char **argv) {
  int count = 0, failed = 0;
  for (int i = 1; i < argc; i++) {
    DIR *folder = opendir(argv[i]);
    if (!folder) return perror(argv[i]), 1;
    for (struct dirent *entry; (entry = readdir(folder));) {
      char path[4096];
      if (entry->d_name[0] == '.') continue;
      snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
      failed += replay_file(path);
      count++;
    }
    closedir(folder);
  }
  printf("%d inputs replayed\n", count);
  return count == 0 || failed;
}
