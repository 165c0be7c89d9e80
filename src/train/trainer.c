#include "train/trainer.h"

#include "core/agree.h"
#include "core/log.h"
#include "data/loader.h"
#include "model/fold.h"
#include "train/initial.h"
#include "train/divergence.h"
#include "train/restart.h"
#include "train/stop.h"
#include "train/time_limit.h"
#include "train/traffic_watch.h"
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
  char checkpoint[PETSC_MAX_PATH_LEN], previous[PETSC_MAX_PATH_LEN], log_path[PETSC_MAX_PATH_LEN];
  const char *source;                   /* the checkpoint that the run goes on from */
  PetscBool newest_whole;               /* what has the name `checkpoint` is worth being kept as the previous one */
  PetscInt64 saved_stage, saved_update; /* where it stands */
  PetscBool by_time;                    /* stopped by the time limit, not by a signal */
  CordsTimeLimit limit;
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
  CordsSample *samples;
  CordsLossWatch watch;
  CordsTrafficWatch traffic;
  PetscInt batch_total; /* images of the batch at work, on all ranks */
} Trainer;

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

/* Whether the newest checkpoint stands where the training does. */
static PetscBool SavedHere(const Trainer *t)
{
  return (PetscBool)(t->newest_whole && t->saved_stage == t->state.stage && t->saved_update == t->state.update);
}

/* A damaged newest checkpoint does not take the place of the one before it. */
static PetscErrorCode Save(Trainer *t)
{
  const char *const *inputs;
  const char *previous = t->newest_whole ? t->previous : NULL;
  double start_s = MPI_Wtime();
  PetscInt input_count;

  PetscFunctionBegin;
  t->state.update_s = CordsTimeLimitWorstUpdate(&t->limit);
  t->state.save_s = CordsTimeLimitWorstSave(&t->limit);
  PetscCall(CordsTrainLogFlush(t->log));
  PetscCall(CordsDatasetFiles(t->dataset, &input_count, &inputs));
  PetscCall(CordsCheckpointWrite(t->context, t->checkpoint, previous, t->stages, &t->state, t->stage, t->optimizer,
                                 input_count, inputs));
  t->newest_whole = PETSC_TRUE;
  t->saved_stage = t->state.stage;
  t->saved_update = t->state.update;
  t->saved_s = MPI_Wtime();
  CordsTimeLimitAddSave(&t->limit, t->saved_s - start_s);
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
  PetscCall(CordsAgreeFirst(t->context, sizeof old, &old));
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
                 t->source, state->update, stage, stage, stage);
  CordsCheckUser(state->update <= t->updates, t->context->comm,
                 "%s: stands at epoch %" PetscInt64_FMT " of stage %s, beyond -%s_epochs %" PetscInt_FMT
                 "; give more epochs, or another -output",
                 t->source, state->epoch, stage, stage, CordsStageGetSettings(t->stage)->epochs);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Everything a stage needs; previous: the model to start from, unless the stage is loaded from the checkpoint. */
static PetscErrorCode BeginStage(Trainer *t, CordsModel previous, PetscBool load)
{
  const CordsRun *run = t->run;
  const CordsStageSettings *settings = &run->settings[t->state.stage];
  const CordsArchitecture *a = &run->architecture;
  PetscInt batch_local = (settings->batch + t->context->group_size - 1) / t->context->group_size;
  CordsLoaderSettings loading = {.rows = a->image_rows,
                                 .columns = a->image_columns,
                                 .batch = settings->batch,
                                 .samples = settings->samples,
                                 .augment = settings->augment,
                                 .mix = settings->mix,
                                 .shuffle = PETSC_TRUE,
                                 .epochs = settings->epochs,
                                 .loading = settings->loading};
  size_t image = (size_t)a->image_rows * a->image_columns * a->image_channels;
  double start_s = MPI_Wtime();

  PetscFunctionBegin;
  PetscCall(
      CordsStageCreate(t->context, run->stages[t->state.stage], settings, a, batch_local, previous, load, &t->stage));
  PetscCall(CordsStageOptimizer(t->stage, &t->optimizer));
  if (load) PetscCall(CordsCheckpointReadStage(t->context, t->source, t->stage, t->optimizer));
  PetscCall(CordsLoaderCreate(t->context, t->dataset, &loading, &t->loader));
  t->updates = (PetscInt64)settings->epochs * CordsLoaderBatchCount(t->loader);
  if (load) PetscCall(CheckPlace(t));
  PetscCall(PetscMalloc1((size_t)batch_local * image, &t->images));
  PetscCall(PetscMalloc1((size_t)batch_local * a->classes, &t->labels));
  PetscCall(PetscMalloc1(batch_local, &t->samples));
  PetscCall(PetscMalloc1(CordsStageModel(t->stage)->learnable_values, &t->gradient));
  memset(&t->watch, 0, sizeof t->watch);
  memset(&t->traffic, 0, sizeof t->traffic);
  t->limit.stage_s = MPI_Wtime() - start_s;
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
  PetscCall(PetscFree(t->samples));
  PetscCall(PetscFree(t->gradient));
  PetscCall(CordsLoaderDestroy(&t->loader));
  PetscCall(CordsOptimizerDestroy(&t->optimizer));
  PetscCall(CordsStageDestroy(&t->stage));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* If the newest checkpoint is the very state whose loss is bad, the one before it takes its place, so that the same
   command goes on from the last good state. */
static PetscErrorCode LeaveGoodState(Trainer *t, PetscBool *back)
{
  PetscFunctionBegin;
  *back = PETSC_FALSE;
  if (SavedHere(t)) PetscCall(CordsRestartStepBack(t->context, t->checkpoint, t->previous, back));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The end of a run that went wrong at the batch at hand.  problem, cause: the middle of the sentence. */
static PetscErrorCode Diverged(Trainer *t, const char *problem, const char *cause, PetscBool back)
{
  const char *stage = CordsStageName(t->stage);

  PetscFunctionBegin;
  CordsUserError(t->context->comm,
                 "stage %s, update %" PetscInt64_FMT " (epoch %" PetscInt64_FMT ", batch %" PetscInt64_FMT
                 "): %s; %s; %s holds the last good state%s, continue with a smaller -%s_learning_rate or -%s_clip",
                 stage, t->state.update, t->state.epoch, t->state.batch, problem, cause, t->checkpoint,
                 back ? " (that of the checkpoint before)" : "", stage, stage);
}

/* Before the step: loss and gradient of the whole batch, which are the same on all ranks. */
static PetscErrorCode CheckGradient(Trainer *t, const CordsBatch *batch, double loss)
{
  char images[256], problem[320], cause[768];
  PetscBool back;
  const char *tensor = CordsDivergenceTensor(t->stage, t->gradient);

  PetscFunctionBegin;
  if (isfinite(loss) && !tensor && (t->run->loss_limit <= 0 || loss <= (double)t->run->loss_limit))
    PetscFunctionReturn(PETSC_SUCCESS);
  if (isfinite(loss) && !tensor) {
    snprintf(problem, sizeof problem, "the loss is %g, above -loss_limit %g", loss, (double)t->run->loss_limit);
    PetscCall(CordsDivergenceBatch(t->context, batch, sizeof images, images));
    snprintf(cause, sizeof cause, "the batch was %s", images);
  } else {
    snprintf(problem, sizeof problem, "the %s is not finite%s%s", isfinite(loss) ? "gradient" : "loss",
             tensor ? "; on the way back the gradient of the tensor first to be so is " : "", tensor ? tensor : "");
    PetscCall(CordsDivergenceImages(t->context, t->stage, batch, t->gradient, sizeof images, images));
    snprintf(cause, sizeof cause, "alone %s of the batch give%s such numbers", images,
             strncmp(images, "images", strlen("images")) ? "s" : "");
  }
  PetscCall(LeaveGoodState(t, &back));
  PetscCall(Diverged(t, problem, cause, back));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* After the step: what is not finite could not be read from a checkpoint. */
static PetscErrorCode CheckState(Trainer *t, const CordsBatch *batch)
{
  char images[256], problem[320], cause[320];
  const char *what, *tensor = CordsDivergenceState(t->stage, t->optimizer, &what);

  PetscFunctionBegin;
  if (!tensor) PetscFunctionReturn(PETSC_SUCCESS);
  snprintf(problem, sizeof problem, "the %s of the tensor %s are not finite after the update", what, tensor);
  PetscCall(CordsDivergenceBatch(t->context, batch, sizeof images, images));
  snprintf(cause, sizeof cause, "the batch was %s", images);
  PetscCall(Diverged(t, problem, cause, PETSC_FALSE));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A loss that grows is worth a line. */
static PetscErrorCode WatchLoss(Trainer *t, double loss)
{
  double mean;

  PetscFunctionBegin;
  if (CordsLossWatchAdd(&t->watch, loss, &mean)) {
    PetscCall(CordsLog(t->context,
                       "warning: stage %s, update %" PetscInt64_FMT ": the loss, now %.4g, was above %g times its "
                       "running mean of %.4g for %d updates; -loss_limit would end such a training\n",
                       CordsStageName(t->stage), t->state.update, loss, CORDS_LOSS_WATCH_FACTOR, mean,
                       CORDS_LOSS_WATCH_IN_A_ROW));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* One batch: gradient, sum over ranks, update, averages. */
static PetscErrorCode Update(Trainer *t)
{
  const CordsStageSettings *settings = CordsStageGetSettings(t->stage);
  double rate = CordsStageLearningRate(settings, t->state.update, t->updates), norm;
  CordsBatch batch = {
      .epoch = (PetscInt)t->state.epoch, .images = t->images, .labels = t->labels, .samples = t->samples};
  CordsMetrics metrics;

  PetscFunctionBegin;
  if (settings->new_optimizer && t->state.batch == 0) PetscCall(CordsOptimizerReset(t->optimizer));
  PetscCall(CordsLoaderShare(t->loader, (PetscInt)t->state.batch, &batch.start, &batch.count, &batch.total));
  t->batch_total = batch.total;
  PetscCall(CordsLoaderRead(t->loader, batch.epoch, (PetscInt)t->state.batch, t->images, t->labels, t->samples));
  PetscCall(CordsStageGradientSum(t->stage, batch.epoch, batch.count, batch.total, t->images, t->labels, t->gradient,
                                  &metrics));
  PetscCall(CheckGradient(t, &batch, metrics.loss));
  PetscCall(CordsOptimizerStep(t->optimizer, rate, t->gradient, &norm));
  PetscCall(CheckState(t, &batch));
  PetscCall(WatchLoss(t, metrics.loss));
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

/* A signal, or the time limit; the log says which. */
static PetscErrorCode StopNow(Trainer *t, PetscBool *stopped)
{
  PetscBool reached, ends = (PetscBool)(t->state.update == t->updates);

  PetscFunctionBegin;
  PetscCall(CordsStopAsked(t->context, stopped));
  PetscCall(CordsTimeLimitReached(t->context, &t->limit, ends, &reached));
  if (*stopped || !reached) PetscFunctionReturn(PETSC_SUCCESS);
  *stopped = t->by_time = PETSC_TRUE;
  PetscCall(
      CordsLog(t->context,
               "-time_limit: %.1f s of %.1f s are over, and another update (%.2g s at worst of late) and checkpoint "
               "(%.2g s) want %.1f s with their margin\n",
               CordsTimeLimitElapsed(), t->limit.limit_s, CordsTimeLimitWorstUpdate(&t->limit),
               CordsTimeLimitWorstSave(&t->limit), CordsTimeLimitNeed(&t->limit, ends)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* An update, and what the ranks agree on after it. */
static PetscErrorCode UpdateAndAgree(Trainer *t, CordsProgress *progress, PetscBool *stopped, PetscBool *due)
{
  CordsUpdateEnd end = {.time_limit = (PetscBool)(t->limit.limit_s > 0)};
  double start_s = MPI_Wtime();
  char note[96];

  PetscFunctionBegin;
  CordsTrafficWatchBegin(&t->traffic);
  PetscCall(Update(t));
  CordsTimeLimitAddUpdate(&t->limit, MPI_Wtime() - start_s);
  end.log_row = (PetscBool)(t->state.row_updates == 0); /* the row has taken them */
  DescribeRow(&t->state, sizeof note, note);
  PetscCall(CordsProgressUpdate(t->context, progress, t->state.update, note[0] ? note : NULL));
  PetscCall(StopNow(t, stopped));
  PetscCall(SaveDue(t, due));
  PetscCall(
      CordsTrafficWatchEnd(&t->traffic, t->context, t->stage, t->run->stages[t->state.stage], t->batch_total, &end));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode LogTraffic(const Trainer *t)
{
  char text[1024];

  PetscFunctionBegin;
  PetscCall(CordsTrafficWatchDescribe(&t->traffic, t->context, sizeof text, text));
  if (text[0])
    PetscCall(CordsLog(t->context, "messages of an update of stage %s: %s\n", CordsStageName(t->stage), text));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Updates until the stage is done or a signal comes or the time is up. */
static PetscErrorCode RunStage(Trainer *t, PetscBool *stopped)
{
  CordsProgress progress;
  PetscBool due = PETSC_FALSE, ends;

  PetscFunctionBegin;
  *stopped = PETSC_FALSE;
  PetscCall(CordsProgressStart(&progress, CordsStageName(t->stage), t->state.update, t->updates));
  while (t->state.update < t->updates) {
    PetscCall(UpdateAndAgree(t, &progress, stopped, &due));
    ends = (PetscBool)(*stopped || t->state.update == t->updates);
    if (ends || t->state.batch == 0)
      PetscCall(CordsLoaderLog(t->loader, CordsStageName(t->stage), t->state.update, ends));
    if (*stopped || due) PetscCall(Save(t));
    if (*stopped) break;
  }
  PetscCall(LogTraffic(t));
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
  CordsModel initial;

  PetscFunctionBegin;
  PetscCall(CordsInitialRead(t->context, t->run->initial, &t->run->architecture, CordsStageForm(t->run->stages[0]),
                             &initial));
  PetscCall(BeginStage(t, initial, PETSC_FALSE));
  PetscCall(CordsModelDestroy(&initial));
  PetscCall(LogStage(t, PETSC_FALSE));
  PetscCall(CordsTrainLogOpen(t->context, t->log_path, &t->state, &t->log));
  PetscCall(Save(t));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* From the checkpoint; finished: there is nothing left to do. */
static PetscErrorCode BeginContinued(Trainer *t, const char *model, PetscBool *finished)
{
  PetscFunctionBegin;
  PetscCall(CordsCheckpointReadState(t->context, t->source, t->stages, &t->state));
  CordsTimeLimitAddUpdate(&t->limit, t->state.update_s);
  CordsTimeLimitAddSave(&t->limit, t->state.save_s);
  t->newest_whole = (PetscBool)(t->source == t->checkpoint);
  t->saved_stage = t->state.stage;
  t->saved_update = t->state.update;
  CordsCheckUser(t->state.stage < t->run->stage_count, PETSC_COMM_WORLD,
                 "%s: stands at stage number %" PetscInt64_FMT ", but there are only %" PetscInt_FMT
                 "; the file is damaged",
                 t->source, t->state.stage, t->run->stage_count);
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
  PetscErrorCode ierr;
  char model[PETSC_MAX_PATH_LEN];

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  for (PetscInt k = 0; k < t->run->stage_count; k++) {
    snprintf(t->stages + strlen(t->stages), sizeof t->stages - strlen(t->stages), "%s%s", k ? "," : "",
             names[t->run->stages[k]]);
  }
  PetscCall(OutputPath(t, "checkpoint.h5", t->checkpoint));
  PetscCall(OutputPath(t, "checkpoint_prev.h5", t->previous));
  PetscCall(OutputPath(t, "log.csv", t->log_path));
  PetscCall(OutputPath(t, "model.h5", model));
  PetscCall(CordsRunCheck(t->context, t->run, t->dataset));
  PetscCall(MakeOutput(t));
  PetscCall(CordsRestartFind(t->context, t->checkpoint, t->previous, &t->source));
  *finished = PETSC_FALSE;
  if (t->source) {
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
      if (!SavedHere(t)) PetscCall(Save(t));
      PetscCall(SaveModel(t, "model.h5", CordsStageModel(t->stage)));
      finished = PETSC_TRUE;
    }
  }
  if (*stopped) {
    PetscCall(CordsLog(t->context, "stopped by %s; %s is complete, the same command continues\n",
                       t->by_time ? "-time_limit" : "a signal", t->checkpoint));
  }
  if (t->log) PetscCall(CordsTrainLogClose(&t->log));
  if (t->stage) PetscCall(EndStage(t));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsTrain(CordsContext context, const CordsRun *run, CordsDataset dataset, PetscBool *stopped)
{
  Trainer t = {.context = context,
               .run = run,
               .dataset = dataset,
               .saved_s = MPI_Wtime(),
               .limit = {.limit_s = run->time_limit_s}};

  PetscFunctionBegin;
  CordsStopCatch();
  PetscCall(CordsStopAsked(context, stopped));
  PetscCall(CordsTimeLimitReached(context, &t.limit, PETSC_FALSE, &t.by_time));
  if (*stopped || t.by_time) {
    PetscCall(CordsLog(context, "stopped by %s before the training began; %s is as it was\n",
                       *stopped ? "a signal" : "-time_limit", run->output));
    *stopped = PETSC_TRUE;
  } else {
    PetscCall(RunStages(&t, stopped));
  }
  CordsStopRelease();
  PetscFunctionReturn(PETSC_SUCCESS);
}
