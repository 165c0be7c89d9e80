/* Two-dimensional convolution (cross-correlation, as in PyTorch) of NHWC images on one rank's tile.

   y[n][i][j][o] = Σ_{a,b,c} w[o][c][a][b] · x[n][i·stride + a − pad_top][j·stride + b − pad_left][c],  zero outside.

   Plain NHWC arrays outside, always; a backend keeps its own form of the weights. */
#ifndef CORDS_CONV_CONV_H
#define CORDS_CONV_CONV_H

#include "core/array.h"
#include "core/box.h"
#include "core/context.h"

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

/* T is the type of the images of a convolution, M = CordsTypeMaster(T) that of weights, of their gradients and of
   running states.  Images are contiguous: x [n][in_rows][in_columns][in_channels], y likewise for out. */

/* backend: a name of backends.def, or NULL for the ones of conv/choice.h.  Not collective. */
PetscErrorCode CordsConvCreate(const CordsConvShape *shape, CordsType type, const char *backend, CordsConv *conv);
/* A convolution of whole maps that are cut over the domain group of the context (core/layout): every rank gives and
   gets its own tiles where others have images, and every function that works on them is collective on the group, with
   the same n everywhere.  The context is borrowed.  Where the group is one rank it is an ordinary convolution. */
PetscErrorCode CordsConvCreateCut(CordsContext context, const CordsConvShape *shape, CordsType type, CordsConv *conv);
PetscErrorCode CordsConvDestroy(CordsConv *conv);
/* Of a convolution that is cut: tiles in place of maps, and no borders. */
const CordsConvShape *CordsConvGetShape(CordsConv conv);

/* What a backend is chosen for, one by one. */
typedef enum { CORDS_CONV_FORWARD, CORDS_CONV_BACKWARD_DATA, CORDS_CONV_BACKWARD_WEIGHTS } CordsConvOperation;
enum { CORDS_CONV_OPERATION_COUNT = 3 };
extern const char *const CordsConvOperationNames[];
/* Name of the backend that does an operation for many images. */
const char *CordsConvBackend(CordsConv conv, CordsConvOperation operation);

/* Whether a backend (of backends.def) can do a shape in a type, and (lean, may be NULL) whether it keeps the weights in
   no more memory than they have, for each direction.  Errors (user): no such backend. */
PetscErrorCode CordsConvBackendSupports(const char *backend, const CordsConvShape *shape, CordsType type,
                                        PetscBool *supports, PetscBool *lean);
/* How the images x that a convolution reads (adjoint: dy, du) come in two parts: when an operation begins, a box of
   them is there as images of its own, [n][row][column][channel] of the box; x is there when wait(context) has returned,
   which every operation calls once. */
typedef struct {
  CordsBox box;             /* rows and columns counted as in x, beyond which it may reach */
  const void *const *early; /* where the address of the images of the box stands when an operation begins */
  PetscErrorCode (*wait)(void *context);
  void *context;
} CordsConvArrival;

/* From now on images arrive so; what reads the box only is computed before the others are waited for, where the backend
   can.  What `arrival` points to is borrowed.  Errors: those of wait. */
PetscErrorCode CordsConvSetArrival(CordsConv conv, PetscBool adjoint, const CordsConvArrival *arrival);
/* Whether an operation on n images will read the early images, and then nothing of x that is further from a pixel
   outside the box than CordsConvReach; else it reads x. */
PetscBool CordsConvReadsEarly(CordsConv conv, CordsConvOperation operation, PetscInt n);
PetscInt CordsConvReach(const CordsConvShape *shape);

/* weights: M [out][in][row][column]; copied. */
PetscErrorCode CordsConvSetWeights(CordsConv conv, const void *weights);

/* y[item] = start[item mod period] + W x[item]; start NULL: zero.  start may be y if period is n. */
PetscErrorCode CordsConvForwardFrom(CordsConv conv, PetscInt n, const void *x, const void *start, PetscInt period,
                                    void *y);
/* y = W x, or y += W x if accumulate. */
PetscErrorCode CordsConvForward(CordsConv conv, PetscInt n, const void *x, void *y, PetscBool accumulate);
/* dx = Wᵀ dy, or dx += Wᵀ dy. */
PetscErrorCode CordsConvBackwardData(CordsConv conv, PetscInt n, const void *dy, void *dx, PetscBool accumulate);
/* dw += ∂⟨dy, W x⟩/∂W, summed over the n images; dw: M [row][column][in][out], the order in which output
   channels are neighbours, as they are in the images. */
PetscErrorCode CordsConvBackwardWeights(CordsConv conv, PetscInt n, const void *x, const void *dy, void *dw);

/* --- One Euler step of a recurrent area around its convolution (in and out of the same shape), without another pass
   over memory.  φ(u) = u for u > 0, else slope · u: relu, PReLU and the identity.  φ'(0) = slope. --- */
typedef struct {
  double keep; /* 1 − α */
  double gain; /* α */
  double slope;
} CordsConvLaw;

/* Where u > 0: one bit per neuron, [item][pixel][word], bit c mod 16 of word c / 16; words per item. */
size_t CordsConvMaskWords(const CordsConvShape *shape);

/* u = W x + z[item mod period];  r_next = keep · r + gain · φ(u);  mask = [u > 0].
   x, z: T; r, r_next: M; x_next: T, r_next rounded, for T = bf16 only (else NULL, and r is x).  r_next is not x,
   since neighbours are still read; for bf16 it may be r.  mask NULL: not wanted.  SPEC section 1. */
PetscErrorCode CordsConvStep(CordsConv conv, PetscInt n, const CordsConvLaw *law, const void *x, const void *z,
                             PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask);

/* The same step backwards.  λ = g + keep · later + Wᵀ du;  du_before = gain · φ'(mask) · λ.
   du, du_before: T, not the same; g (NULL: zero), later, lambda: M; lambda may be g or later.
   mask: of the step before; NULL: du_before is not wanted. */
PetscErrorCode CordsConvStepAdjoint(CordsConv conv, PetscInt n, const CordsConvLaw *law, const void *du, const void *g,
                                    const void *later, const uint16_t *mask, void *lambda, void *du_before);

/* du = gain · φ'(mask) · λ for n items; λ: M, du: T. */
void CordsConvMaskMultiply(const CordsConvShape *shape, CordsType type, PetscInt n, const CordsConvLaw *law,
                           const uint16_t *mask, const void *lambda, void *du);

/* Bytes that this convolution will take when it is used in all operations, for `most` images at a time or fewer: its
   own, and those it shares with others, of which the most count. */
void CordsConvLaterBytes(CordsConv conv, PetscInt most, double *own, double *shared);

/* Multiply-adds ×2 of one forward pass of one image. */
double CordsConvFlops(const CordsConvShape *shape);

/* Names and one line each of the backends, in order of preference (for `cords info backends`). */
PetscErrorCode CordsConvBackendList(PetscInt *count, const char *const **names, const char *const **abouts);

#endif
