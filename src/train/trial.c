/* The loss of a trial: mean_t(w_t L_t) over the last stimulus steps, and spontaneous_weight · S with
   S = mean over the last ten steps of the return and over areas of mean((r_i − r⁰_i)²).  SPEC section 2, stages 3 to 5.
 */
#include "train/trial.h"

#include "conv/pointwise.h"
#include "train/objective.h"

#include <string.h>

enum { RETURN_STEPS_COUNTED = 10 };

struct _p_CordsTrial {
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  CordsPlanTask task;
  CordsPlanCost cost;
  CordsArray baseline;        /* r⁰, one item: it is the same for every image */
  CordsArray state;           /* of plan.images items */
  CordsArray logits, dlogits; /* [loss step][item][class] */
  PetscInt spontaneous_steps, stimulus_steps, return_steps, loss_steps;
  double spontaneous_weight;
  double weights[CORDS_LOSS_STEPS_MAX];
  /* of the gradient at work, for the observer */
  PetscInt total;
  double spontaneous; /* S so far */
  float *gradient;
  CordsGradientSum sum;
  PetscBool last_part; /* no images come after those at work */
};

/* Of this rank, in all areas. */
static PetscInt Neurons(CordsTrial t)
{
  return CordsSystemOffset(t->system, CordsSystemModel(t->system)->architecture.area_count);
}

/* The process's memory beside the rollout that is not there yet: what learning takes, inputs, states. */
static double OtherBytes(CordsTrial t, const CordsLoading *loading, PetscInt batch_local)
{
  double states = 2.0 * Neurons(t);

  return CordsPlanLearningBytes(t->system, loading, batch_local, PETSC_MAX_INT) +
         CordsPlanInputBytes(t->system, t->cost.plan.images) + sizeof(float) * states;
}

static PetscErrorCode MakePlan(CordsTrial t, const CordsStageSettings *settings, PetscInt batch_local)
{
  PetscFunctionBegin;
  t->cost.plan = CordsPlanFast(t->system, &t->task);
  PetscCall(CordsPlanMake(t->system, &t->task, settings->rollout.memory_limit_bytes,
                          OtherBytes(t, &settings->loading, batch_local), &t->cost));
  if (settings->rollout.plan.images > 0) t->cost.plan = settings->rollout.plan;
  /* where memory is short, the ranks that share images still run the same blocks; the first has the largest tiles */
  PetscCallMPI(MPI_Bcast(&t->cost, sizeof t->cost, MPI_BYTE, 0, CordsSystemContext(t->system)->domain_comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateRollout(CordsTrial t, const CordsStageSettings *settings, PetscInt batch_local)
{
  const CordsArchitecture *a = &CordsSystemModel(t->system)->architecture;
  PetscInt images, neurons = Neurons(t);

  PetscFunctionBegin;
  PetscCall(MakePlan(t, settings, batch_local));
  images = t->cost.plan.images;
  PetscCall(CordsInputCreate(t->system, images, &t->input));
  PetscCall(CordsRolloutCreate(t->system, settings->rollout.name[0] ? settings->rollout.name : NULL, &t->cost.plan,
                               PetscMax(t->task.steps, t->spontaneous_steps), PETSC_TRUE, &t->rollout));
  PetscCall(CordsArrayCreate(CORDS_F32, 1, neurons, &t->baseline));
  PetscCall(CordsArrayCreate(CORDS_F32, images, neurons, &t->state));
  PetscCall(CordsArrayCreate(CORDS_F32, t->loss_steps * images, a->classes, &t->logits));
  PetscCall(CordsArrayCreate(CORDS_F32, t->loss_steps * images, a->classes, &t->dlogits));
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsPlanTask CordsTrialTask(const CordsArchitecture *a, const CordsStageSettings *settings, PetscBool with_baseline,
                             PetscInt batch)
{
  const PetscBool returns = (PetscBool)(with_baseline && settings->spontaneous_weight > 0);

  return (CordsPlanTask){.batch = batch,
                         .spontaneous = with_baseline ? a->spontaneous_steps : 0,
                         .steps = a->stimulus_steps + (returns ? a->return_steps : 0),
                         .record = PETSC_TRUE};
}

CordsPlan CordsTrialPlan(CordsTrial trial)
{
  return trial->cost.plan;
}

PetscErrorCode CordsTrialCreate(CordsContext context, CordsModel model, const CordsStageSettings *settings,
                                PetscInt batch_local, PetscBool with_baseline, CordsTrial *trial)
{
  const CordsArchitecture *a = &model->architecture;
  CordsTrial t;

  PetscFunctionBegin;
  CordsCheckUser(settings->loss_steps <= a->stimulus_steps, PETSC_COMM_WORLD,
                 "loss_steps is %" PetscInt_FMT ", but the stimulus lasts only %" PetscInt_FMT
                 " steps (-architecture_stimulus_steps)",
                 settings->loss_steps, a->stimulus_steps);
  PetscCall(PetscNew(&t));
  t->loss_steps = settings->loss_steps;
  t->task = CordsTrialTask(a, settings, with_baseline, batch_local);
  t->stimulus_steps = a->stimulus_steps;
  t->spontaneous_steps = t->task.spontaneous;
  t->spontaneous_weight = (double)settings->spontaneous_weight;
  t->return_steps = t->task.steps - t->stimulus_steps;
  CordsRampWeights(t->loss_steps, t->weights);
  PetscCall(CordsSystemCreateCut(context, model, settings->rollout.type, &t->system));
  PetscCall(CreateRollout(t, settings, batch_local));
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

PetscErrorCode CordsTrialDescribe(CordsTrial trial, char **text)
{
  return CordsPlanDescribe(&trial->cost, text);
}

PetscErrorCode CordsTrialSetPhi(CordsTrial trial, CordsPhi phi, PetscReal slope)
{
  return CordsSystemSetPhi(trial->system, phi, slope);
}

/* First state of the return that counts in S; the last is r[steps]. */
static PetscInt ReturnFirst(CordsTrial t)
{
  return t->task.steps + 1 - PetscMin(RETURN_STEPS_COUNTED, t->return_steps);
}

/* The share of one neuron of an area at one step in S. */
static double ReturnShare(CordsTrial t, PetscInt area)
{
  PetscInt counted = t->task.steps + 1 - ReturnFirst(t);
  const CordsArchitecture *a = &CordsSystemModel(t->system)->architecture;

  return 1.0 / ((double)counted * a->area_count * CordsAreaNeurons(&a->areas[area]) * t->total);
}

/* One state among those an observer is shown, as float32 in `work` if it is not. */
static const float *StateOf(CordsTrial t, const void *r, size_t number, size_t numbers, float *work)
{
  CordsType type = CordsSystemType(t->system);
  const char *state = (const char *)r + number * numbers * CordsTypeSize(type);

  if (type == CORDS_F32) return (const float *)state;
  CordsConvert(type, CORDS_F32, numbers, state, work);
  return work;
}

/* Square distances from the baseline of one area, times their share: the part of these states in S. */
static PetscErrorCode ObserveForward(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                                     const void *r)
{
  CordsTrial t = context;
  size_t neurons = (size_t)CordsSystemNeurons(t->system, area);
  const float *baseline = CordsSystemArea(t->system, 1, t->baseline.data, area);
  float *work;

  PetscFunctionBegin;
  if (first + count <= ReturnFirst(t)) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscMalloc1(neurons, &work));
  for (PetscInt step = PetscMax(first, ReturnFirst(t)); step < first + count; step++) {
    for (PetscInt item = 0; item < items; item++) {
      const float *state = StateOf(t, r, (size_t)(step - first) * items + item, neurons, work);
      double sum = 0;
      for (size_t k = 0; k < neurons; k++) {
        double difference = (double)state[k] - (double)baseline[k];
        sum += difference * difference;
      }
      t->spontaneous += ReturnShare(t, area) * sum;
    }
  }
  PetscCall(PetscFree(work));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ObserveBackward(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                                      const void *r, void *g)
{
  CordsTrial t = context;
  size_t neurons = (size_t)CordsSystemNeurons(t->system, area);
  const float *baseline = CordsSystemArea(t->system, 1, t->baseline.data, area);
  const float factor = (float)(2 * t->spontaneous_weight * ReturnShare(t, area));
  float *work;

  PetscFunctionBegin;
  if (first + count <= ReturnFirst(t)) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscMalloc1(neurons, &work));
  for (PetscInt step = PetscMax(first, ReturnFirst(t)); step < first + count; step++) {
    for (PetscInt item = 0; item < items; item++) {
      size_t number = (size_t)(step - first) * items + item;
      const float *state = StateOf(t, r, number, neurons, work);
      float *gradient = (float *)g + number * neurons;
      for (size_t k = 0; k < neurons; k++) gradient[k] += factor * (state[k] - baseline[k]);
    }
  }
  PetscCall(PetscFree(work));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The gradient of what leads into an area, which nothing will be added to any more. */
static PetscErrorCode ObserveDone(void *context, PetscInt area)
{
  CordsTrial t = context;

  PetscFunctionBegin;
  if (!t->last_part || area == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsSystemAddAreaGradient(t->system, area, t->gradient));
  PetscCall(CordsGradientSumArea(t->sum, area));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Losses of the last stimulus steps and their derivatives, added to those of other parts of the batch. */
static PetscErrorCode ReadOut(CordsTrial t, PetscInt n, const float *labels, CordsMetrics *metrics)
{
  PetscInt classes = CordsSystemModel(t->system)->architecture.classes;

  PetscFunctionBegin;
  PetscCall(CordsRolloutLogits(t->rollout, t->stimulus_steps - t->loss_steps, t->loss_steps, t->logits.data));
  for (PetscInt k = 0; k < t->loss_steps; k++) {
    CordsCrossEntropy(CORDS_F32, n, classes, CordsArrayItem(&t->logits, k * n), labels, t->total,
                      t->weights[k] / t->loss_steps, &metrics->loss_t[k], &metrics->accuracy_t[k],
                      CordsArrayItem(&t->dlogits, k * n));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* n images that are done at a time. */
static PetscErrorCode PartGradient(CordsTrial t, PetscInt n, const float *images, const float *labels,
                                   CordsMetrics *metrics)
{
  CordsPhase phases[2] = {{t->stimulus_steps, PETSC_TRUE}, {t->return_steps, PETSC_FALSE}};
  CordsObserver observer = {.context = t, .done = ObserveDone};

  PetscFunctionBegin;
  if (t->return_steps > 0) observer.forward = ObserveForward, observer.backward = ObserveBackward;
  if (n != CordsInputBatch(t->input)) { /* the last part of a batch */
    PetscCall(CordsInputDestroy(&t->input));
    PetscCall(CordsInputCreate(t->system, n, &t->input));
  }
  PetscCall(CordsInputSet(t->input, images));
  CordsSystemRepeat(t->system, n, t->baseline.data, t->state.data);
  PetscCall(CordsRolloutForward(t->rollout, n, t->input, 2, phases, PETSC_TRUE, t->state.data, &observer));
  PetscCall(ReadOut(t, n, labels, metrics));
  PetscCall(
      CordsRolloutBackward(t->rollout, t->stimulus_steps - t->loss_steps, t->loss_steps, t->dlogits.data, &observer));
  PetscCall(CordsInputGradient(t->input));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The sums over all parts of the batch put together.  All ranks of a domain group know the losses; the first tells. */
static void FinishMetrics(CordsTrial t, CordsMetrics *metrics)
{
  if (CordsSystemContext(t->system)->domain_rank > 0) *metrics = (CordsMetrics){0};
  for (PetscInt k = 0; k < t->loss_steps; k++) metrics->loss += t->weights[k] / t->loss_steps * metrics->loss_t[k];
  metrics->accuracy = metrics->accuracy_t[t->loss_steps - 1];
  metrics->spontaneous = t->spontaneous;
  metrics->loss += t->spontaneous_weight * t->spontaneous;
}

PetscErrorCode CordsTrialGradient(CordsTrial trial, PetscInt n, PetscInt total, const float *images,
                                  const float *labels, float *gradient, CordsGradientSum sum, CordsMetrics *metrics)
{
  CordsTrial t = trial;
  const CordsArchitecture *a = &CordsSystemModel(t->system)->architecture;
  size_t image = (size_t)a->image_rows * a->image_columns * a->image_channels;

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsSystemUpdate(t->system));
  PetscCall(CordsWeightsCollectIn(CordsSystemWeights(t->system), gradient));
  PetscCall(CordsSystemZeroGradient(t->system));
  if (t->spontaneous_steps > 0) {
    PetscCall(CordsRolloutSpontaneous(t->rollout, t->spontaneous_steps, t->baseline.data));
  }
  t->total = total;
  t->spontaneous = 0;
  t->gradient = gradient;
  t->sum = sum;
  for (PetscInt first = 0; first < n; first += t->cost.plan.images) {
    t->last_part = (PetscBool)(first + t->cost.plan.images >= n);
    PetscCall(PartGradient(t, PetscMin(t->cost.plan.images, n - first), images + (size_t)first * image,
                           labels + (size_t)first * a->classes, metrics));
  }
  FinishMetrics(t, metrics);
  PetscCall(CordsSystemAddAreaGradient(t->system, 0, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}
