#include "train/stage.h"

#include "core/config.h"
#include "core/reduce.h"
#include "core/registry.h"
#include "train/stage_type.h"
#include "train/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CORDS_STAGE(name) extern const CordsStageType cords_stage_##name;
#include "train/stages.def"
#undef CORDS_STAGE

#define CORDS_STAGE(name) &cords_stage_##name,
static const CordsStageType *const types[] = {
#include "train/stages.def"
};
#undef CORDS_STAGE

enum { STAGE_COUNT = PETSC_STATIC_ARRAY_LENGTH(types) };

static const char *const schedule_names[] = {"constant", "rounds", "one_cycle"};
static const char *const gradient_names[] = {"time", "equilibrium"};

PetscErrorCode CordsStageList(PetscInt *count, const char *const **names, const char *const **abouts)
{
  PetscFunctionBegin;
  CORDS_REGISTRY_LIST(types, count, names, abouts);
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsForm CordsStageForm(PetscInt index)
{
  return types[index]->form;
}

PetscErrorCode CordsStageCheckOrder(PetscInt count, const PetscInt stages[])
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < count; k++) {
    const CordsStageType *type = types[stages[k]], *before = k > 0 ? types[stages[k - 1]] : NULL;
    if (type->form == CORDS_FORM_BATCHNORM) {
      CordsCheckUser(!before, PETSC_COMM_WORLD, "-stages: %s starts from nothing and must come first", type->name);
    } else if (type->has_target) {
      CordsCheckUser(before && before->form == CORDS_FORM_BATCHNORM, PETSC_COMM_WORLD,
                     "-stages: %s learns from the CNN of compatibility and must come right after it", type->name);
    } else {
      CordsCheckUser(!before || before->form == CORDS_FORM_RECURRENT, PETSC_COMM_WORLD,
                     "-stages: %s cannot come right after %s; put inverse between them", type->name,
                     before ? before->name : "");
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStageSettingsDefault(PetscInt index, CordsStageSettings *settings)
{
  PetscFunctionBegin;
  *settings = types[index]->defaults;
  CordsSteadyStateDefault(&settings->equilibrium.solver);
  settings->equilibrium.transient_weight = 10;
  settings->equilibrium.transient_steps = 3;
  settings->equilibrium.transient_step = 0.7;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static const char *OptionName(PetscInt index, const char *what)
{
  static char ring[4][64];
  static int next;
  char *name = ring[next++ % 4];

  snprintf(name, sizeof ring[0], "-%s_%s", types[index]->name, what);
  return name;
}

/* -gradient for all stages with time, -<stage>_gradient for one of them, and how the equilibrium is found. */
static PetscErrorCode GradientSettings(PetscInt index, CordsStageSettings *s)
{
  PetscInt gradient = (PetscInt)s->gradient, count = PETSC_STATIC_ARRAY_LENGTH(gradient_names);

  PetscFunctionBegin;
  PetscCall(CordsOptionChoice("-gradient",
                              "what the gradient of stages with time goes through: every time step, or "
                              "the steady state",
                              count, gradient_names, &gradient));
  PetscCall(CordsOptionChoice(OptionName(index, "gradient"), "the same for this stage alone", count, gradient_names,
                              &gradient));
  s->gradient = (CordsGradientKind)gradient;
  PetscCall(CordsSteadyStateConfigure(&s->equilibrium.solver));
  PetscCall(CordsOptionReal("-equilibrium_transient_weight",
                            "gradient equilibrium: weight of what is left of the "
                            "transient after a few steps",
                            "", 0, 1e6, &s->equilibrium.transient_weight));
  PetscCall(CordsOptionInt("-equilibrium_transient_steps", "gradient equilibrium: steps after which it is measured",
                           "steps", 1, CORDS_TRANSIENT_STEPS_MAX, &s->equilibrium.transient_steps));
  PetscCall(CordsOptionReal("-equilibrium_transient_step", "gradient equilibrium: length of these steps", "tau", 0.01,
                            1, &s->equilibrium.transient_step));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Options that only stages with time have. */
static PetscErrorCode TimeSettings(PetscInt index, CordsStageSettings *s)
{
  PetscFunctionBegin;
  PetscCall(GradientSettings(index, s));
  PetscCall(CordsOptionInt(OptionName(index, "loss_steps"), "last stimulus steps whose loss counts, weights 1e-3 to 1",
                           "steps", 1, CORDS_LOSS_STEPS_MAX, &s->loss_steps));
  if (types[index]->defaults.spontaneous_weight > 0) {
    PetscCall(CordsOptionReal(OptionName(index, "spontaneous_weight"),
                              "weight of the distance from the spontaneous state after the return; 0: no return phase",
                              "", 0, 1e6, &s->spontaneous_weight));
  }
  if (types[index]->defaults.slope_start > 0) {
    PetscCall(CordsOptionReal(OptionName(index, "slope_start"), "slope of PReLU in the first epoch", "", 0, 1,
                              &s->slope_start));
    PetscCall(
        CordsOptionReal(OptionName(index, "slope_step"), "what it loses in each epoch", "", 0, 1, &s->slope_step));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStageSettingsFromOptions(PetscInt index, CordsStageSettings *s)
{
  PetscInt schedule, optimizer;

  PetscFunctionBegin;
  PetscCall(CordsStageSettingsDefault(index, s));
  schedule = (PetscInt)s->schedule;
  optimizer = (PetscInt)s->optimizer;
  PetscCall(CordsOptionInt(OptionName(index, "epochs"), "epochs", "", 0, 1000000, &s->epochs));
  PetscCall(CordsOptionInt(OptionName(index, "batch"), "images per update, on all ranks together", "images", 1, 1000000,
                           &s->batch));
  PetscCall(CordsOptionInt(OptionName(index, "samples"), "images per epoch; 0: all", "images", 0, PETSC_MAX_INT,
                           &s->samples));
  PetscCall(
      CordsOptionReal(OptionName(index, "learning_rate"), "largest learning rate", "", 0, 1e6, &s->learning_rate));
  PetscCall(CordsOptionChoice(OptionName(index, "schedule"), "course of the learning rate",
                              PETSC_STATIC_ARRAY_LENGTH(schedule_names), schedule_names, &schedule));
  PetscCall(CordsOptionInt(OptionName(index, "rounds"), "schedule rounds: each with a tenth of the rate before", "", 1,
                           100, &s->rounds));
  PetscCall(CordsOptionInt(OptionName(index, "warmup"), "schedule rounds: batches of linear warm-up", "batches", 0,
                           PETSC_MAX_INT, &s->warmup));
  PetscCall(CordsOptionChoice(OptionName(index, "optimizer"), "optimiser", CORDS_OPTIMIZER_COUNT, CordsOptimizerNames,
                              &optimizer));
  PetscCall(CordsOptionBool(OptionName(index, "new_optimizer"), "forget its moments at the start of each epoch",
                            &s->new_optimizer));
  PetscCall(CordsOptionReal(OptionName(index, "weight_decay"), "weight decay", "", 0, 1e6, &s->weight_decay));
  PetscCall(CordsOptionReal(OptionName(index, "clip"), "largest norm of the gradient; 0: no clipping", "", 0, 1e30,
                            &s->clip));
  PetscCall(
      CordsOptionBool(OptionName(index, "augment"), "flip, shift, jitter the images as the dataset says", &s->augment));
  PetscCall(CordsOptionBool(OptionName(index, "mix"), "CutMix or MixUp, if the dataset says so", &s->mix));
  if (s->loss_steps > 0) PetscCall(TimeSettings(index, s));
  s->schedule = (CordsSchedule)schedule;
  s->optimizer = (CordsOptimizerKind)optimizer;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStageCreate(CordsContext context, PetscInt index, const CordsStageSettings *settings,
                                const CordsArchitecture *architecture, PetscInt batch_local, CordsModel previous,
                                PetscBool load, CordsStage *stage)
{
  CordsStage s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  s->context = context;
  s->type = types[index];
  s->settings = *settings;
  s->batch_local = batch_local;
  PetscCall(CordsModelCreate(architecture, s->type->form, &s->model));
  if (s->type->has_target) PetscCall(CordsModelCreate(architecture, CORDS_FORM_FOLDED, &s->target));
  /* so that weight normalisation has something to divide by until the values are loaded */
  if (load) PetscCall(CordsModelInitialise(s->model, context->seed));
  if (load && s->target) PetscCall(CordsModelInitialise(s->target, context->seed));
  if (!load) PetscCall(s->type->start(context, previous, s->model, s->target));
  PetscCall(s->type->create(s));
  *stage = s;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStageDestroy(CordsStage *stage)
{
  PetscFunctionBegin;
  if (!*stage) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall((*stage)->type->destroy(*stage));
  PetscCall(CordsModelDestroy(&(*stage)->model));
  PetscCall(CordsModelDestroy(&(*stage)->target));
  PetscCall(CordsGradientSumDestroy(&(*stage)->summing));
  PetscCall(PetscFree(*stage));
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsModel CordsStageModel(CordsStage stage)
{
  return stage->model;
}

CordsModel CordsStageTarget(CordsStage stage)
{
  return stage->target;
}

const char *CordsStageName(CordsStage stage)
{
  return stage->type->name;
}

const CordsStageSettings *CordsStageGetSettings(CordsStage stage)
{
  return &stage->settings;
}

PetscErrorCode CordsStageDescribe(CordsStage stage, char **text)
{
  PetscFunctionBegin;
  *text = NULL;
  if (stage->type->describe) PetscCall(stage->type->describe(stage, text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsPlanTask CordsStageRun(PetscInt index, const CordsArchitecture *architecture, const CordsStageSettings *settings,
                            PetscInt batch)
{
  const CordsStageSettings *defaults = &types[index]->defaults;

  if (defaults->loss_steps == 0) return (CordsPlanTask){.batch = batch};
  return CordsTrialTask(architecture, settings, (PetscBool)(defaults->spontaneous_weight > 0), batch);
}

CordsPlan CordsStagePlan(CordsStage stage)
{
  return stage->plan;
}

PetscErrorCode CordsStageCalls(PetscInt stage, const CordsUpdateTask *task, CordsCalls *calls)
{
  return types[stage]->calls(task, calls);
}

PetscBool CordsStageLearns(CordsStage stage, const char *tensor)
{
  return stage->type->learns(tensor);
}

PetscErrorCode CordsStageGradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                                  const float *labels, float *gradient, CordsMetrics *metrics)
{
  PetscFunctionBegin;
  memset(gradient, 0, (size_t)stage->model->learnable_values * sizeof(float));
  memset(metrics, 0, sizeof *metrics);
  PetscCall(stage->type->gradient(stage, epoch, n, total, images, labels, gradient, metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsStageGradientSum(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                                     const float *labels, float *gradient, CordsMetrics *metrics)
{
  PetscFunctionBegin;
  if (!stage->summing) PetscCall(CordsGradientSumCreate(stage->context, stage->model, &stage->summing));
  stage->sum = stage->summing;
  CordsGradientSumBegin(stage->sum, gradient);
  PetscCall(CordsStageGradient(stage, epoch, n, total, images, labels, gradient, metrics));
  PetscCall(CordsGradientSumEnd(stage->sum));
  stage->sum = NULL;
  PetscCall(CordsReduceSumF64(stage->context, CORDS_METRICS_COUNT, (double *)metrics));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Linear rise in the first quarter, then half a cosine down to a thousandth (Smith, Topin, "Super-convergence", 2018).
 */
static double OneCycle(double fraction)
{
  const double rise = 0.25, low = 1e-3;

  if (fraction < rise) return 0.04 + 0.96 * fraction / rise;
  return low + (1 - low) * 0.5 * (1 + cos(PETSC_PI * (fraction - rise) / (1 - rise)));
}

double CordsStageLearningRate(const CordsStageSettings *s, PetscInt64 update, PetscInt64 updates)
{
  PetscInt64 per_round = PetscMax((updates + s->rounds - 1) / s->rounds, 1);
  double warm;

  switch (s->schedule) {
  case CORDS_SCHEDULE_ROUNDS:
    warm = s->warmup > 0 ? fmin((double)(update % per_round) / (double)s->warmup, 1) : 1;
    return (double)s->learning_rate * pow(10, -(double)(update / per_round)) * (1 + 2 * warm) / 3;
  case CORDS_SCHEDULE_ONE_CYCLE:
    return (double)s->learning_rate * OneCycle((double)update / (double)PetscMax(updates, 1));
  default:
    return (double)s->learning_rate;
  }
}

PetscErrorCode CordsStageOptimizer(CordsStage stage, CordsOptimizer *optimizer)
{
  PetscFunctionBegin;
  PetscCall(CordsOptimizerCreate(stage->model, stage->settings.optimizer, (double)stage->settings.weight_decay,
                                 (double)stage->settings.clip, stage->type->learns, optimizer));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscBool CordsStageLearnsAll(const char *tensor)
{
  return PETSC_TRUE;
}
