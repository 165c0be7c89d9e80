#include "core/reduce.h"

#include "core/layout.h"
#include "core/traffic.h"

/* Below this many numbers one message of everything costs less than two of parts. */
enum { SMALL = 4096 };

/* A sum at work.  Of a large array every rank adds its part, which then goes to the others; a small one is exchanged
   whole, and every rank adds all of it. */
typedef struct {
  CordsType type;
  PetscInt count;
  void *values;
  void *gathered;                                                   /* what is added here, [rank][number] */
  PetscMPIInt *counts, *starts, *gathered_counts, *gathered_starts; /* of the parts, and of them in `gathered` */
  MPI_Request request;
} Sum;

struct _p_CordsReduction {
  CordsContext context;
  MPI_Comm gathering, sharing; /* so that the exchanges of each kind have one order on all ranks, whatever is ready */
  PetscInt begun, added, most;
  Sum *sums;
};

static MPI_Datatype MpiType(CordsType type)
{
  return type == CORDS_F64 ? MPI_DOUBLE : MPI_FLOAT;
}

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

/* ---- one sum ---- */

/* Numbers that this rank adds. */
static PetscInt Mine(const Sum *sum, CordsContext context)
{
  return sum->count <= SMALL ? sum->count : sum->counts[context->rank];
}

static PetscErrorCode FindParts(Sum *sum, CordsContext context)
{
  const PetscMPIInt size = context->size;

  PetscFunctionBegin;
  PetscCall(
      PetscMalloc4(size, &sum->counts, size, &sum->starts, size, &sum->gathered_counts, size, &sum->gathered_starts));
  for (PetscMPIInt rank = 0; rank < size; rank++) {
    const CordsLayout part = CordsLayoutCut(sum->count, 1, 1, size, 1, rank);
    sum->counts[rank] = (PetscMPIInt)part.row_count;
    sum->starts[rank] = (PetscMPIInt)part.row_start;
  }
  for (PetscMPIInt rank = 0; rank < size; rank++) {
    sum->gathered_counts[rank] = sum->counts[context->rank];
    sum->gathered_starts[rank] = rank * sum->counts[context->rank];
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What this rank adds is on its way to it. */
static PetscErrorCode Gather(Sum *sum, CordsContext context, MPI_Comm comm)
{
  const MPI_Datatype type = MpiType(sum->type);
  const PetscMPIInt count = (PetscMPIInt)sum->count;

  PetscFunctionBegin;
  if (sum->count > SMALL) PetscCall(FindParts(sum, context));
  PetscCall(PetscMalloc(((size_t)Mine(sum, context) * context->size + 1) * CordsTypeSize(sum->type), &sum->gathered));
  CountSent(context, sum->counts, sum->count, CordsTypeSize(sum->type));
  if (sum->count <= SMALL)
    PetscCallMPI(MPI_Iallgather(sum->values, count, type, sum->gathered, count, type, comm, &sum->request));
  else
    PetscCallMPI(MPI_Ialltoallv(sum->values, sum->counts, sum->starts, type, sum->gathered, sum->gathered_counts,
                                sum->gathered_starts, type, comm, &sum->request));
  PetscFunctionReturn(PETSC_SUCCESS);
}

#define DEFINE_ADD(T, suffix)                                                                                          \
  static void Add##suffix(PetscMPIInt size, PetscInt count, const T *gathered, T *values)                              \
  {                                                                                                                    \
    for (PetscInt k = 0; k < count; k++) {                                                                             \
      T sum = gathered[k];                                                                                             \
      for (PetscMPIInt rank = 1; rank < size; rank++) sum += gathered[(size_t)rank * count + k];                       \
      values[k] = sum;                                                                                                 \
    }                                                                                                                  \
  }

DEFINE_ADD(float, F32)
DEFINE_ADD(double, F64)

/* In the order of the ranks. */
static PetscErrorCode Add(Sum *sum, CordsContext context)
{
  const PetscInt mine = Mine(sum, context), start = sum->count <= SMALL ? 0 : sum->starts[context->rank];

  PetscFunctionBegin;
  if (sum->type == CORDS_F64)
    AddF64(context->size, mine, sum->gathered, (double *)sum->values + start);
  else
    AddF32(context->size, mine, sum->gathered, (float *)sum->values + start);
  PetscCall(PetscFree(sum->gathered));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The sums of all ranks are on their way to all. */
static PetscErrorCode Share(Sum *sum, CordsContext context, MPI_Comm comm)
{
  const MPI_Datatype type = MpiType(sum->type);

  PetscFunctionBegin;
  if (sum->count <= SMALL) PetscFunctionReturn(PETSC_SUCCESS);
  CountSent(context, NULL, Mine(sum, context), CordsTypeSize(sum->type));
  PetscCallMPI(
      MPI_Iallgatherv(MPI_IN_PLACE, 0, type, sum->values, sum->counts, sum->starts, type, comm, &sum->request));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode End(Sum *sum)
{
  PetscFunctionBegin;
  PetscCallMPI(MPI_Wait(&sum->request, MPI_STATUS_IGNORE));
  PetscCall(PetscFree4(sum->counts, sum->starts, sum->gathered_counts, sum->gathered_starts));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* ---- at once ---- */

static PetscErrorCode SumNow(CordsContext context, CordsType type, PetscInt count, void *values)
{
  Sum sum = {.type = type, .count = count, .values = values, .request = MPI_REQUEST_NULL};

  PetscFunctionBegin;
  if (context->size == 1 || count == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(Gather(&sum, context, context->comm));
  PetscCallMPI(MPI_Wait(&sum.request, MPI_STATUS_IGNORE));
  PetscCall(Add(&sum, context));
  PetscCall(Share(&sum, context, context->comm));
  PetscCall(End(&sum));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsReduceSumF32(CordsContext context, PetscInt count, float *values)
{
  return SumNow(context, CORDS_F32, count, values);
}

PetscErrorCode CordsReduceSumF64(CordsContext context, PetscInt count, double *values)
{
  return SumNow(context, CORDS_F64, count, values);
}

/* ---- piece by piece ---- */

PetscErrorCode CordsReductionCreate(CordsContext context, PetscInt most, CordsReduction *reduction)
{
  CordsReduction r;

  PetscFunctionBegin;
  PetscCall(PetscNew(&r));
  r->context = context;
  r->most = most;
  PetscCall(PetscCalloc1(most, &r->sums));
  PetscCallMPI(MPI_Comm_dup(context->comm, &r->gathering));
  PetscCallMPI(MPI_Comm_dup(context->comm, &r->sharing));
  *reduction = r;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsReductionDestroy(CordsReduction *reduction)
{
  CordsReduction r = *reduction;

  PetscFunctionBegin;
  if (!r) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCallMPI(MPI_Comm_free(&r->gathering));
  PetscCallMPI(MPI_Comm_free(&r->sharing));
  PetscCall(PetscFree(r->sums));
  PetscCall(PetscFree(r));
  *reduction = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Add what has arrived, in the order of the pieces; wait: all of it. */
static PetscErrorCode Advance(CordsReduction r, PetscBool wait)
{
  PetscFunctionBegin;
  for (; r->added < r->begun; r->added++) {
    Sum *sum = &r->sums[r->added];
    int arrived = 1;
    if (wait)
      PetscCallMPI(MPI_Wait(&sum->request, MPI_STATUS_IGNORE));
    else
      PetscCallMPI(MPI_Test(&sum->request, &arrived, MPI_STATUS_IGNORE));
    if (!arrived) break;
    PetscCall(Add(sum, r->context));
    PetscCall(Share(sum, r->context, r->sharing));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsReductionBegin(CordsReduction r, PetscInt count, float *values)
{
  Sum *sum = &r->sums[r->begun];

  PetscFunctionBegin;
  if (r->context->size == 1 || count == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCheck(r->begun < r->most, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE, "more pieces than announced");
  *sum = (Sum){.type = CORDS_F32, .count = count, .values = values, .request = MPI_REQUEST_NULL};
  PetscCall(Gather(sum, r->context, r->gathering));
  r->begun++;
  PetscCall(Advance(r, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsReductionEnd(CordsReduction r)
{
  PetscFunctionBegin;
  PetscCall(Advance(r, PETSC_TRUE));
  for (PetscInt k = 0; k < r->begun; k++) PetscCall(End(&r->sums[k]));
  r->begun = r->added = 0;
  PetscFunctionReturn(PETSC_SUCCESS);
}
