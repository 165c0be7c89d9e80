/* Stage 2: recurrent weights and biases learn to give, as linear steady state of each area, what the folded CNN gives.

   Method.  With drive z of the target, q⁰ = b + z and qᵏ = W qᵏ⁻¹:
     s³ = q⁰ + q¹ + q² + q³   (three iterations of s = W s + b + z)
     E = mean((T − s³)²),  R = mean((q³)²),  loss = mean_i E_i + 10 mean_i R_i.
   R keeps the spectral radius of W small.  SPEC section 2, stage 2. */
#include "conv/pointwise.h"
#include "model/cnn.h"
#include "model/fold.h"
#include "model/system.h"
#include "train/stage_type.h"

#include <string.h>

enum { ITERATIONS = 3 };
static const double spectral_weight = 10;

typedef struct {
  CordsCnn target;
  PetscBool target_current; /* its weights were taken over; they never change afterwards */
  CordsSystem system;
  CordsArray logits;                 /* of the target; not used, but what its forward pass ends with */
  CordsArray powers[ITERATIONS + 1]; /* q⁰ … q³ of the area at work */
  CordsArray steady;                 /* s³, then ∂L/∂s³ */
  CordsArray adjoint[2];
} Data;

static PetscErrorCode Start(CordsContext context, CordsModel previous, CordsModel model, CordsModel target)
{
  PetscFunctionBegin;
  PetscCheck(previous && previous->form == CORDS_FORM_BATCHNORM, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "stages in a wrong order");
  PetscCall(CordsFoldBatchNorm(previous, target));
  PetscCall(CordsModelInitialise(model, context->seed));
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    CordsTensor *t = &model->tensors[k];
    PetscInt source = CordsModelFind(target, t->name);
    if (strstr(t->name, "area_conv") || strstr(t->name, "conv_bias")) continue; /* newly initialised */
    memcpy(t->data, target->tensors[source].data, (size_t)CordsTensorSize(t) * sizeof(float));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool Learns(const char *tensor)
{
  return (PetscBool)(strstr(tensor, "area_conv") || strstr(tensor, "conv_bias"));
}

static PetscErrorCode Create(CordsStage stage)
{
  PetscInt largest = 0;
  Data *d;

  PetscFunctionBegin;
  PetscCall(PetscNew(&d));
  PetscCall(CordsCnnCreate(stage->context, stage->target, CORDS_F32, stage->batch_local, &d->target));
  PetscCall(CordsWeightsPrepare(stage->context, &stage->model->architecture, CORDS_F32));
  PetscCall(CordsSystemCreateCut(stage->context, stage->model, CORDS_F32, &d->system));
  for (PetscInt i = 0; i < stage->model->architecture.area_count; i++) {
    largest = PetscMax(largest, CordsSystemNeurons(d->system, i));
  }
  PetscCall(CordsArrayCreate(CORDS_F32, stage->batch_local, stage->model->architecture.classes, &d->logits));
  for (int k = 0; k <= ITERATIONS; k++)
    PetscCall(CordsArrayCreate(CORDS_F32, stage->batch_local, largest, &d->powers[k]));
  for (int k = 0; k < 2; k++) PetscCall(CordsArrayCreate(CORDS_F32, stage->batch_local, largest, &d->adjoint[k]));
  PetscCall(CordsArrayCreate(CORDS_F32, stage->batch_local, largest, &d->steady));
  stage->data = d;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(CordsStage stage)
{
  Data *d = stage->data;

  PetscFunctionBegin;
  PetscCall(CordsCnnDestroy(&d->target));
  PetscCall(CordsSystemDestroy(&d->system));
  PetscCall(CordsArrayDestroy(&d->logits));
  for (int k = 0; k <= ITERATIONS; k++) PetscCall(CordsArrayDestroy(&d->powers[k]));
  for (int k = 0; k < 2; k++) PetscCall(CordsArrayDestroy(&d->adjoint[k]));
  PetscCall(CordsArrayDestroy(&d->steady));
  PetscCall(PetscFree(stage->data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* q⁰ … q³ and s³ of one area. */
static PetscErrorCode Iterate(Data *d, PetscInt area, PetscInt n, const void *drive)
{
  size_t numbers = (size_t)n * CordsSystemNeurons(d->system, area), bytes = numbers * sizeof(float);

  PetscFunctionBegin;
  memcpy(d->powers[0].data, drive, bytes);
  PetscCall(CordsSystemAddBias(d->system, area, n, d->powers[0].data));
  memcpy(d->steady.data, d->powers[0].data, bytes);
  for (int k = 1; k <= ITERATIONS; k++) {
    memset(d->powers[k].data, 0, bytes);
    PetscCall(CordsSystemSynapses(d->system, area, n, d->powers[k - 1].data, d->powers[k].data));
    CordsAxpy(CORDS_F32, numbers, 1, d->powers[k].data, d->steady.data);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* E and R of one area; steady becomes ∂L/∂s³ and q³ becomes ∂(R part of L)/∂q³. */
static void Differentiate(Data *d, PetscInt area, PetscInt n, PetscInt area_count, double share, const float *response,
                          double *error, double *spectral, float *last)
{
  size_t numbers = (size_t)n * CordsSystemNeurons(d->system, area);
  float *steady = d->steady.data;
  const float *power = d->powers[ITERATIONS].data;
  double sum_error = 0, sum_spectral = 0;

  for (size_t k = 0; k < numbers; k++) {
    double difference = (double)steady[k] - (double)response[k];
    sum_error += difference * difference;
    sum_spectral += (double)power[k] * (double)power[k];
    steady[k] = (float)(2 * share / area_count * difference);
    last[k] = steady[k] + (float)(2 * share * spectral_weight / area_count * (double)power[k]);
  }
  *error += share * sum_error;
  *spectral += share * sum_spectral;
}

/* Back through the powers: ∂L/∂qᵏ = ∂L/∂s³ + Wᵀ ∂L/∂qᵏ⁺¹ (and the R part for k = 3). */
static PetscErrorCode Backward(Data *d, PetscInt area, PetscInt n)
{
  size_t bytes = (size_t)n * CordsSystemNeurons(d->system, area) * sizeof(float);

  PetscFunctionBegin;
  for (int k = ITERATIONS; k >= 1; k--) {
    const void *dpower = d->adjoint[k % 2].data;
    void *dbefore = d->adjoint[(k - 1) % 2].data;
    PetscCall(CordsSystemSynapsesGradient(d->system, area, n, d->powers[k - 1].data, dpower));
    memcpy(dbefore, d->steady.data, bytes);
    PetscCall(CordsSystemSynapsesAdjoint(d->system, area, n, dpower, dbefore));
  }
  PetscCall(CordsSystemBiasBackward(d->system, area, n, d->adjoint[0].data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Gradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                               const float *labels, float *gradient, CordsMetrics *metrics)
{
  Data *d = stage->data;
  PetscInt area_count = stage->model->architecture.area_count;
  const void *drive, *response;

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (!d->target_current) PetscCall(CordsCnnUpdate(d->target));
  d->target_current = PETSC_TRUE;
  PetscCall(CordsSystemUpdate(d->system));
  PetscCall(CordsSystemZeroGradient(d->system));
  PetscCall(CordsCnnForward(d->target, n, images, PETSC_FALSE, d->logits.data));
  for (PetscInt i = 0; i < area_count; i++) {
    double share = 1.0 / ((double)total * CordsAreaNeurons(&stage->model->architecture.areas[i]));
    PetscCall(CordsCnnTarget(d->target, i, &drive, &response));
    PetscCall(Iterate(d, i, n, drive));
    Differentiate(d, i, n, area_count, share, response, &metrics->errors[i], &metrics->spectral[i],
                  d->adjoint[ITERATIONS % 2].data);
    PetscCall(Backward(d, i, n));
    metrics->loss += (metrics->errors[i] + spectral_weight * metrics->spectral[i]) / area_count;
  }
  PetscCall(CordsSystemAddGradient(d->system, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsStageType cords_stage_inverse = {
    .name = "inverse",
    .about = "stage 2: recurrent weights learn the folded CNN's responses as linear steady states",
    .form = CORDS_FORM_RECURRENT,
    .has_target = PETSC_TRUE,
    .defaults = {.epochs = 100,
                 .batch = 64,
                 .learning_rate = 1e-4,
                 .schedule = CORDS_SCHEDULE_CONSTANT,
                 .rounds = 1,
                 .optimizer = CORDS_OPTIMIZER_ADAMW,
                 .weight_decay = 0.01,
                 .clip = 1e-3,
                 .augment = PETSC_TRUE,
                 .mix = PETSC_TRUE},
    .learns = Learns,
    .start = Start,
    .create = Create,
    .destroy = Destroy,
    .calls = CordsCallsInverse,
    .gradient = Gradient};
