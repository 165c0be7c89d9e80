#ifndef CORDS_CONV_POOL_H
#define CORDS_CONV_POOL_H

#include "conv/conv.h"

/* Average pooling k × k with padding (k−1)/2 and the padding counted in the mean, as PyTorch's AvgPool2d does.  shape:
   CordsConvShapeSame(rows, columns, channels, channels, k, stride).  NHWC, any number of images; f32 or f64.  Not
   collective. */
PetscErrorCode CordsPoolForward(const CordsConvShape *shape, CordsType type, PetscInt n, const void *x, void *y);
/* dx += Pᵀ dy */
PetscErrorCode CordsPoolAdjoint(const CordsConvShape *shape, CordsType type, PetscInt n, const void *dy, void *dx);

/* features [item][channel] += Σ over pixels of max(x, 0) / all, x [item][pixel][channel]; summed in float64.  all:
   pixels of the map, of which these are a part; then the features of all parts add up to the mean.  features, dfeatures
   and g are of CordsTypeMaster(type). */
void CordsMeanReluAdd(CordsType type, PetscInt n, PetscInt pixels, PetscInt all, PetscInt channels, const void *x,
                      void *features);
/* g += its adjoint at x, with relu'(0) = 0 */
void CordsMeanReluAdjointAdd(CordsType type, PetscInt n, PetscInt pixels, PetscInt all, PetscInt channels,
                             const void *x, const void *dfeatures, void *g);

#endif
