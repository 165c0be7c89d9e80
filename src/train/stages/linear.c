/* Stage 3: the dynamics without nonlinearity, from r = 0, stimulus only. */
#include "train/timed_stage.h"

static PetscErrorCode Create(CordsStage stage)
{
  return CordsTimedStageCreate(stage, PETSC_FALSE);
}

static PetscErrorCode Gradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                               const float *labels, float *gradient, CordsMetrics *metrics)
{
  return CordsTimedStageGradient(stage, CORDS_PHI_IDENTITY, 0, n, total, images, labels, gradient, metrics);
}

const CordsStageType cords_stage_linear = {.name = "linear",
                                           .about = "stage 3: the dynamics without nonlinearity learn to classify",
                                           .form = CORDS_FORM_RECURRENT,
                                           .defaults = {.epochs = 100,
                                                        .batch = 8,
                                                        .learning_rate = 1e-5,
                                                        .schedule = CORDS_SCHEDULE_CONSTANT,
                                                        .rounds = 1,
                                                        .optimizer = CORDS_OPTIMIZER_ADAMW,
                                                        .weight_decay = 0.01,
                                                        .clip = 1e-4,
                                                        .augment = PETSC_TRUE,
                                                        .mix = PETSC_TRUE,
                                                        .loss_steps = 30},
                                           .learns = CordsStageLearnsAll,
                                           .start = CordsTimedStageStart,
                                           .create = Create,
                                           .destroy = CordsTimedStageDestroy,
                                           .describe = CordsTimedStageDescribe,
                                           .calls = CordsCallsStimulus,
                                           .gradient = Gradient};
