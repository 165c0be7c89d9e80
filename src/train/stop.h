/* SIGTERM and SIGUSR1 as a request to save and stop, instead of the end of the process: what batch systems send before
   a time limit. */
#ifndef CORDS_TRAIN_STOP_H
#define CORDS_TRAIN_STOP_H

#include "core/context.h"

/* From now on the signals only ask.  May be called before MPI is there, and again: a request that came in between is
   kept.  Not collective. */
void CordsStopCatch(void);

/* Whether any rank was asked since CordsStopCatch.  Collective. */
PetscErrorCode CordsStopAsked(CordsContext context, PetscBool *asked);

/* Back to what the signals did before, and without a request.  Not collective. */
void CordsStopRelease(void);

#endif
