/* Trials of single images: spontaneous - stimulus - return, with the activity of each area at each step. */
#include "cli/command.h"

#include "conv/choice.h"
#include "core/config.h"
#include "core/log.h"
#include "core/reduce.h"
#include "data/loader.h"
#include "data/selection.h"
#include "io/results.h"
#include "train/rollout.h"

#include <math.h>
#include <string.h>

static CordsSelection selection;
static char checkpoint[PETSC_MAX_PATH_LEN], output[PETSC_MAX_PATH_LEN];

enum { PHASES = 3 };

/* Tables of one row per image, as [step][area] or [step][class]. */
enum { MEAN, NORM, ACTIVE, DISTANCE, LOGITS, TABLES };
static const CordsSchema schemas[TABLES] = {
    [MEAN] = {"activity/mean", "image,step,area", "1", "mean rate of each area after each step"},
    [NORM] = {"activity/norm", "image,step,area", "1", "2-norm of the rates of each area after each step"},
    [ACTIVE] = {"activity/active_fraction", "image,step,area", "1", "share of neurons with a rate above zero"},
    [DISTANCE] = {"activity/distance", "image,step,area", "1",
                  "squared distance from the spontaneous state, mean over the neurons of each area"},
    [LOGITS] = {"activity/logits", "image,step,class", "1", "read-out after each step"}};
static const CordsSchema image_schema = {"activity/image", "image", "1", "index in the test split"},
                         label_schema = {"activity/label", "image", "1", "true class"},
                         time_schema = {"activity/time_ms", "step", "ms", "time after each step, 0 at stimulus onset"},
                         phase_schema = {"activity/phase", "step", "1", "0 spontaneous, 1 stimulus, 2 return"};

/* A trial at work. */
typedef struct {
  CordsContextData group; /* the ranks that share an image, for sums over them */
  CordsModel model;
  CordsSystem system;
  CordsInput input;
  CordsRollout rollout;
  CordsArray state, baseline; /* of one image; the spontaneous state; this rank's tiles */
  CordsPhase phases[PHASES];
  PetscInt steps;
  float *image;
  double *rows[TABLES];
} Trial;

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscFunctionBegin;
  CordsCheckUser(!argument[0], PETSC_COMM_WORLD, "simulate takes no name ('%s'); options start with '-'", argument);
  PetscCall(CordsConvChoiceFromOptions(PETSC_FALSE));
  PetscCall(CordsOptionString("-checkpoint", "file with the network: model.h5 or checkpoint.h5", sizeof checkpoint,
                              checkpoint));
  PetscCall(CordsOptionRequire("-checkpoint", checkpoint, "the file with the network"));
  PetscCall(CordsSelectionConfigure(&selection, "0:8"));
  PetscCall(CordsOptionString("-output", "result file to write (HDF5)", sizeof output, output));
  PetscCall(CordsOptionRequire("-output", output, "the result file to write"));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode TrialCreate(CordsContext context, CordsModel model, Trial *t)
{
  const CordsArchitecture *a = &model->architecture;
  CordsPlanTask task;
  CordsPlan plan;
  PetscInt neurons;

  PetscFunctionBegin;
  memset(t, 0, sizeof *t);
  t->model = model;
  PetscCall(CordsContextUncut(context->domain_comm, &t->group));
  t->phases[0] = (CordsPhase){a->spontaneous_steps, PETSC_FALSE};
  t->phases[1] = (CordsPhase){a->stimulus_steps, PETSC_TRUE};
  t->phases[2] = (CordsPhase){a->return_steps, PETSC_FALSE};
  for (int p = 0; p < PHASES; p++) t->steps += t->phases[p].steps;
  PetscCall(CordsWeightsPrepare(context, a, CORDS_F32));
  PetscCall(CordsSystemCreateCut(context, model, CORDS_F32, &t->system));
  neurons = CordsSystemOffset(t->system, a->area_count);
  PetscCall(CordsInputCreate(t->system, 1, &t->input));
  task = (CordsPlanTask){.batch = 1, .steps = t->steps};
  plan = CordsPlanFast(t->system, &task);
  PetscCall(CordsRolloutCreate(t->system, NULL, &plan, t->steps, PETSC_FALSE, &t->rollout));
  PetscCall(CordsArrayCreate(CORDS_F32, 1, neurons, &t->state));
  PetscCall(CordsArrayCreate(CORDS_F32, 1, neurons, &t->baseline));
  PetscCall(CordsRolloutSpontaneous(t->rollout, a->spontaneous_steps, t->baseline.data));
  PetscCall(PetscMalloc1((size_t)a->image_rows * a->image_columns * a->image_channels, &t->image));
  for (int k = 0; k < TABLES; k++) {
    PetscCall(PetscMalloc1((size_t)t->steps * (k == LOGITS ? a->classes : a->area_count), &t->rows[k]));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode TrialDestroy(Trial *t)
{
  PetscFunctionBegin;
  for (int k = 0; k < TABLES; k++) PetscCall(PetscFree(t->rows[k]));
  PetscCall(PetscFree(t->image));
  PetscCall(CordsArrayDestroy(&t->state));
  PetscCall(CordsArrayDestroy(&t->baseline));
  PetscCall(CordsRolloutDestroy(&t->rollout));
  PetscCall(CordsInputDestroy(&t->input));
  PetscCall(CordsSystemDestroy(&t->system));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Observer: sums over this rank's neurons of one area at every step. */
static PetscErrorCode Watch(void *context, PetscInt area, PetscInt first, PetscInt count, PetscInt items,
                            const void *data)
{
  Trial *t = context;
  PetscInt neurons = CordsSystemNeurons(t->system, area), areas = t->model->architecture.area_count;
  const float *baseline = CordsSystemArea(t->system, 1, t->baseline.data, area);

  for (PetscInt step = first - 1; step < first - 1 + count; step++) {
    const float *r = (const float *)data + (size_t)(step + 1 - first) * neurons;
    double sum = 0, squares = 0, active = 0, distance = 0;
    for (PetscInt k = 0; k < neurons; k++) {
      sum += (double)r[k];
      squares += (double)r[k] * (double)r[k];
      active += r[k] > 0;
      distance += ((double)r[k] - (double)baseline[k]) * ((double)r[k] - (double)baseline[k]);
    }
    t->rows[MEAN][step * areas + area] = sum;
    t->rows[NORM][step * areas + area] = squares;
    t->rows[ACTIVE][step * areas + area] = active;
    t->rows[DISTANCE][step * areas + area] = distance;
  }
  return PETSC_SUCCESS;
}

/* What was observed, from sums to what the tables hold. */
static PetscErrorCode FinishRows(Trial *t)
{
  const CordsArchitecture *a = &t->model->architecture;
  const PetscInt count = t->steps * a->area_count;

  PetscFunctionBegin;
  for (int k = 0; k < LOGITS; k++) {
    PetscCall(CordsReduceSumF64(&t->group, count, t->rows[k]));
    for (PetscInt j = 0; j < count; j++) {
      if (k == NORM)
        t->rows[k][j] = sqrt(t->rows[k][j]);
      else
        t->rows[k][j] /= CordsAreaNeurons(&a->areas[j % a->area_count]);
    }
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode RunTrial(Trial *t, CordsDataset dataset, CordsSample sample, PetscInt64 *label)
{
  const CordsArchitecture *a = &t->model->architecture;
  CordsObserver observer = {.context = t, .forward = Watch};
  PetscInt class_number;
  float *logits;

  PetscFunctionBegin;
  PetscCall(CordsLoaderImage(dataset, sample, a->image_rows, a->image_columns, t->image, &class_number));
  *label = class_number;
  PetscCall(CordsInputSet(t->input, t->image));
  for (int k = 0; k < LOGITS; k++) memset(t->rows[k], 0, (size_t)t->steps * a->area_count * sizeof(double));
  memset(t->state.data, 0, (size_t)t->state.elements * sizeof(float));
  PetscCall(CordsRolloutForward(t->rollout, 1, t->input, PHASES, t->phases, PETSC_FALSE, t->state.data, &observer));
  PetscCall(FinishRows(t));
  PetscCall(PetscMalloc1((size_t)t->steps * a->classes, &logits));
  PetscCall(CordsRolloutLogits(t->rollout, 0, t->steps, logits));
  for (PetscInt k = 0; k < t->steps * a->classes; k++) t->rows[LOGITS][k] = (double)logits[k];
  PetscCall(PetscFree(logits));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode WriteTime(Trial *t, CordsH5 file)
{
  const CordsArchitecture *a = &t->model->architecture;
  PetscInt64 steps = t->steps, *phase;
  double *time_ms;
  PetscInt step = 0;

  PetscFunctionBegin;
  PetscCall(PetscMalloc2(steps, &time_ms, steps, &phase));
  for (int p = 0; p < PHASES; p++) {
    for (PetscInt k = 0; k < t->phases[p].steps; k++, step++) {
      time_ms[step] = (double)(step + 1 - a->spontaneous_steps) * (double)a->time_step_ms;
      phase[step] = p;
    }
  }
  PetscCall(CordsH5WriteArray(file, &time_schema, CORDS_FILE_F64, 1, &steps, time_ms));
  PetscCall(CordsH5WriteArray(file, &phase_schema, CORDS_FILE_I64, 1, &steps, phase));
  PetscCall(PetscFree2(time_ms, phase));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Declare(Trial *t, CordsResults results)
{
  const CordsArchitecture *a = &t->model->architecture;

  PetscFunctionBegin;
  for (int k = 0; k < TABLES; k++) {
    PetscInt64 sizes[2] = {t->steps, k == LOGITS ? a->classes : a->area_count};
    PetscCall(CordsResultsDeclare(results, &schemas[k], CORDS_FILE_F64, 2, sizes));
  }
  PetscCall(CordsResultsDeclare(results, &image_schema, CORDS_FILE_I64, 0, NULL));
  PetscCall(CordsResultsDeclare(results, &label_schema, CORDS_FILE_I64, 0, NULL));
  PetscCall(WriteTime(t, CordsResultsFile(results)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Image k goes to domain group k mod groups, whose first rank tells; rows come out in order because every round appends
   in the order of the ranks. */
static PetscErrorCode SimulateAll(CordsContext context, Trial *t, CordsDataset dataset, CordsResults results)
{
  CordsProgress progress;

  PetscFunctionBegin;
  PetscCall(CordsProgressStart(&progress, "simulation", 0, selection.end - selection.first));
  for (CordsSample round = selection.first; round < selection.end; round += context->group_size) {
    PetscInt64 sample = round + context->group_rank, label = -1;
    PetscInt64 rows = sample < selection.end && context->domain_rank == 0 ? 1 : 0;
    if (sample < selection.end) PetscCall(RunTrial(t, dataset, sample, &label));
    for (int k = 0; k < TABLES; k++) PetscCall(CordsResultsAppend(results, schemas[k].name, rows, t->rows[k]));
    PetscCall(CordsResultsAppend(results, image_schema.name, rows, &sample));
    PetscCall(CordsResultsAppend(results, label_schema.name, rows, &label));
    PetscCall(CordsProgressUpdate(context, &progress,
                                  PetscMin(round + context->group_size, selection.end) - selection.first, NULL));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  CordsModel model;
  CordsDataset dataset;
  CordsResults results;
  Trial trial;

  PetscFunctionBegin;
  PetscCall(CordsModelLoad(context, checkpoint, &model));
  CordsCheckUser(model->form == CORDS_FORM_RECURRENT, PETSC_COMM_WORLD,
                 "%s: holds a CNN (%s form), which has no dynamics; give the model.h5 of a finished training",
                 checkpoint, CordsFormNames[model->form]);
  PetscCall(CordsSelectionOpen(context, &selection, checkpoint, model->architecture.image_channels,
                               model->architecture.classes, &dataset));
  PetscCall(TrialCreate(context, model, &trial));
  PetscCall(CordsResultsCreate(context, output, &results));
  PetscCall(Declare(&trial, results));
  PetscCall(SimulateAll(context, &trial, dataset, results));
  PetscCall(CordsDatasetCommitResults(dataset, "simulate", checkpoint, &results));
  PetscCall(CordsLog(context, "%s: %" PetscInt64_FMT " trials of %" PetscInt_FMT " steps\n", output,
                     selection.end - selection.first, trial.steps));
  PetscCall(TrialDestroy(&trial));
  PetscCall(CordsDatasetDestroy(&dataset));
  PetscCall(CordsModelDestroy(&model));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_simulate = {.name = "simulate",
                                                 .about = "trials of single images: activity of each area over time",
                                                 .usage = "-checkpoint F -dataset N -data DIR -samples A:B -output F",
                                                 .configure = Configure,
                                                 .run = Run};
