/* Work memory that all convolutions of a process share, since one of them is at work at a time. */
#ifndef CORDS_CONV_SCRATCH_H
#define CORDS_CONV_SCRATCH_H

#include "core/error.h"

/* Who may ask holds it from creation to destruction; the last to release it frees it.  Not for several threads. */
void CordsScratchHold(void);
void CordsScratchRelease(void);

/* At least so many bytes, aligned to 64, with what the last user left in them; valid until the next call. */
PetscErrorCode CordsScratchGet(size_t bytes, void *memory);

#endif
