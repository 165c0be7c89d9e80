#include "cli/command.h"

#include "conv/choice.h"
#include "core/config.h"
#include "data/dataset.h"
#include "train/stop.h"
#include "train/time_limit.h"
#include "train/trainer.h"

static char dataset_name[64] = "fashion_mnist", data_path[PETSC_MAX_PATH_LEN];
static CordsRun run;

/* The clock of a batch system runs while MPI starts. */
static void Begin(void)
{
  CordsTimeLimitStart();
  CordsStopCatch();
}

static PetscErrorCode Configure(CordsContext context, const char *argument)
{
  PetscInt channels, classes;

  PetscFunctionBegin;
  CordsCheckUser(!argument[0], PETSC_COMM_WORLD, "train takes no name ('%s'); options start with '-'", argument);
  PetscCall(
      CordsOptionString("-dataset", "dataset to train on (`cords info datasets`)", sizeof dataset_name, dataset_name));
  PetscCall(CordsOptionString("-data", "directory with the files of the dataset", sizeof data_path, data_path));
  PetscCall(CordsOptionRequire("-data", data_path, "the directory with the files of the dataset"));
  PetscCall(CordsDatasetDescribe(dataset_name, &channels, &classes));
  PetscCall(CordsArchitectureFromOptions(channels, classes, &run.architecture));
  PetscCall(CordsRunFromOptions(&run));
  PetscCall(CordsConvChoiceFromOptions((PetscBool)(run.settings[0].rollout.memory_limit_bytes > 0)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  CordsDataset dataset;
  PetscBool stopped;

  PetscFunctionBegin;
  PetscCall(CordsDatasetOpen(context, dataset_name, data_path, CORDS_SPLIT_TRAIN, &dataset));
  PetscCall(CordsTrain(context, &run, dataset, &stopped));
  if (stopped) *exit_status = CORDS_EXIT_STOPPED;
  PetscCall(CordsDatasetDestroy(&dataset));
  PetscFunctionReturn(PETSC_SUCCESS);
}

const CordsCommandType cords_command_train = {.name = "train",
                                              .about = "train a network in stages, or continue where the output stands",
                                              .usage = "-config FILE.yaml -data DIR -output DIR",
                                              .begin = Begin,
                                              .configure = Configure,
                                              .run = Run};
