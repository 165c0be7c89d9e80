/* What the author of an operation of RandAugment fills in: a CordsOperationType, in operations/<file>.c, and a line in
   operations.def.  The rest of cords uses data/random_augment.h. */
#ifndef CORDS_DATA_OPERATION_TYPE_H
#define CORDS_DATA_OPERATION_TYPE_H

#include "data/image.h"

typedef struct {
  const char *name;          /* as torchvision calls it */
  double weakest, strongest; /* magnitude of the first and the last level, linear between them */
  PetscBool is_signed;       /* the magnitude is negated with probability 1/2 */

  /* Change bytes [row][column][channel], one or three channels, in place.  Pure: the result depends on the arguments
     only.  work: CordsRandomAugmentWorkBytes bytes. */
  void (*apply)(CordsImageShape shape, double magnitude, uint8_t *image, uint8_t *work);
} CordsOperationType;

#endif
