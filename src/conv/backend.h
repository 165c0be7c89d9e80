/* What the author of a convolution backend fills in.  It sees one tile, never MPI.  Add a line to backends.def. */
#ifndef CORDS_CONV_BACKEND_H
#define CORDS_CONV_BACKEND_H

#include "conv/finish.h"

/* What a run computes where the pixels that it reads come at two times: everything from whole images; what reads pixels
   of an early box only, from images of this box; or the rest, from whole images again. */
typedef enum { CORDS_PART_WHOLE, CORDS_PART_EARLY, CORDS_PART_LATE } CordsConvPart;

typedef struct {
  const char *name;
  const char *about; /* one line */
  PetscBool lean;    /* keeps weights in no more memory than they have, for each direction */
  PetscBool (*supports)(const CordsConvShape *shape, CordsType type);
  /* private data of one convolution; freed by destroy */
  PetscErrorCode (*create)(const CordsConvShape *shape, CordsType type, void **data);
  PetscErrorCode (*destroy)(void *data);
  /* weights M [out][in][row][column] into the backend's own form; not called where gradients of weights are all that is
     wanted */
  PetscErrorCode (*pack)(void *data, const void *weights);
  /* Bytes that are taken when an operation is called for the first time: of its own (weights backwards), and from the
     scratch that all convolutions share (scratch.h).  May be NULL: none worth counting. */
  void (*later_bytes)(void *data, CordsConvOperation operation, double *own, double *shared);
  /* The convolution (adjoint: from output to input) of n > 0 images with a finish of its sums, which serves all
     operations on images.  May be NULL where forward and backward_data are not. */
  PetscErrorCode (*run)(void *data, PetscBool adjoint, CordsConvPart part, PetscInt n, const void *x,
                        const CordsFinish *finish);
  /* The early part of a direction is from now on what reads nothing of x outside a box, which may reach beyond x.  The
     rest reads nothing that is further from a pixel outside the box than the larger of five pixels and the kernel.  May
     be NULL: run is then asked for the whole only. */
  PetscErrorCode (*divide)(void *data, PetscBool adjoint, const CordsBox *early);
  /* Contracts of conv.h, n > 0; forward is CordsConvForwardFrom.  Where there is no run; conv.c then makes steps with
     them and conv/step. */
  PetscErrorCode (*forward)(void *data, PetscInt n, const void *x, const void *start, PetscInt period, void *y);
  PetscErrorCode (*backward_data)(void *data, PetscInt n, const void *dy, void *dx, PetscBool accumulate);
  /* contract of conv.h, n > 0 */
  PetscErrorCode (*backward_weights)(void *data, PetscInt n, const void *x, const void *dy, void *dw);
  /* The same after divide, without a copy of the box in x: what the early part reads is read from early, images of the
     box, the rest as in run from x.  May be NULL: backward_weights is then given all of x. */
  PetscErrorCode (*divided_weights)(void *data, PetscInt n, const void *early, const void *x, const void *dy, void *dw);
} CordsConvBackendType;

/* y[item] = start[item mod period], zero for start = NULL; nothing to do where start is y.  For backends that add to y.
 */
void CordsConvFill(const CordsConvShape *shape, CordsType type, PetscInt n, const void *start, PetscInt period,
                   void *y);

#endif
