#include "train/run.h"

#include "core/config.h"
#include "core/registry.h"
#include "train/initial.h"

#include <string.h>

PetscErrorCode CordsRunFromOptions(CordsRun *run)
{
  char list[256] = "compatibility,inverse,linear,parametric,finetune", *item, *rest = list;
  const char *const *names;
  CordsRolloutSettings rollout;
  CordsLoading loading;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  PetscCall(CordsOptionString("-output", "directory for checkpoint.h5, the one before it, cnn.h5, model.h5 and log.csv",
                              sizeof run->output, run->output));
  PetscCall(CordsOptionRequire("-output", run->output, "the directory to write to"));
  PetscCall(CordsInitialFromOptions(run->initial));
  PetscCall(CordsOptionString("-stages", "stages to run, in this order", sizeof list, list));
  run->checkpoint_interval_s = 60;
  PetscCall(CordsOptionReal("-checkpoint_interval", "time between checkpoints; 0: after every update", "s", 0, 1e9,
                            &run->checkpoint_interval_s));
  PetscCall(CordsOptionTime("-time_limit", "save and stop (status 75) in time before this, such as 3h59m",
                            &run->time_limit_s));
  PetscCall(CordsOptionReal("-loss_limit", "a loss above it ends the training with an error; 0: none", "", 0, 1e38,
                            &run->loss_limit));
  run->log_interval = 20;
  PetscCall(CordsOptionInt("-log_interval", "updates averaged in one row of log.csv", "updates", 1, 1000000,
                           &run->log_interval));
  PetscCall(CordsRolloutSettingsFromOptions(&rollout));
  PetscCall(CordsLoadingFromOptions(&loading));
  run->stage_count = 0;
  while ((item = strsep(&rest, ","))) {
    CordsCheckUser(run->stage_count < CORDS_RUN_STAGES_MAX, PETSC_COMM_WORLD, "-stages: more than %d stages",
                   CORDS_RUN_STAGES_MAX);
    PetscCall(CordsRegistryFind("training stage", count, names, item, &run->stages[run->stage_count]));
    PetscCall(CordsStageSettingsFromOptions(run->stages[run->stage_count], &run->settings[run->stage_count]));
    run->settings[run->stage_count].rollout = rollout;
    run->settings[run->stage_count].loading = loading;
    run->stage_count++;
  }
  PetscCall(CordsStageCheckOrder(run->stage_count, run->stages));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What would stop the run in a later stage is found now. */
static PetscErrorCode CheckSamples(CordsContext context, const CordsRun *run, CordsDataset dataset)
{
  const CordsDatasetFacts *facts = CordsDatasetGetFacts(dataset);
  const char *const *names;
  PetscInt count;

  PetscFunctionBegin;
  PetscCall(CordsStageList(&count, &names, NULL));
  for (PetscInt k = 0; k < run->stage_count; k++) {
    const char *name = names[run->stages[k]];
    PetscInt64 samples = run->settings[k].samples;
    CordsCheckUser(samples <= facts->count, context->comm,
                   "-%s_samples %" PetscInt64_FMT ": the training split of %s has %" PetscInt64_FMT " images", name,
                   samples, facts->name, facts->count);
    if (samples == 0) samples = facts->count;
    CordsCheckUser(context->group_size <= samples, context->comm,
                   "stage %s: %d ranks for %" PetscInt64_FMT " images; use at most one rank per image", name,
                   (int)context->group_size, samples);
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* A memory limit that a later stage cannot keep is found now too, by making every stage once. */
static PetscErrorCode CheckMemory(CordsContext context, const CordsRun *run)
{
  PetscFunctionBegin;
  for (PetscInt k = 0; k < run->stage_count; k++) {
    const CordsStageSettings *settings = &run->settings[k];
    PetscInt batch_local = (settings->batch + context->group_size - 1) / context->group_size;
    CordsStage stage;
    if (settings->rollout.memory_limit_bytes <= 0) continue;
    PetscCall(
        CordsStageCreate(context, run->stages[k], settings, &run->architecture, batch_local, NULL, PETSC_TRUE, &stage));
    PetscCall(CordsStageDestroy(&stage));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsRunCheck(CordsContext context, const CordsRun *run, CordsDataset dataset)
{
  PetscFunctionBegin;
  PetscCall(CheckSamples(context, run, dataset));
  PetscCall(CheckMemory(context, run));
  PetscFunctionReturn(PETSC_SUCCESS);
}
