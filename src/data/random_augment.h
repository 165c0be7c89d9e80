/* RandAugment: some operations, drawn at random from the table in operations.def, all of one magnitude, one after the
   other.  E. D. Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space",
   NeurIPS 2020; operations, magnitudes and rounding as in torchvision.transforms.RandAugment on PIL images (nearest
   neighbour, black outside).

   All functions are pure and may be called from several threads at once, each with its own work. */
#ifndef CORDS_DATA_RANDOM_AUGMENT_H
#define CORDS_DATA_RANDOM_AUGMENT_H

#include "core/random.h"
#include "data/operation_type.h"

typedef struct {
  PetscInt count;         /* operations per image, 0: none */
  PetscInt level, levels; /* magnitude: level 0 .. levels-1, levels > 1 */
} CordsRandomAugment;

/* The table.  Borrowed. */
PetscInt CordsOperationCount(void);
const CordsOperationType *CordsOperationGet(PetscInt i);

/* Between the operation's weakest (level 0) and strongest (level levels-1). */
double CordsOperationMagnitude(const CordsOperationType *operation, PetscInt level, PetscInt levels);

size_t CordsRandomAugmentWorkBytes(CordsImageShape shape);

/* Bytes [row][column][channel], one or three channels, in place.  key.sample is the number of the image; key.purpose is
   not looked at. */
void CordsRandomAugmentApply(const CordsRandomAugment *settings, CordsImageShape shape, CordsRandomKey key,
                             uint8_t *image, uint8_t *work);

#endif
