/* Two-dimensional convolution (cross-correlation, as in PyTorch) of NHWC images on one rank's tile.

   y[n][i][j][o] = Σ_{a,b,c} w[o][c][a][b] · x[n][i·stride + a − pad_top][j·stride + b − pad_left][c],  zero outside.

   Plain NHWC arrays outside, always; a backend keeps its own form of the weights. */
#ifndef CORDS_CONV_CONV_H
#define CORDS_CONV_CONV_H

#include "core/array.h"

typedef struct {
  PetscInt in_rows, in_columns, in_channels;
  PetscInt out_rows, out_columns, out_channels;
  PetscInt kernel_rows, kernel_columns, stride;
  PetscInt pad_top, pad_left, pad_bottom, pad_right; /* zero border; 0 where a tile has real halo rows instead */
} CordsConvShape;

typedef struct _p_CordsConv *CordsConv;

/* A square k × k kernel with padding (k−1)/2 on in_rows × in_columns. */
CordsConvShape CordsConvShapeSame(PetscInt in_rows, PetscInt in_columns, PetscInt in_channels, PetscInt out_channels,
                                  PetscInt kernel, PetscInt stride);

/* backend: a name of backends.def, or NULL for the first one that supports the shape and type.  Not collective. */
PetscErrorCode CordsConvCreate(const CordsConvShape *shape, CordsType type, const char *backend, CordsConv *conv);
PetscErrorCode CordsConvDestroy(CordsConv *conv);
const CordsConvShape *CordsConvGetShape(CordsConv conv);
const char *CordsConvBackend(CordsConv conv);

/* weights: [out][in][row][column] in the conv's type; copied. */
PetscErrorCode CordsConvSetWeights(CordsConv conv, const void *weights);

/* y = W x, or y += W x if accumulate.  x: [n][in_rows][in_columns][in_channels], y likewise for out. */
PetscErrorCode CordsConvForward(CordsConv conv, PetscInt n, const void *x, void *y, PetscBool accumulate);
/* dx = Wᵀ dy, or dx += Wᵀ dy. */
PetscErrorCode CordsConvBackwardData(CordsConv conv, PetscInt n, const void *dy, void *dx, PetscBool accumulate);
/* dw += ∂⟨dy, W x⟩/∂W, summed over the n images; dw: [out][in][row][column]. */
PetscErrorCode CordsConvBackwardWeights(CordsConv conv, PetscInt n, const void *x, const void *dy, void *dw);

/* Multiply-adds ×2 of one forward pass of one image. */
double CordsConvFlops(const CordsConvShape *shape);

/* Names and one line each of the backends, in order of preference (for `cords info backends`). */
PetscErrorCode CordsConvBackendList(PetscInt *count, const char *const **names, const char *const **abouts);

#endif
