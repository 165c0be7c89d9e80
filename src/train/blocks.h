/* How a run of steps is cut into blocks, whose drives, adjoints and weight gradients are one call each
   (rollouts/fused.c): one function for what runs them and for what counts their messages (train/update_calls). */
#ifndef CORDS_TRAIN_BLOCKS_H
#define CORDS_TRAIN_BLOCKS_H

#include "train/plan.h"

/* Steps start .. start + steps − 1, all within one phase. */
typedef struct {
  PetscInt start, steps, phase;
  PetscBool kept; /* its states are kept until the way back; those of the others are computed again */
} CordsBlock;

/* The blocks of a run of `items` images (at most plan->images) through phases of so many steps, in order of time.
   blocks: room for as many as there are steps; returns how many there are.  They end with phases and where the kept
   steps begin.  A run that is not recorded and has few items has longer ones: there is room. */
PetscInt CordsBlocksCut(const CordsPlan *plan, PetscInt items, PetscInt phase_count, const PetscInt phase_steps[],
                        PetscBool recorded, CordsBlock blocks[]);

#endif
