/* The convolutions of a model with their effective weights w = g v/|v|, in float32 or float64, and the gradients with
   respect to those weights.  Made from the parameters, never stored. */
#ifndef CORDS_MODEL_WEIGHTS_H
#define CORDS_MODEL_WEIGHTS_H

#include "core/context.h"
#include "model/model.h"

typedef struct _p_CordsWeights *CordsWeights;

/* Choose the kernels of all convolutions that CordsWeightsCreate would make, by trials where they are not known
   (conv/choice.h).  To be called before weights are made; without it they use the order of backends.def.  Collective.
 */
PetscErrorCode CordsWeightsPrepare(CordsContext context, const CordsArchitecture *architecture, CordsType type);

/* type: of the images between areas.  What is computed once per image (stem, input skip, first feed-forward
   convolution) or once per step on few numbers (read-out) has CordsTypeMaster(type).  The model is borrowed and must
   outlive the weights. */
PetscErrorCode CordsWeightsCreate(CordsModel model, CordsType type, CordsWeights *weights);
/* The same for maps that are cut over the context's domain group (CordsConvCreateCut); the read-out is not. */
PetscErrorCode CordsWeightsCreateCut(CordsContext context, CordsModel model, CordsType type, CordsWeights *weights);
PetscErrorCode CordsWeightsDestroy(CordsWeights *weights);

/* Recompute w from g and v; call after the parameters have changed. */
PetscErrorCode CordsWeightsUpdate(CordsWeights weights);

/* Bytes that the convolutions will take when they are first used backwards and for weight gradients, for `most` images
   at a time or fewer. */
double CordsWeightsLaterBytes(CordsWeights weights, PetscInt most);

CordsConv CordsWeightsConv(CordsWeights weights, PetscInt connection);

/* ∂L/∂w of a connection, [row][column][in][out] of CordsTypeMaster(type); CordsConvBackwardWeights adds to it. */
void *CordsWeightsGradient(CordsWeights weights, PetscInt connection);
PetscErrorCode CordsWeightsZeroGradient(CordsWeights weights);

/* Collect in the places of v in `gradient` (in the order of model->values, borrowed until it is NULL again) instead of
   arrays of the weights' own, which saves as much memory as all weights take.  CordsWeightsAddGradient must then be
   given the same array, whose places of v hold nothing else.  float32 and bf16 only: ignored for f64. */
PetscErrorCode CordsWeightsCollectIn(CordsWeights weights, float *gradient);

/* gradient (float, in the order of model->values) += (∂w/∂(g,v))ᵀ ∂L/∂w for one connection, for every connection. */
PetscErrorCode CordsWeightsAddConnectionGradient(CordsWeights weights, PetscInt connection, float *gradient);
PetscErrorCode CordsWeightsAddGradient(CordsWeights weights, float *gradient);

#endif
