#include "core/context.h"

#include "core/config.h"

PetscErrorCode CordsContextInitialize(MPI_Comm comm, CordsContextData *context)
{
  PetscInt seed = 1;

  PetscFunctionBegin;
  context->comm = comm;
  context->domain_comm = PETSC_COMM_SELF;
  PetscCallMPI(MPI_Comm_rank(comm, &context->rank));
  PetscCallMPI(MPI_Comm_size(comm, &context->size));
  PetscCall(CordsOptionInt("-seed", "key of every random number of the run", "", 0, PETSC_MAX_INT, &seed));
  context->seed = (uint64_t)seed;
  PetscFunctionReturn(PETSC_SUCCESS);
}
