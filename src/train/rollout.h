/* Euler steps of a system, and back through time.

   The areas only feed forward, so one area's whole trajectory is computed before the next area's; its drive is computed
   for a block of steps in one call, and so are weight gradients (SPEC section 1, "facts that follow").

   A rollout runs `phases` one after the other, each a number of steps with the image or without.  What is kept for
   the way back is u of every area and step; the states follow from u and the start without convolutions and are
   replayed where they are needed.  Step t (0 ≤ t < steps) leads from r[t] to r[t+1]. */
#ifndef CORDS_TRAIN_ROLLOUT_H
#define CORDS_TRAIN_ROLLOUT_H

#include "core/context.h"
#include "model/system.h"

typedef struct _p_CordsRollout *CordsRollout;

typedef struct {
  PetscInt steps;
  PetscBool image; /* with the image, or with the zero image */
} CordsPhase;

/* What looks at a rollout while it runs; either function may be NULL.
   forward:  r [steps + 1][item][neuron] of an area, in the type of the system, valid during the call only
   backward: as forward, with g of the same shape to which ∂L/∂r is to be added */
typedef struct {
  void *context;
  PetscErrorCode (*forward)(void *context, PetscInt area, PetscInt steps, PetscInt items, const void *r);
  PetscErrorCode (*backward)(void *context, PetscInt area, PetscInt steps, PetscInt items, const void *r, void *g);
} CordsObserver;

/* For `batch` images at a time and at most steps_max steps.  The system is borrowed.
   record: keep what CordsRolloutBackward needs; memory 4 or 8 bytes × neurons × batch × steps_max for that.
   Not collective. */
PetscErrorCode CordsRolloutCreate(CordsSystem system, PetscInt batch, PetscInt steps_max, PetscBool record,
                                  CordsRollout *rollout);
PetscErrorCode CordsRolloutDestroy(CordsRollout *rollout);

/* Run the phases from `state` (a state of the system for n items, replaced by the end state; input of batch n).
   n ≤ batch.  observer may be NULL. */
PetscErrorCode CordsRolloutForward(CordsRollout rollout, PetscInt n, CordsInput input, PetscInt phase_count,
                                   const CordsPhase phases[], void *state, const CordsObserver *observer);

/* logits [step][item][class] read out after steps first .. first + count − 1 of the last forward run (r[first + 1],
 * ...). */
PetscErrorCode CordsRolloutLogits(CordsRollout rollout, PetscInt first, PetscInt count, void *logits);

/* Back through the last recorded run.  dlogits as in CordsRolloutLogits; observer adds other terms.  Gradients are
   collected in system and input; add them up with CordsInputGradient and CordsSystemAddGradient.  No gradient flows
   into the start. */
PetscErrorCode CordsRolloutBackward(CordsRollout rollout, PetscInt first, PetscInt count, const void *dlogits,
                                    const CordsObserver *observer);

/* The spontaneous state: `steps` steps without image from zero.  It is the same for every image, so it is run for one
   item and copied to `items`.  state: of the system, for `items`. */
PetscErrorCode CordsRolloutSpontaneous(CordsSystem system, PetscInt steps, PetscInt items, void *state);

#endif
