/* Losses on the read-out.  Labels are soft: rows that sum to one. */
#ifndef CORDS_TRAIN_OBJECTIVE_H
#define CORDS_TRAIN_OBJECTIVE_H

#include "core/array.h"

/* Cross-entropy −Σ_k y_k log softmax_k, summed over n items and divided by `total`, the images of the whole batch on
   all ranks.

     logits    [item][class] in `type`
     labels    [item][class] float32
     loss      += that sum, without `weight`
     accuracy  += share of items whose largest logit is at the largest label
     dlogits   = weight · ∂loss/∂logits, in `type`; may be NULL, and may be logits */
void CordsCrossEntropy(CordsType type, PetscInt n, PetscInt classes, const void *logits, const float *labels,
                       PetscInt total, double weight, double *loss, double *accuracy, void *dlogits);

/* Weights of `count` time steps: log-spaced from 1e-3 to 1 (SPEC section 2, stage 3). */
void CordsRampWeights(PetscInt count, double weights[]);

#endif
