#include "core/reduce.h"

#include "core/layout.h"
#include "core/traffic.h"

#include <stdlib.h>
#include <string.h>

/* counts and displacements of the parts that the ranks add */
static PetscErrorCode Parts(CordsContext context, PetscInt count, PetscMPIInt **counts, PetscMPIInt **starts)
{
  PetscFunctionBegin;
  PetscCall(PetscMalloc2(context->size, counts, context->size, starts));
  for (PetscMPIInt rank = 0; rank < context->size; rank++) {
    CordsLayout part = CordsLayoutCut(count, 1, 1, context->size, 1, rank);
    (*counts)[rank] = (PetscMPIInt)part.row_count;
    (*starts)[rank] = (PetscMPIInt)part.row_start;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Below this many numbers one message of everything costs less than two of parts. */
enum { SMALL = 4096 };

PetscInt64 CordsReduceBytes(PetscMPIInt size, PetscMPIInt rank, PetscInt count, size_t number_bytes,
                            PetscInt64 *messages)
{
  const PetscInt64 others = size - 1;
  const CordsLayout part = CordsLayoutCut(count, 1, 1, size, 1, rank);

  *messages = count == 0 ? 0 : count <= SMALL ? others : 2 * others;
  if (count <= SMALL) return others * count * (PetscInt64)number_bytes;
  return ((PetscInt64)count - part.row_count + others * part.row_count) * (PetscInt64)number_bytes;
}

/* One message to each of the others: numbers that go to rank k are counts[k], or `same` where counts is NULL. */
static void CountSent(CordsContext context, const PetscMPIInt counts[], PetscInt same, size_t number_bytes)
{
  for (PetscMPIInt k = 0; k < context->size; k++) {
    const PetscInt64 numbers = counts ? counts[k] : same;
    if (k != context->rank) CordsTrafficCount(CORDS_TRAFFIC_SUM, 1, numbers * (PetscInt64)number_bytes);
  }
}

#define DEFINE_SUM(T, suffix, mpi_type)                                                                                \
  /* Everybody gets everything and adds it up. */                                                                      \
  static PetscErrorCode SumSmall##suffix(CordsContext context, PetscInt count, T *values)                              \
  {                                                                                                                    \
    T *gathered;                                                                                                       \
                                                                                                                       \
    PetscFunctionBegin;                                                                                                \
    PetscCall(PetscMalloc1((size_t)count * context->size, &gathered));                                                 \
    PetscCallMPI(                                                                                                      \
        MPI_Allgather(values, (PetscMPIInt)count, mpi_type, gathered, (PetscMPIInt)count, mpi_type, context->comm));   \
    CountSent(context, NULL, count, sizeof(T));                                                                        \
    for (PetscInt k = 0; k < count; k++) {                                                                             \
      values[k] = gathered[k];                                                                                         \
      for (PetscMPIInt rank = 1; rank < context->size; rank++) values[k] += gathered[(size_t)rank * count + k];        \
    }                                                                                                                  \
    PetscCall(PetscFree(gathered));                                                                                    \
    PetscFunctionReturn(PETSC_SUCCESS);                                                                                \
  }                                                                                                                    \
  PetscErrorCode CordsReduceSum##suffix(CordsContext context, PetscInt count, T *values)                               \
  {                                                                                                                    \
    PetscMPIInt *counts, *starts, *gathered_counts, *gathered_starts, mine;                                            \
    T *gathered;                                                                                                       \
                                                                                                                       \
    PetscFunctionBegin;                                                                                                \
    if (context->size == 1 || count == 0) PetscFunctionReturn(PETSC_SUCCESS);                                          \
    if (count <= SMALL) {                                                                                              \
      PetscCall(SumSmall##suffix(context, count, values));                                                             \
      PetscFunctionReturn(PETSC_SUCCESS);                                                                              \
    }                                                                                                                  \
    PetscCall(Parts(context, count, &counts, &starts));                                                                \
    mine = counts[context->rank];                                                                                      \
    PetscCall(PetscMalloc3((size_t)mine * context->size + 1, &gathered, context->size, &gathered_counts,               \
                           context->size, &gathered_starts));                                                          \
    for (PetscMPIInt rank = 0; rank < context->size; rank++) {                                                         \
      gathered_counts[rank] = mine;                                                                                    \
      gathered_starts[rank] = rank * mine;                                                                             \
    }                                                                                                                  \
    PetscCallMPI(MPI_Alltoallv(values, counts, starts, mpi_type, gathered, gathered_counts, gathered_starts, mpi_type, \
                               context->comm));                                                                        \
    CountSent(context, counts, 0, sizeof(T));                                                                          \
    for (PetscMPIInt k = 0; k < mine; k++) {                                                                           \
      T sum = gathered[k];                                                                                             \
      for (PetscMPIInt rank = 1; rank < context->size; rank++) sum += gathered[(size_t)rank * mine + k];               \
      values[starts[context->rank] + k] = sum;                                                                         \
    }                                                                                                                  \
    PetscCallMPI(MPI_Allgatherv(MPI_IN_PLACE, 0, mpi_type, values, counts, starts, mpi_type, context->comm));          \
    CountSent(context, NULL, mine, sizeof(T));                                                                         \
    PetscCall(PetscFree3(gathered, gathered_counts, gathered_starts));                                                 \
    PetscCall(PetscFree2(counts, starts));                                                                             \
    PetscFunctionReturn(PETSC_SUCCESS);                                                                                \
  }

DEFINE_SUM(float, F32, MPI_FLOAT)
DEFINE_SUM(double, F64, MPI_DOUBLE)
