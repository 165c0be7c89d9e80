/* The arrays of the fused rollout and their sizes: one list for the program that runs and for the plan. */
#ifndef CORDS_TRAIN_FUSED_ARRAYS_H
#define CORDS_TRAIN_FUSED_ARRAYS_H

#include "model/system.h"
#include "train/plan.h"

/* Index: [step within the array][item][neuron].  T, M: model/system.h. */
typedef struct {
  /* kept states of the last plan->kept steps and their masks; and those of one block, for every area */
  CordsArray kept[CORDS_AREAS_MAX], kept_masks[CORDS_AREAS_MAX];   /* T [kept + 1], words [kept] */
  CordsArray block[CORDS_AREAS_MAX], block_masks[CORDS_AREAS_MAX]; /* T [block + 1], words [block] */
  CordsArray running[CORDS_AREAS_MAX];                             /* M: state at the end of the last block */
  CordsArray lambda[CORDS_AREAS_MAX];                              /* M: ∂L/∂r at the start of the last block */
  CordsArray starts;                                               /* M: whole states at the starts of blocks */
  CordsArray drive;       /* T [block]: z on the way there, ∂L/∂u on the way back */
  CordsArray gradient[3]; /* M [block]: ∂L/∂r, area i in i mod 3 */
} CordsFusedArrays;

/* Sizes without memory: every array with its type, items and elements, data NULL. */
CordsFusedArrays CordsFusedArraysSize(const CordsStateSizes *sizes, const CordsPlan *plan, PetscInt steps,
                                      PetscBool record);
/* Bytes of them, and of the work space that the system will use beside them. */
double CordsFusedArraysBytes(const CordsStateSizes *sizes, const CordsPlan *plan, PetscInt steps, PetscBool record);

PetscErrorCode CordsFusedArraysCreate(CordsSystem system, const CordsPlan *plan, PetscInt steps, PetscBool record,
                                      CordsFusedArrays *arrays);
PetscErrorCode CordsFusedArraysDestroy(CordsFusedArrays *arrays);

#endif
