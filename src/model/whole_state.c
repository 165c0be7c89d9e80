#include "model/whole_state.h"

#include "core/box.h"
#include "model/system_private.h"

PetscInt CordsWholeStateNeurons(CordsSystem system, PetscInt area)
{
  return CordsAreaNeurons(&system->model->architecture.areas[area]);
}

PetscInt CordsWholeStateOffset(CordsSystem system, PetscInt area)
{
  PetscInt offset = 0;

  for (PetscInt i = 0; i < area; i++) offset += CordsWholeStateNeurons(system, i);
  return offset;
}

PetscInt CordsWholeStatePlace(CordsSystem system, PetscInt area, PetscInt k)
{
  const CordsLayout *l = &system->layouts[area];
  const PetscInt pixel = k / l->channels, row = l->row_start + pixel / l->column_count,
                 column = l->column_start + pixel % l->column_count;

  return (row * l->columns + column) * l->channels + k % l->channels;
}

/* What a rank of the domain group has of an area. */
static CordsLayout LayoutOfRank(CordsSystem system, PetscInt area, PetscInt rank)
{
  const CordsLayout *l = &system->layouts[area];

  return CordsLayoutCut(l->rows, l->columns, l->channels, system->context->grid_rows, system->context->grid_columns,
                        rank);
}

static CordsBox WholeBox(const CordsLayout *l)
{
  return (CordsBox){0, l->rows, 0, l->columns};
}

static size_t PixelBytes(CordsSystem system, const CordsLayout *l)
{
  return (size_t)l->channels * CordsTypeSize(system->master);
}

/* An area in a whole state. */
static void *AreaOfWhole(CordsSystem system, const void *whole, PetscInt area)
{
  return (char *)whole + (size_t)CordsWholeStateOffset(system, area) * CordsTypeSize(system->master);
}

void CordsWholeStateTake(CordsSystem system, const void *whole, void *tiles)
{
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    const CordsLayout *l = &system->layouts[i];
    const CordsBox all = WholeBox(l), own = CordsBoxOfLayout(l);

    if (CordsLayoutLocalPixels(l) == 0) continue;
    CordsBoxCopy(&own, 1, PixelBytes(system, l), &all, AreaOfWhole(system, whole, i), &own,
                 CordsSystemArea(system, 1, tiles, i));
  }
}

/* The tiles of all ranks, one behind the other, to their places in an area. */
static void Place(CordsSystem system, PetscInt area, PetscMPIInt ranks, const char *tiles, void *whole)
{
  const size_t pixel_bytes = PixelBytes(system, &system->layouts[area]);
  const CordsBox all = WholeBox(&system->layouts[area]);

  for (PetscMPIInt rank = 0; rank < ranks; rank++) {
    const CordsLayout l = LayoutOfRank(system, area, rank);
    const CordsBox box = CordsBoxOfLayout(&l);

    CordsBoxCopy(&box, 1, pixel_bytes, &box, tiles, &all, whole);
    tiles += (size_t)CordsLayoutLocalPixels(&l) * pixel_bytes;
  }
}

PetscErrorCode CordsWholeStateGather(CordsSystem system, const void *tiles, void *whole)
{
  const PetscMPIInt ranks = system->group.size;
  const PetscBool first = (PetscBool)(system->group.rank == 0);
  PetscMPIInt *counts, *starts;
  MPI_Datatype number = system->master == CORDS_F64 ? MPI_DOUBLE : MPI_FLOAT;
  char *gathered = NULL;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(ranks, &counts, ranks, &starts));
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    PetscMPIInt all = 0, own;

    for (PetscMPIInt rank = 0; rank < ranks; rank++) {
      const CordsLayout l = LayoutOfRank(system, i, rank);
      PetscCall(PetscMPIIntCast(CordsLayoutLocalSize(&l), &counts[rank]));
      starts[rank] = all;
      all += counts[rank];
    }
    own = counts[system->group.rank];
    if (first) PetscCall(PetscMalloc((size_t)all * CordsTypeSize(system->master), &gathered));
    PetscCallMPI(MPI_Gatherv(CordsSystemArea(system, 1, tiles, i), own, number, gathered, counts, starts, number, 0,
                             system->group.comm));
    if (first) Place(system, i, ranks, gathered, AreaOfWhole(system, whole, i));
    PetscCall(PetscFree(gathered));
  }
  PetscCall(PetscFree2(counts, starts));
  PetscFunctionReturn(PETSC_SUCCESS);
}
