#include "conv/winograd_pair.h"

#include "conv/scratch.h"
#include "conv/vector_types.h"
#include "conv/winograd_weights.h"
#include "core/allocate.h"

#include <stdlib.h>

PetscBool CordsWinogradFits(const CordsConvShape *s, CordsType type, CordsWinogradKind kind)
{
  const PetscInt lanes = CordsVectorLanes(type);

  return (PetscBool)(s->kernel_rows == 3 && s->kernel_columns == 3 &&
                     s->stride == CordsWinogradSizeOf(kind, PETSC_FALSE)->stride && s->in_channels % lanes == 0 &&
                     s->out_channels % lanes == 0);
}

static PetscErrorCode DirectionCreate(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind,
                                      PetscBool adjoint, CordsWinogradDirection *d)
{
  PetscFunctionBegin;
  d->transform = CordsWinogradTransformOf(type, kind, adjoint);
  PetscCall(CordsWinogradGridCreate(shape, kind, adjoint, &d->grid));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode DirectionDestroy(CordsWinogradDirection *d)
{
  PetscFunctionBegin;
  free(d->panels);
  PetscCall(CordsWinogradGridDestroy(&d->grid));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWinogradPairCreate(const CordsConvShape *shape, CordsType type, CordsWinogradKind kind,
                                       CordsWinogradPair *pair)
{
  PetscFunctionBegin;
  pair->type = type;
  PetscCall(DirectionCreate(shape, type, kind, PETSC_FALSE, &pair->forward));
  PetscCall(DirectionCreate(shape, type, kind, PETSC_TRUE, &pair->adjoint));
  PetscCall(PetscCalloc((size_t)PetscMax(shape->in_channels, shape->out_channels) * CordsTypeSize(type), &pair->zeros));
  CordsScratchHold();
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWinogradPairDestroy(CordsWinogradPair *pair)
{
  PetscFunctionBegin;
  CordsScratchRelease();
  PetscCall(DirectionDestroy(&pair->forward));
  PetscCall(DirectionDestroy(&pair->adjoint));
  PetscCall(PetscFree(pair->zeros));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWinogradAllocatePanels(CordsWinogradDirection *d)
{
  PetscFunctionBegin;
  if (!d->panels) PetscCall(CordsAllocate(d->panel_bytes, &d->panels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsWinogradTiles CordsWinogradPairTiles(const CordsWinogradPair *pair, PetscBool adjoint, CordsConvPart part,
                                          PetscInt n, const void *x, const CordsFinish *finish)
{
  const CordsWinogradDirection *d = adjoint ? &pair->adjoint : &pair->forward;

  return CordsWinogradTilesOf(&d->grid, d->transform, pair->type, part, n, x, pair->zeros, finish);
}

void CordsWinogradPairLaterBytes(void *data, CordsConvOperation operation, double *own, double *shared)
{
  const CordsWinogradPair *pair = data;
  const CordsWinogradDirection *back = &pair->adjoint;

  *own = operation == CORDS_CONV_BACKWARD_DATA && !back->panels ? (double)back->panel_bytes : 0;
  *shared = operation == CORDS_CONV_BACKWARD_WEIGHTS ? CordsWinogradWeightsBytes(&pair->forward.grid, pair->type) : 0;
}

PetscErrorCode CordsWinogradPairDivide(void *data, PetscBool adjoint, const CordsBox *early)
{
  CordsWinogradPair *pair = data;

  return CordsWinogradGridDivide(adjoint ? &pair->adjoint.grid : &pair->forward.grid, early);
}

PetscErrorCode CordsWinogradPairBackwardWeights(void *data, PetscInt n, const void *x, const void *dy, void *dw)
{
  return CordsWinogradPairDividedWeights(data, n, NULL, x, dy, dw);
}

PetscErrorCode CordsWinogradPairDividedWeights(void *data, PetscInt n, const void *early, const void *x, const void *dy,
                                               void *dw)
{
  CordsWinogradPair *pair = data;

  return CordsWinogradBackwardWeights(&pair->forward.grid, pair->type, n, early, x, dy, pair->zeros, dw);
}
