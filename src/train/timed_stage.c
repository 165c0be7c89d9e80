#include "train/timed_stage.h"

#include "model/weights.h"
#include "train/equilibrium.h"
#include "train/trial.h"

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

/* Either way to the gradient of a stage. */
typedef struct {
  CordsTrial trial;
  CordsEquilibrium equilibrium;
} Ways;

PetscErrorCode CordsTimedStageCreate(CordsStage stage, PetscBool with_baseline)
{
  CordsType type = CordsTypeMaster(stage->settings.rollout.type);
  Ways *ways;

  PetscFunctionBegin;
  PetscCall(PetscNew(&ways));
  if (stage->settings.gradient == CORDS_GRADIENT_EQUILIBRIUM) {
    PetscCall(CordsWeightsPrepare(stage->context, &stage->model->architecture, type));
    PetscCall(CordsEquilibriumCreate(stage->context, stage->model, &stage->settings, stage->batch_local, type,
                                     &ways->equilibrium));
    stage->settings.loss_steps = 0; /* there are none that could be logged */
  } else {
    PetscCall(CordsWeightsPrepare(stage->context, &stage->model->architecture, stage->settings.rollout.type));
    PetscCall(CordsTrialCreate(stage->context, stage->model, &stage->settings, stage->batch_local, with_baseline,
                               &ways->trial));
    stage->plan = CordsTrialPlan(ways->trial);
  }
  stage->data = ways;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTimedStageDestroy(CordsStage stage)
{
  Ways *ways = stage->data;

  PetscFunctionBegin;
  PetscCall(CordsTrialDestroy(&ways->trial));
  PetscCall(CordsEquilibriumDestroy(&ways->equilibrium));
  PetscCall(PetscFree(stage->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTimedStageDescribe(CordsStage stage, char **text)
{
  const Ways *ways = stage->data;

  if (ways->equilibrium) return CordsEquilibriumDescribe(ways->equilibrium, text);
  return CordsTrialDescribe(ways->trial, text);
}

PetscErrorCode CordsTimedStageGradient(CordsStage stage, CordsPhi phi, PetscReal slope, PetscInt n, PetscInt total,
                                       const float *images, const float *labels, float *gradient, CordsMetrics *metrics)
{
  const Ways *ways = stage->data;

  PetscFunctionBegin;
  if (ways->equilibrium) {
    PetscCall(CordsEquilibriumSetPhi(ways->equilibrium, phi, slope));
    PetscCall(CordsEquilibriumGradient(ways->equilibrium, n, total, images, labels, gradient, metrics));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsTrialSetPhi(ways->trial, phi, slope));
  PetscCall(CordsTrialGradient(ways->trial, n, total, images, labels, gradient, stage->sum, metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
}
