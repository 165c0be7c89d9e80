/* Named arrays of float32 to a file and back: the parameters of a model, the moments of an optimiser. */
#ifndef CORDS_IO_TENSORS_H
#define CORDS_IO_TENSORS_H

#include "io/digest.h"
#include "io/h5.h"

/* One named array in PyTorch's layout.  data is borrowed. */
typedef struct {
  const char *name;    /* state-dict key, "area_conv.0.parametrizations.weight.original1" */
  const char *axes;    /* "out,in,row,column" */
  const char *unit;    /* "1" */
  const char *meaning; /* one sentence */
  PetscInt dimensions; /* 1 to 4 */
  PetscInt sizes[4];
  float *data;
} CordsTensor;

/* Number of elements. */
PetscInt CordsTensorSize(const CordsTensor *tensor);

/* Write tensors under /GROUP/NAME.  Collective. */
PetscErrorCode CordsTensorsWrite(CordsH5 file, const char *group, PetscInt count, const CordsTensor tensors[]);

/* Read tensors from /GROUP/NAME into data, on every rank.  Collective.
   Errors (user), naming file and tensor: missing, of another shape, not finite, or present in the group but
   not asked for (the file belongs to another architecture). */
PetscErrorCode CordsTensorsRead(CordsH5 file, const char *group, PetscInt count, const CordsTensor tensors[]);

/* Add tensors of a group, names and numbers, to a digest: in the order of their names.  Not collective. */
PetscErrorCode CordsTensorsDigest(CordsDigest digest, const char *group, PetscInt count, const CordsTensor tensors[]);
/* The same of all arrays that a file has in the group (none if there is no such group).  Collective.
   Errors (user): an array that cannot be read, or is not finite. */
PetscErrorCode CordsTensorsDigestFile(CordsDigest digest, CordsH5 file, const char *group);

#endif
