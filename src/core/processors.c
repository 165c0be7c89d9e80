#include "core/processors.h"

#include <sched.h>

PetscErrorCode CordsProcessorsShare(MPI_Comm comm, PetscInt *share)
{
  MPI_Comm machine;
  PetscMPIInt ranks;
  cpu_set_t own, all;

  PetscFunctionBegin;
  CPU_ZERO(&own);
  if (sched_getaffinity(0, sizeof own, &own)) CPU_ZERO(&own); /* more processors than such a set holds */
  PetscCallMPI(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine));
  PetscCallMPI(MPI_Comm_size(machine, &ranks));
  PetscCallMPI(MPI_Allreduce(&own, &all, (int)sizeof all, MPI_BYTE, MPI_BOR, machine));
  PetscCallMPI(MPI_Comm_free(&machine));
  *share = PetscMax(1, CPU_COUNT(&all) / ranks);
  PetscFunctionReturn(PETSC_SUCCESS);
}
