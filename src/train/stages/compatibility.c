/* Stage 1: the batch-normalised CNN learns to classify. */
#include "model/cnn.h"
#include "train/objective.h"
#include "train/stage_type.h"

typedef struct {
  CordsCnn cnn;
  CordsArray logits, dlogits;
} Data;

static PetscErrorCode Start(CordsContext context, CordsModel previous, CordsModel model, CordsModel target)
{
  PetscFunctionBegin;
  PetscCheck(!previous || previous->form == CORDS_FORM_BATCHNORM, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "stages in a wrong order");
  PetscCall(CordsModelInitialise(model, context->seed));
  if (previous) PetscCall(CordsModelCopyShared(previous, model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Create(CordsStage stage)
{
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  PetscCall(CordsCnnCreate(stage->context, stage->model, CORDS_F32, stage->batch_local, &d->cnn));
  PetscCall(CordsArrayCreate(CORDS_F32, stage->batch_local, stage->model->architecture.classes, &d->logits));
  PetscCall(CordsArrayCreate(CORDS_F32, stage->batch_local, stage->model->architecture.classes, &d->dlogits));
  stage->data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(CordsStage stage)
{
  Data *d = stage->data;

  PetscFunctionBegin;
  PetscCall(CordsCnnDestroy(&d->cnn));
  PetscCall(CordsArrayDestroy(&d->logits));
  PetscCall(CordsArrayDestroy(&d->dlogits));
  PetscCall(PetscFree(stage->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Gradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                               const float *labels, float *gradient, CordsMetrics *metrics)
{
  Data *d = stage->data;

  PetscFunctionBegin;
  PetscCall(CordsCnnUpdate(d->cnn));
  PetscCall(CordsCnnForward(d->cnn, n, images, PETSC_TRUE, d->logits.data));
  CordsCrossEntropy(CORDS_F32, n, stage->model->architecture.classes, d->logits.data, labels, total, 1, &metrics->loss,
                    &metrics->accuracy, d->dlogits.data);
  if (stage->context->domain_rank > 0) *metrics = (CordsMetrics){0}; /* all of a group know the loss; the first tells */
  PetscCall(CordsCnnBackward(d->cnn, d->dlogits.data, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsStageType cords_stage_compatibility = {.name = "compatibility",
                                                  .about =
                                                      "stage 1: the CNN with batch normalisation learns to classify",
                                                  .form = CORDS_FORM_BATCHNORM,
                                                  .defaults = {.epochs = 300,
                                                               .batch = 256,
                                                               .learning_rate = 0.1,
                                                               .schedule = CORDS_SCHEDULE_ROUNDS,
                                                               .rounds = 3,
                                                               .warmup = 100,
                                                               .optimizer = CORDS_OPTIMIZER_SGD,
                                                               .weight_decay = 1e-4,
                                                               .augment = PETSC_TRUE,
                                                               .mix = PETSC_TRUE},
                                                  .learns = CordsStageLearnsAll,
                                                  .start = Start,
                                                  .create = Create,
                                                  .destroy = Destroy,
                                                  .calls = CordsCallsCnn,
                                                  .gradient = Gradient};
