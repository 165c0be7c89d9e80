/* The sum of a gradient over all ranks, begun with the areas that are done while those below them are still at work.

   A backward pass ends with the areas from the last to the first, and the exchange of an area's gradient goes on beside
   the computation of the next (core/reduce).  Which pieces there are and in which order they begin depends on the model
   only; every number is added in the order of the ranks. */
#ifndef CORDS_TRAIN_GRADIENT_SUM_H
#define CORDS_TRAIN_GRADIENT_SUM_H

#include "core/context.h"
#include "model/model.h"

/* Neighbours in the order of model->values that are exchanged together. */
typedef struct {
  PetscInt start, count;
} CordsGradientPiece;

/* The pieces of what leads into an area, which must be one above the first; area 0: of everything else.  In the order
   of model->values.  PetscFree(*pieces) by the caller.  Not collective. */
PetscErrorCode CordsGradientPieces(CordsModel model, PetscInt area, PetscInt *count, CordsGradientPiece **pieces);

typedef struct _p_CordsGradientSum *CordsGradientSum;

/* Context and model are borrowed.  Collective, as is Destroy. */
PetscErrorCode CordsGradientSumCreate(CordsContext context, CordsModel model, CordsGradientSum *sum);
PetscErrorCode CordsGradientSumDestroy(CordsGradientSum *sum);

/* A gradient [learnable_values] is going to be computed. */
void CordsGradientSumBegin(CordsGradientSum sum, float *gradient);
/* This rank's gradient of what leads into the area is done and must not be touched until End.  Areas come from the last
   to the second; a rank that has nothing to compute need not announce any.  sum may be NULL: nothing to do. */
PetscErrorCode CordsGradientSumArea(CordsGradientSum sum, PetscInt area);
/* The gradient is that of all ranks.  Collective. */
PetscErrorCode CordsGradientSumEnd(CordsGradientSum sum);

#endif
