/* SGD with momentum and AdamW, as PyTorch computes them, with clipping of the global gradient norm before. */
#ifndef CORDS_TRAIN_OPTIMIZER_H
#define CORDS_TRAIN_OPTIMIZER_H

#include "model/model.h"

typedef enum { CORDS_OPTIMIZER_SGD, CORDS_OPTIMIZER_ADAMW } CordsOptimizerKind;
extern const char *const CordsOptimizerNames[];
enum { CORDS_OPTIMIZER_COUNT = 2 };

typedef struct {
  CordsOptimizerKind kind;
  double weight_decay; /* SGD: added to the gradient; AdamW: decoupled */
  double momentum;     /* SGD */
  double clip;         /* largest 2-norm of the whole gradient; 0: no clipping */
  CordsModel model;    /* borrowed */
  PetscBool *learns;   /* [tensor]: tensors that do not learn are not touched, not even by decay */
  PetscInt64 steps;    /* taken since the moments were zero */
  float *moments[2];   /* [value]; SGD uses the first */
} CordsOptimizerData, *CordsOptimizer;

/* learns: says by name which tensors learn. */
PetscErrorCode CordsOptimizerCreate(CordsModel model, CordsOptimizerKind kind, double weight_decay, double clip,
                                    PetscBool (*learns)(const char *tensor), CordsOptimizer *optimizer);
PetscErrorCode CordsOptimizerDestroy(CordsOptimizer *optimizer);

/* Forget the moments (stage 4 starts each epoch with a new optimiser). */
PetscErrorCode CordsOptimizerReset(CordsOptimizer optimizer);

/* Clip gradient [learnable_values] in place, update the model.  norm: 2-norm before clipping, of the tensors that
 * learn. */
PetscErrorCode CordsOptimizerStep(CordsOptimizer optimizer, double learning_rate, float *gradient, double *norm);

#endif
