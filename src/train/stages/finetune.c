/* Stage 5: the network as it will be used; alone, it is training from random initialisation. */
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
  PetscCall(CordsTrialSetPhi(stage->data, stage->model->architecture.phi, 0));
  PetscCall(CordsTrialGradient(stage->data, n, total, images, labels, gradient, metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
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
                                             .start = CordsStageStartRecurrent,
                                             .create = Create,
                                             .destroy = Destroy,
                                             .gradient = Gradient};
