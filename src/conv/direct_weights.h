/* Weight gradients of the direct backend. */
#ifndef CORDS_CONV_DIRECT_WEIGHTS_H
#define CORDS_CONV_DIRECT_WEIGHTS_H

#include "conv/conv.h"

/* Contract of CordsConvBackwardWeights: dw [row][column][in][out] += Σ x dy.  early: images of `box`, which may reach
   beyond those of x; pixels in the box are read there and not in x.  NULL: all are read in x, box is not used.  Takes
   work memory of its own during the call: 0.3 MB per thread, and for bf16 the images of x in pairs, 2 MB of them or one
   pair, and with early images as much again. */
PetscErrorCode CordsDirectBackwardWeights(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsBox *box,
                                          const void *early, const void *x, const void *dy, void *dw);

#endif
