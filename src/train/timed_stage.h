/* What the stages with time (3 to 5) have in common; each of them says only its φ and whether it has a baseline.  Their
   gradient goes through every step of a trial (train/trial.h) or through the steady state (train/equilibrium.h). */
#ifndef CORDS_TRAIN_TIMED_STAGE_H
#define CORDS_TRAIN_TIMED_STAGE_H

#include "train/stage_type.h"

/* `start` of a stage type: the previous recurrent network, or a random one. */
PetscErrorCode CordsTimedStageStart(CordsContext context, CordsModel previous, CordsModel model, CordsModel target);

/* For `create`, `destroy` and `gradient`. */
PetscErrorCode CordsTimedStageCreate(CordsStage stage, PetscBool with_baseline);
PetscErrorCode CordsTimedStageDestroy(CordsStage stage);
PetscErrorCode CordsTimedStageDescribe(CordsStage stage, char **text);
PetscErrorCode CordsTimedStageGradient(CordsStage stage, CordsPhi phi, PetscReal slope, PetscInt n, PetscInt total,
                                       const float *images, const float *labels, float *gradient,
                                       CordsMetrics *metrics);

#endif
