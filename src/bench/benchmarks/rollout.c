/* A trial of the network, spontaneous phase and stimulus, in float32 and bfloat16. */
#include "bench/network.h"

#include <stdio.h>

static PetscErrorCode Measure(CordsBench bench, CordsType type, CordsLimit limit)
{
  const CordsArchitecture *a = &bench->architecture;
  CordsBenchNetwork network;
  char what[72];

  PetscFunctionBegin;
  snprintf(what, sizeof what, "%s %s trial, %d + %d steps, batch %d", CordsTypeNames[type], a->preset,
           (int)a->spontaneous_steps, (int)a->stimulus_steps, (int)bench->batch);
  PetscCall(CordsBenchNetworkCreate(bench->context, a, type, bench->batch, &network));
  if (!bench->dry) PetscCall(CordsBenchTrialCreate(&network));
  PetscCall(CordsBenchMeasure(bench, "rollout", what, limit, CordsBenchTrialOperations(a, bench->batch),
                              CordsBenchTrial, &network));
  PetscCall(CordsBenchNetworkDestroy(&network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  PetscFunctionBegin;
  PetscCall(Measure(bench, CORDS_F32, CORDS_LIMIT_F32));
  PetscCall(Measure(bench, CORDS_BF16, CORDS_LIMIT_BF16));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_rollout = {
    .name = "rollout", .about = "a trial, forward", .by_default = PETSC_TRUE, .run = Run};
