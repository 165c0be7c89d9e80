/* Which backend does a convolution: measured once per shape and type, kept in a file.

   A choice belongs to a key: shape, type, operation, number of images (few or many), threads.  It is made by a trial of
   a few milliseconds on rank 0 and told to all ranks, so every rank computes the same way.  A trial is noisy, hence two
   rules: a backend must be clearly faster to be preferred to one before it in backends.def, and what was found is kept,
   in the file of -kernel_cache from run to run and in checkpoints for a run that is continued.

   Making a convolution is not collective and only looks a choice up; who makes many of them first calls
   CordsConvChoicePrepare.  Without a choice the first backend of backends.def that can do it is taken. */
#ifndef CORDS_CONV_CHOICE_H
#define CORDS_CONV_CHOICE_H

#include "conv/conv.h"
#include "core/context.h"

/* How many images a convolution is called with: one or two, for which all weights pass through the processor, or more.
 */
typedef enum { CORDS_CONV_FEW_IMAGES, CORDS_CONV_MANY_IMAGES } CordsConvImages;
enum { CORDS_CONV_IMAGES_COUNT = 2 };
static inline CordsConvImages CordsConvImagesOf(PetscInt n)
{
  return n <= 2 ? CORDS_CONV_FEW_IMAGES : CORDS_CONV_MANY_IMAGES;
}

/* -kernel_choice measured|order|lean, -kernel_cache FILE.  memory_is_short: so lean is the default, the first in order
   that keeps weights in no more memory than they have, and trials tell what that costs (CordsConvChoiceSlowdown). Until
   this is called there are no trials and no file.  Not collective. */
PetscErrorCode CordsConvChoiceFromOptions(PetscBool memory_is_short);

/* Have a choice for `count` pairs of shape and type, on all ranks the same: as known, from the file, or measured and
   then added to the file.  Says on the log what it did.  Collective.
   Errors (user): a file named by -kernel_cache that cannot be written or holds something else. */
PetscErrorCode CordsConvChoicePrepare(CordsContext context, PetscInt count, const CordsConvShape shapes[],
                                      const CordsType types[]);

/* Index in CordsConvBackendList, or −1 if there is no choice.  The key has the present number of threads. */
PetscInt CordsConvChoiceFind(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                             CordsConvImages images);

/* Time of the chosen backend ÷ time of the first in order, where a trial found that one clearly faster; else 1. */
double CordsConvChoiceSlowdown(const CordsConvShape *shape, CordsType type, CordsConvOperation operation,
                               CordsConvImages images);

/* All choices of this process, one line each; PetscFree by the caller.  The line:
   "f32 forward many threads 2 in 56x56x64 out 56x56x64 kernel 3x3 stride 1 padding 1,1,1,1 backend direct ahead 1.25";
   ahead: how many times as fast as the next best (below 1: slower, but lean), 0 where nothing was compared or the
   machine was too busy. */
PetscErrorCode CordsConvChoiceGetText(char **text);
/* Use these choices, whatever was known; they come from a run that is continued.  Says on the log how many of them
   this program cannot do.  Collective.  Errors (user): not such lines; `name` says where they come from. */
PetscErrorCode CordsConvChoiceSetText(CordsContext context, const char *name, const char *text);
/* Forget all choices (for tests; files stay). */
void CordsConvChoiceClear(void);

/* What `cords info backends` prints: the choices in the file, its place, the precisions of this processor.  PetscFree
   by the caller.  Not collective: for rank 0. */
PetscErrorCode CordsConvChoiceDescribe(char **text);

#endif
