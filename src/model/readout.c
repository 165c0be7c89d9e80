/* Read-out: the spatial mean of the last two areas through a linear classifier. */
#include "model/system_private.h"

#define DEFINE(T, suffix)                                                                                              \
  /* features[item][channel] += mean over pixels of ρ(r) */                                                           \
  static void AddFeatures##suffix(PetscInt n, PetscInt pixels, PetscInt channels, const T *r, T *features)             \
  {                                                                                                                    \
    const T weight = (T)1 / (T)pixels;                                                                                 \
    _Pragma("omp parallel for schedule(static)") for (PetscInt k = 0; k < n; k++)                                      \
    {                                                                                                                  \
      T *out = features + (size_t)k * channels;                                                                        \
      const T *in = r + (size_t)k * pixels * channels;                                                                 \
      for (PetscInt p = 0; p < pixels; p++)                                                                            \
        for (PetscInt c = 0; c < channels; c++)                                                                        \
          out[c] += in[p * channels + c] > 0 ? weight * in[p * channels + c] : 0;                                      \
    }                                                                                                                  \
  }                                                                                                                    \
  static void FeaturesAdjoint##suffix(PetscInt n, PetscInt pixels, PetscInt channels, const T *r, const T *d, T *g)    \
  {                                                                                                                    \
    const T weight = (T)1 / (T)pixels;                                                                                 \
    _Pragma("omp parallel for schedule(static)") for (PetscInt k = 0; k < n; k++)                                      \
    {                                                                                                                  \
      size_t at = (size_t)k * pixels * channels;                                                                       \
      for (PetscInt p = 0; p < pixels; p++)                                                                            \
        for (PetscInt c = 0; c < channels; c++, at++) g[at] += r[at] > 0 ? weight * d[(size_t)k * channels + c] : 0;   \
    }                                                                                                                  \
  }

DEFINE(float, F32)
DEFINE(double, F64)

PetscErrorCode CordsSystemFeatures(CordsSystem system, PetscInt n, const void *last, const void *before, void *features)
{
  const CordsAreaShape *area = &system->model->architecture.areas[system->model->architecture.area_count - 1];
  PetscInt pixels = area->rows * area->columns;

  PetscFunctionBegin;
  memset(features, 0, (size_t)n * area->channels * CordsTypeSize(system->type));
  if (system->type == CORDS_F64) {
    AddFeaturesF64(n, pixels, area->channels, last, features);
    AddFeaturesF64(n, pixels, area->channels, before, features);
  } else {
    AddFeaturesF32(n, pixels, area->channels, last, features);
    AddFeaturesF32(n, pixels, area->channels, before, features);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemFeaturesAdjoint(CordsSystem system, PetscInt area, PetscInt n, const void *r,
                                          const void *dfeatures, void *g)
{
  const CordsAreaShape *shape = &system->model->architecture.areas[area];
  PetscInt pixels = shape->rows * shape->columns;

  PetscFunctionBegin;
  if (system->type == CORDS_F64)
    FeaturesAdjointF64(n, pixels, shape->channels, r, dfeatures, g);
  else
    FeaturesAdjointF32(n, pixels, shape->channels, r, dfeatures, g);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemLogits(CordsSystem system, PetscInt n, const void *features, void *logits)
{
  const CordsArchitecture *a = &system->model->architecture;

  PetscFunctionBegin;
  PetscCall(CordsConvForward(CordsSystemConv(system, a->readout), n, features, logits, PETSC_FALSE));
  CordsAddPeriodic(system->type, n, 1, (size_t)a->classes, system->readout_bias.data, logits);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsSystemLogitsBackward(CordsSystem system, PetscInt n, const void *features, const void *dlogits,
                                         void *dfeatures)
{
  const CordsArchitecture *a = &system->model->architecture;
  CordsConv conv = CordsSystemConv(system, a->readout);

  PetscFunctionBegin;
  PetscCall(CordsConvBackwardWeights(conv, n, features, dlogits, CordsWeightsGradient(system->weights, a->readout)));
  CordsSumPeriodic(system->type, n, 1, (size_t)a->classes, dlogits, system->readout_bias_gradient.data);
  PetscCall(CordsConvBackwardData(conv, n, dlogits, dfeatures, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}
