#include "core/agree.h"

CordsTraffic CordsAgreeAnyTraffic(PetscInt size)
{
  const PetscInt64 others = size - 1;

  return (CordsTraffic){others, others * (PetscInt64)sizeof(int)};
}

CordsTraffic CordsAgreeFirstTraffic(PetscInt size, PetscInt rank, PetscInt bytes)
{
  const PetscInt64 others = rank == 0 ? size - 1 : 0;

  return (CordsTraffic){others, others * bytes};
}

PetscErrorCode CordsAgreeAny(CordsContext context, PetscBool here, PetscBool *anywhere)
{
  const CordsTraffic sent = CordsAgreeAnyTraffic(context->size);
  int mine = here != PETSC_FALSE, largest;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Allreduce(&mine, &largest, 1, MPI_INT, MPI_MAX, context->comm));
  CordsTrafficCount(CORDS_TRAFFIC_CONTROL, sent.messages, sent.bytes);
  *anywhere = (PetscBool)largest;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsAgreeFirst(CordsContext context, PetscInt bytes, void *data)
{
  const CordsTraffic sent = CordsAgreeFirstTraffic(context->size, context->rank, bytes);

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(data, (PetscMPIInt)bytes, MPI_BYTE, 0, context->comm));
  CordsTrafficCount(CORDS_TRAFFIC_CONTROL, sent.messages, sent.bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}
