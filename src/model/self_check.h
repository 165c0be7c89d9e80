/* What a network answers to an image that everybody can make, so that a network that travelled can be recognised.

   Image: value (row y, column x, channel c) = ((37 y + 17 x + 101 c) mod 256)/64 − 2.  A CNN sees it once; a recurrent
   network runs one trial: spontaneous_steps without an image from r = 0, then stimulus_steps with it.  All in float64,
   so that the logits, rounded to float32 at the end, do not depend on threads, ranks or kernels; their SHA-256 is the
   network's fingerprint. */
#ifndef CORDS_MODEL_SELF_CHECK_H
#define CORDS_MODEL_SELF_CHECK_H

#include "model/model.h"

/* The image as float32 [row][column][channel]. */
void CordsSelfCheckImage(PetscInt rows, PetscInt columns, PetscInt channels, float *image);

/* logits [classes]; digest: SHA-256 of them as little-endian float32.  Errors (user), naming `where`: they are not
   finite. */
PetscErrorCode CordsSelfCheck(CordsContext context, const char *where, CordsModel model, float *logits,
                              char digest[65]);

/* Write them as /self_check.  Collective. */
PetscErrorCode CordsSelfCheckWrite(CordsH5 file, PetscInt classes, const float *logits, const char *digest);

#endif
