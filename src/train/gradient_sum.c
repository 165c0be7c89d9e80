#include "train/gradient_sum.h"

#include "core/reduce.h"

PetscInt CordsGradientPieces(CordsModel model, CordsGradientPiece pieces[])
{
  pieces[0] = (CordsGradientPiece){0, model->learnable_values};
  return 1;
}

PetscErrorCode CordsGradientSum(CordsContext context, CordsModel model, float *gradient, CordsMetrics *metrics)
{
  CordsGradientPiece *pieces;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(model->learnable_count, &pieces));
  count = CordsGradientPieces(model, pieces);
  for (PetscInt k = 0; k < count; k++)
    PetscCall(CordsReduceSumF32(context, pieces[k].count, gradient + pieces[k].start));
  PetscCall(PetscFree(pieces));
  PetscCall(CordsReduceSumF64(context, CORDS_METRICS_COUNT, (double *)metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
}
