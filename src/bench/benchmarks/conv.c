/* Every distinct convolution of the network in every number type: forward, both ways back, and the fused Euler step
   where it is recurrent.  Every rank does the same. */
#include "bench/used_backends.h"
#include "bench/table.h"
#include "conv/precision.h"
#include "core/log.h"

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

/* What is measured of a convolution. */
typedef struct {
  const char *name;
  CordsConvOperation operation;
  CordsBenchWork work;
} Direction;

enum { DIRECTIONS_MAX = 3 };
static const Direction recurrent_directions[] = {{"step", CORDS_CONV_FORWARD, RunStep},
                                                 {"step_adjoint", CORDS_CONV_BACKWARD_DATA, RunStepAdjoint}},
                       directions[] = {{"forward", CORDS_CONV_FORWARD, RunForward},
                                       {"backward_data", CORDS_CONV_BACKWARD_DATA, RunBackwardData},
                                       {"backward_weights", CORDS_CONV_BACKWARD_WEIGHTS, RunBackwardWeights}};

static void ShapeText(const CordsConvShape *s, CordsType type, PetscInt n, size_t length, char *text)
{
  char stride[24] = "";

  if (s->stride > 1) snprintf(stride, sizeof stride, " stride %d", (int)s->stride);
  snprintf(text, length, "%s %dx%d %d to %d, %dx%d%s, %d image%s", CordsTypeNames[type], (int)s->in_rows,
           (int)s->in_columns, (int)s->in_channels, (int)s->out_channels, (int)s->kernel_rows, (int)s->kernel_columns,
           stride, (int)n, n > 1 ? "s" : "");
}

/* One row for all directions; each is a case of its own in the file. */
static PetscErrorCode PrintRow(CordsBench bench, const char *shape, int count, const CordsMeasurement ms[])
{
  static const char heading[] = "convolutions: share of the limit and backend       forward             back to images"
                                "      back to weights     spread";
  char amount[32], cell[DIRECTIONS_MAX][32] = {"", "", "-"};
  double spread = 0;

  PetscFunctionBegin;
  if (bench->dry) {
    CordsBenchAmountText(&ms[0], sizeof amount, amount);
    PetscCall(CordsLog(bench->context, "%-10s %-54s %16s  limit: %s; %d directions\n", "conv", shape, amount,
                       CordsLimitNames[ms[0].limit], count));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  for (int k = 0; k < count; k++) {
    snprintf(cell[k], sizeof cell[k], "%.2f %s", ms[k].ratio, ms[k].backend);
    spread = PetscMax(spread, ms[k].spread);
  }
  PetscCall(CordsBenchHeading(bench, heading));
  PetscCall(CordsLog(bench->context, "conv %-45s %-19s %-19s %-19s %4.0f %%\n", shape, cell[0], cell[1], cell[2],
                     100 * spread));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Recurrent convolutions as the fused step of one image, the others as a call with the whole batch. */
static PetscErrorCode MeasureShape(CordsBench bench, const CordsConvShape *s, CordsType type, CordsLimit limit,
                                   PetscBool recurrent)
{
  const Direction *list = recurrent ? recurrent_directions : directions;
  int count = recurrent ? PETSC_STATIC_ARRAY_LENGTH(recurrent_directions) : PETSC_STATIC_ARRAY_LENGTH(directions);
  PetscInt n = recurrent ? 1 : bench->batch;
  CordsMeasurement ms[DIRECTIONS_MAX];
  char shape[56];
  Case c;

  PetscFunctionBegin;
  ShapeText(s, type, n, sizeof shape, shape);
  if (!bench->dry) PetscCall(Create(s, type, n, &c));
  for (int k = 0; k < count; k++) {
    ms[k] =
        (CordsMeasurement){.benchmark = "conv", .limit = limit, .amount = CordsConvFlops(s) * n * bench->context->size};
    snprintf(ms[k].what, sizeof ms[k].what, "%s %s", shape, list[k].name);
    if (!bench->dry)
      snprintf(ms[k].backend, sizeof ms[k].backend, "%s", CordsBenchBackend(s, type, list[k].operation, n));
    PetscCall(CordsBenchMeasure(bench, &ms[k], list[k].work, &c));
  }
  if (!bench->dry) PetscCall(Destroy(&c));
  PetscCall(PrintRow(bench, shape, count, ms));
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

/* All shapes of one type, each once: recurrent ones, then those between areas. */
static PetscErrorCode MeasureType(CordsBench bench, CordsType type, CordsLimit limit)
{
  const CordsArchitecture *a = &bench->architecture;
  const PetscInt *const lists[3] = {a->recurrent, a->feedforward, a->skip};

  PetscFunctionBegin;
  for (int l = 0; l < 3; l++) {
    for (PetscInt i = 0; i < a->area_count; i++) {
      if (lists[l][i] < 0 || SeenBefore(a, lists[l], i)) continue;
      PetscCall(MeasureShape(bench, &a->connections[lists[l][i]].shape, type, limit, (PetscBool)(l == 0)));
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The choice of kernels, of all types that are measured at once so that the table is not interrupted. */
static PetscErrorCode Prepare(CordsBench bench, const PetscBool measured[])
{
  const CordsArchitecture *a = &bench->architecture;
  const PetscInt *const lists[3] = {a->recurrent, a->feedforward, a->skip};
  CordsConvShape shapes[3 * CORDS_AREAS_MAX * PETSC_STATIC_ARRAY_LENGTH(types)];
  CordsType kinds[PETSC_STATIC_ARRAY_LENGTH(shapes)];
  PetscInt count = 0;

  PetscFunctionBegin;
  for (size_t t = 0; t < PETSC_STATIC_ARRAY_LENGTH(types); t++) {
    if (!measured[t]) continue;
    for (PetscInt k = 0; k < 3 * a->area_count; k++) {
      PetscInt connection = lists[k / a->area_count][k % a->area_count];
      if (connection < 0) continue;
      shapes[count] = a->connections[connection].shape;
      kinds[count++] = types[t];
    }
  }
  PetscCall(CordsConvChoicePrepare(bench->context, count, shapes, kinds));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsBench bench)
{
  PetscBool measured[PETSC_STATIC_ARRAY_LENGTH(types)];

  PetscFunctionBegin;
  for (size_t t = 0; t < PETSC_STATIC_ARRAY_LENGTH(types); t++)
    PetscCall(CordsBenchCan(bench, "conv", types[t], &measured[t]));
  if (!bench->dry) PetscCall(Prepare(bench, measured));
  for (size_t t = 0; t < PETSC_STATIC_ARRAY_LENGTH(types); t++) {
    if (measured[t]) PetscCall(MeasureType(bench, types[t], limits[t]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsBenchmarkType cords_benchmark_conv = {.name = "conv",
                                                 .about = "every convolution of the network, all directions and types",
                                                 .by_default = PETSC_TRUE,
                                                 .run = Run};
