/* The network that a run starts from instead of random numbers: -initial. */
#ifndef CORDS_TRAIN_INITIAL_H
#define CORDS_TRAIN_INITIAL_H

#include "model/model.h"

/* Declare and read -initial; path is "" without it. */
PetscErrorCode CordsInitialFromOptions(char path[PETSC_MAX_PATH_LEN]);

/* The network of a file, which must have this architecture and form (that of the run's first stage); NULL where path is
   "".  Collective.  Errors (user): missing, damaged, another architecture or form. */
PetscErrorCode CordsInitialRead(CordsContext context, const char *path, const CordsArchitecture *architecture,
                                CordsForm form, CordsModel *model);

#endif
