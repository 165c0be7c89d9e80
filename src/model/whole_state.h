/* States of whole maps and of this rank's tiles of them, for what goes to and comes from files and does not depend on
   how images are cut.

   whole   [area][row][column][channel] of all areas, the layout of a system that is not cut, one item
   tiles   the same of this rank's parts (core/layout), the layout of the system's own states (model/system.h)

   Numbers are of the system's master type.  Where images are not cut the two are the same. */
#ifndef CORDS_MODEL_WHOLE_STATE_H
#define CORDS_MODEL_WHOLE_STATE_H

#include "model/system.h"

/* Put the tiles of all ranks of the domain group together on its first; `whole` is not touched on the others, where it
   may be NULL.  Collective on the domain group. */
PetscErrorCode CordsWholeStateGather(CordsSystem system, const void *tiles, void *whole);

/* This rank's tiles of a whole state.  Not collective. */
void CordsWholeStateTake(CordsSystem system, const void *whole, void *tiles);

/* The place in the whole map of an area of number k of this rank's tile; ascending in k. */
PetscInt CordsWholeStatePlace(CordsSystem system, PetscInt area, PetscInt k);

/* Neurons of all ranks together in an area, and where it starts in a whole state (area_count: its length). */
PetscInt CordsWholeStateNeurons(CordsSystem system, PetscInt area);
PetscInt CordsWholeStateOffset(CordsSystem system, PetscInt area);

#endif
