/* SPDX-License-Identifier: Apache-2.0 */
/* tare train under mpirun: rank 0 talks and writes, the others follow. */
#include "cli.h"

#include <stdlib.h>
#include <tare/ranks.h>

int cli_rank(void) {
  const char *open_mpi = getenv("OMPI_COMM_WORLD_RANK"), *pmix = getenv("PMIX_RANK"), *text = open_mpi ? open_mpi : pmix;
  return text ? (int)strtol(text, NULL, 10) : 0;
}

int cli_ranks_join(const cli_args *args, tare_ranks **out) {
  tare_error error;
  int batch = (int)args->value[CLI_BATCH].integer;
  *out = NULL;
  if (!tare_ranks_launched()) {
    if (args->value[CLI_OWN_STATISTICS].given) return cli_fail(TARE_E_ARGUMENT, "--own-statistics is for several ranks: mpirun -n N tare train ...");
    return 0;
  }
  if (tare_ranks_join(out, &error)) return cli_report(&error);
  int share;
  (*out)->own_statistics = args->value[CLI_OWN_STATISTICS].given;
  return tare_ranks_share(*out, batch, &share, &error) ? cli_report(&error) : 0;
}
