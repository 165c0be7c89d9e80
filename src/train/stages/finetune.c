/* Stage 5: the network as it will be used; alone, it is training from random initialisation. */
#include "train/timed_stage.h"

static PetscErrorCode Create(CordsStage stage)
{
  return CordsTimedStageCreate(stage, PETSC_TRUE);
}

static PetscErrorCode Gradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                               const float *labels, float *gradient, CordsMetrics *metrics)
{
  return CordsTimedStageGradient(stage, stage->model->architecture.phi, 0, n, total, images, labels, gradient, metrics);
}

const CordsStageType cords_stage_finetune = {.name = "finetune",
                                             .about = "stage 5: the final network; alone: training from random weights",
                                             .form = CORDS_FORM_RECURRENT,
                                             .defaults = {.epochs = 20,
                                                          .batch = 2,
                                                          .learning_rate = 1e-5,
                                                          .schedule = CORDS_SCHEDULE_CONSTANT,
                                                          .rounds = 1,
                                                          .optimizer = CORDS_OPTIMIZER_ADAMW,
                                                          .weight_decay = 0.01,
                                                          .clip = 1e-4,
                                                          .augment = PETSC_TRUE,
                                                          .mix = PETSC_TRUE,
                                                          .loss_steps = 30,
                                                          .spontaneous_weight = 1e-3},
                                             .learns = CordsStageLearnsAll,
                                             .start = CordsTimedStageStart,
                                             .create = Create,
                                             .destroy = CordsTimedStageDestroy,
                                             .describe = CordsTimedStageDescribe,
                                             .calls = CordsCallsTrial,
                                             .gradient = Gradient};
