/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks over MPI, whose module is loaded for a process that mpirun started. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/module.h"
#include "train/mpi_module.h"

/* What join hands out, and who made it. */
typedef struct joined { tare_ranks ranks; const tare_mpi_module *module; } joined;

/* Open MPI's mpirun sets the first, what speaks PMIx (srun, prun) the second. */
int tare_ranks_launched(void) { return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK"); }

static tare_status load(const tare_mpi_module **out, tare_error *error) {
  static const tare_module_place place = {"tare-mpi.so", "src/train/", TARE_MODULE_DIR, TARE_MPI_ENTRY, "Open MPI", "libopenmpi-dev"};
  void *symbol;
  tare_mpi_entry entry;
  tare_status status = tare_module_load(&place, &symbol, error);
  if (status) return tare_fail_prefix(error, status, "training on several ranks");
  *(void **)&entry = symbol; /* POSIX: a pointer to a function fits in a void * */
  *out = entry();
  if (*out && (*out)->version == TARE_MPI_VERSION) return TARE_OK;
  return tare_fail(error, TARE_E_UNSUPPORTED, "%s belongs to another version of tare: build and install both together", place.name);
}

tare_status tare_ranks_join(tare_ranks **out, tare_error *error) {
  if (!out) return tare_fail(error, TARE_E_ARGUMENT, "ranks need a place for the result; it is NULL");
  joined *j = tare_alloc(1, sizeof *j);
  if (!j) return tare_fail_memory(error, sizeof *j, "ranks");
  tare_status status = load(&j->module, error);
  if (!status) status = j->module->join(&j->ranks, error);
  if (status) tare_free(j);
  else *out = &j->ranks;
  return status;
}

void tare_ranks_leave(tare_ranks *ranks) {
  if (!ranks) return;
  joined *j = (joined *)ranks;
  j->module->leave(&j->ranks);
  tare_free(j);
}
