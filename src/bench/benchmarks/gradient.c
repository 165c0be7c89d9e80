/* A training step of stage 5: trial, gradient through time, clipping, AdamW. */
#include "bench/network.h"
#include "core/config.h"

#include <stdio.h>

static PetscInt batch = 2; /* the paper's per process */

static PetscErrorCode Configure(void)
{
  PetscFunctionBegin;
  PetscCall(CordsOptionInt("-gradient_batch", "images of a training step, of all ranks", "images", 1, 100000, &batch));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Measure(CordsBench bench, CordsType type, CordsLimit limit)
{
  const CordsArchitecture *a = &bench->architecture;
  CordsMeasurement m = {.benchmark = "gradient", .limit = limit, .amount = CordsBenchStepOperationsOf(a, batch)};
  CordsBenchNetwork network;
  PetscBool can;

  PetscFunctionBegin;
  PetscCall(CordsBenchCan(bench, "gradient", type, &can));
  if (!can) PetscFunctionReturn(PETSC_SUCCESS);
  snprintf(m.what, sizeof m.what, "%s %s training step, %d + %d + %d steps, batch %d", CordsTypeNames[type], a->preset,
           (int)a->spontaneous_steps, (int)a->stimulus_steps, (int)a->return_steps, (int)batch);
  PetscCall(CordsBenchNetworkCreate(bench->context, a, type, batch, &network));
  if (!bench->dry) {
    PetscCall(CordsBenchStepCreate(&network));
    CordsBenchNetworkBackends(&network, CORDS_CONV_OPERATION_COUNT, sizeof m.backend, m.backend);
  }
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, CordsBenchStep, &network));
  PetscCall(CordsBenchNetworkDestroy(&network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  PetscFunctionBegin;
  PetscCall(CordsBenchShare(bench, batch));
  PetscCall(Measure(bench, CORDS_F32, CORDS_LIMIT_F32));
  PetscCall(Measure(bench, CORDS_BF16, CORDS_LIMIT_BF16));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_gradient = {.name = "gradient",
                                                     .about = "a training step through time",
                                                     .by_default = PETSC_TRUE,
                                                     .configure = Configure,
                                                     .run = Run};
