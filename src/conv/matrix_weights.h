/* Weight gradients in bfloat16 on the processor's matrix unit. */
#ifndef CORDS_CONV_MATRIX_WEIGHTS_H
#define CORDS_CONV_MATRIX_WEIGHTS_H

#include "conv/slots.h"

/* Contract of CordsConvBackwardWeights for the shape of a route forwards, whose channels are whole multiples of 32.
   Work memory is what convolutions share (scratch.h). */
PetscErrorCode CordsMatrixBackwardWeights(const CordsSlotRoute *route, PetscInt n, const void *x, const void *dy,
                                          void *dw);

/* Work memory of a call for n images, bytes; not more for fewer. */
double CordsMatrixWeightsBytes(const CordsSlotRoute *route, PetscInt n);

#endif
