#include "model/system.h"

#include "model/system_private.h"

PetscErrorCode CordsSystemCreate(CordsModel model, CordsType type, CordsSystem *system)
{
  return CordsSystemCreateCut(CordsContextSelf(), model, type, system);
}

static PetscErrorCode CreatePool(CordsSystem s)
{
  const CordsArchitecture *a = &s->model->architecture;

  PetscFunctionBegin;
  if (a->pool_kernel > 0) {
    const CordsConvShape pool = CordsArchitecturePool(a);
    PetscCall(CordsCutPoolCreate(s->context, &pool, s->master, &s->pool));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemCreateCut(CordsContext context, CordsModel model, CordsType type, CordsSystem *system)
{
  const CordsArchitecture *a = &model->architecture;
  CordsSystem s;

  PetscFunctionBegin;
  PetscCheck(model->form == CORDS_FORM_RECURRENT, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "not a recurrent network");
  PetscCall(PetscNew(&s));
  s->context = context;
  PetscCall(CordsContextUncut(context->domain_comm, &s->group));
  s->model = model;
  s->type = type;
  s->master = CordsTypeMaster(type);
  PetscCall(CordsAreaTypeFind("rate", &s->kind));
  for (PetscInt i = 0; i < a->area_count; i++) {
    const CordsAreaShape *shape = &a->areas[i];
    PetscInt neurons;
    s->layouts[i] = CordsLayoutOf(context, shape->rows, shape->columns, shape->channels);
    neurons = CordsLayoutLocalSize(&s->layouts[i]);
    s->offsets[i + 1] = s->offsets[i] + neurons;
    s->laws[i].alpha = (double)CordsArchitectureAlpha(a, i);
    PetscCall(CordsArrayCreate(type, 1, neurons, &s->biases[i]));
    PetscCall(CordsArrayCreate(s->master, 1, neurons, &s->bias_gradients[i]));
  }
  PetscCall(CordsArrayCreate(s->master, 1, a->classes, &s->readout_bias));
  PetscCall(CordsArrayCreate(s->master, 1, a->classes, &s->readout_bias_gradient));
  PetscCall(CordsWeightsCreateCut(context, model, type, &s->weights));
  PetscCall(CreatePool(s));
  PetscCall(CordsSystemSetPhi(s, a->phi, 0));
  PetscCall(CordsSystemUpdate(s));
  *system = s;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemDestroy(CordsSystem *system)
{
  CordsSystem s = *system;

  PetscFunctionBegin;
  if (!s) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; i < s->model->architecture.area_count; i++) {
    PetscCall(CordsArrayDestroy(&s->biases[i]));
    PetscCall(CordsArrayDestroy(&s->bias_gradients[i]));
  }
  PetscCall(CordsArrayDestroy(&s->readout_bias));
  PetscCall(CordsArrayDestroy(&s->readout_bias_gradient));
  for (int k = 0; k < CORDS_WORK_COUNT; k++) PetscCall(CordsArrayDestroy(&s->work[k]));
  PetscCall(CordsCutPoolDestroy(&s->pool));
  PetscCall(CordsWeightsDestroy(&s->weights));
  PetscCall(PetscFree(s));
  *system = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsContext CordsSystemContext(CordsSystem system)
{
  return system->context;
}

CordsModel CordsSystemModel(CordsSystem system)
{
  return system->model;
}

CordsWeights CordsSystemWeights(CordsSystem system)
{
  return system->weights;
}

CordsType CordsSystemType(CordsSystem system)
{
  return system->type;
}

PetscInt CordsSystemOffset(CordsSystem system, PetscInt area)
{
  return system->offsets[area];
}

PetscInt CordsSystemNeurons(CordsSystem system, PetscInt area)
{
  return system->offsets[area + 1] - system->offsets[area];
}

void *CordsSystemArea(CordsSystem system, PetscInt n, const void *state, PetscInt area)
{
  return (char *)state + (size_t)n * (size_t)system->offsets[area] * CordsTypeSize(system->master);
}

PetscInt CordsSystemMostNeurons(CordsSystem system, PetscInt area)
{
  const CordsLayout *l = &system->layouts[area];
  const CordsLayout first =
      CordsLayoutCut(l->rows, l->columns, l->channels, system->context->grid_rows, system->context->grid_columns, 0);

  return CordsLayoutLocalSize(&first);
}

PetscInt CordsSystemLargestArea(CordsSystem system)
{
  PetscInt largest = 0;

  for (PetscInt i = 0; i < system->model->architecture.area_count; i++)
    largest = PetscMax(largest, CordsSystemMostNeurons(system, i));
  return largest;
}

void CordsSystemRepeat(CordsSystem system, PetscInt n, const void *one, void *state)
{
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    size_t bytes = (size_t)CordsSystemNeurons(system, i) * CordsTypeSize(system->master);
    char *to = CordsSystemArea(system, n, state, i);
    for (PetscInt k = 0; k < n; k++) memcpy(to + (size_t)k * bytes, CordsSystemArea(system, 1, one, i), bytes);
  }
}

PetscErrorCode CordsSystemSetPhi(CordsSystem system, CordsPhi phi, PetscReal slope)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    system->laws[i].phi = phi;
    system->laws[i].slope = (double)slope;
    system->has_fused_step = system->kind->fused(&system->laws[i], &system->fused_laws[i]);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemWork(CordsSystem system, CordsWork which, size_t numbers, void **data)
{
  CordsArray *work = &system->work[which];

  PetscFunctionBegin;
  if ((size_t)work->items < numbers) {
    PetscCall(CordsArrayDestroy(work));
    PetscCall(CordsArrayCreate(system->type, (PetscInt)numbers, 1, work));
  }
  *data = work->data;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void SetNumber(CordsType type, void *array, PetscInt k, double value)
{
  if (type == CORDS_F64)
    ((double *)array)[k] = value;
  else if (type == CORDS_BF16)
    ((uint16_t *)array)[k] = CordsToBf16((float)value);
  else
    ((float *)array)[k] = (float)value;
}

static double GetNumber(CordsType type, const void *array, PetscInt k)
{
  return type == CORDS_F64 ? ((const double *)array)[k] : (double)((const float *)array)[k];
}

/* conv_bias of area i in the model. */
static const CordsTensor *BiasTensor(CordsModel model, PetscInt area)
{
  char name[32];

  snprintf(name, sizeof name, "conv_bias.%" PetscInt_FMT, area);
  return &model->tensors[CordsModelFind(model, name)];
}

PetscErrorCode CordsSystemUpdate(CordsSystem system)
{
  CordsModel model = system->model;
  const float *readout_bias = CordsModelValues(model, "out_fc.bias");

  PetscFunctionBegin;
  PetscCall(CordsWeightsUpdate(system->weights));
  for (PetscInt i = 0; i < model->architecture.area_count; i++) {
    const float *bias = BiasTensor(model, i)->data;
    CORDS_LAYOUT_FOR_EACH(&system->layouts[i], torch, ours)
    {
      SetNumber(system->type, system->biases[i].data, ours, (double)bias[torch]);
    }
  }
  for (PetscInt k = 0; k < model->architecture.classes; k++) {
    SetNumber(system->master, system->readout_bias.data, k, (double)readout_bias[k]);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemZeroGradient(CordsSystem system)
{
  PetscFunctionBegin;
  PetscCall(CordsWeightsZeroGradient(system->weights));
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    memset(system->bias_gradients[i].data, 0, CordsSystemNumbers(system, i, 1) * CordsTypeSize(system->master));
  }
  memset(system->readout_bias_gradient.data, 0,
         (size_t)system->readout_bias_gradient.elements * CordsTypeSize(system->master));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void AddBiasGradient(CordsSystem system, PetscInt area, float *gradient)
{
  float *part = gradient + (BiasTensor(system->model, area)->data - system->model->values);

  CORDS_LAYOUT_FOR_EACH(&system->layouts[area], torch, ours)
  {
    part[torch] += (float)GetNumber(system->master, system->bias_gradients[area].data, ours);
  }
}

/* What leads into the first area, and the read-out. */
static PetscErrorCode AddOtherGradients(CordsSystem system, float *gradient)
{
  const CordsArchitecture *a = &system->model->architecture;
  const PetscInt connections[] = {a->stem, a->input_skip, a->readout, a->feedforward[0], a->recurrent[0]};
  float *part = gradient + (CordsModelValues(system->model, "out_fc.bias") - system->model->values);

  PetscFunctionBegin;
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(connections); k++) {
    if (connections[k] >= 0) PetscCall(CordsWeightsAddConnectionGradient(system->weights, connections[k], gradient));
  }
  for (PetscInt k = 0; k < a->classes; k++)
    part[k] += (float)GetNumber(system->master, system->readout_bias_gradient.data, k);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemAddAreaGradient(CordsSystem system, PetscInt area, float *gradient)
{
  const CordsArchitecture *a = &system->model->architecture;
  const PetscInt connections[] = {a->recurrent[area], a->feedforward[area], a->skip[area]};

  PetscFunctionBegin;
  AddBiasGradient(system, area, gradient);
  if (area == 0) {
    PetscCall(AddOtherGradients(system, gradient));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(connections); k++) {
    if (connections[k] >= 0) PetscCall(CordsWeightsAddConnectionGradient(system->weights, connections[k], gradient));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemAddGradient(CordsSystem system, float *gradient)
{
  PetscFunctionBegin;
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++)
    PetscCall(CordsSystemAddAreaGradient(system, i, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemAddBias(CordsSystem system, PetscInt area, PetscInt n, void *z)
{
  CordsAddPeriodic(system->type, n, 1, CordsSystemNumbers(system, area, 1), system->biases[area].data, z);
  return PETSC_SUCCESS;
}

PetscErrorCode CordsSystemBiasBackward(CordsSystem system, PetscInt area, PetscInt n, const void *dz)
{
  CordsSumPeriodic(system->type, n, 1, CordsSystemNumbers(system, area, 1), dz, system->bias_gradients[area].data);
  return PETSC_SUCCESS;
}

PetscErrorCode CordsSystemSynapses(CordsSystem system, PetscInt area, PetscInt n, const void *r, void *u)
{
  return CordsConvForward(CordsSystemConv(system, system->model->architecture.recurrent[area]), n, r, u, PETSC_TRUE);
}

PetscErrorCode CordsSystemSynapsesAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *w, void *v)
{
  return CordsConvBackwardData(CordsSystemConv(system, system->model->architecture.recurrent[area]), n, w, v,
                               PETSC_TRUE);
}

PetscErrorCode CordsSystemSynapsesGradient(CordsSystem system, PetscInt area, PetscInt n, const void *r, const void *du)
{
  return CordsSystemCollectWeights(system, system->model->architecture.recurrent[area], n, r, du);
}

PetscErrorCode CordsSystemCollectWeights(CordsSystem system, PetscInt connection, PetscInt n, const void *x,
                                         const void *dy)
{
  PetscFunctionBegin;
  PetscCall(CordsConvBackwardWeights(CordsSystemConv(system, connection), n, x, dy,
                                     CordsWeightsGradient(system->weights, connection)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsSystemHasFusedStep(CordsSystem system)
{
  return system->has_fused_step;
}

CordsStates CordsSystemStatesFrom(CordsSystem system, PetscInt n, const void *state)
{
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    const CordsConvLaw *law = &system->fused_laws[i];
    if (!system->has_fused_step || law->slope != 0 || law->keep < 0 || law->gain < 0) return CORDS_STATES_ANY;
  }
  return CordsNonNegative(system->master,
                          (size_t)n * (size_t)CordsSystemOffset(system, system->model->architecture.area_count), state)
             ? CORDS_STATES_POSITIVE
             : CORDS_STATES_ANY;
}

static CordsConv RecurrentConv(CordsSystem system, PetscInt area)
{
  return CordsSystemConv(system, system->model->architecture.recurrent[area]);
}

size_t CordsSystemMaskWords(CordsSystem system, PetscInt area)
{
  return CordsConvMaskWords(CordsConvGetShape(RecurrentConv(system, area)));
}

PetscErrorCode CordsSystemFusedStep(CordsSystem system, PetscInt area, PetscInt n, const void *x, const void *z,
                                    PetscInt period, const void *r, void *r_next, void *x_next, uint16_t *mask)
{
  return CordsConvStep(RecurrentConv(system, area), n, &system->fused_laws[area], x, z, period, r, r_next, x_next,
                       mask);
}

PetscErrorCode CordsSystemFusedStepAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *du, const void *g,
                                           const void *later, const uint16_t *mask, void *lambda, void *du_before)
{
  return CordsConvStepAdjoint(RecurrentConv(system, area), n, &system->fused_laws[area], du, g, later, mask, lambda,
                              du_before);
}

PetscErrorCode CordsSystemThroughPhi(CordsSystem system, PetscInt area, PetscInt n, const uint16_t *mask,
                                     const void *lambda, void *du)
{
  CordsConvMaskMultiply(CordsConvGetShape(RecurrentConv(system, area)), system->type, n, &system->fused_laws[area],
                        mask, lambda, du);
  return PETSC_SUCCESS;
}

PetscErrorCode CordsSystemStep(CordsSystem system, PetscInt area, PetscInt n, const void *u, const void *r,
                               void *r_next)
{
  system->kind->step(&system->laws[area], system->type, CordsSystemNumbers(system, area, n), u, r, r_next);
  return PETSC_SUCCESS;
}

PetscErrorCode CordsSystemSlope(CordsSystem system, PetscInt area, PetscInt n, const void *u, void *slope)
{
  system->kind->slope(&system->laws[area], system->type, CordsSystemNumbers(system, area, n), u, slope);
  return PETSC_SUCCESS;
}

PetscErrorCode CordsSystemResidual(CordsSystem system, PetscInt area, PetscInt n, const void *z, const void *r,
                                   void *work, void *f)
{
  size_t numbers = CordsSystemNumbers(system, area, n);

  PetscFunctionBegin;
  memcpy(work, z, numbers * CordsTypeSize(system->type));
  PetscCall(CordsSystemSynapses(system, area, n, r, work));
  system->kind->rhs(&system->laws[area], system->type, numbers, work, r, f);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemRhs(CordsSystem system, CordsInput input, const void *r, void *f)
{
  PetscInt n = input ? input->batch : 1;
  CordsArray z, work;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < system->model->architecture.area_count; i++) {
    PetscCall(CordsArrayCreate(system->type, n, CordsSystemNeurons(system, i), &z));
    PetscCall(CordsArrayCreate(system->type, n, CordsSystemNeurons(system, i), &work));
    PetscCall(CordsSystemDrive(system, i, n, CORDS_STATES_ANY, input,
                               i >= 1 ? CordsSystemArea(system, n, r, i - 1) : NULL,
                               i >= 2 ? CordsSystemArea(system, n, r, i - 2) : NULL, z.data));
    PetscCall(CordsSystemResidual(system, i, n, z.data, CordsSystemArea(system, n, r, i), work.data,
                                  CordsSystemArea(system, n, f, i)));
    PetscCall(CordsArrayDestroy(&z));
    PetscCall(CordsArrayDestroy(&work));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}
