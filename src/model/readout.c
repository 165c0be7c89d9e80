/* Read-out: the spatial mean of the last two areas through a linear classifier. */
#include "conv/pool.h"
#include "core/reduce.h"
#include "model/system_private.h"

PetscErrorCode CordsSystemFeatures(CordsSystem system, PetscInt n, const void *last, const void *before, void *features)
{
  const PetscInt area = system->model->architecture.area_count - 1;
  const PetscInt own = CordsLayoutLocalPixels(&system->layouts[area]);
  const CordsAreaShape *shape = &system->model->architecture.areas[area];
  const PetscInt all = shape->rows * shape->columns, count = n * shape->channels;

  PetscFunctionBegin;
  memset(features, 0, (size_t)count * CordsTypeSize(system->master));
  CordsMeanReluAdd(system->type, n, own, all, shape->channels, last, features);
  CordsMeanReluAdd(system->type, n, own, all, shape->channels, before, features);
  if (system->master == CORDS_F64)
    PetscCall(CordsReduceSumF64(&system->group, count, features));
  else
    PetscCall(CordsReduceSumF32(&system->group, count, features));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemFeaturesAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *r,
                                          const void *dfeatures, void *g)
{
  const CordsAreaShape *shape = &system->model->architecture.areas[area];

  PetscFunctionBegin;
  CordsMeanReluAdjointAdd(system->type, n, CordsLayoutLocalPixels(&system->layouts[area]), shape->rows * shape->columns,
                          shape->channels, r, dfeatures, g);
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
  if (system->context->domain_rank == 0) { /* all ranks of a group have the same features; gradients are summed later */
    PetscCall(CordsConvBackwardWeights(conv, n, features, dlogits, CordsWeightsGradient(system->weights, a->readout)));
    CordsSumPeriodic(system->master, n, 1, (size_t)a->classes, dlogits, system->readout_bias_gradient.data);
  }
  PetscCall(CordsConvBackwardData(conv, n, dlogits, dfeatures, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}
