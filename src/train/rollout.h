/* Euler steps of a system, and back through time.

   A rollout runs `phases` one after the other, each a number of steps with the image or without.  Step t
   (0 ≤ t < steps) leads from r[t] to r[t+1].  There are two ways to the same numbers (rollouts.def):

   reference   all areas step by step, everything stored: what the equation says, for any φ
   fused       the areas only feed forward, so inside a block of steps one area's whole trajectory is computed before
   the next area's; drives, their adjoints and weight gradients of a block are one call each, a step is one call (SPEC
   section 1, "facts that follow").  States and relu masks are kept where the plan has memory for them; the other blocks
   are computed again from their start on the way back.

   T and M are the types of model/system.h.  Nothing here is collective. */
#ifndef CORDS_TRAIN_ROLLOUT_H
#define CORDS_TRAIN_ROLLOUT_H

#include "model/system.h"
#include "train/plan.h"

typedef struct _p_CordsRollout *CordsRollout;

typedef struct {
  PetscInt steps;
  PetscBool image; /* with the image, or with the zero image */
} CordsPhase;

/* What looks at a rollout while it runs; any function may be NULL.  The first two are called for every area and for
   runs of states r[first], ..., r[first + count − 1], in any order of runs, r[0] left out. forward:  r: T
   [count][item][neuron], valid during the call only backward: the same r, and g: M of the same shape, to which ∂L/∂r is
   to be added done:     nothing more will be collected for what leads into the area; from the last area to the first */
typedef struct {
  void *context;
  PetscErrorCode (*forward)(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                            const void *r);
  PetscErrorCode (*backward)(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                             const void *r, void *g);
  PetscErrorCode (*done)(void *context, PetscInt area);
} CordsObserver;

/* For at most plan->images items at a time and steps_max steps.  The system is borrowed.
   name: of rollouts.def; NULL: the fastest that the system's φ allows.
   record: CordsRolloutBackward will be wanted. */
PetscErrorCode CordsRolloutCreate(CordsSystem system, const char *name, const CordsPlan *plan, PetscInt steps_max,
                                  PetscBool record, CordsRollout *rollout);
PetscErrorCode CordsRolloutDestroy(CordsRollout *rollout);

/* Run the phases from `state` (a state of the system for n items, replaced by the end state; input of batch n).
   record: keep what CordsRolloutBackward needs.  n ≤ plan->images.  observer may be NULL. */
PetscErrorCode CordsRolloutForward(CordsRollout rollout, PetscInt n, CordsInput input, PetscInt phase_count,
                                   const CordsPhase phases[], PetscBool record, void *state,
                                   const CordsObserver *observer);

/* logits: M [step][item][class] read out after steps first .. first + count − 1 of the last forward run (r[first + 1],
   ...). */
PetscErrorCode CordsRolloutLogits(CordsRollout rollout, PetscInt first, PetscInt count, void *logits);

/* Back through the last recorded run.  dlogits as in CordsRolloutLogits; observer adds other terms.  Gradients are
   collected in system and input; add them up with CordsInputGradient and CordsSystemAddGradient.  No gradient flows
   into the start. */
PetscErrorCode CordsRolloutBackward(CordsRollout rollout, PetscInt first, PetscInt count, const void *dlogits,
                                    const CordsObserver *observer);

/* The spontaneous state: `steps` steps without image from zero.  state: of the system, for one item; it is the same for
   every image.  steps ≤ steps_max. */
PetscErrorCode CordsRolloutSpontaneous(CordsRollout rollout, PetscInt steps, void *state);

/* Names and one line each. */
PetscErrorCode CordsRolloutList(PetscInt *count, const char *const **names, const char *const **abouts);

#endif
