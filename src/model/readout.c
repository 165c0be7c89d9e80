/* Read-out: the spatial mean of the last two areas through a linear classifier. */
#include "conv/pool.h"
#include "model/system_private.h"

PetscErrorCode CordsSystemFeatures(CordsSystem system, PetscInt n, const void *last, const void *before, void *features)
{
  const CordsAreaShape *area = &system->model->architecture.areas[system->model->architecture.area_count - 1];
  PetscInt pixels = area->rows * area->columns;

  PetscFunctionBegin;
  memset(features, 0, (size_t)n * area->channels * CordsTypeSize(system->master));
  CordsMeanReluAdd(system->type, n, pixels, area->channels, last, features);
  CordsMeanReluAdd(system->type, n, pixels, area->channels, before, features);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemFeaturesAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *r,
                                          const void *dfeatures, void *g)
{
  const CordsAreaShape *shape = &system->model->architecture.areas[area];

  PetscFunctionBegin;
  CordsMeanReluAdjointAdd(system->type, n, shape->rows * shape->columns, shape->channels, r, dfeatures, g);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemLogits(CordsSystem system, PetscInt n, const void *features, void *logits)
{
  const CordsArchitecture *a = &system->model->architecture;

  PetscFunctionBegin;
  PetscCall(CordsConvForward(CordsSystemConv(system, a->readout), n, features, logits, PETSC_FALSE));
  CordsAddPeriodic(system->master, n, 1, (size_t)a->classes, system->readout_bias.data, logits);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemLogitsBackward(CordsSystem system, PetscInt n, const void *features, const void *dlogits,
                                         void *dfeatures)
{
  const CordsArchitecture *a = &system->model->architecture;
  CordsConv conv = CordsSystemConv(system, a->readout);

  PetscFunctionBegin;
  PetscCall(CordsConvBackwardWeights(conv, n, features, dlogits, CordsWeightsGradient(system->weights, a->readout)));
  CordsSumPeriodic(system->master, n, 1, (size_t)a->classes, dlogits, system->readout_bias_gradient.data);
  PetscCall(CordsConvBackwardData(conv, n, dlogits, dfeatures, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}
