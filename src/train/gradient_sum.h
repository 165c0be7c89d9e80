/* Gradient and metrics of a batch: the sum over all ranks of what each has of its images and of its tiles. */
#ifndef CORDS_TRAIN_GRADIENT_SUM_H
#define CORDS_TRAIN_GRADIENT_SUM_H

#include "train/stage.h"

/* The pieces in which the gradient of a model is summed: each is one sum of core/reduce.  What sums, and what counts
   the messages of a sum (train/traffic_model), take the pieces from here. */
typedef struct {
  PetscInt start, count; /* in the order of model->values */
} CordsGradientPiece;

/* pieces: room for model->learnable_count of them; returns how many there are.  Together they are the
   model->learnable_values numbers of a gradient. */
PetscInt CordsGradientPieces(CordsModel model, CordsGradientPiece pieces[]);

/* gradient [learnable_values] and metrics of this rank become those of all.  Collective. */
PetscErrorCode CordsGradientSum(CordsContext context, CordsModel model, float *gradient, CordsMetrics *metrics);

#endif
