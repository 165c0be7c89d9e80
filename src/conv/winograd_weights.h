/* Weight gradients of the Winograd backend. */
#ifndef CORDS_CONV_WINOGRAD_WEIGHTS_H
#define CORDS_CONV_WINOGRAD_WEIGHTS_H

#include "conv/winograd_grid.h"

/* Contract of CordsConvBackwardWeights for the shape of a grid forwards.  early: images of the box of
   CordsWinogradGridDivide, which the early tiles read in place of x; NULL: all read x.  zeros: T of as many channels as
   in or out, whichever is more. */
PetscErrorCode CordsWinogradBackwardWeights(const CordsWinogradGrid *grid, CordsType type, PetscInt n,
                                            const void *early, const void *x, const void *dy, const void *zeros,
                                            void *dw);

/* Most work memory of a call, bytes, from what convolutions share (scratch.h). */
double CordsWinogradWeightsBytes(const CordsWinogradGrid *grid, CordsType type);

#endif
