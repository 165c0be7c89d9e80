/* What the author of a convolution backend fills in.  It sees one tile, never MPI.  Add a line to backends.def. */
#ifndef CORDS_CONV_BACKEND_H
#define CORDS_CONV_BACKEND_H

#include "conv/conv.h"

typedef struct {
  const char *name;
  const char *about; /* one line */
  PetscBool (*supports)(const CordsConvShape *shape, CordsType type);
  /* private data of one convolution; freed by destroy */
  PetscErrorCode (*create)(const CordsConvShape *shape, CordsType type, void **data);
  PetscErrorCode (*destroy)(void *data);
  /* weights [out][in][row][column] into the backend's own form */
  PetscErrorCode (*pack)(void *data, const void *weights);
  /* contracts of conv.h */
  PetscErrorCode (*forward)(void *data, PetscInt n, const void *x, void *y, PetscBool accumulate);
  PetscErrorCode (*backward_data)(void *data, PetscInt n, const void *dy, void *dx, PetscBool accumulate);
  PetscErrorCode (*backward_weights)(void *data, PetscInt n, const void *x, const void *dy, void *dw);
} CordsConvBackendType;

#endif
