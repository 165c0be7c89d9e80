/* Form and architecture of a network from the names and shapes of its tensors.

   Shapes tell channels, kernels, classes, the sizes of the areas (from biases of each neuron) and from those the
   strides between areas.  They do not tell the stride of the stem, its pooling, the size of the images, time constants,
   steps or φ, nor the sizes and strides of a batch-normalised CNN: those are the paper's (SPEC section 1) or given by
   options. The image is then as large as strides and areas say, a multiple of the first area. */
#ifndef CORDS_MODEL_RECOGNISE_H
#define CORDS_MODEL_RECOGNISE_H

#include "model/model.h"
#include "model/state_dict.h"

/* The form, by the names alone. */
CordsForm CordsRecogniseForm(const CordsStateDict *dict);

/* -architecture_* options are read over what is recognised.  image_channels, classes: 0, or what the network shall have
   whatever the file's has.  Errors (user), naming `where` and the tensor: no CordsNet, areas missing, kernels that are
   not square and odd, a size that no stride makes. */
PetscErrorCode CordsRecognise(const char *where, const CordsStateDict *dict, PetscInt image_channels, PetscInt classes,
                              CordsArchitecture *architecture, CordsForm *form);

#endif
