/* What stages 3 to 5 share: a trial of the network in time, its loss, and the gradient through it. */
#ifndef CORDS_TRAIN_TRIAL_H
#define CORDS_TRAIN_TRIAL_H

#include "train/gradient_sum.h"
#include "train/rollout.h"
#include "train/stage.h"

typedef struct _p_CordsTrial *CordsTrial;

/* with_baseline: spontaneous phase before and return phase after the stimulus (stages 4, 5), or the stimulus alone from
   r = 0 (stage 3).  The return phase is left out where spontaneous_weight is 0.  The network is cut over the context's
   domain group, on which everything here is collective; images and labels are the same on all its ranks, and gradient
   and metrics are parts that add up over it. */
PetscErrorCode CordsTrialCreate(CordsContext context, CordsModel model, const CordsStageSettings *settings,
                                PetscInt batch_local, PetscBool with_baseline, CordsTrial *trial);

/* What a rollout is asked to do for such a trial of so many images; the steps are those of stimulus and return. */
CordsPlanTask CordsTrialTask(const CordsArchitecture *architecture, const CordsStageSettings *settings,
                             PetscBool with_baseline, PetscInt batch);
/* What is done at a time. */
CordsPlan CordsTrialPlan(CordsTrial trial);
PetscErrorCode CordsTrialDestroy(CordsTrial *trial);

/* How a batch is run and what memory it takes, one line for the log.  PetscFree(*text) by the caller. */
PetscErrorCode CordsTrialDescribe(CordsTrial trial, char **text);

/* φ for the next gradient. */
PetscErrorCode CordsTrialSetPhi(CordsTrial trial, CordsPhi phi, PetscReal slope);

/* Contract of CordsStageGradient, gradient zero on entry.  sum: of this gradient, begun; it is told which areas are
   done.  NULL: nobody is. */
PetscErrorCode CordsTrialGradient(CordsTrial trial, PetscInt n, PetscInt total, const float *images,
                                  const float *labels, float *gradient, CordsGradientSum sum, CordsMetrics *metrics);

#endif
