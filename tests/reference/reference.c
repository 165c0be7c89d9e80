/* reference FILE...: compare cords with files of numbers from the original implementation (tests/reference/README.md).
   Exits with 1 and one line per disagreement. */
#include "compare.h"
#include "formula.h"

#include "core/config.h"
#include "core/layout.h"
#include "core/reduce.h"
#include "model/cnn.h"
#include "model/fold.h"
#include "train/rollout.h"
#include "train/stage.h"

#include <float.h>
#include <math.h>
#include <slepcsys.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tolerances of tests/reference/README.md. */
static const double state_tolerance = 1e-5, loss_tolerance = 1e-5, gradient_tolerance = 1e-3,
                    spontaneous_tolerance = 1e-8, round_off_share = 1e-4,
                    after_tolerance[] = {[CORDS_OPTIMIZER_SGD] = 1e-6, [CORDS_OPTIMIZER_ADAMW] = 2.5e-7};
enum { SAMPLES = 64, STATE_STRIDE = 97 };

/* A reference file at work: what its attributes say, and this rank's share of its batch. */
typedef struct {
  CordsContext context;
  Comparison comparison;
  char *stage;
  CordsArchitecture architecture;
  PetscInt64 seed, batch;
  PetscInt start, count; /* images of this rank */
  float *images, *labels;
} Reference;

static PetscErrorCode Open(CordsContext context, const char *path, Reference *r)
{
  PetscInt64 depth, classes, channels, size;
  char preset[16];
  CordsLayout share;

  PetscFunctionBegin;
  memset(r, 0, sizeof *r);
  r->context = context;
  PetscCall(CordsH5Open(context, path, &r->comparison.file));
  PetscCall(CordsH5ReadText(r->comparison.file, "/", "stage", &r->stage));
  CordsCheckUser(r->stage, PETSC_COMM_WORLD, "%s: has no attribute `stage`; is it a reference file?", path);
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "depth", NULL, &depth));
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "seed", NULL, &r->seed));
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "batch", NULL, &r->batch));
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "classes", NULL, &classes));
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "image_channels", NULL, &channels));
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "image_size", NULL, &size));
  CordsCheckUser(size == 224, PETSC_COMM_WORLD, "%s: image_size %" PetscInt64_FMT "; reference files have 224", path,
                 size);
  snprintf(preset, sizeof preset, "R%" PetscInt64_FMT, depth);
  PetscCall(CordsArchitecturePreset(preset, (PetscInt)channels, (PetscInt)classes, &r->architecture));
  share = CordsLayoutCut((PetscInt)r->batch, 1, 1, context->group_size, 1, context->group_rank);
  r->start = share.row_start;
  r->count = share.row_count;
  PetscCall(PetscMalloc1((size_t)r->count * size * size * channels + 1, &r->images));
  PetscCall(PetscMalloc1((size_t)r->count * classes + 1, &r->labels));
  FormulaImages(&r->architecture, (uint64_t)r->seed, r->start, r->count, r->images);
  FormulaLabels(&r->architecture, (uint64_t)r->seed, r->start, r->count, r->labels);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Close(Reference *r)
{
  PetscFunctionBegin;
  PetscCall(CordsH5Close(&r->comparison.file));
  PetscCall(PetscFree(r->stage));
  PetscCall(PetscFree(r->images));
  PetscCall(PetscFree(r->labels));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A whole-batch array of which this rank has filled its images, or its part of them, all else zero: add up and compare.
   With root, what is added up is squared. */
static PetscErrorCode CompareGathered(Reference *r, const char *name, PetscInt n, double *values, PetscBool root)
{
  PetscFunctionBegin;
  PetscCall(CordsReduceSumF64(r->context, n, values));
  for (PetscInt k = 0; k < n && root; k++) values[k] = sqrt(values[k]);
  PetscCall(CompareArray(&r->comparison, name, n, values, state_tolerance, PETSC_TRUE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- forward files --- */

/* Means and square norms of each area after each step, as far as this rank has it: [step][area][image of the whole
   batch]. */
typedef struct {
  Reference *reference;
  CordsSystem system;
  PetscInt steps_before;
  double *mean, *square;
} Trace;

static PetscErrorCode TraceArea(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                                const void *data)
{
  Trace *trace = context;
  Reference *r = trace->reference;
  PetscInt neurons = CordsSystemNeurons(trace->system, area);
  const float *state = data;

  for (PetscInt t = 0; t < count; t++) {
    for (PetscInt k = 0; k < items; k++) {
      const float *x = state + ((size_t)t * items + k) * neurons;
      size_t at =
          ((size_t)(trace->steps_before + first - 1 + t) * r->architecture.area_count + area) * r->batch + r->start + k;
      double sum = 0, squares = 0;
      for (PetscInt j = 0; j < neurons; j++) sum += (double)x[j], squares += (double)x[j] * (double)x[j];
      trace->mean[at] = sum / CordsAreaNeurons(&r->architecture.areas[area]);
      trace->square[at] = squares;
    }
  }
  return PETSC_SUCCESS;
}

/* A number of [image of the whole batch][channel][row][column] of an area; 0 where this rank does not have it. */
static double NumberAt(Reference *r, CordsSystem system, PetscInt area, const float *state, PetscInt number)
{
  const CordsAreaShape *shape = &r->architecture.areas[area];
  const CordsLayout tile = CordsLayoutOf(r->context, shape->rows, shape->columns, shape->channels);
  const PetscInt neurons = CordsAreaNeurons(shape), pixels = shape->rows * shape->columns;
  const PetscInt image = number / neurons - r->start, at = number % neurons;
  const PetscInt row = at % pixels / shape->columns - tile.row_start;
  const PetscInt column = at % pixels % shape->columns - tile.column_start;

  if (image < 0 || image >= r->count || row < 0 || row >= tile.row_count || column < 0 || column >= tile.column_count)
    return 0;
  return (double)state[(size_t)image * CordsSystemNeurons(system, area) +
                       (size_t)(row * tile.column_count + column) * shape->channels + at / pixels];
}

/* Every 97th number of [image][channel][row][column] of each area. */
static PetscErrorCode CompareState(Reference *r, CordsSystem system, const char *group, const void *state)
{
  char name[64];
  double *samples;

  PetscFunctionBegin;
  for (PetscInt i = 0; i < r->architecture.area_count; i++) {
    const float *area = CordsSystemArea(system, r->count, state, i);
    PetscInt neurons = CordsAreaNeurons(&r->architecture.areas[i]);
    PetscInt count = ((PetscInt)r->batch * neurons + STATE_STRIDE - 1) / STATE_STRIDE;
    PetscCall(PetscCalloc1(count, &samples));
    for (PetscInt k = 0; k < count; k++) samples[k] = NumberAt(r, system, i, area, k * STATE_STRIDE);
    snprintf(name, sizeof name, "%s/%" PetscInt_FMT, group, i);
    PetscCall(CompareGathered(r, name, count, samples, PETSC_FALSE));
    PetscCall(PetscFree(samples));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CompareLogits(Reference *r, CordsRollout rollout, PetscInt steps)
{
  PetscInt classes = r->architecture.classes;
  float *logits;
  double *all;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1((size_t)steps * r->count * classes + 1, &logits));
  PetscCall(PetscCalloc1((size_t)steps * r->batch * classes, &all));
  if (r->count > 0) PetscCall(CordsRolloutLogits(rollout, 0, steps, logits));
  for (PetscInt t = 0; t < steps && r->context->domain_rank == 0; t++) {
    for (PetscInt k = 0; k < r->count * classes; k++) {
      all[((size_t)t * r->batch + r->start) * classes + k] = (double)logits[(size_t)t * r->count * classes + k];
    }
  }
  PetscCall(CompareGathered(r, "logits", (PetscInt)(steps * r->batch * classes), all, PETSC_FALSE));
  PetscCall(PetscFree(logits));
  PetscCall(PetscFree(all));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One way to run the steps. */
static PetscErrorCode CheckForwardBy(Reference *r, const char *rollout_name)
{
  PetscInt steps = 100, numbers = (PetscInt)(2 * steps * r->architecture.area_count * r->batch);
  CordsPhase phase = {steps, PETSC_FALSE};
  Trace trace = {.reference = r};
  CordsObserver observer = {.context = &trace, .forward = TraceArea};
  CordsModel model;
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  CordsArray state;
  CordsPlanTask task = {.batch = r->count, .steps = steps};
  CordsPlan plan;

  PetscFunctionBegin;
  PetscCall(CordsModelCreate(&r->architecture, CORDS_FORM_RECURRENT, &model));
  FormulaFillModel(model, (uint64_t)r->seed);
  PetscCall(CordsSystemCreateCut(r->context, model, CORDS_F32, &system));
  trace.system = system;
  PetscCall(CordsInputCreate(system, r->count, &input));
  PetscCall(CordsInputSet(input, r->images));
  plan = CordsPlanFast(system, &task);
  plan.images = PetscMax(r->count, 1);
  PetscCall(CordsRolloutCreate(system, rollout_name, &plan, steps, PETSC_FALSE, &rollout));
  PetscCall(CordsArrayCreate(CORDS_F32, r->count, CordsSystemOffset(system, r->architecture.area_count), &state));
  PetscCall(PetscCalloc2(numbers, &trace.mean, numbers, &trace.square));
  PetscCall(CordsRolloutForward(rollout, r->count, NULL, 1, &phase, PETSC_FALSE, state.data, &observer));
  PetscCall(CompareState(r, system, "spontaneous", state.data));
  phase.image = PETSC_TRUE;
  trace.steps_before = steps;
  PetscCall(CordsRolloutForward(rollout, r->count, input, 1, &phase, PETSC_FALSE, state.data, &observer));
  PetscCall(CompareState(r, system, "final", state.data));
  PetscCall(CompareLogits(r, rollout, steps));
  PetscCall(CompareGathered(r, "mean", numbers, trace.mean, PETSC_FALSE));
  PetscCall(CompareGathered(r, "norm", numbers, trace.square, PETSC_TRUE));
  PetscCall(PetscFree2(trace.mean, trace.square));
  PetscCall(CordsArrayDestroy(&state));
  PetscCall(CordsRolloutDestroy(&rollout));
  PetscCall(CordsInputDestroy(&input));
  PetscCall(CordsSystemDestroy(&system));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckForward(Reference *r)
{
  PetscFunctionBegin;
  PetscCall(CheckForwardBy(r, "fused"));
  PetscCall(CheckForwardBy(r, "reference"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- tensors --- */

/* Samples of a tensor-shaped array at floor(k n / 64). */
static PetscInt Sample(const CordsTensor *tensor, const float *values, double samples[SAMPLES])
{
  PetscInt n = CordsTensorSize(tensor), count = PetscMin(n, SAMPLES);

  for (PetscInt k = 0; k < count; k++) samples[k] = (double)values[n < SAMPLES ? k : (PetscInt64)k * n / SAMPLES];
  return count;
}

static double Norm(PetscInt n, const float *values)
{
  double sum = 0;

  for (PetscInt k = 0; k < n; k++) sum += (double)values[k] * (double)values[k];
  return sqrt(sum);
}

/* Compare samples of every tensor that the file has under group. */
static PetscErrorCode CompareTensors(Reference *r, CordsModel model, const char *group, double tolerance,
                                     PetscBool relative)
{
  double samples[SAMPLES];
  char name[192];

  PetscFunctionBegin;
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    PetscInt64 stored;
    PetscInt count = Sample(&model->tensors[k], model->tensors[k].data, samples);
    snprintf(name, sizeof name, "%s/%s", group, model->tensors[k].name);
    PetscCall(StoredSize(r->comparison.file, name, &stored));
    if (stored > 0) PetscCall(CompareArray(&r->comparison, name, count, samples, tolerance, relative));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CompareGradientTensor(Reference *r, const CordsTensor *tensor, const float *gradient,
                                            double total)
{
  PetscInt n = CordsTensorSize(tensor);
  double samples[SAMPLES], norm = Norm(n, gradient), stored_norm;
  PetscInt64 stored;
  char name[192];

  PetscFunctionBegin;
  snprintf(name, sizeof name, "grad/%s", tensor->name);
  PetscCall(StoredSize(r->comparison.file, name, &stored));
  if (stored == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsH5ReadReal(r->comparison.file, name, "norm", NULL, &stored_norm));
  if (stored_norm < round_off_share * total) { /* no influence on the loss but round-off */
    CompareNumber(&r->comparison, name, norm, round_off_share * total);
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CompareArray(&r->comparison, name, Sample(tensor, gradient, samples), samples,
                         fmax(gradient_tolerance * stored_norm / sqrt((double)n), FLT_EPSILON * total), PETSC_FALSE));
  snprintf(name, sizeof name, "norm of grad/%s", tensor->name);
  CompareNumber(&r->comparison, name, fabs(norm - stored_norm), gradient_tolerance * stored_norm);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- training files --- */

static PetscErrorCode CompareLoss(Reference *r, const char *name, PetscInt n, const double *values)
{
  PetscInt64 stored;

  PetscFunctionBegin;
  PetscCall(StoredSize(r->comparison.file, name, &stored));
  if (stored > 0) PetscCall(CompareArray(&r->comparison, name, n, values, loss_tolerance, PETSC_TRUE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CompareMetrics(Reference *r, const CordsStageSettings *settings, const CordsMetrics *metrics)
{
  double stored;
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(CordsH5ReadReal(r->comparison.file, "/", "loss", NULL, &stored));
  CompareNumber(&r->comparison, "loss", fabs(metrics->loss - stored), loss_tolerance * fabs(stored));
  PetscCall(CordsH5ReadReal(r->comparison.file, "/", "spontaneous", &found, &stored));
  if (found) CompareNumber(&r->comparison, "spontaneous", fabs(metrics->spontaneous - stored), spontaneous_tolerance);
  PetscCall(CompareLoss(r, "loss_t", settings->loss_steps, metrics->loss_t));
  PetscCall(CompareLoss(r, "accuracy_t", settings->loss_steps, metrics->accuracy_t));
  PetscCall(CompareLoss(r, "errors", r->architecture.area_count, metrics->errors));
  PetscCall(CompareLoss(r, "eigens", r->architecture.area_count, metrics->spectral));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CompareCnnLogits(Reference *r, CordsModel model, PetscBool training, const char *name)
{
  PetscInt classes = r->architecture.classes;
  PetscInt64 stored;
  float *logits;
  double *all;
  CordsCnn cnn;

  PetscFunctionBegin;
  PetscCall(StoredSize(r->comparison.file, name, &stored));
  if (stored == 0) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(PetscCalloc2((size_t)r->count * classes + 1, &logits, (size_t)r->batch * classes, &all));
  PetscCall(CordsCnnCreate(r->context, model, CORDS_F32, r->count, &cnn));
  PetscCall(CordsCnnForward(cnn, r->count, r->images, training, logits));
  for (PetscInt k = 0; k < r->count * classes && r->context->domain_rank == 0; k++)
    all[(size_t)r->start * classes + k] = (double)logits[k];
  PetscCall(CompareGathered(r, name, (PetscInt)(r->batch * classes), all, PETSC_FALSE));
  PetscCall(CordsCnnDestroy(&cnn));
  PetscCall(PetscFree2(logits, all));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Stage of the file in cords' list; its own names are shorter. */
static PetscErrorCode StageIndex(Reference *r, PetscInt *index)
{
  static const char *const names[] = {"compat", "inverse", "linear", "parametric", "final"};

  PetscFunctionBegin;
  for (*index = 0; *index < (PetscInt)PETSC_STATIC_ARRAY_LENGTH(names); (*index)++) {
    if (strcmp(names[*index], r->stage) == 0) PetscFunctionReturn(PETSC_SUCCESS);
  }
  CordsUserError(PETSC_COMM_WORLD, "%s: stage '%s' is unknown", CordsH5Path(r->comparison.file), r->stage);
}

/* Stage 2: the network has the target's tensors but for area_conv and conv_bias, which have a seed of their own. */
static PetscErrorCode FillStage(Reference *r, CordsStage stage)
{
  CordsModel model = CordsStageModel(stage), target = CordsStageTarget(stage);
  PetscInt64 own_seed = r->seed + 1000;
  PetscBool found;

  PetscFunctionBegin;
  FormulaFillModel(model, (uint64_t)r->seed);
  if (!target) PetscFunctionReturn(PETSC_SUCCESS);
  FormulaFillModel(target, (uint64_t)r->seed);
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "rnn_seed", &found, &own_seed));
  for (PetscInt k = 0; k < model->tensor_count; k++) {
    if (CordsStageLearns(stage, model->tensors[k].name)) FormulaFillTensor(&model->tensors[k], (uint64_t)own_seed);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The logits of stage 1 in both modes, on a copy so that the running statistics stay. */
static PetscErrorCode CheckCompatibilityLogits(Reference *r, CordsModel model)
{
  CordsModel copy;

  PetscFunctionBegin;
  PetscCall(CompareCnnLogits(r, model, PETSC_FALSE, "logits_eval"));
  PetscCall(CordsModelCreate(&r->architecture, model->form, &copy));
  PetscCall(CordsModelCopyShared(model, copy));
  PetscCall(CompareCnnLogits(r, copy, PETSC_TRUE, "logits"));
  PetscCall(CordsModelDestroy(&copy));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckTraining(Reference *r)
{
  CordsStageSettings settings;
  CordsStage stage;
  CordsOptimizer optimizer;
  CordsMetrics metrics;
  CordsModel model;
  float *gradient;
  double norm, total;
  PetscInt64 epoch = 0;
  PetscInt index;
  PetscBool found;

  PetscFunctionBegin;
  PetscCall(StageIndex(r, &index));
  PetscCall(CordsStageSettingsDefault(index, &settings));
  PetscCall(CordsStageCreate(r->context, index, &settings, &r->architecture, PetscMax(r->count, 1), NULL, PETSC_TRUE,
                             &stage));
  model = CordsStageModel(stage);
  PetscCall(FillStage(r, stage));
  if (model->form == CORDS_FORM_BATCHNORM) PetscCall(CheckCompatibilityLogits(r, model));
  PetscCall(CordsH5ReadInt(r->comparison.file, "/", "epoch", &found, &epoch));
  PetscCall(CordsStageOptimizer(stage, &optimizer));
  PetscCall(PetscMalloc1(model->learnable_values, &gradient));
  PetscCall(CordsStageGradientSum(stage, (PetscInt)epoch, r->count, (PetscInt)r->batch, r->images, r->labels, gradient,
                                  &metrics));
  PetscCall(CompareMetrics(r, &settings, &metrics));
  PetscCall(CordsH5ReadReal(r->comparison.file, "/", "grad_norm_total", NULL, &total));
  for (PetscInt k = 0; k < model->learnable_count; k++) {
    const CordsTensor *tensor = &model->tensors[k];
    PetscCall(CompareGradientTensor(r, tensor, gradient + (tensor->data - model->values), total));
  }
  PetscCall(CordsOptimizerStep(optimizer, (double)settings.learning_rate, gradient, &norm));
  CompareNumber(&r->comparison, "grad_norm_total", fabs(norm - total), gradient_tolerance * total);
  PetscCall(CompareTensors(r, model, "after", after_tolerance[settings.optimizer], PETSC_FALSE));
  PetscCall(CompareTensors(r, model, "running", state_tolerance, PETSC_TRUE));
  PetscCall(PetscFree(gradient));
  PetscCall(CordsOptimizerDestroy(&optimizer));
  PetscCall(CordsStageDestroy(&stage));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* --- folding files --- */

static PetscErrorCode CheckFold(Reference *r)
{
  CordsModel batchnorm, folded;

  PetscFunctionBegin;
  PetscCall(CordsModelCreate(&r->architecture, CORDS_FORM_BATCHNORM, &batchnorm));
  PetscCall(CordsModelCreate(&r->architecture, CORDS_FORM_FOLDED, &folded));
  FormulaFillModel(batchnorm, (uint64_t)r->seed);
  PetscCall(CordsFoldBatchNorm(batchnorm, folded));
  PetscCall(CompareTensors(r, folded, "folded", state_tolerance, PETSC_TRUE));
  for (PetscInt k = 0; k < folded->tensor_count; k++) {
    char name[192];
    double stored;
    PetscInt64 size;
    snprintf(name, sizeof name, "folded/%s", folded->tensors[k].name);
    PetscCall(StoredSize(r->comparison.file, name, &size));
    CordsCheckUser(size > 0, PETSC_COMM_WORLD, "%s: %s is missing", CordsH5Path(r->comparison.file), name);
    PetscCall(CordsH5ReadReal(r->comparison.file, name, "norm", NULL, &stored));
    CompareNumber(&r->comparison, name,
                  fabs(Norm(CordsTensorSize(&folded->tensors[k]), folded->tensors[k].data) - stored),
                  state_tolerance * stored);
  }
  PetscCall(CompareCnnLogits(r, batchnorm, PETSC_FALSE, "logits_batchnorm"));
  PetscCall(CompareCnnLogits(r, folded, PETSC_FALSE, "logits_folded"));
  PetscCall(CordsModelDestroy(&batchnorm));
  PetscCall(CordsModelDestroy(&folded));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode CheckFile(CordsContext context, const char *path, PetscBool *agrees)
{
  Reference r;

  PetscFunctionBegin;
  PetscCall(Open(context, path, &r));
  if (strcmp(r.stage, "forward") == 0)
    PetscCall(CheckForward(&r));
  else if (strcmp(r.stage, "fold") == 0)
    PetscCall(CheckFold(&r));
  else
    PetscCall(CheckTraining(&r));
  *agrees = (PetscBool)(r.comparison.disagreements == 0 && r.comparison.compared > 0);
  if (*agrees && context->rank == 0) {
    printf("%s: %" PetscInt_FMT " comparisons agree; nearest to its tolerance: %s at %.2g of it\n", path,
           r.comparison.compared, r.comparison.worst_name, r.comparison.worst);
  }
  PetscCall(Close(&r));
  PetscFunctionReturn(PETSC_SUCCESS);
}

int main(int argc, char **argv)
{
  CordsContextData context;
  PetscBool agrees, all = (PetscBool)(argc > 1);
  PetscErrorCode ierr;

  ierr = SlepcInitialize(&argc, &argv, NULL, NULL);
  if (ierr) return 1;
  if (CordsErrorHandlerPush() || CordsContextInitialize(PETSC_COMM_WORLD, &context)) return 1;
  if (argc < 2 && context.rank == 0) fprintf(stderr, "usage: reference FILE...\n");
  for (int k = 1; k < argc && !ierr; k++) {
    ierr = CheckFile(&context, argv[k], &agrees);
    if (!ierr && !agrees) all = PETSC_FALSE;
  }
  if (ierr) return CordsErrorExit(ierr);
  if (CordsContextFinalize(&context) || SlepcFinalize()) return 1;
  return all ? 0 : 1;
}
