/* Folding of batch normalisation.

   Method.  norm(conv(x)) = s·conv(x) + β with s = w/√(var + ε), β = b − μ s, per output channel: s goes into g, β into
   a bias.  A bias in front of a zero-padded convolution is not constant at the border, so what β of one layer becomes
   behind the next convolution is computed as a map and collected in area_bias.  SPEC section 2, stage 1b. */
#include "model/fold.h"

#include "conv/pool.h"
#include "model/batch_norm.h"
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const float *Part(CordsModel model, const char *layer, const char *part)
{
  char name[96];

  snprintf(name, sizeof name, "%s.%s", layer, part);
  return CordsModelValues(model, name);
}

static double Scale(CordsModel model, const char *norm, PetscInt c)
{
  return (double)Part(model, norm, "weight")[c] /
         sqrt((double)Part(model, norm, "running_var")[c] + CORDS_BATCH_NORM_EPSILON);
}

/* β of a norm for each channel. */
static PetscErrorCode Shifts(CordsModel model, const char *norm, PetscInt channels, double **shifts)
{
  const float *bias = Part(model, norm, "bias"), *mean = Part(model, norm, "running_mean");

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(channels, shifts));
  for (PetscInt c = 0; c < channels; c++) (*shifts)[c] = (double)bias[c] - (double)mean[c] * Scale(model, norm, c);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* g' = g s (s = 1 where there is no norm), v' = v/|v| */
static void FoldConnection(CordsModel from, CordsModel to, PetscInt connection, const char *norm)
{
  PetscInt k = CordsModelConnectionTensor(from, connection), rows = from->tensors[k].sizes[0];
  PetscInt columns = CordsTensorSize(&from->tensors[k + 1]) / rows;

  for (PetscInt o = 0; o < rows; o++) {
    const float *v = from->tensors[k + 1].data + (size_t)o * columns;
    float *v_folded = to->tensors[k + 1].data + (size_t)o * columns;
    double sum = 0;
    for (PetscInt c = 0; c < columns; c++) sum += (double)v[c] * (double)v[c];
    for (PetscInt c = 0; c < columns; c++) v_folded[c] = (float)((double)v[c] / sqrt(sum));
    to->tensors[k].data[o] = (float)((double)from->tensors[k].data[o] * (norm ? Scale(from, norm, o) : 1));
  }
}

/* A map [row][column][channel] of β of a norm, the same at every pixel. */
static PetscErrorCode ConstantMap(CordsModel model, const char *norm, PetscInt pixels, PetscInt channels,
                                  CordsArray *map)
{
  double *shifts;

  PetscFunctionBegin;
  PetscCall(Shifts(model, norm, channels, &shifts));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, pixels * channels, map));
  for (PetscInt k = 0; k < pixels * channels; k++) ((double *)map->data)[k] = shifts[k % channels];
  PetscCall(PetscFree(shifts));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* avgpool(β(inp_norm)): what the folded stem lacks in `inp`. */
static PetscErrorCode StemShift(CordsModel from, CordsArray *shift)
{
  const CordsArchitecture *a = &from->architecture;
  CordsConvShape pool = CordsConvShapeSame(a->stem_rows, a->stem_columns, a->stem_channels, a->stem_channels,
                                           PetscMax(a->pool_kernel, 1), a->pool_kernel ? a->pool_stride : 1);
  CordsArray map;

  PetscFunctionBegin;
  PetscCall(ConstantMap(from, "inp_norm", a->stem_rows * a->stem_columns, a->stem_channels, &map));
  PetscCall(CordsArrayCreate(CORDS_F64, 1, a->input_rows * a->input_columns * a->stem_channels, shift));
  PetscCall(CordsPoolForward(&pool, CORDS_F64, 1, map.data, shift->data));
  PetscCall(CordsArrayDestroy(&map));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* area_bias of area i as a map [row][column][channel]. */
static PetscErrorCode AreaBias(CordsModel from, CordsWeights weights, PetscInt i, PetscInt *skip_count,
                               CordsArray *bias)
{
  const CordsArchitecture *a = &from->architecture;
  const CordsAreaShape *shape = &a->areas[i];
  CordsArray map = {0}, skipped;
  char norm[32];

  PetscFunctionBegin;
  snprintf(norm, sizeof norm, "area_norm.%" PetscInt_FMT, i);
  PetscCall(ConstantMap(from, norm, shape->rows * shape->columns, shape->channels, bias));
  if (i <= 1 && a->stem >= 0) {
    PetscCall(StemShift(from, &map));
    if (i == 1) {
      PetscCall(CordsArrayCreate(CORDS_F64, 1, CordsAreaNeurons(&a->areas[0]), &skipped));
      PetscCall(CordsConvForward(CordsWeightsConv(weights, a->input_skip), 1, map.data, skipped.data, PETSC_FALSE));
      PetscCall(CordsArrayDestroy(&map));
      map = skipped;
    }
  }
  if (i >= 2 && a->skip[i] >= 0) {
    snprintf(norm, sizeof norm, "skip_norm.%" PetscInt_FMT, (*skip_count)++);
    PetscCall(ConstantMap(from, norm, shape[-1].rows * shape[-1].columns, shape[-1].channels, &map));
  }
  if (map.data) {
    PetscCall(CordsConvForward(CordsWeightsConv(weights, a->feedforward[i]), 1, map.data, bias->data, PETSC_TRUE));
  }
  PetscCall(CordsArrayDestroy(&map));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A map [row][column][channel] into a bias tensor [channel][row][column]. */
static void StoreNeuronBias(CordsModel folded, const char *layer, PetscInt i, const CordsArray *map)
{
  const CordsAreaShape *shape = &folded->architecture.areas[i];
  PetscInt pixels = shape->rows * shape->columns;
  char name[32];
  float *values;

  snprintf(name, sizeof name, "%s.%" PetscInt_FMT, layer, i);
  values = CordsModelValues(folded, name);
  for (PetscInt c = 0; c < shape->channels; c++) {
    for (PetscInt p = 0; p < pixels; p++) {
      values[c * pixels + p] = (float)((const double *)map->data)[p * shape->channels + c];
    }
  }
}

static void FoldConnections(CordsModel from, CordsModel to)
{
  const CordsArchitecture *a = &from->architecture;
  PetscInt skip_count = 0;
  char norm[32];

  if (a->stem >= 0) FoldConnection(from, to, a->stem, "inp_norm");
  FoldConnection(from, to, a->input_skip, NULL);
  for (PetscInt i = 0; i < a->area_count; i++) {
    snprintf(norm, sizeof norm, "area_norm.%" PetscInt_FMT, i);
    FoldConnection(from, to, a->feedforward[i], norm);
    snprintf(norm, sizeof norm, "area_nrm2.%" PetscInt_FMT, i);
    FoldConnection(from, to, a->recurrent[i], norm);
    if (a->skip[i] < 0) continue;
    snprintf(norm, sizeof norm, "skip_norm.%" PetscInt_FMT, skip_count++);
    FoldConnection(from, to, a->skip[i], norm);
  }
}

PetscErrorCode CordsFoldBatchNorm(CordsModel batchnorm, CordsModel folded)
{
  const CordsArchitecture *a = &batchnorm->architecture;
  PetscInt skip_count = 0;
  CordsWeights weights;
  CordsArray bias;
  char norm[32];

  PetscFunctionBegin;
  PetscCall(CordsModelCopyShared(batchnorm, folded));
  FoldConnections(batchnorm, folded);
  PetscCall(CordsWeightsCreate(folded, CORDS_F64, &weights));
  for (PetscInt i = 0; i < a->area_count; i++) {
    const CordsAreaShape *shape = &a->areas[i];
    PetscCall(AreaBias(batchnorm, weights, i, &skip_count, &bias));
    StoreNeuronBias(folded, "area_bias", i, &bias);
    PetscCall(CordsArrayDestroy(&bias));
    snprintf(norm, sizeof norm, "area_nrm2.%" PetscInt_FMT, i);
    PetscCall(ConstantMap(batchnorm, norm, shape->rows * shape->columns, shape->channels, &bias));
    StoreNeuronBias(folded, "conv_bias", i, &bias);
    PetscCall(CordsArrayDestroy(&bias));
  }
  PetscCall(CordsWeightsDestroy(&weights));
  PetscFunctionReturn(PETSC_SUCCESS);
}
