/* A trial of the network, spontaneous phase and stimulus, in float32 and bfloat16. */
#include "bench/network.h"

#include <stdio.h>

enum { FORWARD_ONLY = 1 /* operation */ };

static PetscErrorCode Measure(CordsBench bench, CordsType type, CordsLimit limit)
{
  const CordsArchitecture *a = &bench->architecture;
  CordsMeasurement m = {.benchmark = "rollout", .limit = limit, .amount = CordsBenchTrialOperations(a, bench->batch)};
  CordsBenchNetwork network;
  PetscBool can;

  PetscFunctionBegin;
  PetscCall(CordsBenchCan(bench, "rollout", type, &can));
  if (!can) PetscFunctionReturn(PETSC_SUCCESS);
  snprintf(m.what, sizeof m.what, "%s %s trial, %d + %d steps, batch %d", CordsTypeNames[type], a->preset,
           (int)a->spontaneous_steps, (int)a->stimulus_steps, (int)bench->batch);
  PetscCall(CordsBenchNetworkCreate(bench->context, a, type, bench->batch, &network));
  if (!bench->dry) {
    PetscCall(CordsBenchTrialCreate(&network));
    CordsBenchNetworkBackends(&network, FORWARD_ONLY, sizeof m.backend, m.backend);
  }
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, CordsBenchTrial, &network));
  PetscCall(CordsBenchNetworkDestroy(&network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  PetscFunctionBegin;
  PetscCall(CordsBenchShare(bench, bench->batch));
  PetscCall(Measure(bench, CORDS_F32, CORDS_LIMIT_F32));
  PetscCall(Measure(bench, CORDS_BF16, CORDS_LIMIT_BF16));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_rollout = {
    .name = "rollout", .about = "a trial, forward", .by_default = PETSC_TRUE, .run = Run};
