/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data source with a verb's options. */
#include "cli.h"

#include <sched.h>
#include <string.h>
#include <tare/data.h>

int cli_threads(const cli_args *args) {
  if (args->value[CLI_THREADS].given) return (int)args->value[CLI_THREADS].integer;
  cpu_set_t mine; /* what this process may use, which containers and taskset limit */
  int cores = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
  return cores < 1 ? 1 : cores > 256 ? 256 : cores;
}

static void warn(void *user, const char *line) {
  (void)user;
  cli_detail("%s", line);
}

int cli_source_open(const cli_args *args, const char *spec, int patch, int rgb, tare_source **source) {
  const char *channels = args->value[CLI_CHANNELS].text;
  tare_source_options options;
  tare_source_defaults(&options);
  options.patch = patch >= 0 ? patch : (int)args->value[CLI_PATCH].integer;
  options.rgb = rgb >= 0 ? rgb : channels && strcmp(channels, "rgb") == 0;
  options.brightness = args->value[CLI_BRIGHTNESS].number;
  options.seed = (uint64_t)args->value[CLI_SEED].integer;
  options.images = (int)args->value[CLI_IMAGES].integer;
  options.threads = cli_threads(args);
  options.warn = warn;
  tare_error error;
  if (tare_source_open(spec, &options, source, &error)) return cli_report(&error);
  tare_source_info info;
  tare_source_get_info(*source, &info);
  if (info.skipped) cli_say("%s: %zu file%s skipped%s", spec, info.skipped, info.skipped == 1 ? "" : "s",
                            args->value[CLI_VERBOSE].given ? "" : " (--verbose names them)");
  return 0;
}
