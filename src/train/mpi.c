/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks over MPI. Called from one thread (MPI_THREAD_FUNNELED); failures come back as statuses, MPI does not end the program. */
#include <limits.h>
#include <mpi.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/mpi_module.h"

typedef struct job { MPI_Comm world; int began; } job;

static tare_status result(int code, const char *what, tare_error *error) {
  char text[MPI_MAX_ERROR_STRING];
  int length;
  if (code == MPI_SUCCESS) return TARE_OK;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  return tare_fail(error, TARE_E_LIBRARY, "MPI could not %s: %.*s", what, length, text);
}

/* MPI counts in int. */
static tare_status check(size_t bytes, tare_error *error) {
  return bytes <= INT_MAX ? TARE_OK : tare_fail(error, TARE_E_UNSUPPORTED, "a message of %zu bytes between ranks, at most %d", bytes, INT_MAX);
}

static tare_status gather(void *self, const void *mine, size_t bytes, void *all, tare_error *error) {
  tare_status status = check(bytes, error);
  if (status) return status;
  return result(MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, ((job *)self)->world), "gather", error);
}

static tare_status broadcast(void *self, void *data, size_t bytes, tare_error *error) {
  tare_status status = TARE_OK;
  for (size_t done = 0, part; done < bytes && !status; done += part) {
    part = bytes - done < INT_MAX ? bytes - done : INT_MAX;
    status = result(MPI_Bcast((char *)data + done, (int)part, MPI_BYTE, 0, ((job *)self)->world), "broadcast", error);
  }
  return status;
}

static tare_status begin(int code, MPI_Request *mpi, void **request, const char *what, tare_error *error) {
  if (code == MPI_SUCCESS) *request = mpi;
  else tare_free(mpi);
  return result(code, what, error);
}

static tare_status new_request(size_t bytes, MPI_Request **out, tare_error *error) {
  tare_status status = check(bytes, error);
  if (!status && !(*out = tare_alloc(1, sizeof **out))) status = tare_fail_memory(error, sizeof **out, "a message");
  return status;
}

static tare_status exchange(void *self, const void *parts, size_t bytes, void *all, void **request, tare_error *error) {
  MPI_Request *mpi;
  tare_status status = new_request(bytes, &mpi, error);
  if (status) return status;
  int code = MPI_Ialltoall(parts, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, ((job *)self)->world, mpi);
  return begin(code, mpi, request, "exchange", error);
}

static tare_status collect(void *self, const void *mine, size_t bytes, void *all, void **request, tare_error *error) {
  MPI_Request *mpi;
  tare_status status = new_request(bytes, &mpi, error);
  if (status) return status;
  int code = MPI_Iallgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, ((job *)self)->world, mpi);
  return begin(code, mpi, request, "collect", error);
}

static tare_status finish(void *self, void **request, int wait, int *done, tare_error *error) {
  (void)self;
  MPI_Request *mpi = *request;
  int code = wait ? MPI_Wait(mpi, MPI_STATUS_IGNORE) : MPI_Test(mpi, done, MPI_STATUS_IGNORE);
  if (wait) *done = 1;
  if (code != MPI_SUCCESS || *done) {
    tare_free(mpi);
    *request = NULL;
  }
  return result(code, "finish", error);
}

static void leave(tare_ranks *ranks) {
  job *j = ranks->self;
  if (!j) return;
  MPI_Comm_free(&j->world);
  if (j->began) MPI_Finalize();
  tare_free(j);
}

static tare_status enter(job *j, tare_ranks *ranks, tare_error *error) {
  int there, level;
  tare_status status = result(MPI_Initialized(&there), "begin", error);
  if (!status && !there) {
    status = result(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level), "begin", error);
    j->began = status == TARE_OK;
  }
  if (!status) status = result(MPI_Comm_dup(MPI_COMM_WORLD, &j->world), "begin", error);
  if (!status) status = result(MPI_Comm_set_errhandler(j->world, MPI_ERRORS_RETURN), "begin", error);
  if (!status) status = result(MPI_Comm_rank(j->world, &ranks->rank), "begin", error);
  return status ? status : result(MPI_Comm_size(j->world, &ranks->count), "begin", error);
}

static tare_status join(tare_ranks *ranks, tare_error *error) {
  job *j = tare_alloc(1, sizeof *j);
  if (!j) return tare_fail_memory(error, sizeof *j, "ranks");
  *ranks = (tare_ranks){.self = j, .gather = gather, .broadcast = broadcast, .exchange = exchange, .collect = collect, .finish = finish};
  tare_status status = enter(j, ranks, error);
  if (status) tare_free(j);
  return status;
}

static const tare_mpi_module module = {TARE_MPI_VERSION, join, leave};
const tare_mpi_module *tare_mpi_module_get(void) { return &module; }
