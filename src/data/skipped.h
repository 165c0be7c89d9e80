/* The images of a dataset that cannot be used: counted, reported, listed; or, with -strict_images, the end of the run.
   Behind data/dataset.h (CordsDatasetSkip). */
#ifndef CORDS_DATA_SKIPPED_H
#define CORDS_DATA_SKIPPED_H

#include "core/context.h"

typedef struct _p_CordsSkipped *CordsSkipped;

/* Read -strict_images, for the lists that are created after it. */
PetscErrorCode CordsSkippedFromOptions(void);

PetscErrorCode CordsSkippedCreate(CordsSkipped *skipped);
PetscErrorCode CordsSkippedDestroy(CordsSkipped *skipped);

/* Image i cannot be used.  Its sentence, "WHERE PROBLEM", is printed the first time, for the first ten of this rank.
   Not collective.  Errors (user): -strict_images. */
PetscErrorCode CordsSkippedAdd(CordsSkipped skipped, PetscInt64 image, const char *where, const char *problem);

/* The images of all ranks, sorted, each once.  Collective.  PetscFree by the caller. */
PetscErrorCode CordsSkippedGather(CordsSkipped skipped, CordsContext context, PetscInt *count, PetscInt64 **images);

#endif
