/* Stage 4: φ is a PReLU whose slope falls from epoch to epoch, so that the linear network becomes a relu network. */
#include "train/stage_type.h"
#include "train/trial.h"

static PetscErrorCode Create(CordsStage stage)
{
  PetscFunctionBegin;
  PetscCall(
      CordsTrialCreate(stage->model, &stage->settings, stage->batch_local, PETSC_TRUE, (CordsTrial *)&stage->data));
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
  PetscCall(CordsTrialSetPhi(stage->data, CORDS_PHI_PRELU,
                             PetscMax(0, stage->settings.slope_start - stage->settings.slope_step * (PetscReal)epoch)));
  PetscCall(CordsTrialGradient(stage->data, n, total, images, labels, gradient, metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
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
                                               .start = CordsStageStartRecurrent,
                                               .create = Create,
                                               .destroy = Destroy,
                                               .gradient = Gradient};
