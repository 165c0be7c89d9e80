#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static PetscBool error_is_user = PETSC_FALSE;
static PetscBool error_is_collective = PETSC_FALSE;
static char unfinished_path[PETSC_MAX_PATH_LEN];

void CordsErrorSetUnfinished(const char *path)
{
  if (path)
    snprintf(unfinished_path, sizeof unfinished_path, "%s", path);
  else
    unfinished_path[0] = '\0';
}

/* PETSc calls this once with PETSC_ERROR_INITIAL and then for every level of the traceback. */
static PetscErrorCode ErrorHandler(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode ierr,
                                   PetscErrorType type, const char *message, void *context)
{
  int rank = 0, size = 1, world_size = 1;

  if (type == PETSC_ERROR_INITIAL) {
    error_is_user = (PetscBool)(ierr == CORDS_ERR_USER);
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    MPI_Comm_size(PETSC_COMM_WORLD, &world_size);
    error_is_collective = (PetscBool)(size == world_size);
  }
  if (!error_is_user) return PetscTraceBackErrorHandler(comm, line, function, file, ierr, type, message, context);
  if (type == PETSC_ERROR_INITIAL && rank == 0) {
    fflush(stdout);
    fprintf(stderr, "cords: %s\n", message ? message : "unknown error");
    fflush(stderr);
  }
  return ierr;
}

static char caught[2048];

static PetscErrorCode Catch(MPI_Comm comm, int line, const char *function, const char *file, PetscErrorCode ierr,
                            PetscErrorType type, const char *message, void *context)
{
  if (ierr != CORDS_ERR_USER)
    return PetscTraceBackErrorHandler(comm, line, function, file, ierr, type, message, context);
  if (type == PETSC_ERROR_INITIAL && !caught[0]) snprintf(caught, sizeof caught, "%s", message ? message : "");
  return ierr;
}

PetscErrorCode CordsErrorCatchBegin(void)
{
  PetscFunctionBegin;
  caught[0] = '\0';
  PetscCall(PetscPushErrorHandler(Catch, NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsErrorCatchEnd(const char **sentence)
{
  PetscFunctionBegin;
  PetscCall(PetscPopErrorHandler());
  *sentence = caught;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsErrorHandlerPush(void)
{
  PetscFunctionBegin;
  PetscCall(PetscPushErrorHandler(ErrorHandler, NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}

int CordsErrorExit(PetscErrorCode ierr)
{
  int status = error_is_user ? CORDS_EXIT_USER : CORDS_EXIT_INTERNAL;

  if (!ierr) return CORDS_EXIT_SUCCESS;
  if (unfinished_path[0]) unlink(unfinished_path);
  /* Ranks that do not know of the error would wait for ever in their next collective call. */
  if (!error_is_collective || !error_is_user) MPI_Abort(PETSC_COMM_WORLD, status);
  return status;
}
