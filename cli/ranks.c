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
  int count = (*out)->count, share = batch / count;
  (*out)->own_statistics = args->value[CLI_OWN_STATISTICS].given;
  if (count == 1 || (batch % count == 0 && share % 8 == 0 && (share & (share - 1)) == 0)) return 0;
  return cli_fail(TARE_E_ARGUMENT, "--batch %d on %d ranks: expected %d, %d, %d, ...: 8 images a rank, times a power of two", batch, count, 8 * count,
                  16 * count, 32 * count);
}
