/* SPDX-License-Identifier: Apache-2.0 */
/* The table between the trainer and the module that speaks MPI, a shared object of its own: Open MPI brings dozens of libraries. */
#ifndef TARE_TRAIN_MPI_MODULE_H
#define TARE_TRAIN_MPI_MODULE_H

#include <tare/ranks.h>

enum { TARE_MPI_VERSION = 1 };
#define TARE_MPI_ENTRY "tare_mpi_module_get"

typedef struct tare_mpi_module {
  int version;
  tare_status (*join)(tare_ranks *ranks, tare_error *error); /* fills it */
  void (*leave)(tare_ranks *ranks);                          /* frees what join made, not `ranks` */
} tare_mpi_module;

typedef const tare_mpi_module *(*tare_mpi_entry)(void);
TARE_API const tare_mpi_module *tare_mpi_module_get(void); /* what the module exports under TARE_MPI_ENTRY */

#endif
