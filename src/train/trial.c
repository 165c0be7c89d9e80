/* The loss of a trial: mean_t(w_t L_t) over the last stimulus steps, and spontaneous_weight · S with
   S = mean over the last ten steps of the return and over areas of mean((r_i − r⁰_i)²).  SPEC section 2, stages 3 to 5.
 */
#include "train/trial.h"

#include "train/objective.h"

#include <string.h>

enum { RETURN_STEPS_COUNTED = 10 };

struct _p_CordsTrial {
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  CordsArray baseline, state; /* r⁰ and the running state, of batch_local items */
  CordsArray logits, dlogits; /* [loss step][item][class] */
  PetscInt spontaneous_steps, stimulus_steps, return_steps, loss_steps, batch_local;
  double spontaneous_weight;
  double weights[CORDS_LOSS_STEPS_MAX];
  /* of the gradient at work, for the observer */
  PetscInt total;
  double spontaneous; /* S so far */
};

PetscErrorCode CordsTrialCreate(CordsModel model, const CordsStageSettings *settings, PetscInt batch_local,
                                PetscBool with_baseline, CordsTrial *trial)
{
  const CordsArchitecture *a = &model->architecture;
  CordsTrial t;
  PetscInt neurons = CordsArchitectureNeurons(a);

  PetscFunctionBegin;
  CordsCheckUser(settings->loss_steps <= a->stimulus_steps, PETSC_COMM_WORLD,
                 "loss_steps is %" PetscInt_FMT ", but the stimulus lasts only %" PetscInt_FMT
                 " steps (-architecture_stimulus_steps)",
                 settings->loss_steps, a->stimulus_steps);
  PetscCall(PetscNew(&t));
  t->batch_local = batch_local;
  t->loss_steps = settings->loss_steps;
  t->stimulus_steps = a->stimulus_steps;
  t->spontaneous_steps = with_baseline ? a->spontaneous_steps : 0;
  t->spontaneous_weight = (double)settings->spontaneous_weight;
  t->return_steps = with_baseline && t->spontaneous_weight > 0 ? a->return_steps : 0;
  CordsRampWeights(t->loss_steps, t->weights);
  PetscCall(CordsSystemCreate(model, CORDS_F32, &t->system));
  PetscCall(CordsInputCreate(t->system, batch_local, &t->input));
  PetscCall(CordsRolloutCreate(t->system, batch_local, t->stimulus_steps + t->return_steps, PETSC_TRUE, &t->rollout));
  PetscCall(CordsArrayCreate(CORDS_F32, batch_local, neurons, &t->baseline));
  PetscCall(CordsArrayCreate(CORDS_F32, batch_local, neurons, &t->state));
  PetscCall(CordsArrayCreate(CORDS_F32, t->loss_steps * batch_local, a->classes, &t->logits));
  PetscCall(CordsArrayCreate(CORDS_F32, t->loss_steps * batch_local, a->classes, &t->dlogits));
  *trial = t;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrialDestroy(CordsTrial *trial)
{
  CordsTrial t = *trial;

  PetscFunctionBegin;
  if (!t) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsRolloutDestroy(&t->rollout));
  PetscCall(CordsInputDestroy(&t->input));
  PetscCall(CordsSystemDestroy(&t->system));
  PetscCall(CordsArrayDestroy(&t->baseline));
  PetscCall(CordsArrayDestroy(&t->state));
  PetscCall(CordsArrayDestroy(&t->logits));
  PetscCall(CordsArrayDestroy(&t->dlogits));
  PetscCall(PetscFree(t));
  *trial = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrialSetPhi(CordsTrial trial, CordsPhi phi, PetscReal slope)
{
  return CordsSystemSetPhi(trial->system, phi, slope);
}

/* Steps of the return that count, as states r[first], ..., r[steps]. */
static PetscInt ReturnCounted(CordsTrial trial)
{
  return PetscMin(RETURN_STEPS_COUNTED, trial->return_steps);
}

/* Square distances from the baseline of one area, times `share`: the part of this area in S. */
static PetscErrorCode ObserveForward(void *context, PetscInt area, PetscInt steps, PetscInt items, const void *r)
{
  CordsTrial t = context;
  const CordsArchitecture *a = &CordsSystemModel(t->system)->architecture;
  size_t numbers = (size_t)items * CordsSystemNeurons(t->system, area);
  const float *baseline = CordsSystemArea(t->system, items, t->baseline.data, area);
  double share = 1.0 / ((double)ReturnCounted(t) * a->area_count * CordsSystemNeurons(t->system, area) * t->total);

  for (PetscInt step = steps + 1 - ReturnCounted(t); step <= steps; step++) {
    const float *state = (const float *)r + (size_t)step * numbers;
    double sum = 0;
    for (size_t k = 0; k < numbers; k++) {
      double difference = (double)state[k] - (double)baseline[k];
      sum += difference * difference;
    }
    t->spontaneous += share * sum;
  }
  return PETSC_SUCCESS;
}

static PetscErrorCode ObserveBackward(void *context, PetscInt area, PetscInt steps, PetscInt items, const void *r,
                                      void *g)
{
  CordsTrial t = context;
  const CordsArchitecture *a = &CordsSystemModel(t->system)->architecture;
  size_t numbers = (size_t)items * CordsSystemNeurons(t->system, area);
  const float *baseline = CordsSystemArea(t->system, items, t->baseline.data, area);
  double share = 1.0 / ((double)ReturnCounted(t) * a->area_count * CordsSystemNeurons(t->system, area) * t->total);
  const float factor = (float)(2 * t->spontaneous_weight * share);

  for (PetscInt step = steps + 1 - ReturnCounted(t); step <= steps; step++) {
    const float *state = (const float *)r + (size_t)step * numbers;
    float *gradient = (float *)g + (size_t)step * numbers;
    for (size_t k = 0; k < numbers; k++) gradient[k] += factor * (state[k] - baseline[k]);
  }
  return PETSC_SUCCESS;
}

/* Losses of the last stimulus steps and their derivatives. */
static PetscErrorCode ReadOut(CordsTrial t, PetscInt n, const float *labels, CordsMetrics *metrics)
{
  PetscInt classes = CordsSystemModel(t->system)->architecture.classes;

  PetscFunctionBegin;
  PetscCall(CordsRolloutLogits(t->rollout, t->stimulus_steps - t->loss_steps, t->loss_steps, t->logits.data));
  for (PetscInt k = 0; k < t->loss_steps; k++) {
    double weight = t->weights[k] / t->loss_steps;
    CordsCrossEntropy(CORDS_F32, n, classes, CordsArrayItem(&t->logits, k * n), labels, t->total, weight,
                      &metrics->loss_t[k], &metrics->accuracy_t[k], CordsArrayItem(&t->dlogits, k * n));
    metrics->loss += weight * metrics->loss_t[k];
  }
  metrics->accuracy = metrics->accuracy_t[t->loss_steps - 1];
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrialGradient(CordsTrial trial, PetscInt n, PetscInt total, const float *images,
                                  const float *labels, float *gradient, CordsMetrics *metrics)
{
  CordsTrial t = trial;
  CordsPhase phases[2] = {{t->stimulus_steps, PETSC_TRUE}, {t->return_steps, PETSC_FALSE}};
  CordsObserver observer = {.context = t, .forward = ObserveForward, .backward = ObserveBackward};
  const CordsObserver *observing = t->return_steps > 0 ? &observer : NULL;
  size_t bytes = (size_t)n * t->state.elements * sizeof(float);

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (n != CordsInputBatch(t->input)) { /* the last, smaller batch of an epoch */
    PetscCall(CordsInputDestroy(&t->input));
    PetscCall(CordsInputCreate(t->system, n, &t->input));
  }
  PetscCall(CordsSystemUpdate(t->system));
  PetscCall(CordsSystemZeroGradient(t->system));
  PetscCall(CordsInputSet(t->input, images));
  memset(t->baseline.data, 0, bytes);
  if (t->spontaneous_steps > 0) {
    PetscCall(CordsRolloutSpontaneous(t->system, t->spontaneous_steps, n, t->baseline.data));
  }
  memcpy(t->state.data, t->baseline.data, bytes);
  t->total = total;
  t->spontaneous = 0;
  PetscCall(CordsRolloutForward(t->rollout, n, t->input, 2, phases, t->state.data, observing));
  PetscCall(ReadOut(t, n, labels, metrics));
  metrics->spontaneous = t->spontaneous;
  metrics->loss += t->spontaneous_weight * t->spontaneous;
  PetscCall(
      CordsRolloutBackward(t->rollout, t->stimulus_steps - t->loss_steps, t->loss_steps, t->dlogits.data, observing));
  PetscCall(CordsInputGradient(t->input));
  PetscCall(CordsSystemAddGradient(t->system, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}
