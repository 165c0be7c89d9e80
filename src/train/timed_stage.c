#include "train/timed_stage.h"

PetscErrorCode CordsTimedStageStart(CordsContext context, CordsModel previous, CordsModel model, CordsModel target)
{
  PetscFunctionBegin;
  if (!previous) {
    PetscCall(CordsModelInitialise(model, context->seed));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCheck(previous->form == CORDS_FORM_RECURRENT, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "stages in a wrong order");
  PetscCall(CordsModelCopyShared(previous, model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTimedStageCreate(CordsStage stage, PetscBool with_baseline)
{
  CordsTrial trial;

  PetscFunctionBegin;
  PetscCall(CordsTrialCreate(stage->model, &stage->settings, stage->batch_local, with_baseline, &trial));
  stage->data = trial;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTimedStageDestroy(CordsStage stage)
{
  CordsTrial trial = stage->data;

  PetscFunctionBegin;
  PetscCall(CordsTrialDestroy(&trial));
  stage->data = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTimedStageDescribe(CordsStage stage, char **text)
{
  return CordsTrialDescribe(stage->data, text);
}

PetscErrorCode CordsTimedStageGradient(CordsStage stage, CordsPhi phi, PetscReal slope, PetscInt n, PetscInt total,
                                       const float *images, const float *labels, float *gradient, CordsMetrics *metrics)
{
  PetscFunctionBegin;
  PetscCall(CordsTrialSetPhi(stage->data, phi, slope));
  PetscCall(CordsTrialGradient(stage->data, n, total, images, labels, gradient, metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
}
