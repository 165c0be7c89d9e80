/* Weight gradients of the direct backend. */
#ifndef CORDS_CONV_DIRECT_WEIGHTS_H
#define CORDS_CONV_DIRECT_WEIGHTS_H

#include "conv/conv.h"

/* Contract of CordsConvBackwardWeights: dw [row][column][in][out] += Σ x dy.  Takes work memory of its own during the
   call: 0.3 MB per thread, and for bf16 the images of x in pairs, 2 MB of them or one pair. */
PetscErrorCode CordsDirectBackwardWeights(const CordsConvShape *shape, CordsType type, PetscInt n, const void *x,
                                          const void *dy, void *dw);

#endif
