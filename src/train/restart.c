#include "train/restart.h"

#include "core/log.h"
#include "train/checkpoint.h"

#include <stdio.h>
#include <unistd.h>

enum { REASON_LENGTH = 2048 };

/* Whether a file is there, as rank 0 sees it. */
static PetscErrorCode Exists(CordsContext context, const char *path, PetscBool *exists)
{
  int there = context->rank == 0 && access(path, F_OK) == 0;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&there, 1, MPI_INT, 0, context->comm));
  *exists = (PetscBool)there;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Whole, or a reason why not. */
static PetscErrorCode Look(CordsContext context, const char *path, PetscBool exists, PetscBool *whole,
                           char reason[REASON_LENGTH])
{
  PetscFunctionBegin;
  *whole = PETSC_FALSE;
  snprintf(reason, REASON_LENGTH, "'%s' is not there", path);
  if (exists) PetscCall(CordsCheckpointCheck(context, path, whole, REASON_LENGTH, reason));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRestartFind(CordsContext context, const char *newest, const char *previous, const char **found)
{
  char reason[REASON_LENGTH], other_reason[REASON_LENGTH];
  PetscBool newest_exists, previous_exists, whole;

  PetscFunctionBegin;
  *found = NULL;
  PetscCall(Exists(context, newest, &newest_exists));
  PetscCall(Exists(context, previous, &previous_exists));
  if (!newest_exists && !previous_exists) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(Look(context, newest, newest_exists, &whole, reason));
  if (whole) {
    *found = newest;
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(Look(context, previous, previous_exists, &whole, other_reason));
  CordsCheckUser(whole, context->comm, "%s; %s; no checkpoint to continue from, give another -output to begin anew",
                 reason, other_reason);
  PetscCall(CordsLog(context, "%s; continues from the checkpoint before it, %s\n", reason, previous));
  *found = previous;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRestartStepBack(CordsContext context, const char *newest, const char *previous, PetscBool *back)
{
  int done = context->rank == 0 && rename(previous, newest) == 0;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&done, 1, MPI_INT, 0, context->comm));
  *back = (PetscBool)done;
  PetscFunctionReturn(PETSC_SUCCESS);
}
