/* The names and shapes of a PyTorch state dict under the names that a CordsNet has here (SPEC section 1).

   Names lose `module.` and `_orig_mod.` in front (data-parallel and compiled modules), `weight_g` and `weight_v` of
   torch's older weight normalisation become `parametrizations.weight.original0` and `original1`, and those of a
   torchvision ResNet-18 become those of R8's first stage:

     conv1, bn1                         inp_conv, inp_norm
     layerL.b.conv1, bn1, conv2, bn2    area_area.i, area_norm.i, area_conv.i, area_nrm2.i      i = 2 (L − 1) + b
     layerL.0.downsample.0, .1          skip_area.k, skip_norm.k                                k = L − 2
     fc                                 out_fc */
#ifndef CORDS_MODEL_STATE_DICT_H
#define CORDS_MODEL_STATE_DICT_H

#include "core/error.h"

enum { CORDS_STATE_DIMENSIONS_MAX = 8, CORDS_STATE_NAME_MAX = 320 };

typedef struct {
  char name[CORDS_STATE_NAME_MAX]; /* as here */
  const char *key;                 /* as in the file; borrowed */
  PetscInt dimensions;
  PetscInt64 sizes[CORDS_STATE_DIMENSIONS_MAX];
  PetscInt number; /* in the file */
} CordsStateEntry;

typedef struct {
  PetscInt count;
  CordsStateEntry *entries;
  PetscBool resnet; /* it was torchvision's */
} CordsStateDict;

/* Rename all entries, whose key, dimensions, sizes and number are set.  where: the file.  Errors (user): two keys
   become one name; a ResNet of torchvision other than ResNet-18. */
PetscErrorCode CordsStateDictRename(const char *where, CordsStateDict *dict);

/* The entry of a name; NULL if there is none. */
const CordsStateEntry *CordsStateDictFind(const CordsStateDict *dict, const char *name);
/* The v of a connection, or its plain weight where it is not weight-normalised. */
const CordsStateEntry *CordsStateDictKernel(const CordsStateDict *dict, const char *connection);

#endif
