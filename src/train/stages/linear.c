/* Stage 3: the dynamics without nonlinearity, from r = 0, stimulus only. */
#include "train/stage_type.h"
#include "train/trial.h"

static PetscErrorCode Create(CordsStage stage)
{
  PetscFunctionBegin;
  PetscCall(
      CordsTrialCreate(stage->model, &stage->settings, stage->batch_local, PETSC_FALSE, (CordsTrial *)&stage->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(CordsStage stage)
{
  return CordsTrialDestroy((CordsTrial *)&stage->data);
}

static PetscErrorCode Gradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                               const float *labels, float *gradient, CordsMetrics *metrics)
{
  PetscFunctionBegin;
  PetscCall(CordsTrialSetPhi(stage->data, CORDS_PHI_IDENTITY, 0));
  PetscCall(CordsTrialGradient(stage->data, n, total, images, labels, gradient, metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
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
                                           .start = CordsStageStartRecurrent,
                                           .create = Create,
                                           .destroy = Destroy,
                                           .gradient = Gradient};
