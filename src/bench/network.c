#include "bench/network.h"

#include "bench/used_backends.h"
#include "model/weights.h"

#include <stdlib.h>
#include <string.h>

static size_t ImageNumbers(const CordsArchitecture *a)
{
  return (size_t)a->image_rows * a->image_columns * a->image_channels;
}

/* PyTorch's initial biases are zero, which would leave the spontaneous phase at rest. */
static void SetBiases(CordsModel model)
{
  for (PetscInt t = 0; t < model->tensor_count; t++) {
    float *values = model->tensors[t].data;
    if (strncmp(model->tensors[t].name, "conv_bias.", 10) != 0) continue;
    for (PetscInt k = 0; k < CordsTensorSize(&model->tensors[t]); k++)
      values[k] = (float)((double)((k * 2246822519u) % 1000) / 5000 - 0.1);
  }
}

/* Any pattern with structure does.  first: number of this rank's first image in the batch. */
static void SetImages(const CordsArchitecture *a, PetscInt first, CordsBenchNetwork *network)
{
  size_t image = ImageNumbers(a);

  for (size_t k = 0; k < (size_t)network->batch * image; k++) {
    size_t place = (size_t)first * image + k;
    network->images[k] = (float)((double)((place * 2654435761u) % 1000) / 500 - 1);
  }
  for (PetscInt k = 0; k < network->batch; k++) network->labels[k * a->classes + (first + k) % a->classes] = 1;
}

PetscErrorCode CordsBenchNetworkCreate(CordsContext context, const CordsArchitecture *architecture, CordsType type,
                                       PetscInt batch, CordsBenchNetwork *network)
{
  PetscInt first = batch * context->group_rank / context->group_size;

  PetscFunctionBegin;
  memset(network, 0, sizeof *network);
  network->context = context;
  network->type = type;
  network->total = batch;
  network->batch = batch * (context->group_rank + 1) / context->group_size - first;
  PetscCall(CordsModelCreate(architecture, CORDS_FORM_RECURRENT, &network->model));
  PetscCall(CordsModelInitialise(network->model, context->seed));
  SetBiases(network->model);
  PetscCall(PetscMalloc1((size_t)network->batch * ImageNumbers(architecture), &network->images));
  PetscCall(PetscCalloc1((size_t)network->batch * architecture->classes, &network->labels));
  PetscCall(PetscCalloc1((size_t)network->batch * architecture->classes, &network->logits));
  SetImages(architecture, first, network);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchNetworkDestroy(CordsBenchNetwork *network)
{
  PetscFunctionBegin;
  if (network->rollout) PetscCall(CordsRolloutDestroy(&network->rollout));
  if (network->input) PetscCall(CordsInputDestroy(&network->input));
  if (network->system) PetscCall(CordsSystemDestroy(&network->system));
  if (network->stage) {
    PetscCall(CordsOptimizerDestroy(&network->optimizer));
    PetscCall(CordsStageDestroy(&network->stage));
  }
  PetscCall(CordsArrayDestroy(&network->baseline));
  PetscCall(CordsArrayDestroy(&network->state));
  PetscCall(CordsModelDestroy(&network->model));
  PetscCall(PetscFree(network->images));
  PetscCall(PetscFree(network->labels));
  PetscCall(PetscFree(network->logits));
  PetscCall(PetscFree(network->gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Of what CordsBenchTrialCreate makes beside the rollout: states, baseline, what depends on the images. */
static double TrialBytes(const CordsArchitecture *a, PetscInt images)
{
  double stem = (double)a->stem_rows * a->stem_columns * a->stem_channels;

  return sizeof(float) *
         ((1.0 + images) * CordsArchitectureNeurons(a) + images * (2 * stem + 6.0 * CordsAreaNeurons(&a->areas[0])));
}

PetscErrorCode CordsBenchTrialCreate(CordsBenchNetwork *network)
{
  const CordsArchitecture *a = &network->model->architecture;
  CordsPlanTask task = {.batch = network->batch, .spontaneous = a->spontaneous_steps, .steps = a->stimulus_steps};
  PetscInt neurons = CordsArchitectureNeurons(a);
  CordsPlanCost cost;

  PetscFunctionBegin;
  PetscCall(CordsWeightsPrepare(network->context, a, network->type));
  PetscCall(CordsSystemCreateCut(network->context, network->model, network->type, &network->system));
  network->plan = CordsPlanFast(network->system, &task);
  PetscCall(CordsPlanMake(network->system, &task, 0, TrialBytes(a, network->plan.images), &cost));
  network->plan = cost.plan;
  network->planned_bytes = cost.states_bytes + cost.other_bytes;
  PetscCall(CordsInputCreate(network->system, network->plan.images, &network->input));
  PetscCall(CordsRolloutCreate(network->system, NULL, &network->plan, PetscMax(a->stimulus_steps, a->spontaneous_steps),
                               PETSC_FALSE, &network->rollout));
  PetscCall(CordsArrayCreate(CORDS_F32, 1, neurons, &network->baseline));
  PetscCall(CordsArrayCreate(CORDS_F32, network->plan.images, neurons, &network->state));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchTrial(void *data)
{
  CordsBenchNetwork *net = data;
  const CordsArchitecture *a = &net->model->architecture;
  CordsPhase stimulus = {a->stimulus_steps, PETSC_TRUE};

  PetscFunctionBegin;
  PetscCall(CordsSystemUpdate(net->system));
  PetscCall(CordsRolloutSpontaneous(net->rollout, a->spontaneous_steps, net->baseline.data));
  for (PetscInt first = 0; first < net->batch; first += net->plan.images) {
    PetscInt n = PetscMin(net->plan.images, net->batch - first);
    if (n != CordsInputBatch(net->input)) {
      PetscCall(CordsInputDestroy(&net->input));
      PetscCall(CordsInputCreate(net->system, n, &net->input));
    }
    PetscCall(CordsInputSet(net->input, net->images + (size_t)first * ImageNumbers(a)));
    CordsSystemRepeat(net->system, n, net->baseline.data, net->state.data);
    PetscCall(CordsRolloutForward(net->rollout, n, net->input, 1, &stimulus, PETSC_FALSE, net->state.data, NULL));
    PetscCall(CordsRolloutLogits(net->rollout, a->stimulus_steps - 1, 1, net->logits + first * a->classes));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode FindFinetune(PetscInt *index)
{
  const char *const *names;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  for (*index = 0; *index < count; (*index)++) {
    if (strcmp(names[*index], "finetune") == 0) break;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The number after some words of a text, 0 without them. */
static double NumberAfter(const char *text, const char *words)
{
  const char *place = text ? strstr(text, words) : NULL;

  return place ? strtod(place + strlen(words), NULL) : 0;
}

/* What the stage tells the user of its plan: "memory: 1 of 2 images at a time, ... steps kept: 123 MB (...". */
static PetscErrorCode ReadPlan(CordsBenchNetwork *network)
{
  char *text = NULL;

  PetscFunctionBegin;
  PetscCall(CordsStageDescribe(network->stage, &text));
  network->planned_bytes = 1e6 * NumberAfter(text, "steps kept: ");
  network->plan.images = (PetscInt)NumberAfter(text, "memory: ");
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchStepCreate(CordsBenchNetwork *network)
{
  const CordsArchitecture *a = &network->model->architecture;
  CordsStageSettings stage;
  PetscInt index;

  PetscFunctionBegin;
  PetscCall(FindFinetune(&index));
  PetscCall(CordsStageSettingsDefault(index, &stage));
  stage.rollout.type = network->type;
  stage.loss_steps = PetscMin(stage.loss_steps, a->stimulus_steps);
  PetscCall(CordsStageCreate(network->context, index, &stage, a, network->batch, network->model, PETSC_FALSE,
                             &network->stage)); /* chooses kernels */
  PetscCall(ReadPlan(network));
  PetscCall(CordsStageOptimizer(network->stage, &network->optimizer));
  PetscCall(PetscMalloc1(CordsStageModel(network->stage)->learnable_values, &network->gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

void CordsBenchNetworkBackends(const CordsBenchNetwork *network, PetscInt operations, size_t length, char *text)
{
  const PetscInt block = PETSC_MAX_INT; /* of steps, one call: many images */
  CordsBenchCalls calls = {network->type, operations, network->plan.images, block};

  CordsBenchBackends(&network->model->architecture, &calls, length, text);
}

PetscErrorCode CordsBenchStep(void *data)
{
  CordsBenchNetwork *net = data;
  double rate = (double)CordsStageGetSettings(net->stage)->learning_rate;

  PetscFunctionBegin;
  PetscCall(CordsStageGradientSum(net->stage, 0, net->batch, net->total, net->images, net->labels, net->gradient,
                                  &net->metrics));
  PetscCall(CordsOptimizerStep(net->optimizer, rate, net->gradient, &net->gradient_norm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsBenchTrialOperations(const CordsArchitecture *a, PetscInt batch)
{
  return CordsBenchStepOperations(a) * (a->spontaneous_steps + (double)batch * a->stimulus_steps);
}

double CordsBenchStepOperationsOf(const CordsArchitecture *a, PetscInt batch)
{
  return CordsBenchStepOperations(a) * (a->spontaneous_steps + 3.0 * batch * (a->stimulus_steps + a->return_steps));
}
