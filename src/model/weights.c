#include "model/weights.h"

#include "conv/choice.h"
#include "conv/cut_conv.h"
#include "model/weight_norm.h"

#include <string.h>

struct _p_CordsWeights {
  CordsModel model;
  CordsType type; /* of the effective weights and their gradients */
  CordsConv convs[CORDS_CONNECTIONS_MAX];
  CordsArray gradients[CORDS_CONNECTIONS_MAX]; /* one item of [row][column][in][out] each, made when wanted */
  float *shared;                               /* where gradients are collected instead; NULL: nowhere else */
  CordsArray work;                             /* the largest effective weight */
};

static PetscInt RowLength(const CordsConvShape *shape)
{
  return shape->in_channels * shape->kernel_rows * shape->kernel_columns;
}

static CordsType ImageType(const CordsArchitecture *a, PetscInt connection, CordsType type)
{
  PetscBool once = (PetscBool)(connection == a->stem || connection == a->input_skip || connection == a->readout ||
                               connection == a->feedforward[0]);

  return once ? CordsTypeMaster(type) : type;
}

PetscErrorCode CordsWeightsPrepare(CordsContext context, const CordsArchitecture *a, CordsType type)
{
  CordsConvShape shapes[CORDS_CONNECTIONS_MAX];
  CordsType types[CORDS_CONNECTIONS_MAX];

  PetscFunctionBegin;
  for (PetscInt k = 0; k < a->connection_count; k++) {
    shapes[k] = a->connections[k].shape;
    types[k] = ImageType(a, k, type);
  }
  PetscCall(CordsCutConvPrepare(context, a->connection_count, shapes, types));
  PetscCall(CordsConvChoicePrepare(context, 1, &shapes[a->readout], &types[a->readout]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWeightsCreate(CordsModel model, CordsType type, CordsWeights *weights)
{
  return CordsWeightsCreateCut(CordsContextSelf(), model, type, weights);
}

PetscErrorCode CordsWeightsCreateCut(CordsContext context, CordsModel model, CordsType type, CordsWeights *weights)
{
  const CordsArchitecture *a = &model->architecture;
  PetscInt largest = 0;

  PetscFunctionBegin;
  PetscCall(PetscNew(weights));
  (*weights)->model = model;
  (*weights)->type = CordsTypeMaster(type);
  for (PetscInt k = 0; k < a->connection_count; k++) {
    const CordsConvShape *shape = &a->connections[k].shape;
    PetscInt size = shape->out_channels * RowLength(shape);
    PetscCall(CordsConvCreateCut(k == a->readout ? CordsContextSelf() : context, shape, ImageType(a, k, type),
                                 &(*weights)->convs[k]));
    largest = PetscMax(largest, size);
  }
  PetscCall(CordsArrayCreate((*weights)->type, 1, largest, &(*weights)->work));
  PetscCall(CordsWeightsUpdate(*weights));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWeightsDestroy(CordsWeights *weights)
{
  PetscFunctionBegin;
  if (!*weights) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt k = 0; k < (*weights)->model->architecture.connection_count; k++) {
    PetscCall(CordsConvDestroy(&(*weights)->convs[k]));
    PetscCall(CordsArrayDestroy(&(*weights)->gradients[k]));
  }
  PetscCall(CordsArrayDestroy(&(*weights)->work));
  PetscCall(PetscFree(*weights));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWeightsUpdate(CordsWeights weights)
{
  CordsModel model = weights->model;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < model->architecture.connection_count; k++) {
    const CordsConvShape *shape = &model->architecture.connections[k].shape;
    PetscInt g = CordsModelConnectionTensor(model, k);
    CordsWeightNormForward(shape->out_channels, RowLength(shape), model->tensors[g].data, model->tensors[g + 1].data,
                           weights->type, weights->work.data);
    PetscCall(CordsConvSetWeights(weights->convs[k], weights->work.data));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

double CordsWeightsLaterBytes(CordsWeights weights, PetscInt most)
{
  double bytes = 0, shared_most = 0;

  for (PetscInt k = 0; k < weights->model->architecture.connection_count; k++) {
    double own, shared;
    CordsConvLaterBytes(weights->convs[k], most, &own, &shared);
    bytes += own;
    shared_most = PetscMax(shared_most, shared);
  }
  return bytes + shared_most;
}

CordsConv CordsWeightsConv(CordsWeights weights, PetscInt connection)
{
  return weights->convs[connection];
}

PetscErrorCode CordsWeightsCollectIn(CordsWeights weights, float *gradient)
{
  PetscFunctionBegin;
  if (weights->type == CORDS_F32) weights->shared = gradient;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Place of v of a connection in an array in the order of model->values. */
static float *PlaceOfV(CordsWeights weights, PetscInt connection, float *values)
{
  CordsModel model = weights->model;
  const CordsTensor *v = &model->tensors[CordsModelConnectionTensor(model, connection) + 1];

  return values + (v->data - model->values);
}

static PetscInt WeightCount(CordsWeights weights, PetscInt connection)
{
  const CordsConvShape *shape = &weights->model->architecture.connections[connection].shape;

  return shape->out_channels * RowLength(shape);
}

void *CordsWeightsGradient(CordsWeights weights, PetscInt connection)
{
  CordsArray *own = &weights->gradients[connection];

  if (weights->shared) return PlaceOfV(weights, connection, weights->shared);
  if (!own->data && CordsArrayCreate(weights->type, 1, WeightCount(weights, connection), own)) return NULL;
  return own->data;
}

PetscErrorCode CordsWeightsZeroGradient(CordsWeights weights)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < weights->model->architecture.connection_count; k++) {
    if (!weights->shared && !weights->gradients[k].data) continue; /* zero when it is made */
    memset(CordsWeightsGradient(weights, k), 0, (size_t)WeightCount(weights, k) * CordsTypeSize(weights->type));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* [row][column][in][out] as [out][in][row][column], a few output channels at a time */
static void Transpose(const CordsConvShape *s, CordsType type, const void *from, void *to)
{
  enum { TOGETHER = 16 };
  const PetscInt taps = s->kernel_rows * s->kernel_columns;

#pragma omp parallel for schedule(static)
  for (PetscInt first = 0; first < s->out_channels; first += TOGETHER) {
    const PetscInt end = PetscMin(first + TOGETHER, s->out_channels);
    for (PetscInt c = 0; c < s->in_channels; c++) {
      for (PetscInt tap = 0; tap < taps; tap++) {
        const size_t at = ((size_t)tap * s->in_channels + c) * s->out_channels;
        for (PetscInt o = first; o < end; o++) {
          const size_t place = ((size_t)o * s->in_channels + c) * taps + tap;
          if (type == CORDS_F64)
            ((double *)to)[place] = ((const double *)from)[at + o];
          else
            ((float *)to)[place] = ((const float *)from)[at + o];
        }
      }
    }
  }
}

PetscErrorCode CordsWeightsAddConnectionGradient(CordsWeights weights, PetscInt connection, float *gradient)
{
  CordsModel model = weights->model;
  const CordsConvShape *shape = &model->architecture.connections[connection].shape;
  const CordsTensor *g = &model->tensors[CordsModelConnectionTensor(model, connection)], *v = g + 1;
  void *collected = CordsWeightsGradient(weights, connection);

  PetscFunctionBegin;
  PetscCheck(!weights->shared || weights->shared == gradient, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "collected in another array");
  Transpose(shape, weights->type, collected, weights->work.data);
  if (weights->shared)
    memset(collected, 0, (size_t)WeightCount(weights, connection) * sizeof(float)); /* v comes here */
  CordsWeightNormAdjoint(shape->out_channels, RowLength(shape), g->data, v->data, weights->type, weights->work.data,
                         gradient + (g->data - model->values), PlaceOfV(weights, connection, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsWeightsAddGradient(CordsWeights weights, float *gradient)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < weights->model->architecture.connection_count; k++)
    PetscCall(CordsWeightsAddConnectionGradient(weights, k, gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}
