#include "train/trainer.h"

#include "core/config.h"
#include "core/log.h"
#include "core/reduce.h"
#include "core/registry.h"
#include "data/loader.h"
#include "model/fold.h"
#include "train/stop.h"
#include "train/train_log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A run at work. */
typedef struct {
  CordsContext context;
  const CordsRun *run;
  CordsDataset dataset;
  char stages[256]; /* the list as text */
  char checkpoint[PETSC_MAX_PATH_LEN], log_path[PETSC_MAX_PATH_LEN];
  CordsTrainLog log;
  CordsTrainState state;
  double saved_s;        /* when the last checkpoint was written */
  PetscBool output_made; /* by this run, on rank 0 */
  /* of the stage at work */
  CordsStage stage;
  CordsOptimizer optimizer;
  CordsLoader loader;
  PetscInt64 updates; /* in the whole stage */
  float *images, *labels, *gradient;
} Trainer;

PetscErrorCode CordsRunFromOptions(CordsRun *run)
{
  char list[256] = "compatibility,inverse,linear,parametric,finetune", *item, *rest = list;
  const char *const *names;
  CordsRolloutSettings rollout;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  PetscCall(CordsOptionString("-output", "directory for checkpoint.h5, cnn.h5, model.h5 and log.csv",
                              sizeof run->output, run->output));
  PetscCall(CordsOptionRequire("-output", run->output, "the directory to write to"));
  PetscCall(CordsOptionString("-stages", "stages to run, in this order", sizeof list, list));
  run->checkpoint_interval_s = 60;
  PetscCall(CordsOptionReal("-checkpoint_interval", "time between checkpoints; 0: after every update", "s", 0, 1e9,
                            &run->checkpoint_interval_s));
  run->log_interval = 20;
  PetscCall(CordsOptionInt("-log_interval", "updates averaged in one row of log.csv", "updates", 1, 1000000,
                           &run->log_interval));
  PetscCall(CordsRolloutSettingsFromOptions(&rollout));
  run->stage_count = 0;
  while ((item = strsep(&rest, ","))) {
    CordsCheckUser(run->stage_count < CORDS_RUN_STAGES_MAX, PETSC_COMM_WORLD, "-stages: more than %d stages",
                   CORDS_RUN_STAGES_MAX);
    PetscCall(CordsRegistryFind("training stage", count, names, item, &run->stages[run->stage_count]));
    PetscCall(CordsStageSettingsFromOptions(run->stages[run->stage_count], &run->settings[run->stage_count]));
    run->settings[run->stage_count].rollout = rollout;
    run->stage_count++;
  }
  PetscCall(CordsStageCheckOrder(run->stage_count, run->stages));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode OutputPath(const Trainer *t, const char *name, char path[PETSC_MAX_PATH_LEN])
{
  PetscFunctionBegin;
  CordsCheckUser(snprintf(path, PETSC_MAX_PATH_LEN, "%s/%s", t->run->output, name) < PETSC_MAX_PATH_LEN,
                 PETSC_COMM_WORLD, "-output: the path is too long");
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Whether a file is there, as rank 0 sees it. */
static PetscErrorCode Exists(const Trainer *t, const char *path, PetscBool *exists)
{
  int there = t->context->rank == 0 && access(path, F_OK) == 0;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&there, 1, MPI_INT, 0, t->context->comm));
  *exists = (PetscBool)there;
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode MakeOutput(Trainer *t)
{
  int failed = 0;

  PetscFunctionBegin;
  if (t->context->rank == 0) {
    t->output_made = (PetscBool)(mkdir(t->run->output, 0777) == 0);
    if (!t->output_made && errno != EEXIST) failed = errno;
  }
  PetscCallMPI(MPI_Bcast(&failed, 1, MPI_INT, 0, t->context->comm));
  CordsCheckUser(!failed, t->context->comm, "-output %s: cannot make the directory: %s", t->run->output,
                 strerror(failed));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A run that cannot begin leaves nothing behind. */
static void RemoveOutput(const Trainer *t)
{
  if (t->context->rank > 0) return;
  unlink(t->log_path);
  if (t->output_made) rmdir(t->run->output);
}

/* What would stop the run in a later stage is found now. */
static PetscErrorCode CheckSamples(const Trainer *t)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(t->dataset);
  const char *const *names;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  for (PetscInt k = 0; k < t->run->stage_count; k++) {
    const char *name = names[t->run->stages[k]];
    PetscInt64 samples = t->run->settings[k].samples;
    CordsCheckUser(samples <= facts->count, t->context->comm,
                   "-%s_samples %" PetscInt64_FMT ": the training split of %s has %" PetscInt64_FMT " images", name,
                   samples, facts->name, facts->count);
    if (samples == 0) samples = facts->count;
    CordsCheckUser(t->context->size <= samples, t->context->comm,
                   "stage %s: %d ranks for %" PetscInt64_FMT " images; use at most one rank per image", name,
                   (int)t->context->size, samples);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A memory limit that a later stage cannot keep is found now too, by making every stage once. */
static PetscErrorCode CheckMemory(const Trainer *t)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < t->run->stage_count; k++) {
    const CordsStageSettings *settings = &t->run->settings[k];
    PetscInt batch_local = (settings->batch + t->context->size - 1) / t->context->size;
    CordsStage stage;
    if (settings->rollout.memory_limit_bytes <= 0) continue;
    PetscCall(CordsStageCreate(t->context, t->run->stages[k], settings, &t->run->architecture, batch_local, NULL,
                               PETSC_TRUE, &stage));
    PetscCall(CordsStageDestroy(&stage));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Save(Trainer *t)
{
  const char *const *inputs;
  PetscInt input_count;

  PetscFunctionBegin;
  PetscCall(CordsTrainLogFlush(t->log));
  PetscCall(CordsDatasetFiles(t->dataset, &input_count, &inputs));
  PetscCall(CordsCheckpointWrite(t->context, t->checkpoint, t->stages, &t->state, t->stage, t->optimizer, input_count,
                                 inputs));
  t->saved_s = MPI_Wtime();
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode SaveModel(Trainer *t, const char *name, CordsModel model)
{
  char path[PETSC_MAX_PATH_LEN];
  const char *const *inputs;
  PetscInt input_count;

  PetscFunctionBegin;
  PetscCall(OutputPath(t, name, path));
  PetscCall(CordsDatasetFiles(t->dataset, &input_count, &inputs));
  PetscCall(CordsCheckpointWriteModel(t->context, path, model, input_count, inputs));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Whether the last checkpoint is old enough, by the clock of rank 0. */
static PetscErrorCode SaveDue(const Trainer *t, PetscBool *due)
{
  int old = MPI_Wtime() - t->saved_s >= (double)t->run->checkpoint_interval_s;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Bcast(&old, 1, MPI_INT, 0, t->context->comm));
  *due = (PetscBool)old;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The checkpoint counts batches, which the options must divide the stage into as they did. */
static PetscErrorCode CheckPlace(const Trainer *t)
{
  const CordsTrainState *state = &t->state;
  const char *stage = CordsStageName(t->stage);
  PetscInt64 batches = CordsLoaderBatchCount(t->loader);

  PetscFunctionBegin;
  CordsCheckUser(state->batch < batches && state->update == state->epoch * batches + state->batch, t->context->comm,
                 "%s: stands at update %" PetscInt64_FMT " of stage %s with other batches; use the same -%s_batch and "
                 "-%s_samples as before, or another -output",
                 t->checkpoint, state->update, stage, stage, stage);
  CordsCheckUser(state->update <= t->updates, t->context->comm,
                 "%s: stands at epoch %" PetscInt64_FMT " of stage %s, beyond -%s_epochs %" PetscInt_FMT
                 "; give more epochs, or another -output",
                 t->checkpoint, state->epoch, stage, stage, CordsStageGetSettings(t->stage)->epochs);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Everything a stage needs; previous: the model to start from, unless the stage is loaded from the checkpoint. */
static PetscErrorCode BeginStage(Trainer *t, CordsModel previous, PetscBool load)
{
  const CordsRun *run = t->run;
  const CordsStageSettings *settings = &run->settings[t->state.stage];
  const CordsArchitecture *a = &run->architecture;
  PetscInt batch_local = (settings->batch + t->context->size - 1) / t->context->size;
  CordsLoaderSettings loading = {.rows = a->image_rows,
                                 .columns = a->image_columns,
                                 .batch = settings->batch,
                                 .samples = settings->samples,
                                 .augment = settings->augment,
                                 .mix = settings->mix,
                                 .shuffle = PETSC_TRUE};
  size_t image = (size_t)a->image_rows * a->image_columns * a->image_channels;

  PetscFunctionBegin;
  PetscCall(
      CordsStageCreate(t->context, run->stages[t->state.stage], settings, a, batch_local, previous, load, &t->stage));
  PetscCall(CordsStageOptimizer(t->stage, &t->optimizer));
  if (load) PetscCall(CordsCheckpointReadStage(t->context, t->checkpoint, t->stage, t->optimizer));
  PetscCall(CordsLoaderCreate(t->context, t->dataset, &loading, &t->loader));
  t->updates = (PetscInt64)settings->epochs * CordsLoaderBatchCount(t->loader);
  if (load) PetscCall(CheckPlace(t));
  PetscCall(PetscMalloc1((size_t)batch_local * image, &t->images));
  PetscCall(PetscMalloc1((size_t)batch_local * a->classes, &t->labels));
  PetscCall(PetscMalloc1(CordsStageModel(t->stage)->learnable_values, &t->gradient));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode LogStage(const Trainer *t, PetscBool continued)
{
  char *description;

  PetscFunctionBegin;
  PetscCall(CordsLog(
      t->context, "stage %s: %" PetscInt64_FMT " updates of %" PetscInt_FMT " images, %" PetscInt_FMT " parameters%s\n",
      CordsStageName(t->stage), t->updates, CordsStageGetSettings(t->stage)->batch,
      CordsStageModel(t->stage)->learnable_values, continued ? ", continued" : ""));
  PetscCall(CordsStageDescribe(t->stage, &description));
  if (description) PetscCall(CordsLog(t->context, "%s\n", description));
  PetscCall(PetscFree(description));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode EndStage(Trainer *t)
{
  PetscFunctionBegin;
  PetscCall(PetscFree(t->images));
  PetscCall(PetscFree(t->labels));
  PetscCall(PetscFree(t->gradient));
  PetscCall(CordsLoaderDestroy(&t->loader));
  PetscCall(CordsOptimizerDestroy(&t->optimizer));
  PetscCall(CordsStageDestroy(&t->stage));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One batch: gradient, sum over ranks, update, averages. */
static PetscErrorCode Update(Trainer *t)
{
  const CordsStageSettings *settings = CordsStageGetSettings(t->stage);
  double rate = CordsStageLearningRate(settings, t->state.update, t->updates), norm;
  PetscInt start, count, total;
  CordsMetrics metrics;

  PetscFunctionBegin;
  if (settings->new_optimizer && t->state.batch == 0) PetscCall(CordsOptimizerReset(t->optimizer));
  PetscCall(CordsLoaderShare(t->loader, (PetscInt)t->state.batch, &start, &count, &total));
  PetscCall(CordsLoaderRead(t->loader, (PetscInt)t->state.epoch, (PetscInt)t->state.batch, t->images, t->labels, NULL));
  PetscCall(CordsStageGradient(t->stage, (PetscInt)t->state.epoch, count, total, t->images, t->labels, t->gradient,
                               &metrics));
  PetscCall(CordsReduceSumF32(t->context, CordsStageModel(t->stage)->learnable_values, t->gradient));
  PetscCall(CordsReduceSumF64(t->context, CORDS_METRICS_COUNT, (double *)&metrics));
  PetscCall(CordsOptimizerStep(t->optimizer, rate, t->gradient, &norm));
  CordsCheckUser(
      isfinite(metrics.loss) && isfinite(norm), t->context->comm,
      "stage %s, update %" PetscInt64_FMT ": the loss is not finite; %s holds the last good state, continue with a "
      "smaller -%s_learning_rate or -%s_clip",
      CordsStageName(t->stage), t->state.update, t->checkpoint, CordsStageName(t->stage), CordsStageName(t->stage));
  CordsTrainLogAdd(&t->state, &metrics, norm);
  t->state.update++;
  if (++t->state.batch == CordsLoaderBatchCount(t->loader)) {
    t->state.batch = 0;
    t->state.epoch++;
  }
  if (t->state.row_updates == t->run->log_interval || t->state.update == t->updates) {
    PetscCall(CordsTrainLogRow(t->log, &t->state, CordsStageName(t->stage), settings->loss_steps,
                               t->run->architecture.area_count, t->state.update * settings->batch, rate));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The averages since the last row of the log, in words; accuracy only in stages that classify. */
static void DescribeRow(const CordsTrainState *state, size_t length, char *text)
{
  double updates = (double)state->row_updates;

  text[0] = '\0';
  if (state->row_updates == 0) return;
  if (state->row.errors[0] > 0)
    snprintf(text, length, "loss %.4g", state->row.loss / updates);
  else
    snprintf(text, length, "loss %.4g, accuracy %.3f", state->row.loss / updates, state->row.accuracy / updates);
}

/* Updates until the stage is done or a signal comes. */
static PetscErrorCode RunStage(Trainer *t, PetscBool *stopped)
{
  CordsProgress progress;
  PetscBool due = PETSC_FALSE;
  char note[96];

  PetscFunctionBegin;
  *stopped = PETSC_FALSE;
  PetscCall(CordsProgressStart(&progress, CordsStageName(t->stage), t->state.update, t->updates));
  while (t->state.update < t->updates) {
    PetscCall(Update(t));
    DescribeRow(&t->state, sizeof note, note);
    PetscCall(CordsProgressUpdate(t->context, &progress, t->state.update, note[0] ? note : NULL));
    PetscCall(CordsStopAsked(t->context, stopped));
    PetscCall(SaveDue(t, &due));
    if (*stopped || due) PetscCall(Save(t));
    if (*stopped) break;
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The CNN of stage 1 in folded form, for comparison with the network in time. */
static PetscErrorCode SaveCnn(Trainer *t)
{
  CordsModel folded;

  PetscFunctionBegin;
  if (CordsStageModel(t->stage)->form != CORDS_FORM_BATCHNORM) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsModelCreate(&t->run->architecture, CORDS_FORM_FOLDED, &folded));
  PetscCall(CordsFoldBatchNorm(CordsStageModel(t->stage), folded));
  PetscCall(SaveModel(t, "cnn.h5", folded));
  PetscCall(CordsModelDestroy(&folded));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From the end of one stage to the start of the next; the checkpoint then stands at its first batch. */
static PetscErrorCode NextStage(Trainer *t)
{
  CordsModel previous;
  const CordsModel ended = CordsStageModel(t->stage);

  PetscFunctionBegin;
  PetscCall(CordsModelCreate(&ended->architecture, ended->form, &previous));
  PetscCall(CordsModelCopyShared(ended, previous));
  PetscCall(EndStage(t));
  t->state.stage++;
  t->state.epoch = t->state.batch = t->state.update = 0;
  PetscCall(BeginStage(t, previous, PETSC_FALSE));
  PetscCall(CordsModelDestroy(&previous));
  PetscCall(LogStage(t, PETSC_FALSE));
  PetscCall(Save(t));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The first checkpoint is written at once: an output that cannot be written is found now, not after a minute. */
static PetscErrorCode BeginNew(Trainer *t)
{
  PetscFunctionBegin;
  PetscCall(BeginStage(t, NULL, PETSC_FALSE));
  PetscCall(LogStage(t, PETSC_FALSE));
  PetscCall(CordsTrainLogOpen(t->context, t->log_path, &t->state, &t->log));
  PetscCall(Save(t));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From the checkpoint; finished: there is nothing left to do. */
static PetscErrorCode BeginContinued(Trainer *t, const char *model, PetscBool *finished)
{
  PetscFunctionBegin;
  PetscCall(CordsCheckpointReadState(t->context, t->checkpoint, t->stages, &t->state));
  CordsCheckUser(t->state.stage < t->run->stage_count, PETSC_COMM_WORLD,
                 "%s: stands at stage number %" PetscInt64_FMT ", but there are only %" PetscInt_FMT
                 "; the file is damaged",
                 t->checkpoint, t->state.stage, t->run->stage_count);
  PetscCall(BeginStage(t, NULL, PETSC_TRUE));
  PetscCall(Exists(t, model, finished));
  if (t->state.stage < t->run->stage_count - 1 || t->state.update < t->updates) *finished = PETSC_FALSE;
  if (*finished) {
    PetscCall(CordsLog(t->context, "%s is finished; nothing to do\n", model));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(LogStage(t, PETSC_TRUE));
  PetscCall(CordsTrainLogOpen(t->context, t->log_path, &t->state, &t->log));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Begin(Trainer *t, PetscBool *finished)
{
  const char *const *names;
  PetscInt count;
  PetscBool continued;
  PetscErrorCode ierr;
  char model[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  for (PetscInt k = 0; k < t->run->stage_count; k++) {
    snprintf(t->stages + strlen(t->stages), sizeof t->stages - strlen(t->stages), "%s%s", k ? "," : "",
             names[t->run->stages[k]]);
  }
  PetscCall(OutputPath(t, "checkpoint.h5", t->checkpoint));
  PetscCall(OutputPath(t, "log.csv", t->log_path));
  PetscCall(OutputPath(t, "model.h5", model));
  PetscCall(CheckSamples(t));
  PetscCall(CheckMemory(t));
  PetscCall(MakeOutput(t));
  PetscCall(Exists(t, t->checkpoint, &continued));
  *finished = PETSC_FALSE;
  if (continued) {
    PetscCall(BeginContinued(t, model, finished));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  ierr = BeginNew(t);
  if (ierr) RemoveOutput(t);
  PetscCall(ierr);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From where the output stands to the end of the last stage, or to a signal. */
static PetscErrorCode RunStages(Trainer *t, PetscBool *stopped)
{
  PetscBool finished;

  PetscFunctionBegin;
  PetscCall(Begin(t, &finished));
  while (!finished && !*stopped) {
    PetscCall(RunStage(t, stopped));
    if (*stopped) break;
    PetscCall(SaveCnn(t));
    if (t->state.stage + 1 < t->run->stage_count) {
      PetscCall(NextStage(t));
    } else {
      PetscCall(Save(t));
      PetscCall(SaveModel(t, "model.h5", CordsStageModel(t->stage)));
      finished = PETSC_TRUE;
    }
  }
  if (*stopped) {
    PetscCall(CordsLog(t->context, "stopped by a signal; %s is complete, the same command continues\n", t->checkpoint));
  }
  if (t->log) PetscCall(CordsTrainLogClose(&t->log));
  if (t->stage) PetscCall(EndStage(t));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrain(CordsContext context, const CordsRun *run, CordsDataset dataset, PetscBool *stopped)
{
  Trainer t = {.context = context, .run = run, .dataset = dataset, .saved_s = MPI_Wtime()};

  PetscFunctionBegin;
  CordsStopCatch();
  PetscCall(CordsStopAsked(context, stopped));
  if (*stopped)
    PetscCall(CordsLog(context, "stopped by a signal before the training began; %s is as it was\n", run->output));
  else
    PetscCall(RunStages(&t, stopped));
  CordsStopRelease();
  PetscFunctionReturn(PETSC_SUCCESS);
}
