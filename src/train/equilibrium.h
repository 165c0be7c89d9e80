/* Training through the equilibrium: the loss is that of the network's steady state with the image, and its gradient
   follows from the fixed point itself (implicit function theorem), whatever the number of steps that lead there.

     r_i = φ(W_i r_i + z_i),  area after area (dynamics/steady_state.h)
     L   = cross-entropy of the read-out at r  +  transient_weight · E
     E   = mean over areas and images of |s_i − r_i|² / |r_i|²,
           s_i = `transient_steps` steps s ← (1−α) s + α φ(W_i s + z_i) from the spontaneous state r⁰_i

   E is what is left of the transient: small if the network, run through time, is soon where the loss looks at it.  With
   α = 1 it is the R_i of stage 2 (SPEC section 2) with φ in it; with a smaller α what is slow in continuous time,
   eigenvalues of D W near 1, weighs more than what swings.  r⁰ is the steady state without image; as in the stages
   through time no gradient flows through it.  With a small E the steady state of either phase attracts from the
   other's, so the return to the baseline (S of SPEC section 2) needs no term of its own.

   Images whose state has not settled (counted in the metrics) take part with the best state found: E then draws their
   areas back to where they settle.

   Memory does not depend on the number of steps, and hardly on the batch: a few images at a time (plan.h says how many)
   go up and down before the next; each image is solved for itself, so the gradient does not depend on how many. */
#ifndef CORDS_TRAIN_EQUILIBRIUM_H
#define CORDS_TRAIN_EQUILIBRIUM_H

#include "train/stage.h"

typedef struct _p_CordsEquilibrium *CordsEquilibrium;

/* With the maps cut over the domain group of the context, which is borrowed.  type: CORDS_F32 or CORDS_F64.
   batch_local: most images of the group in a batch.  Collective on the group.
   Errors (user): -memory_limit is too small. */
PetscErrorCode CordsEquilibriumCreate(CordsContext context, CordsModel model, const CordsStageSettings *settings,
                                      PetscInt batch_local, CordsType type, CordsEquilibrium *equilibrium);
PetscErrorCode CordsEquilibriumDestroy(CordsEquilibrium *equilibrium);

/* Contracts of CordsTrialDescribe and CordsTrialSetPhi. */
PetscErrorCode CordsEquilibriumDescribe(CordsEquilibrium equilibrium, char **text);
PetscErrorCode CordsEquilibriumSetPhi(CordsEquilibrium equilibrium, CordsPhi phi, PetscReal slope);

/* Contract of CordsStageGradient, gradient zero on entry; n may be 0.  Collective on the domain group; the sum of the
   gradients and metrics of its ranks is that of the images. */
PetscErrorCode CordsEquilibriumGradient(CordsEquilibrium equilibrium, PetscInt n, PetscInt total, const float *images,
                                        const float *labels, float *gradient, CordsMetrics *metrics);

#endif
