#ifndef CORDS_MODEL_FOLD_H
#define CORDS_MODEL_FOLD_H

#include "model/model.h"

/* Stage 1b: fold batch normalisation (running statistics) into g, v and biases.  SPEC section 2.
   The folded network gives the same logits to round-off.  folded: a model of folded form and the same architecture,
   overwritten. */
PetscErrorCode CordsFoldBatchNorm(CordsModel batchnorm, CordsModel folded);

#endif
