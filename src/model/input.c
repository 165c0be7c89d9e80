/* What depends on the images only: inp = pool(inp_conv(image)), S inp, V_0 inp.  Constant during a phase, so computed
   once, and its gradients are carried back once, summed over the time steps. */
#include "model/system_private.h"

/* Numbers of this rank in a map. */
static PetscInt LocalSize(CordsSystem system, PetscInt rows, PetscInt columns, PetscInt channels)
{
  const CordsLayout layout = CordsLayoutOf(system->context, rows, columns, channels);

  return CordsLayoutLocalSize(&layout);
}

PetscErrorCode CordsInputCreate(CordsSystem system, PetscInt batch, CordsInput *input)
{
  const CordsArchitecture *a = &system->model->architecture;
  const PetscInt channels = a->stem_channels, neurons = CordsSystemNeurons(system, 0);
  CordsType master = CordsTypeMaster(system->type);
  CordsInput in;

  PetscFunctionBegin;
  PetscCall(PetscNew(&in));
  in->system = system;
  in->batch = batch;
  PetscCall(CordsArrayCreate(master, batch, LocalSize(system, a->image_rows, a->image_columns, a->image_channels),
                             &in->images));
  PetscCall(CordsArrayCreate(master, batch, LocalSize(system, a->stem_rows, a->stem_columns, channels), &in->stem));
  PetscCall(CordsArrayCreate(master, batch, LocalSize(system, a->input_rows, a->input_columns, channels), &in->inp));
  PetscCall(CordsArrayCreate(system->type, batch, neurons, &in->skip));
  PetscCall(CordsArrayCreate(master, batch, neurons, &in->skip_gradient));
  PetscCall(CordsArrayCreate(system->type, batch, neurons, &in->drive));
  PetscCall(CordsArrayCreate(master, batch, neurons, &in->drive_gradient));
  *input = in;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsInputDestroy(CordsInput *input)
{
  PetscFunctionBegin;
  if (!*input) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsArrayDestroy(&(*input)->images));
  PetscCall(CordsArrayDestroy(&(*input)->stem));
  PetscCall(CordsArrayDestroy(&(*input)->inp));
  PetscCall(CordsArrayDestroy(&(*input)->skip));
  PetscCall(CordsArrayDestroy(&(*input)->skip_gradient));
  PetscCall(CordsArrayDestroy(&(*input)->drive));
  PetscCall(CordsArrayDestroy(&(*input)->drive_gradient));
  PetscCall(PetscFree(*input));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscInt CordsInputBatch(CordsInput input)
{
  return input->batch;
}

static void ZeroArray(CordsArray *array)
{
  memset(array->data, 0, (size_t)array->items * (size_t)array->elements * CordsTypeSize(array->type));
}

/* One convolution of inp, computed in M. */
static PetscErrorCode ForwardFromInput(CordsInput input, PetscInt connection, CordsArray *y)
{
  CordsConv conv = CordsSystemConv(input->system, connection);
  CordsArray exact;

  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(input->system->master, y->items, y->elements, &exact));
  PetscCall(CordsConvForward(conv, input->batch, input->inp.data, exact.data, PETSC_FALSE));
  CordsConvert(exact.type, y->type, (size_t)y->items * (size_t)y->elements, exact.data, y->data);
  PetscCall(CordsArrayDestroy(&exact));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsInputSet(CordsInput input, const float *images)
{
  CordsSystem system = input->system;
  const CordsArchitecture *a = &system->model->architecture;
  const CordsLayout layout = CordsLayoutOf(system->context, a->image_rows, a->image_columns, a->image_channels);
  const void *stem = input->images.data;

  PetscFunctionBegin;
  CordsConvertTiles(&layout, input->images.type, input->batch, images, input->images.data);
  if (a->stem >= 0) {
    PetscCall(CordsConvForward(CordsSystemConv(system, a->stem), input->batch, input->images.data, input->stem.data,
                               PETSC_FALSE));
    stem = input->stem.data;
  }
  if (a->pool_kernel > 0) {
    PetscCall(CordsCutPoolForward(system->pool, input->batch, stem, input->inp.data));
  } else {
    memcpy(input->inp.data, stem, (size_t)input->batch * input->inp.elements * CordsTypeSize(system->master));
  }
  PetscCall(ForwardFromInput(input, a->input_skip, &input->skip));
  PetscCall(ForwardFromInput(input, a->feedforward[0], &input->drive));
  ZeroArray(&input->skip_gradient);
  ZeroArray(&input->drive_gradient);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Gradient of one convolution of inp: its weights, and on to inp. */
static PetscErrorCode BackwardFromInput(CordsInput input, PetscInt connection, const void *dy, void *dinp,
                                        PetscBool accumulate)
{
  CordsSystem system = input->system;
  CordsConv conv = CordsSystemConv(system, connection);

  PetscFunctionBegin;
  PetscCall(CordsConvBackwardWeights(conv, input->batch, input->inp.data, dy,
                                     CordsWeightsGradient(system->weights, connection)));
  PetscCall(CordsConvBackwardData(conv, input->batch, dy, dinp, accumulate));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsInputGradient(CordsInput input)
{
  CordsSystem system = input->system;
  const CordsArchitecture *a = &system->model->architecture;
  CordsArray dinp, dstem;

  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(system->master, input->batch, input->inp.elements, &dinp));
  PetscCall(BackwardFromInput(input, a->feedforward[0], input->drive_gradient.data, dinp.data, PETSC_FALSE));
  PetscCall(BackwardFromInput(input, a->input_skip, input->skip_gradient.data, dinp.data, PETSC_TRUE));
  if (a->stem >= 0) {
    PetscCall(CordsArrayCreate(system->master, input->batch, input->stem.elements, &dstem));
    if (a->pool_kernel > 0)
      PetscCall(CordsCutPoolAdjoint(system->pool, input->batch, dinp.data, dstem.data));
    else
      memcpy(dstem.data, dinp.data, (size_t)input->batch * dinp.elements * CordsTypeSize(system->master));
    PetscCall(CordsConvBackwardWeights(CordsSystemConv(system, a->stem), input->batch, input->images.data, dstem.data,
                                       CordsWeightsGradient(system->weights, a->stem)));
    PetscCall(CordsArrayDestroy(&dstem));
  }
  PetscCall(CordsArrayDestroy(&dinp));
  PetscFunctionReturn(PETSC_SUCCESS);
}
