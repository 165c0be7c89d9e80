#include "bench/network.h"

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

PetscErrorCode CordsBenchNetworkCreate(CordsContext context, const CordsArchitecture *architecture, CordsType type,
                                       PetscInt batch, CordsBenchNetwork *network)
{
  size_t image = ImageNumbers(architecture);

  PetscFunctionBegin;
  memset(network, 0, sizeof *network);
  network->type = type;
  network->batch = batch;
  PetscCall(CordsModelCreate(architecture, CORDS_FORM_RECURRENT, &network->model));
  PetscCall(CordsModelInitialise(network->model, context->seed));
  SetBiases(network->model);
  PetscCall(PetscMalloc1((size_t)batch * image, &network->images));
  PetscCall(PetscCalloc1((size_t)batch * architecture->classes, &network->labels));
  PetscCall(PetscCalloc1((size_t)batch * architecture->classes, &network->logits));
  for (size_t k = 0; k < (size_t)batch * image; k++) { /* any pattern with structure does */
    network->images[k] = (float)((double)((k * 2654435761u) % 1000) / 500 - 1);
  }
  for (PetscInt k = 0; k < batch; k++) network->labels[k * architecture->classes + k % architecture->classes] = 1;
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
  PetscCall(CordsSystemCreate(network->model, network->type, &network->system));
  network->plan = CordsPlanFast(network->system, &task);
  PetscCall(CordsPlanMake(network->system, &task, 0, TrialBytes(a, network->plan.images), &cost));
  network->plan = cost.plan;
  network->planned_bytes = cost.rollout_bytes + cost.other_bytes;
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

/* What the stage tells the user of its memory: "...: 123 MB (...". */
static PetscErrorCode PlannedBytes(CordsStage stage, double *bytes)
{
  const char *place;
  char *text = NULL;

  PetscFunctionBegin;
  PetscCall(CordsStageDescribe(stage, &text));
  place = text ? strstr(text, "steps kept: ") : NULL;
  *bytes = place ? 1e6 * strtod(place + strlen("steps kept: "), NULL) : 0;
  PetscCall(PetscFree(text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchStepCreate(CordsContext context, const CordsRolloutSettings *settings,
                                    CordsBenchNetwork *network)
{
  const CordsArchitecture *a = &network->model->architecture;
  CordsStageSettings stage;
  PetscInt index;

  PetscFunctionBegin;
  PetscCall(FindFinetune(&index));
  PetscCall(CordsStageSettingsDefault(index, &stage));
  stage.rollout = *settings;
  stage.rollout.type = network->type;
  stage.loss_steps = PetscMin(stage.loss_steps, a->stimulus_steps);
  PetscCall(CordsStageCreate(context, index, &stage, a, network->batch, network->model, PETSC_FALSE, &network->stage));
  PetscCall(PlannedBytes(network->stage, &network->planned_bytes));
  PetscCall(CordsStageOptimizer(network->stage, &network->optimizer));
  PetscCall(PetscMalloc1(network->model->learnable_values, &network->gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchStep(void *data)
{
  CordsBenchNetwork *net = data;
  double rate = (double)CordsStageGetSettings(net->stage)->learning_rate;

  PetscFunctionBegin;
  PetscCall(CordsStageGradient(net->stage, 0, net->batch, net->batch, net->images, net->labels, net->gradient,
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
