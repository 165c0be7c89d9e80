/* How large a rank's part of each area is: what the memory of states follows from, without a system. */
#ifndef CORDS_TRAIN_STATE_SIZES_H
#define CORDS_TRAIN_STATE_SIZES_H

#include "model/system.h"

typedef struct {
  CordsType type;
  PetscInt area_count, neurons[CORDS_AREAS_MAX];
  PetscInt mask_words[CORDS_AREAS_MAX]; /* of one item */
  PetscInt largest;                     /* the most neurons that a rank of the domain group has in an area */
} CordsStateSizes;

/* Those of rank number `rank` of a grid, and those of a system.  Not collective. */
CordsStateSizes CordsStateSizesOf(const CordsArchitecture *architecture, CordsType type, PetscInt grid_rows,
                                  PetscInt grid_columns, PetscInt rank);
CordsStateSizes CordsStateSizesOfSystem(CordsSystem system);

#endif
