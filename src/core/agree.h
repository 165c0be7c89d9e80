/* Small things that all ranks have to know alike: a flag that one of them has raised, a number that the first has
   found.  Counted as traffic of kind control, as if each rank sent to each that needs it. */
#ifndef CORDS_CORE_AGREE_H
#define CORDS_CORE_AGREE_H

#include "core/context.h"
#include "core/traffic.h"

/* *anywhere: whether `here` holds on one of the ranks.  Collective. */
PetscErrorCode CordsAgreeAny(CordsContext context, PetscBool here, PetscBool *anywhere);

/* `bytes` bytes of the first rank to all.  Collective. */
PetscErrorCode CordsAgreeFirst(CordsContext context, PetscInt bytes, void *data);

/* What a rank of `size` sends in one of them. */
CordsTraffic CordsAgreeAnyTraffic(PetscInt size);
CordsTraffic CordsAgreeFirstTraffic(PetscInt size, PetscInt rank, PetscInt bytes);

#endif
