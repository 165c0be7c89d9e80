#include "model/cnn.h"

#include "conv/cut_pool.h"
#include "conv/pointwise.h"
#include "conv/pool.h"
#include "core/reduce.h"
#include "model/batch_norm.h"
#include "model/weights.h"

#include <stdio.h>
#include <string.h>

/* One batch normalisation: where its parameters are, and what its last training pass saw. */
typedef struct {
  CordsBatchNormShape shape;
  CordsTensor *weight, *bias, *running_mean, *running_variance;
  double *mean, *variance, count;
} Norm;

/* What a forward pass keeps of one area. */
typedef struct {
  CordsArray input;                /* a_i */
  CordsArray drive;                /* V_i a_i */
  CordsArray between;              /* after norm_i, or + area_bias_i: input of W_i */
  CordsArray response;             /* W_i between; folded form: + conv_bias_i, the argument of ρ */
  CordsArray raw_skip;             /* before skip_norm */
  CordsArray rate;                 /* x_i */
  CordsArray area_bias, conv_bias; /* folded form, [row][column][channel] */
  CordsArray rate_gradient;
  Norm norm, nrm2, skip_norm;
} Area;

struct _p_CordsCnn {
  CordsContext context;
  CordsContextData group; /* the ranks that share images */
  CordsModel model;
  CordsType type;
  PetscInt batch, n; /* capacity; items of the last forward pass */
  CordsWeights weights;
  CordsCutPool pool;
  CordsLayout layouts[CORDS_AREAS_MAX];
  CordsArray images, raw_stem, stem, inp, features;
  Norm stem_norm;
  Area areas[CORDS_AREAS_MAX];
};

static CordsConv Conv(CordsCnn cnn, PetscInt connection)
{
  return CordsWeightsConv(cnn->weights, connection);
}

static size_t Numbers(CordsCnn cnn, PetscInt area)
{
  return (size_t)cnn->n * (size_t)CordsLayoutLocalSize(&cnn->layouts[area]);
}

/* --- making one --- */

static CordsTensor *Tensor(CordsModel model, const char *layer, PetscInt number, const char *part)
{
  char name[64];
  PetscInt k;

  if (number < 0)
    snprintf(name, sizeof name, "%s.%s", layer, part);
  else
    snprintf(name, sizeof name, "%s.%" PetscInt_FMT ".%s", layer, number, part);
  k = CordsModelFind(model, name);
  return k < 0 ? NULL : &model->tensors[k];
}

static PetscErrorCode NormCreate(CordsModel model, const char *layer, PetscInt number, const CordsLayout *layout,
                                 Norm *norm)
{
  const PetscInt channels = layout->channels;

  PetscFunctionBegin;
  norm->shape = (CordsBatchNormShape){.pixels = CordsLayoutLocalPixels(layout), .channels = channels};
  norm->weight = Tensor(model, layer, number, "weight");
  norm->bias = Tensor(model, layer, number, "bias");
  norm->running_mean = Tensor(model, layer, number, "running_mean");
  norm->running_variance = Tensor(model, layer, number, "running_var");
  PetscCall(PetscCalloc2(channels, &norm->mean, channels, &norm->variance));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AreaCreate(CordsCnn cnn, PetscInt i, PetscInt *skip_count)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  const CordsLayout *layout = &cnn->layouts[i], *below = layout - 1;
  const PetscInt neurons = CordsLayoutLocalSize(layout);
  Area *area = &cnn->areas[i];
  CordsArray *const maps[] = {&area->drive, &area->between, &area->response, &area->rate, &area->rate_gradient};

  PetscFunctionBegin;
  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(maps); k++) {
    PetscCall(CordsArrayCreate(cnn->type, cnn->batch, neurons, maps[k]));
  }
  if (i > 0) PetscCall(CordsArrayCreate(cnn->type, cnn->batch, CordsLayoutLocalSize(below), &area->input));
  if (a->skip[i] >= 0 && cnn->model->form == CORDS_FORM_BATCHNORM) {
    PetscCall(CordsArrayCreate(cnn->type, cnn->batch, CordsLayoutLocalSize(below), &area->raw_skip));
    PetscCall(NormCreate(cnn->model, "skip_norm", (*skip_count)++, below, &area->skip_norm));
  }
  if (cnn->model->form == CORDS_FORM_BATCHNORM) {
    PetscCall(NormCreate(cnn->model, "area_norm", i, layout, &area->norm));
    PetscCall(NormCreate(cnn->model, "area_nrm2", i, layout, &area->nrm2));
  } else {
    PetscCall(CordsArrayCreate(cnn->type, 1, neurons, &area->area_bias));
    PetscCall(CordsArrayCreate(cnn->type, 1, neurons, &area->conv_bias));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Maps before the areas: images, stem, its pooling. */
static PetscErrorCode StemCreate(CordsCnn c)
{
  const CordsArchitecture *a = &c->model->architecture;
  const PetscInt channels = a->stem_channels;
  const CordsLayout images = CordsLayoutOf(c->context, a->image_rows, a->image_columns, a->image_channels);
  const CordsLayout stem = CordsLayoutOf(c->context, a->stem_rows, a->stem_columns, channels);
  const CordsLayout inp = CordsLayoutOf(c->context, a->input_rows, a->input_columns, channels);
  const CordsConvShape pool = CordsArchitecturePool(a);

  PetscFunctionBegin;
  if (a->pool_kernel > 0) PetscCall(CordsCutPoolCreate(c->context, &pool, c->type, &c->pool));
  PetscCall(CordsArrayCreate(c->type, c->batch, CordsLayoutLocalSize(&images), &c->images));
  PetscCall(CordsArrayCreate(c->type, c->batch, CordsLayoutLocalSize(&stem), &c->raw_stem));
  PetscCall(CordsArrayCreate(c->type, c->batch, CordsLayoutLocalSize(&stem), &c->stem));
  PetscCall(CordsArrayCreate(c->type, c->batch, CordsLayoutLocalSize(&inp), &c->inp));
  if (a->stem >= 0 && c->model->form == CORDS_FORM_BATCHNORM)
    PetscCall(NormCreate(c->model, "inp_norm", -1, &stem, &c->stem_norm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCnnCreate(CordsContext context, CordsModel model, CordsType type, PetscInt batch, CordsCnn *cnn)
{
  const CordsArchitecture *a = &model->architecture;
  PetscInt skip_count = 0;
  CordsCnn c;

  PetscFunctionBegin;
  PetscCheck(model->form != CORDS_FORM_RECURRENT, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG, "not a feed-forward network");
  PetscCall(PetscNew(&c));
  c->context = context;
  PetscCall(CordsContextUncut(context->domain_comm, &c->group));
  c->model = model;
  c->type = type;
  c->batch = batch;
  PetscCall(CordsWeightsPrepare(context, a, type));
  PetscCall(CordsWeightsCreateCut(context, model, type, &c->weights));
  PetscCall(StemCreate(c));
  PetscCall(CordsArrayCreate(type, batch, a->areas[a->area_count - 1].channels, &c->features));
  for (PetscInt i = 0; i < a->area_count; i++)
    c->layouts[i] = CordsLayoutOf(context, a->areas[i].rows, a->areas[i].columns, a->areas[i].channels);
  for (PetscInt i = 0; i < a->area_count; i++) PetscCall(AreaCreate(c, i, &skip_count));
  PetscCall(CordsCnnUpdate(c));
  *cnn = c;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCnnDestroy(CordsCnn *cnn)
{
  CordsCnn c = *cnn;

  PetscFunctionBegin;
  if (!c) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; i < c->model->architecture.area_count; i++) {
    Area *area = &c->areas[i];
    CordsArray *const arrays[] = {&area->input,     &area->drive,     &area->between,
                                  &area->response,  &area->raw_skip,  &area->rate,
                                  &area->area_bias, &area->conv_bias, &area->rate_gradient};
    for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(arrays); k++) PetscCall(CordsArrayDestroy(arrays[k]));
    PetscCall(PetscFree2(area->norm.mean, area->norm.variance));
    PetscCall(PetscFree2(area->nrm2.mean, area->nrm2.variance));
    PetscCall(PetscFree2(area->skip_norm.mean, area->skip_norm.variance));
  }
  PetscCall(PetscFree2(c->stem_norm.mean, c->stem_norm.variance));
  PetscCall(CordsCutPoolDestroy(&c->pool));
  PetscCall(CordsArrayDestroy(&c->images));
  PetscCall(CordsArrayDestroy(&c->raw_stem));
  PetscCall(CordsArrayDestroy(&c->stem));
  PetscCall(CordsArrayDestroy(&c->inp));
  PetscCall(CordsArrayDestroy(&c->features));
  PetscCall(CordsWeightsDestroy(&c->weights));
  PetscCall(PetscFree(c));
  *cnn = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* This rank's part of a bias per neuron. */
static void LoadNeuronBias(CordsCnn cnn, const char *layer, PetscInt i, CordsArray *bias)
{
  char name[32];
  const float *values;

  snprintf(name, sizeof name, "%s.%" PetscInt_FMT, layer, i);
  values = CordsModelValues(cnn->model, name);
  CORDS_LAYOUT_FOR_EACH(&cnn->layouts[i], torch, ours)
  {
    if (cnn->type == CORDS_F64)
      ((double *)bias->data)[ours] = (double)values[torch];
    else
      ((float *)bias->data)[ours] = values[torch];
  }
}

PetscErrorCode CordsCnnUpdate(CordsCnn cnn)
{
  PetscFunctionBegin;
  PetscCall(CordsWeightsUpdate(cnn->weights));
  for (PetscInt i = 0; i < cnn->model->architecture.area_count && cnn->model->form == CORDS_FORM_FOLDED; i++) {
    LoadNeuronBias(cnn, "area_bias", i, &cnn->areas[i].area_bias);
    LoadNeuronBias(cnn, "conv_bias", i, &cnn->areas[i].conv_bias);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- forward --- */

static PetscErrorCode NormForward(CordsCnn cnn, Norm *norm, PetscBool training, const void *x, PetscBool relu, void *y)
{
  PetscFunctionBegin;
  if (training) {
    PetscCall(CordsBatchNormStatistics(cnn->context, cnn->type, norm->shape, cnn->n, x, norm->mean, norm->variance,
                                       &norm->count));
    CordsBatchNormUpdateRunning(norm->shape.channels, norm->mean, norm->variance, norm->count, norm->running_mean->data,
                                norm->running_variance->data);
  } else {
    for (PetscInt c = 0; c < norm->shape.channels; c++) {
      norm->mean[c] = (double)norm->running_mean->data[c];
      norm->variance[c] = (double)norm->running_variance->data[c];
    }
  }
  CordsBatchNormApply(cnn->type, norm->shape, cnn->n, x, norm->mean, norm->variance, norm->weight->data,
                      norm->bias->data, relu, y);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode StemForward(CordsCnn cnn, const float *images, PetscBool training)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  const CordsLayout layout = CordsLayoutOf(cnn->context, a->image_rows, a->image_columns, a->image_channels);
  const void *stem = cnn->images.data;

  PetscFunctionBegin;
  CordsConvertTiles(&layout, cnn->type, cnn->n, images, cnn->images.data);
  if (a->stem >= 0 && cnn->model->form == CORDS_FORM_BATCHNORM) {
    PetscCall(CordsConvForward(Conv(cnn, a->stem), cnn->n, cnn->images.data, cnn->raw_stem.data, PETSC_FALSE));
    PetscCall(NormForward(cnn, &cnn->stem_norm, training, cnn->raw_stem.data, PETSC_FALSE, cnn->stem.data));
    stem = cnn->stem.data;
  } else if (a->stem >= 0) {
    PetscCall(CordsConvForward(Conv(cnn, a->stem), cnn->n, cnn->images.data, cnn->stem.data, PETSC_FALSE));
    stem = cnn->stem.data;
  }
  if (a->pool_kernel > 0)
    PetscCall(CordsCutPoolForward(cnn->pool, cnn->n, stem, cnn->inp.data));
  else
    memcpy(cnn->inp.data, stem, (size_t)cnn->n * cnn->inp.elements * CordsTypeSize(cnn->type));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* a_i into area->input (i ≥ 1). */
static PetscErrorCode InputForward(CordsCnn cnn, PetscInt i, PetscBool training)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  Area *area = &cnn->areas[i];
  size_t numbers = Numbers(cnn, i - 1);

  PetscFunctionBegin;
  if (i == 1) {
    PetscCall(CordsConvForward(Conv(cnn, a->input_skip), cnn->n, cnn->inp.data, area->input.data, PETSC_FALSE));
  } else if (a->skip[i] < 0) {
    memcpy(area->input.data, cnn->areas[i - 2].rate.data, numbers * CordsTypeSize(cnn->type));
  } else if (cnn->model->form == CORDS_FORM_FOLDED) {
    PetscCall(
        CordsConvForward(Conv(cnn, a->skip[i]), cnn->n, cnn->areas[i - 2].rate.data, area->input.data, PETSC_FALSE));
  } else {
    PetscCall(
        CordsConvForward(Conv(cnn, a->skip[i]), cnn->n, cnn->areas[i - 2].rate.data, area->raw_skip.data, PETSC_FALSE));
    PetscCall(NormForward(cnn, &area->skip_norm, training, area->raw_skip.data, PETSC_FALSE, area->input.data));
  }
  CordsAxpy(cnn->type, numbers, 1, cnn->areas[i - 1].rate.data, area->input.data);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode AreaForward(CordsCnn cnn, PetscInt i, PetscBool training)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  Area *area = &cnn->areas[i];
  size_t numbers = Numbers(cnn, i), neurons = (size_t)CordsLayoutLocalSize(&cnn->layouts[i]);
  CordsConv recurrent = Conv(cnn, a->recurrent[i]);

  PetscFunctionBegin;
  if (i > 0) PetscCall(InputForward(cnn, i, training));
  PetscCall(CordsConvForward(Conv(cnn, a->feedforward[i]), cnn->n, i ? area->input.data : cnn->inp.data,
                             area->drive.data, PETSC_FALSE));
  if (cnn->model->form == CORDS_FORM_BATCHNORM) {
    PetscCall(NormForward(cnn, &area->norm, training, area->drive.data, PETSC_FALSE, area->between.data));
    PetscCall(CordsConvForward(recurrent, cnn->n, area->between.data, area->response.data, PETSC_FALSE));
    PetscCall(NormForward(cnn, &area->nrm2, training, area->response.data, PETSC_TRUE, area->rate.data));
  } else {
    memcpy(area->between.data, area->drive.data, numbers * CordsTypeSize(cnn->type));
    CordsAddPeriodic(cnn->type, cnn->n, 1, neurons, area->area_bias.data, area->between.data);
    PetscCall(CordsConvForward(recurrent, cnn->n, area->between.data, area->response.data, PETSC_FALSE));
    CordsAddPeriodic(cnn->type, cnn->n, 1, neurons, area->conv_bias.data, area->response.data);
    CordsRelu(cnn->type, numbers, area->response.data, area->rate.data);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The mean of the last two areas over all pixels, on all ranks that share them. */
static PetscErrorCode Features(CordsCnn cnn)
{
  const PetscInt last = cnn->model->architecture.area_count - 1, channels = cnn->layouts[last].channels;
  const PetscInt own = CordsLayoutLocalPixels(&cnn->layouts[last]);
  const PetscInt all = cnn->layouts[last].rows * cnn->layouts[last].columns, count = cnn->n * channels;

  PetscFunctionBegin;
  memset(cnn->features.data, 0, (size_t)count * CordsTypeSize(cnn->type));
  CordsMeanReluAdd(cnn->type, cnn->n, own, all, channels, cnn->areas[last].rate.data, cnn->features.data);
  CordsMeanReluAdd(cnn->type, cnn->n, own, all, channels, cnn->areas[last - 1].rate.data, cnn->features.data);
  if (cnn->type == CORDS_F64)
    PetscCall(CordsReduceSumF64(&cnn->group, count, cnn->features.data));
  else
    PetscCall(CordsReduceSumF32(&cnn->group, count, cnn->features.data));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static void AddReadoutBias(CordsCnn cnn, void *logits)
{
  const float *bias = CordsModelValues(cnn->model, "out_fc.bias");
  PetscInt classes = cnn->model->architecture.classes;

  for (PetscInt k = 0; k < cnn->n * classes; k++) {
    if (cnn->type == CORDS_F64)
      ((double *)logits)[k] += (double)bias[k % classes];
    else
      ((float *)logits)[k] += bias[k % classes];
  }
}

PetscErrorCode CordsCnnForward(CordsCnn cnn, PetscInt n, const float *images, PetscBool training, void *logits)
{
  const CordsArchitecture *a = &cnn->model->architecture;

  PetscFunctionBegin;
  PetscCheck(n <= cnn->batch, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "%" PetscInt_FMT " images, made for %" PetscInt_FMT,
             n, cnn->batch);
  cnn->n = n;
  PetscCall(StemForward(cnn, images, training));
  for (PetscInt i = 0; i < a->area_count; i++) PetscCall(AreaForward(cnn, i, training));
  PetscCall(Features(cnn));
  PetscCall(CordsConvForward(Conv(cnn, a->readout), n, cnn->features.data, logits, PETSC_FALSE));
  AddReadoutBias(cnn, logits);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCnnTarget(CordsCnn cnn, PetscInt area, const void **drive, const void **response)
{
  PetscFunctionBegin;
  *drive = cnn->areas[area].drive.data;
  *response = cnn->areas[area].response.data;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- backward --- */

/* rate: what NormForward gave if it was cut at zero, else NULL; dx may be dy. */
static PetscErrorCode NormBackward(CordsCnn cnn, Norm *norm, const void *x, const void *rate, const void *dy, void *dx,
                                   float *gradient)
{
  const float *values = cnn->model->values;

  PetscFunctionBegin;
  PetscCall(CordsBatchNormBackward(cnn->context, cnn->type, norm->shape, cnn->n, x, norm->mean, norm->variance,
                                   norm->count, norm->weight->data, rate, dy, dx,
                                   gradient + (norm->weight->data - values), gradient + (norm->bias->data - values)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Gradient of a convolution's weights from its input x and dy, and dx (+)= Wᵀ dy. */
static PetscErrorCode ConvBackward(CordsCnn cnn, PetscInt connection, const void *x, const void *dy, void *dx,
                                   PetscBool accumulate)
{
  PetscFunctionBegin;
  PetscCall(
      CordsConvBackwardWeights(Conv(cnn, connection), cnn->n, x, dy, CordsWeightsGradient(cnn->weights, connection)));
  if (dx) PetscCall(CordsConvBackwardData(Conv(cnn, connection), cnn->n, dy, dx, accumulate));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From the gradient of x_i to those of x_{i−1}, x_{i−2} and inp; d, e: work of the size of any map. */
static PetscErrorCode AreaBackward(CordsCnn cnn, PetscInt i, void *d, void *e, void *dinp, float *gradient)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  Area *area = &cnn->areas[i];

  PetscFunctionBegin;
  PetscCall(
      NormBackward(cnn, &area->nrm2, area->response.data, area->rate.data, area->rate_gradient.data, d, gradient));
  PetscCall(ConvBackward(cnn, a->recurrent[i], area->between.data, d, e, PETSC_FALSE));
  PetscCall(NormBackward(cnn, &area->norm, area->drive.data, NULL, e, e, gradient));
  if (i == 0) {
    PetscCall(ConvBackward(cnn, a->feedforward[0], cnn->inp.data, e, dinp, PETSC_TRUE));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(ConvBackward(cnn, a->feedforward[i], area->input.data, e, d, PETSC_FALSE));
  CordsAxpy(cnn->type, Numbers(cnn, i - 1), 1, d, cnn->areas[i - 1].rate_gradient.data);
  if (i == 1) {
    PetscCall(ConvBackward(cnn, a->input_skip, cnn->inp.data, d, dinp, PETSC_TRUE));
  } else if (a->skip[i] < 0) {
    CordsAxpy(cnn->type, Numbers(cnn, i - 1), 1, d, cnn->areas[i - 2].rate_gradient.data);
  } else {
    PetscCall(NormBackward(cnn, &area->skip_norm, area->raw_skip.data, NULL, d, d, gradient));
    PetscCall(ConvBackward(cnn, a->skip[i], cnn->areas[i - 2].rate.data, d, cnn->areas[i - 2].rate_gradient.data,
                           PETSC_TRUE));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode StemBackward(CordsCnn cnn, const void *dinp, void *d, float *gradient)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  size_t bytes = (size_t)cnn->n * cnn->stem.elements * CordsTypeSize(cnn->type);

  PetscFunctionBegin;
  if (a->stem < 0) PetscFunctionReturn(PETSC_SUCCESS);
  memset(d, 0, bytes);
  if (a->pool_kernel > 0)
    PetscCall(CordsCutPoolAdjoint(cnn->pool, cnn->n, dinp, d));
  else
    memcpy(d, dinp, bytes);
  PetscCall(NormBackward(cnn, &cnn->stem_norm, cnn->raw_stem.data, NULL, d, d, gradient));
  PetscCall(ConvBackward(cnn, a->stem, cnn->images.data, d, NULL, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode ReadoutBackward(CordsCnn cnn, const void *dlogits, void *d, float *gradient)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  const PetscInt last = a->area_count - 1, channels = cnn->layouts[last].channels;
  const PetscInt own = CordsLayoutLocalPixels(&cnn->layouts[last]);
  const PetscInt all = cnn->layouts[last].rows * cnn->layouts[last].columns;
  float *dbias = gradient + (CordsModelValues(cnn->model, "out_fc.bias") - cnn->model->values);

  PetscFunctionBegin;
  if (cnn->context->domain_rank == 0) { /* all ranks of a group have the same features; gradients are summed later */
    for (PetscInt k = 0; k < cnn->n * a->classes; k++)
      dbias[k % a->classes] +=
          cnn->type == CORDS_F64 ? (float)((const double *)dlogits)[k] : ((const float *)dlogits)[k];
    PetscCall(CordsConvBackwardWeights(Conv(cnn, a->readout), cnn->n, cnn->features.data, dlogits,
                                       CordsWeightsGradient(cnn->weights, a->readout)));
  }
  PetscCall(CordsConvBackwardData(Conv(cnn, a->readout), cnn->n, dlogits, d, PETSC_FALSE));
  for (PetscInt i = last - 1; i <= last; i++)
    CordsMeanReluAdjointAdd(cnn->type, cnn->n, own, all, channels, cnn->areas[i].rate.data, d,
                            cnn->areas[i].rate_gradient.data);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsCnnBackward(CordsCnn cnn, const void *dlogits, float *gradient)
{
  const CordsArchitecture *a = &cnn->model->architecture;
  PetscInt largest = PetscMax(cnn->stem.elements, PetscMax(a->classes, cnn->features.elements));
  CordsArray dinp, d, e;

  PetscFunctionBegin;
  PetscCheck(cnn->model->form == CORDS_FORM_BATCHNORM, PETSC_COMM_SELF, PETSC_ERR_ARG_WRONG,
             "the folded network is never trained");
  for (PetscInt i = 0; i < a->area_count; i++) {
    largest = PetscMax(largest, CordsLayoutLocalSize(&cnn->layouts[i]));
    memset(cnn->areas[i].rate_gradient.data, 0, Numbers(cnn, i) * CordsTypeSize(cnn->type));
  }
  PetscCall(CordsArrayCreate(cnn->type, cnn->n, cnn->inp.elements, &dinp));
  PetscCall(CordsArrayCreate(cnn->type, cnn->n, largest, &d));
  PetscCall(CordsArrayCreate(cnn->type, cnn->n, largest, &e));
  PetscCall(CordsWeightsZeroGradient(cnn->weights));
  PetscCall(ReadoutBackward(cnn, dlogits, d.data, gradient));
  for (PetscInt i = a->area_count - 1; i >= 0; i--)
    PetscCall(AreaBackward(cnn, i, d.data, e.data, dinp.data, gradient));
  PetscCall(StemBackward(cnn, dinp.data, d.data, gradient));
  PetscCall(CordsWeightsAddGradient(cnn->weights, gradient));
  PetscCall(CordsArrayDestroy(&dinp));
  PetscCall(CordsArrayDestroy(&d));
  PetscCall(CordsArrayDestroy(&e));
  PetscFunctionReturn(PETSC_SUCCESS);
}
