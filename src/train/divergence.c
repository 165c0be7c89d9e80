#include "train/divergence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IMAGES_NAMED_MAX = 8, RUNNING_UPDATES = 50 };

/* ---- the loss ---- */

PetscBool CordsLossWatchAdd(CordsLossWatch *watch, double loss, double *mean)
{
  *mean = watch->mean;
  if (watch->updates >= CORDS_LOSS_WATCH_FIRST && loss > CORDS_LOSS_WATCH_FACTOR * watch->mean) {
    if (++watch->above < CORDS_LOSS_WATCH_IN_A_ROW) return PETSC_FALSE;
    memset(watch, 0, sizeof *watch);
    return PETSC_TRUE;
  }
  watch->above = 0;
  watch->updates++;
  watch->mean += (loss - watch->mean) / (double)PetscMin(watch->updates, RUNNING_UPDATES);
  return PETSC_FALSE;
}

/* ---- tensors ---- */

/* Anything that is not finite times zero is not zero. */
static PetscBool Finite(PetscInt count, const float *values)
{
  float sum = 0;

#pragma omp simd reduction(+ : sum)
  for (PetscInt k = 0; k < count; k++) sum += values[k] * 0.0F;
  return (PetscBool)(sum == 0);
}

const char *CordsDivergenceTensor(CordsStage stage, const float *values)
{
  CordsModel model = CordsStageModel(stage);

  for (PetscInt k = model->learnable_count - 1; k >= 0; k--) {
    const CordsTensor *tensor = &model->tensors[k];
    if (!CordsStageLearns(stage, tensor->name)) continue;
    if (!Finite(CordsTensorSize(tensor), values + (tensor->data - model->values))) return tensor->name;
  }
  return NULL;
}

const char *CordsDivergenceState(CordsStage stage, CordsOptimizer optimizer, const char **what)
{
  CordsModel model = CordsStageModel(stage);
  const char *name = NULL;

  *what = "values";
  for (PetscInt k = model->tensor_count - 1; k >= 0; k--)
    if (!Finite(CordsTensorSize(&model->tensors[k]), model->tensors[k].data)) return model->tensors[k].name;
  *what = "moments";
  for (int k = 0; k < 2 && !name; k++) name = CordsDivergenceTensor(stage, optimizer->moments[k]);
  return name;
}

/* ---- images ---- */

/* Numbers of the images at the chosen places of the whole batch, which every rank knows of its own part. */
static PetscErrorCode NameImages(CordsContext context, const CordsBatch *batch, int *chosen, size_t length, char *text)
{
  PetscInt64 *samples;
  PetscInt named = 0, all = 0;
  size_t used;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(batch->total, &samples));
  for (PetscInt k = 0; k < batch->total; k++) samples[k] = -1;
  for (PetscInt k = 0; k < batch->count; k++) samples[batch->start + k] = batch->samples[k];
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, samples, (PetscMPIInt)batch->total, MPI_INT64_T, MPI_MAX, context->comm));
  PetscCallMPI(MPI_Allreduce(MPI_IN_PLACE, chosen, (PetscMPIInt)batch->total, MPI_INT, MPI_MAX, context->comm));
  for (PetscInt k = 0; k < batch->total; k++) all += chosen[k];
  used = (size_t)snprintf(text, length, all == 0 ? "no image" : all == 1 ? "image" : "images");
  for (PetscInt k = 0; k < batch->total && named < IMAGES_NAMED_MAX && used < length; k++) {
    if (!chosen[k]) continue;
    used += (size_t)snprintf(text + used, length - used, "%s %" PetscInt64_FMT, named ? "," : "", samples[k]);
    named++;
  }
  if (all > named && used < length) snprintf(text + used, length - used, " and %" PetscInt_FMT " more", all - named);
  PetscCall(PetscFree(samples));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDivergenceBatch(CordsContext context, const CordsBatch *batch, size_t length, char *text)
{
  int *chosen;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(batch->total, &chosen));
  for (PetscInt k = 0; k < batch->total; k++) chosen[k] = 1;
  PetscCall(NameImages(context, batch, chosen, length, text));
  PetscCall(PetscFree(chosen));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One image of the batch alone; the ranks that do not have it take part with none. */
static PetscErrorCode TryImage(CordsStage stage, const CordsBatch *batch, PetscInt place, float *gradient, int *bad)
{
  const CordsArchitecture *a = &CordsStageModel(stage)->architecture;
  size_t image = (size_t)a->image_rows * a->image_columns * a->image_channels;
  PetscBool here = (PetscBool)(place >= batch->start && place < batch->start + batch->count);
  size_t at = here ? (size_t)(place - batch->start) : 0;
  CordsMetrics metrics;

  PetscFunctionBegin;
  PetscCall(CordsStageGradient(stage, batch->epoch, here, batch->total, batch->images + at * image,
                               batch->labels + at * a->classes, gradient, &metrics));
  *bad = here && (!isfinite(metrics.loss) || CordsDivergenceTensor(stage, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsDivergenceImages(CordsContext context, CordsStage stage, const CordsBatch *batch, float *gradient,
                                     size_t length, char *text)
{
  int *bad;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(batch->total, &bad));
  for (PetscInt k = 0; k < batch->total; k++) PetscCall(TryImage(stage, batch, k, gradient, &bad[k]));
  PetscCall(NameImages(context, batch, bad, length, text));
  PetscCall(PetscFree(bad));
  PetscFunctionReturn(PETSC_SUCCESS);
}
