/* Two ways to keep D: a mask of bits where the convolution can do φ on its way (conv/conv.h), else φ'(u) itself. */
#include "model/response.h"

#include "model/system_private.h"

struct _p_CordsResponse {
  CordsSystem system; /* borrowed */
  PetscInt area, items;
  double alpha;
  uint16_t *mask;   /* of the last evaluation, if its φ was of that kind */
  CordsArray slope; /* φ'(u), else */
  CordsConvLaw law; /* the area's, with this α */
  PetscBool fused;  /* the kind of the last evaluation */
};

PetscErrorCode CordsResponseCreate(CordsSystem system, PetscInt area, PetscInt items, PetscReal alpha,
                                   CordsResponse *response)
{
  PetscFunctionBegin;
  PetscCheck(system->type == system->master, PETSC_COMM_SELF, PETSC_ERR_SUP, "a response in bfloat16");
  PetscCall(PetscNew(response));
  (*response)->system = system;
  (*response)->area = area;
  (*response)->items = items;
  (*response)->alpha = (double)alpha;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResponseDestroy(CordsResponse *response)
{
  PetscFunctionBegin;
  if (!*response) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscFree((*response)->mask));
  PetscCall(CordsArrayDestroy(&(*response)->slope));
  PetscCall(PetscFree(*response));
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsResponseBytes(CordsSystem system, PetscInt area)
{
  if (system->has_fused_step) return (double)(CordsSystemMaskWords(system, area) * sizeof(uint16_t));
  return (double)CordsSystemNumbers(system, area, 1) * (double)CordsTypeSize(system->type);
}

static CordsConv Recurrent(CordsResponse response)
{
  return CordsSystemConv(response->system, response->system->model->architecture.recurrent[response->area]);
}

static PetscErrorCode EvaluateFused(CordsResponse response, PetscInt n, const void *r, const void *z, void *r_next)
{
  PetscFunctionBegin;
  if (!response->mask) {
    PetscCall(PetscMalloc1((size_t)response->items * CordsSystemMaskWords(response->system, response->area),
                           &response->mask));
  }
  response->law = response->system->fused_laws[response->area];
  response->law.keep = 1 - response->alpha;
  response->law.gain = response->alpha;
  PetscCall(CordsConvStep(Recurrent(response), n, &response->law, r, z, n, r, r_next, NULL, response->mask));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode EvaluateInParts(CordsResponse response, PetscInt n, const void *r, const void *z, void *r_next)
{
  CordsSystem system = response->system;
  size_t numbers = CordsSystemNumbers(system, response->area, n);
  CordsAreaLaw law = system->laws[response->area];
  void *u;

  PetscFunctionBegin;
  if (!response->slope.data) {
    PetscCall(
        CordsArrayCreate(system->type, response->items, CordsSystemNeurons(system, response->area), &response->slope));
  }
  law.alpha = response->alpha;
  PetscCall(CordsSystemWork(system, CORDS_WORK_SYNAPSES, numbers, &u));
  PetscCall(CordsConvForwardFrom(Recurrent(response), n, r, z, n, u));
  system->kind->step(&law, system->type, numbers, u, r, r_next);
  PetscCall(CordsSystemSlope(system, response->area, n, u, response->slope.data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResponseEvaluate(CordsResponse response, PetscInt n, const void *r, const void *z, void *r_next)
{
  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCheck(n <= response->items, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "more items than the response is for");
  response->fused = response->system->has_fused_step;
  if (response->fused)
    PetscCall(EvaluateFused(response, n, r, z, r_next));
  else
    PetscCall(EvaluateInParts(response, n, r, z, r_next));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResponseThrough(CordsResponse response, PetscInt n, const void *lambda, void *du)
{
  CordsSystem system = response->system;

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (response->fused) {
    CordsConvMaskMultiply(CordsConvGetShape(Recurrent(response)), system->type, n, &response->law, response->mask,
                          lambda, du);
  } else {
    CordsMultiply(system->type, CordsSystemNumbers(system, response->area, n), response->alpha, lambda,
                  response->slope.data, du);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResponseTangent(CordsResponse response, PetscInt n, const void *v, void *y)
{
  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsConvForward(Recurrent(response), n, v, y, PETSC_FALSE));
  PetscCall(CordsResponseThrough(response, n, y, y));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* λ = g + Wᵀ du by the plain convolution. */
static PetscErrorCode AdjointInParts(CordsResponse response, PetscInt n, const void *du, const void *g, void *lambda)
{
  size_t bytes = CordsSystemNumbers(response->system, response->area, n) * CordsTypeSize(response->system->type);

  PetscFunctionBegin;
  if (g && lambda != g) memcpy(lambda, g, bytes);
  PetscCall(CordsConvBackwardData(Recurrent(response), n, du, lambda, (PetscBool)(g != NULL)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsResponseAdjoint(CordsResponse response, PetscInt n, const void *du, const void *g, void *lambda,
                                    void *du_before)
{
  CordsConvLaw law = response->law;

  PetscFunctionBegin;
  if (n == 0) PetscFunctionReturn(PETSC_SUCCESS);
  if (response->fused && du_before) {
    law.keep = 0; /* so `later` has no weight, any finite numbers will do */
    PetscCall(CordsConvStepAdjoint(Recurrent(response), n, &law, du, g, du, response->mask, lambda, du_before));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(AdjointInParts(response, n, du, g, lambda));
  if (du_before) PetscCall(CordsResponseThrough(response, n, lambda, du_before));
  PetscFunctionReturn(PETSC_SUCCESS);
}
