/* Which checkpoint a run goes on from: the newest, or the one before it where the newest is damaged. */
#ifndef CORDS_TRAIN_RESTART_H
#define CORDS_TRAIN_RESTART_H

#include "core/context.h"

/* found: `newest` or `previous` (the pointer itself), whichever is the first that is whole; NULL if neither file is
   there.  Says on the log why it is not the newest.  Collective.
   Errors (user): damaged, and nothing whole beside it. */
PetscErrorCode CordsRestartFind(CordsContext context, const char *newest, const char *previous, const char **found);

/* Put the previous checkpoint in the place of the newest, which turned out to be no good start.  back: false if there
   is no previous one; then nothing changes.  Collective. */
PetscErrorCode CordsRestartStepBack(CordsContext context, const char *newest, const char *previous, PetscBool *back);

#endif
