/* Stage 4: φ is a PReLU whose slope falls from epoch to epoch, so that the linear network becomes a relu network. */
#include "train/timed_stage.h"

static PetscErrorCode Create(CordsStage stage)
{
  return CordsTimedStageCreate(stage, PETSC_TRUE);
}

static PetscErrorCode Gradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                               const float *labels, float *gradient, CordsMetrics *metrics)
{
  PetscReal slope = PetscMax(0, stage->settings.slope_start - stage->settings.slope_step * (PetscReal)epoch);

  return CordsTimedStageGradient(stage, CORDS_PHI_PRELU, slope, n, total, images, labels, gradient, metrics);
}

const CordsStageType cords_stage_parametric = {.name = "parametric",
                                               .about = "stage 4: PReLU with a slope that falls from epoch to epoch",
                                               .form = CORDS_FORM_RECURRENT,
                                               .defaults = {.epochs = 20,
                                                            .batch = 2,
                                                            .learning_rate = 1e-5,
                                                            .schedule = CORDS_SCHEDULE_CONSTANT,
                                                            .rounds = 1,
                                                            .optimizer = CORDS_OPTIMIZER_ADAMW,
                                                            .new_optimizer = PETSC_TRUE,
                                                            .weight_decay = 0.01,
                                                            .clip = 1e-4,
                                                            .augment = PETSC_TRUE,
                                                            .mix = PETSC_TRUE,
                                                            .loss_steps = 30,
                                                            .spontaneous_weight = 1e-3,
                                                            .slope_start = 0.95,
                                                            .slope_step = 0.05},
                                               .learns = CordsStageLearnsAll,
                                               .start = CordsTimedStageStart,
                                               .create = Create,
                                               .destroy = CordsTimedStageDestroy,
                                               .describe = CordsTimedStageDescribe,
                                               .calls = CordsCallsTrial,
                                               .gradient = Gradient};
