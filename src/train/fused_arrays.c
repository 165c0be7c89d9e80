#include "train/fused_arrays.h"

#include <string.h>

enum { BLOCKS_CUT_SHORT = 1 /* by the end of the first of the two phases that a recorded run may have */ };
enum { WORK_ARRAYS = 3 /* of the system: area input, its adjoint, skip */ };

static CordsArray Size(CordsType type, PetscInt items, PetscInt elements)
{
  return (CordsArray){.type = type, .items = items, .elements = elements};
}

/* Masks are words of 16 bits, as wide as bf16 numbers. */
static CordsArray MaskSize(const CordsStateSizes *sizes, PetscInt items, PetscInt area)
{
  return Size(CORDS_BF16, items, sizes->mask_words[area]);
}

CordsFusedArrays CordsFusedArraysSize(const CordsStateSizes *sizes, const CordsPlan *plan, PetscInt steps,
                                      PetscBool record)
{
  CordsType type = sizes->type, master = CordsTypeMaster(type);
  PetscInt n = plan->images, block = plan->block, neurons_all = 0, again = PetscMax(steps - plan->kept, 0);
  CordsFusedArrays a;

  memset(&a, 0, sizeof a);
  for (PetscInt i = 0; i < sizes->area_count; i++) {
    PetscInt neurons = sizes->neurons[i];
    neurons_all += neurons;
    a.block[i] = Size(type, (block + 1) * n, neurons);
    a.running[i] = Size(master, n, neurons);
    if (!record) continue;
    a.block_masks[i] = MaskSize(sizes, block * n, i);
    a.lambda[i] = Size(master, n, neurons);
    if (plan->kept == 0) continue;
    a.kept[i] = Size(type, (plan->kept + 1) * n, neurons);
    a.kept_masks[i] = MaskSize(sizes, plan->kept * n, i);
  }
  a.drive = Size(type, block * n, sizes->largest);
  if (!record) return a;
  for (PetscInt i = 0; i < sizes->area_count; i++) {
    CordsArray *place = &a.gradient[i % 3];
    *place = Size(master, block * n, PetscMax(place->elements, sizes->neurons[i]));
  }
  if (again > 0) {
    a.starts = Size(master, ((again + block - 1) / block + BLOCKS_CUT_SHORT) * n, neurons_all);
  }
  return a;
}

/* All arrays, one after the other, as one list. */
static PetscInt ArrayList(CordsFusedArrays *arrays, CordsArray **list)
{
  *list = (CordsArray *)arrays;
  return (PetscInt)(sizeof *arrays / sizeof **list);
}

double CordsFusedArraysBytes(const CordsStateSizes *sizes, const CordsPlan *plan, PetscInt steps, PetscBool record)
{
  CordsFusedArrays arrays = CordsFusedArraysSize(sizes, plan, steps, record);
  double bytes = (double)WORK_ARRAYS * plan->block * plan->images * sizes->largest * (double)CordsTypeSize(sizes->type);
  CordsArray *list;
  PetscInt count = ArrayList(&arrays, &list);

  for (PetscInt k = 0; k < count; k++) {
    bytes += (double)list[k].items * list[k].elements * (double)CordsTypeSize(list[k].type);
  }
  return bytes;
}

PetscErrorCode CordsFusedArraysCreate(CordsSystem system, const CordsPlan *plan, PetscInt steps, PetscBool record,
                                      CordsFusedArrays *arrays)
{
  const CordsStateSizes sizes = CordsStateSizesOfSystem(system);
  CordsArray *list;
  PetscInt count = ArrayList(arrays, &list);

  PetscFunctionBegin;
  *arrays = CordsFusedArraysSize(&sizes, plan, steps, record);
  for (PetscInt k = 0; k < count; k++) {
    if (list[k].items > 0) PetscCall(CordsArrayCreate(list[k].type, list[k].items, list[k].elements, &list[k]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsFusedArraysDestroy(CordsFusedArrays *arrays)
{
  CordsArray *list;
  PetscInt count = ArrayList(arrays, &list);

  PetscFunctionBegin;
  for (PetscInt k = 0; k < count; k++) PetscCall(CordsArrayDestroy(&list[k]));
  PetscFunctionReturn(PETSC_SUCCESS);
}
