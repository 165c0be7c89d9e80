/* Products with the Jacobian of the whole network in float64: what fixed points and spectra consist of.  Every
   rank has vectors of its own. */
#include "bench/used_backends.h"
#include "bench/network.h"
#include "model/weights.h"

#include <stdio.h>

enum { BOTH_WAYS = 2 /* operations: to the next areas and back */ };

typedef struct {
  CordsLinearisation linearisation;
  PetscInt vectors;
  CordsArray v, y;
} Product;

static PetscErrorCode Tangent(void *data)
{
  Product *p = data;

  return CordsLinearisationTangent(p->linearisation, p->vectors, p->v.data, p->y.data);
}

static PetscErrorCode Adjoint(void *data)
{
  Product *p = data;

  return CordsLinearisationAdjoint(p->linearisation, p->vectors, p->v.data, p->y.data);
}

static PetscErrorCode Measure(CordsBench bench, CordsLinearisation linearisation, PetscInt vectors)
{
  const CordsArchitecture *a = &bench->architecture;
  PetscInt neurons = CordsArchitectureNeurons(a);
  CordsBenchCalls calls = {CORDS_F64, BOTH_WAYS, vectors, vectors};
  CordsMeasurement m = {.benchmark = "jacobian",
                        .limit = CORDS_LIMIT_F64,
                        .amount = CordsBenchStepOperations(a) * vectors * bench->context->size};
  Product p = {.linearisation = linearisation, .vectors = vectors};

  PetscFunctionBegin;
  if (!bench->dry) {
    PetscCall(CordsArrayCreate(CORDS_F64, vectors, neurons, &p.v));
    PetscCall(CordsArrayCreate(CORDS_F64, vectors, neurons, &p.y));
    for (size_t k = 0; k < (size_t)vectors * neurons; k++) ((double *)p.v.data)[k] = 1.0 / (double)(k % 101 + 1);
    CordsBenchBackends(a, &calls, sizeof m.backend, m.backend);
  }
  snprintf(m.what, sizeof m.what, "f64 %s J v, %d neurons, vectors at a time: %d", a->preset, (int)neurons,
           (int)vectors);
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, Tangent, &p));
  snprintf(m.what, sizeof m.what, "f64 %s transposed, vectors at a time: %d", a->preset, (int)vectors);
  PetscCall(CordsBenchMeasureAndPrint(bench, &m, Adjoint, &p));
  PetscCall(CordsArrayDestroy(&p.v));
  PetscCall(CordsArrayDestroy(&p.y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  static const PetscInt vectors[] = {1, 8};
  CordsLinearisation linearisation = NULL;
  CordsBenchNetwork network;
  CordsArray state;

  PetscFunctionBegin;
  PetscCall(CordsBenchNetworkCreate(bench->context, &bench->architecture, CORDS_F64, bench->context->size, &network));
  if (!bench->dry) {
    PetscCall(CordsWeightsPrepare(bench->context, &bench->architecture, CORDS_F64));
    PetscCall(CordsSystemCreate(network.model, CORDS_F64, &network.system));
    PetscCall(CordsLinearisationCreate(network.system, &linearisation));
    PetscCall(CordsArrayCreate(CORDS_F64, 1, CordsArchitectureNeurons(&bench->architecture), &state));
    PetscCall(CordsLinearisationSet(linearisation, NULL, state.data));
    PetscCall(CordsArrayDestroy(&state));
  }
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(vectors); k++) PetscCall(Measure(bench, linearisation, vectors[k]));
  if (linearisation) PetscCall(CordsLinearisationDestroy(&linearisation));
  PetscCall(CordsBenchNetworkDestroy(&network));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_jacobian = {.name = "jacobian",
                                                     .about = "products with the Jacobian and its transpose, float64",
                                                     .by_default = PETSC_TRUE,
                                                     .run = Run};
