#include "train/equilibrium.h"

#include "conv/pointwise.h"
#include "core/reduce.h"
#include "train/objective.h"

#include <stdio.h>
#include <string.h>

/* What one area keeps on the way up for the way down.  The first n items of `states` belong to the steady state, the
   next n each to s⁰, s¹, ..., so that their weight gradients are one call. */
typedef struct {
  CordsArray states;                                  /* r, s⁰, ..., s^(m−1) */
  CordsArray distance;                                /* s^m − r */
  CordsResponse responses[CORDS_TRANSIENT_STEPS_MAX]; /* D of s^k → s^(k+1) */
  double *squares;                                    /* |s^m − r|² and |r|² of every image */
} Area;

struct _p_CordsEquilibrium {
  CordsContextData group; /* the ranks that share images, for sums over them */
  CordsSystem system;
  CordsInput input;
  CordsSteadyState steady;
  CordsEquilibriumSettings settings;
  PetscInt area_count, steps; /* steps: of the transient; 0 if it does not count */
  CordsPlanCost cost;
  Area areas[CORDS_AREAS_MAX];
  CordsArray baseline;   /* r⁰, all areas, one item */
  CordsArray gradient;   /* ∂L/∂r, all areas */
  CordsArray z;          /* of the largest area */
  CordsArray z_gradient; /* of the largest area, in the order of Area.states */
  CordsArray features, logits;
  PetscBool *settled;
  /* of the gradient at work */
  PetscInt n, total;                         /* images of the part at hand, and of the whole batch on all ranks */
  double forward_products, adjoint_products; /* summed over images and areas */
};

/* States of so many bytes fill the calls of the convolutions; more would only cost memory. */
static const double enough_bytes = 32e6;

enum { SYSTEM_WORK = 3 /* arrays of the system: area input, its adjoint, skip */ };

/* Of this rank, in all areas. */
static PetscInt Neurons(CordsEquilibrium e)
{
  return CordsSystemOffset(e->system, e->area_count);
}

/* What a part of so many images takes. */
static PetscErrorCode PartBytes(CordsEquilibrium e, PetscInt images, double *bytes)
{
  double numbers = 0, size = (double)CordsTypeSize(CordsSystemType(e->system));
  double neurons = Neurons(e);
  double largest = CordsSystemLargestArea(e->system);

  PetscFunctionBegin;
  PetscCall(CordsSteadyStateBytes(e->system, images, bytes));
  numbers = neurons * (e->steps + 3) + largest * (e->steps + 2 + SYSTEM_WORK);
  *bytes += images * size * numbers + size * neurons + CordsPlanInputBytes(e->system, images);
  for (PetscInt i = 0; i < e->area_count; i++) *bytes += images * e->steps * CordsResponseBytes(e->system, i);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakePlan(CordsEquilibrium e, PetscInt batch, const CordsStageSettings *settings)
{
  const double learning = CordsPlanLearningBytes(e->system, &settings->loading, batch, batch);
  const double limit_bytes = settings->rollout.memory_limit_bytes;
  double one, two;

  PetscFunctionBegin;
  PetscCall(PartBytes(e, 1, &one));
  PetscCall(PartBytes(e, 2, &two));
  PetscCall(CordsPlanParts(e->system, batch, one, two - one, enough_bytes, limit_bytes, learning, &e->cost));
  /* less, now that the images at a time are known */
  e->cost.other_bytes += CordsPlanLearningBytes(e->system, &settings->loading, batch, e->cost.plan.images) - learning;
  /* where memory is short, the ranks that share images still take as many at a time; the first has the largest tiles */
  PetscCallMPI(MPI_Bcast(&e->cost, sizeof e->cost, MPI_BYTE, 0, e->group.comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateArea(CordsEquilibrium e, PetscInt i)
{
  CordsType type = CordsSystemType(e->system);
  PetscInt neurons = CordsSystemNeurons(e->system, i);
  Area *area = &e->areas[i];

  PetscFunctionBegin;
  PetscCall(CordsArrayCreate(type, (e->steps + 1) * e->cost.plan.images, neurons, &area->states));
  if (e->steps > 0) PetscCall(CordsArrayCreate(type, e->cost.plan.images, neurons, &area->distance));
  for (PetscInt k = 0; k < e->steps; k++) {
    PetscCall(CordsResponseCreate(e->system, i, e->cost.plan.images, e->settings.transient_step, &area->responses[k]));
  }
  PetscCall(PetscCalloc1(2 * e->cost.plan.images, &area->squares));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CreateArrays(CordsEquilibrium e)
{
  const CordsArchitecture *a = &CordsSystemModel(e->system)->architecture;
  CordsType type = CordsSystemType(e->system);
  PetscInt neurons = Neurons(e), largest = CordsSystemLargestArea(e->system);

  PetscFunctionBegin;
  for (PetscInt i = 0; i < e->area_count; i++) PetscCall(CreateArea(e, i));
  PetscCall(CordsArrayCreate(type, 1, neurons, &e->baseline));
  PetscCall(CordsArrayCreate(type, e->cost.plan.images, neurons, &e->gradient));
  PetscCall(CordsArrayCreate(type, e->cost.plan.images, largest, &e->z));
  PetscCall(CordsArrayCreate(type, (e->steps + 1) * e->cost.plan.images, largest, &e->z_gradient));
  PetscCall(CordsArrayCreate(type, e->cost.plan.images, a->areas[a->area_count - 1].channels, &e->features));
  PetscCall(CordsArrayCreate(type, e->cost.plan.images, a->classes, &e->logits));
  PetscCall(PetscMalloc1(e->cost.plan.images, &e->settled));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsEquilibriumCreate(CordsContext context, CordsModel model, const CordsStageSettings *settings,
                                      PetscInt batch_local, CordsType type, CordsEquilibrium *equilibrium)
{
  CordsEquilibrium e;

  PetscFunctionBegin;
  PetscCall(PetscNew(&e));
  e->settings = settings->equilibrium;
  e->area_count = model->architecture.area_count;
  e->steps = e->settings.transient_weight > 0 ? e->settings.transient_steps : 0;
  PetscCall(CordsContextUncut(context->domain_comm, &e->group));
  PetscCall(CordsSystemCreateCut(context, model, type, &e->system));
  PetscCall(MakePlan(e, PetscMax(batch_local, 1), settings));
  PetscCall(CordsSteadyStateCreate(e->system, e->cost.plan.images, &e->settings.solver, &e->steady));
  PetscCall(CreateArrays(e));
  *equilibrium = e;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsEquilibriumDestroy(CordsEquilibrium *equilibrium)
{
  CordsEquilibrium e = *equilibrium;

  PetscFunctionBegin;
  if (!e) PetscFunctionReturn(PETSC_SUCCESS);
  for (PetscInt i = 0; i < e->area_count; i++) {
    PetscCall(CordsArrayDestroy(&e->areas[i].states));
    PetscCall(CordsArrayDestroy(&e->areas[i].distance));
    for (PetscInt k = 0; k < e->steps; k++) PetscCall(CordsResponseDestroy(&e->areas[i].responses[k]));
    PetscCall(PetscFree(e->areas[i].squares));
  }
  PetscCall(CordsArrayDestroy(&e->baseline));
  PetscCall(CordsArrayDestroy(&e->gradient));
  PetscCall(CordsArrayDestroy(&e->z));
  PetscCall(CordsArrayDestroy(&e->z_gradient));
  PetscCall(CordsArrayDestroy(&e->features));
  PetscCall(CordsArrayDestroy(&e->logits));
  PetscCall(PetscFree(e->settled));
  PetscCall(CordsSteadyStateDestroy(&e->steady));
  PetscCall(CordsInputDestroy(&e->input));
  PetscCall(CordsSystemDestroy(&e->system));
  PetscCall(PetscFree(e));
  *equilibrium = NULL;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsEquilibriumDescribe(CordsEquilibrium equilibrium, char **text)
{
  const CordsEquilibriumSettings *s = &equilibrium->settings;
  enum { LENGTH = 512 };
  char *memory;

  PetscFunctionBegin;
  PetscCall(CordsPlanDescribe(&equilibrium->cost, &memory));
  PetscCall(PetscMalloc1(LENGTH, text));
  snprintf(*text, LENGTH,
           "gradient through the equilibrium: transient of %" PetscInt_FMT
           " steps of %g tau with weight %g; images that do not settle to %g count with the best state found\n%s",
           equilibrium->steps, (double)s->transient_step, (double)s->transient_weight, (double)s->solver.tolerance,
           memory);
  PetscCall(PetscFree(memory));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsEquilibriumSetPhi(CordsEquilibrium equilibrium, CordsPhi phi, PetscReal slope)
{
  return CordsSystemSetPhi(equilibrium->system, phi, slope);
}

/* --- up --- */

/* r⁰, area by area, from rest. */
static PetscErrorCode Baseline(CordsEquilibrium e)
{
  CordsSteadyStateResult result;

  PetscFunctionBegin;
  memset(e->baseline.data, 0, (size_t)e->baseline.elements * CordsTypeSize(e->baseline.type));
  for (PetscInt i = 0; i < e->area_count; i++) {
    const void *below = i >= 1 ? CordsSystemArea(e->system, 1, e->baseline.data, i - 1) : NULL;
    const void *below2 = i >= 2 ? CordsSystemArea(e->system, 1, e->baseline.data, i - 2) : NULL;
    PetscCall(CordsSystemDrive(e->system, i, 1, CORDS_STATES_ANY, NULL, below, below2, e->z.data));
    PetscCall(CordsSteadyStateSolve(e->steady, i, 1, e->z.data, CordsSystemArea(e->system, 1, e->baseline.data, i),
                                    NULL, &result));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The steady states of an area, or NULL below the first. */
static const void *Below(const CordsEquilibrium e, PetscInt i)
{
  return i >= 0 ? e->areas[i].states.data : NULL;
}

/* State number k of Area.states: 0 is r, 1 + k is s^k. */
static void *Block(const CordsEquilibrium e, const CordsArray *array, PetscInt neurons, PetscInt k)
{
  return (char *)array->data + (size_t)k * (size_t)e->n * (size_t)neurons * CordsTypeSize(array->type);
}

/* s⁰ ... s^m, and s^m as the start of r. */
static PetscErrorCode Transient(CordsEquilibrium e, PetscInt i)
{
  PetscInt neurons = CordsSystemNeurons(e->system, i);
  size_t bytes = (size_t)neurons * CordsTypeSize(CordsSystemType(e->system));
  Area *area = &e->areas[i];
  char *start = Block(e, &area->states, neurons, e->steps > 0 ? 1 : 0);

  PetscFunctionBegin;
  for (PetscInt k = 0; k < e->n; k++) {
    memcpy(start + (size_t)k * bytes, CordsSystemArea(e->system, 1, e->baseline.data, i), bytes);
  }
  for (PetscInt k = 0; k < e->steps; k++) {
    void *next = k + 1 < e->steps ? Block(e, &area->states, neurons, k + 2) : area->distance.data;
    PetscCall(
        CordsResponseEvaluate(area->responses[k], e->n, Block(e, &area->states, neurons, k + 1), e->z.data, next));
  }
  if (e->steps > 0) memcpy(area->states.data, area->distance.data, (size_t)e->n * bytes);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static double SumOfSquares(CordsType type, size_t n, const void *x)
{
  double sum = 0;

  for (size_t k = 0; k < n; k++) {
    double value = type == CORDS_F64 ? ((const double *)x)[k] : (double)((const float *)x)[k];
    sum += value * value;
  }
  return sum;
}

/* distance = s^m − r, and the area's share in E. */
static PetscErrorCode MeasureTransient(CordsEquilibrium e, PetscInt i, CordsMetrics *metrics)
{
  CordsType type = CordsSystemType(e->system);
  PetscInt neurons = CordsSystemNeurons(e->system, i);
  size_t bytes = (size_t)neurons * CordsTypeSize(type);
  Area *area = &e->areas[i];

  PetscFunctionBegin;
  if (e->steps == 0) PetscFunctionReturn(PETSC_SUCCESS);
  CordsAxpy(type, (size_t)e->n * (size_t)neurons, -1, area->states.data, area->distance.data);
  for (PetscInt k = 0; k < e->n; k++) {
    double *squares = area->squares + 2 * k;
    squares[0] = SumOfSquares(type, (size_t)neurons, (const char *)area->distance.data + (size_t)k * bytes);
    squares[1] = SumOfSquares(type, (size_t)neurons, (const char *)area->states.data + (size_t)k * bytes);
  }
  PetscCall(CordsReduceSumF64(&e->group, 2 * e->n, area->squares));
  for (PetscInt k = 0; k < e->n; k++) {
    const double *squares = area->squares + 2 * k;
    if (squares[1] > 0) metrics->transient += squares[0] / squares[1] / ((double)e->total * (double)e->area_count);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Up(CordsEquilibrium e, CordsMetrics *metrics)
{
  CordsSteadyStateResult result;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < e->n; k++) e->settled[k] = PETSC_TRUE;
  for (PetscInt i = 0; i < e->area_count; i++) {
    PetscCall(
        CordsSystemDrive(e->system, i, e->n, CORDS_STATES_ANY, e->input, Below(e, i - 1), Below(e, i - 2), e->z.data));
    PetscCall(Transient(e, i));
    PetscCall(CordsSteadyStateSolve(e->steady, i, e->n, e->z.data, e->areas[i].states.data, e->settled, &result));
    e->forward_products += result.products + (double)e->n * e->steps;
    PetscCall(MeasureTransient(e, i, metrics));
  }
  for (PetscInt k = 0; k < e->n; k++) metrics->unsettled += e->settled[k] ? 0 : 1.0 / e->total;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- at the top --- */

/* Cross-entropy of the read-out, and its gradient with respect to the two areas that are read. */
static PetscErrorCode ReadOut(CordsEquilibrium e, const float *labels, CordsMetrics *metrics)
{
  PetscInt last = e->area_count - 1, classes = CordsSystemModel(e->system)->architecture.classes;

  PetscFunctionBegin;
  memset(e->gradient.data, 0,
         (size_t)e->gradient.items * (size_t)e->gradient.elements * CordsTypeSize(e->gradient.type));
  PetscCall(CordsSystemFeatures(e->system, e->n, Below(e, last), Below(e, last - 1), e->features.data));
  PetscCall(CordsSystemLogits(e->system, e->n, e->features.data, e->logits.data));
  CordsCrossEntropy(CordsSystemType(e->system), e->n, classes, e->logits.data, labels, e->total, 1, &metrics->loss,
                    &metrics->accuracy, e->logits.data);
  PetscCall(CordsSystemLogitsBackward(e->system, e->n, e->features.data, e->logits.data, e->features.data));
  for (PetscInt i = last - 1; i <= last; i++) {
    PetscCall(CordsSystemFeaturesAdjoint(e->system, i, e->n, Below(e, i), e->features.data,
                                         CordsSystemArea(e->system, e->n, e->gradient.data, i)));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- down --- */

/* The gradient of transient_weight · E: distance becomes ∂L/∂s^m, g gets ∂L/∂r. */
static void TransientGradient(CordsEquilibrium e, PetscInt i, void *g)
{
  CordsType type = CordsSystemType(e->system);
  size_t neurons = (size_t)CordsSystemNeurons(e->system, i), bytes = neurons * CordsTypeSize(type);
  double share = (double)e->settings.transient_weight / ((double)e->total * (double)e->area_count);
  Area *area = &e->areas[i];

  for (PetscInt k = 0; k < e->n; k++) {
    const double *squares = area->squares + 2 * k;
    double factor = squares[1] > 0 ? 2 * share / squares[1] : 0;
    char *distance = (char *)area->distance.data + (size_t)k * bytes, *part = (char *)g + (size_t)k * bytes;
    CordsAxpy(type, neurons, -factor, distance, part);
    if (factor > 0) {
      CordsAxpy(type, neurons, -factor * squares[0] / squares[1], (char *)area->states.data + (size_t)k * bytes, part);
    }
    CordsScale(type, neurons, factor, distance);
  }
}

/* ∂L/∂u of the transient's steps into the blocks 1 ... m of z_gradient. */
static PetscErrorCode TransientBackward(CordsEquilibrium e, PetscInt i)
{
  PetscInt neurons = CordsSystemNeurons(e->system, i), m = e->steps;
  Area *area = &e->areas[i];

  PetscFunctionBegin;
  PetscCall(
      CordsResponseThrough(area->responses[m - 1], e->n, area->distance.data, Block(e, &e->z_gradient, neurons, m)));
  for (PetscInt k = m - 1; k > 0; k--) {
    CordsScale(CordsSystemType(e->system), (size_t)e->n * (size_t)neurons, 1 - (double)e->settings.transient_step,
               area->distance.data);
    PetscCall(CordsResponseAdjoint(area->responses[k - 1], e->n, Block(e, &e->z_gradient, neurons, k + 1),
                                   area->distance.data, area->distance.data, Block(e, &e->z_gradient, neurons, k)));
  }
  e->adjoint_products += (double)e->n * (m - 1);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From ∂L/∂r of an area, complete, to its weights and the areas below. */
static PetscErrorCode AreaDown(CordsEquilibrium e, PetscInt i)
{
  CordsType type = CordsSystemType(e->system);
  PetscInt neurons = CordsSystemNeurons(e->system, i);
  size_t numbers = (size_t)e->n * (size_t)neurons;
  void *g = CordsSystemArea(e->system, e->n, e->gradient.data, i);
  CordsSteadyStateResult result;

  PetscFunctionBegin;
  if (e->steps > 0) TransientGradient(e, i, g);
  PetscCall(CordsSteadyStateAdjoint(e->steady, i, e->n, g, e->z_gradient.data, &result));
  e->adjoint_products += result.products;
  if (e->steps > 0) PetscCall(TransientBackward(e, i));
  PetscCall(
      CordsSystemSynapsesGradient(e->system, i, (e->steps + 1) * e->n, e->areas[i].states.data, e->z_gradient.data));
  for (PetscInt k = 1; k <= e->steps; k++) {
    CordsAxpy(type, numbers, 1, Block(e, &e->z_gradient, neurons, k), e->z_gradient.data);
  }
  PetscCall(CordsSystemDriveBackward(
      e->system, i, e->n, CORDS_STATES_ANY, e->input, Below(e, i - 1), Below(e, i - 2), e->z_gradient.data,
      i >= 1 ? CordsSystemArea(e->system, e->n, e->gradient.data, i - 1) : NULL,
      i >= 2 ? CordsSystemArea(e->system, e->n, e->gradient.data, i - 2) : NULL, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- all --- */

static PetscErrorCode SetInput(CordsEquilibrium e, const float *images)
{
  PetscFunctionBegin;
  if (e->input && CordsInputBatch(e->input) != e->n) PetscCall(CordsInputDestroy(&e->input));
  if (!e->input) PetscCall(CordsInputCreate(e->system, e->n, &e->input));
  PetscCall(CordsInputSet(e->input, images));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Up and down with a part of the batch. */
static PetscErrorCode Part(CordsEquilibrium e, PetscInt n, const float *images, const float *labels,
                           CordsMetrics *metrics)
{
  PetscFunctionBegin;
  e->n = n;
  PetscCall(SetInput(e, images));
  PetscCall(Up(e, metrics));
  PetscCall(ReadOut(e, labels, metrics));
  for (PetscInt i = e->area_count - 1; i >= 0; i--) PetscCall(AreaDown(e, i));
  PetscCall(CordsInputGradient(e->input));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* All ranks of a domain group know the same; the first tells. */
static void FinishMetrics(CordsEquilibrium e, CordsMetrics *metrics)
{
  double share = 1 / ((double)e->total * (double)e->area_count);

  if (e->group.rank > 0) {
    *metrics = (CordsMetrics){0};
    return;
  }
  metrics->loss += (double)e->settings.transient_weight * metrics->transient;
  metrics->forward_products = share * e->forward_products;
  metrics->adjoint_products = share * e->adjoint_products;
}

PetscErrorCode CordsEquilibriumGradient(CordsEquilibrium equilibrium, PetscInt n, PetscInt total, const float *images,
                                        const float *labels, float *gradient, CordsMetrics *metrics)
{
  CordsEquilibrium e = equilibrium;
  const CordsArchitecture *a = &CordsSystemModel(e->system)->architecture;
  size_t image = (size_t)a->image_rows * a->image_columns * a->image_channels, classes = (size_t)a->classes;

  PetscFunctionBegin;
  PetscCheck(n <= e->cost.batch, PETSC_COMM_SELF, PETSC_ERR_ARG_SIZ, "more images than the object is for");
  e->total = total;
  e->forward_products = e->adjoint_products = 0;
  PetscCall(CordsSystemUpdate(e->system));
  PetscCall(CordsWeightsCollectIn(CordsSystemWeights(e->system), gradient));
  PetscCall(CordsSystemZeroGradient(e->system));
  PetscCall(Baseline(e));
  for (PetscInt first = 0; first < n; first += e->cost.plan.images) {
    PetscCall(Part(e, PetscMin(n - first, e->cost.plan.images), images + (size_t)first * image,
                   labels + (size_t)first * classes, metrics));
  }
  FinishMetrics(e, metrics);
  PetscCall(CordsSystemAddGradient(e->system, gradient));
  PetscCall(CordsWeightsCollectIn(CordsSystemWeights(e->system), NULL));
  PetscFunctionReturn(PETSC_SUCCESS);
}
