/* Every distinct convolution of the network in every number type: forward, both ways back, and the fused Euler step
   where it is recurrent. */
#include "bench/benchmark.h"

#include <stdio.h>
#include <string.h>

typedef struct {
  CordsConv conv;
  PetscInt n;
  CordsConvLaw law;
  CordsArray x, y, z, r, dw, mask;
} Case;

static const CordsType types[] = {CORDS_F32, CORDS_BF16, CORDS_F64};
static const CordsLimit limits[] = {CORDS_LIMIT_F32, CORDS_LIMIT_BF16, CORDS_LIMIT_F64};

static PetscErrorCode RunForward(void *data)
{
  Case *c = data;

  return CordsConvForward(c->conv, c->n, c->x.data, c->y.data, PETSC_FALSE);
}

static PetscErrorCode RunBackwardData(void *data)
{
  Case *c = data;

  return CordsConvBackwardData(c->conv, c->n, c->z.data, c->x.data, PETSC_FALSE);
}

static PetscErrorCode RunBackwardWeights(void *data)
{
  Case *c = data;

  return CordsConvBackwardWeights(c->conv, c->n, c->x.data, c->z.data, c->dw.data);
}

static PetscErrorCode RunStep(void *data)
{
  Case *c = data;
  PetscBool beside = (PetscBool)(c->x.type == CORDS_BF16);

  return CordsConvStep(c->conv, c->n, &c->law, c->x.data, c->z.data, c->n, beside ? c->r.data : c->x.data, c->r.data,
                       beside ? c->y.data : NULL, c->mask.data);
}

static PetscErrorCode RunStepAdjoint(void *data)
{
  Case *c = data;

  return CordsConvStepAdjoint(c->conv, c->n, &c->law, c->x.data, NULL, c->r.data, c->mask.data, c->r.data, c->y.data);
}

static PetscErrorCode Create(const CordsConvShape *s, CordsType type, PetscInt n, Case *c)
{
  PetscInt in = s->in_rows * s->in_columns * s->in_channels, out = s->out_rows * s->out_columns * s->out_channels;
  PetscInt weights = s->in_channels * s->out_channels * s->kernel_rows * s->kernel_columns;
  CordsType master = CordsTypeMaster(type);

  PetscFunctionBegin;
  memset(c, 0, sizeof *c);
  c->n = n;
  c->law = (CordsConvLaw){.keep = 0.8, .gain = 0.2};
  PetscCall(CordsConvCreate(s, type, NULL, &c->conv));
  PetscCall(CordsArrayCreate(type, n, in, &c->x));
  PetscCall(CordsArrayCreate(type, n, out, &c->y));
  PetscCall(CordsArrayCreate(type, n, out, &c->z));
  PetscCall(CordsArrayCreate(master, n, out, &c->r));
  PetscCall(CordsArrayCreate(master, 1, weights, &c->dw));
  PetscCall(CordsArrayCreate(CORDS_BF16, n, (PetscInt)CordsConvMaskWords(s), &c->mask));
  PetscCall(CordsConvSetWeights(c->conv, c->dw.data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Destroy(Case *c)
{
  PetscFunctionBegin;
  PetscCall(CordsConvDestroy(&c->conv));
  PetscCall(CordsArrayDestroy(&c->x));
  PetscCall(CordsArrayDestroy(&c->y));
  PetscCall(CordsArrayDestroy(&c->z));
  PetscCall(CordsArrayDestroy(&c->r));
  PetscCall(CordsArrayDestroy(&c->dw));
  PetscCall(CordsArrayDestroy(&c->mask));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MeasureOne(CordsBench bench, const CordsConvShape *s, CordsType type, CordsLimit limit,
                                 const char *operation, const char *backend, CordsBenchWork work, Case *c)
{
  char what[72];

  PetscFunctionBegin;
  snprintf(what, sizeof what, "%s %dx%d %d to %d k%d s%d n%d %s (%s)", CordsTypeNames[type], (int)s->in_rows,
           (int)s->in_columns, (int)s->in_channels, (int)s->out_channels, (int)s->kernel_rows, (int)s->stride,
           (int)c->n, operation, backend);
  PetscCall(CordsBenchMeasure(bench, "conv", what, limit, CordsConvFlops(s) * c->n, work, c));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MeasureShape(CordsBench bench, const CordsConvShape *s, CordsType type, CordsLimit limit,
                                   PetscBool recurrent)
{
  Case c;

  PetscFunctionBegin;
  PetscCall(Create(s, type, recurrent ? 1 : bench->batch, &c));
  if (recurrent) {
    PetscCall(MeasureOne(bench, s, type, limit, "step", CordsConvBackend(c.conv, CORDS_CONV_FORWARD), RunStep, &c));
    PetscCall(MeasureOne(bench, s, type, limit, "step_adjoint", CordsConvBackend(c.conv, CORDS_CONV_BACKWARD_DATA),
                         RunStepAdjoint, &c));
  } else {
    PetscCall(
        MeasureOne(bench, s, type, limit, "forward", CordsConvBackend(c.conv, CORDS_CONV_FORWARD), RunForward, &c));
    PetscCall(MeasureOne(bench, s, type, limit, "backward_data", CordsConvBackend(c.conv, CORDS_CONV_BACKWARD_DATA),
                         RunBackwardData, &c));
    PetscCall(MeasureOne(bench, s, type, limit, "backward_weights",
                         CordsConvBackend(c.conv, CORDS_CONV_BACKWARD_WEIGHTS), RunBackwardWeights, &c));
  }
  PetscCall(Destroy(&c));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscBool SeenBefore(const CordsArchitecture *a, const PetscInt list[], PetscInt area)
{
  for (PetscInt other = 0; other < area; other++) {
    if (list[other] < 0) continue;
    if (memcmp(&a->connections[list[other]].shape, &a->connections[list[area]].shape, sizeof(CordsConvShape)) == 0)
      return PETSC_TRUE;
  }
  return PETSC_FALSE;
}

static PetscErrorCode Run(CordsBench bench)
{
  const CordsArchitecture *a = &bench->architecture;
  const PetscInt *const lists[3] = {a->recurrent, a->feedforward, a->skip};

  PetscFunctionBegin;
  for (size_t t = 0; t < PETSC_STATIC_ARRAY_LENGTH(types); t++) {
    for (int l = 0; l < 3; l++) {
      for (PetscInt i = 0; i < a->area_count; i++) {
        if (lists[l][i] < 0 || SeenBefore(a, lists[l], i)) continue;
        PetscCall(MeasureShape(bench, &a->connections[lists[l][i]].shape, types[t], limits[t], (PetscBool)(l == 0)));
      }
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_conv = {.name = "conv",
                                                 .about = "every convolution of the network, all directions and types",
                                                 .by_default = PETSC_TRUE,
                                                 .run = Run};
