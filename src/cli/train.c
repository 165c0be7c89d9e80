#include "cli/command.h"

#include "conv/choice.h"
#include "core/config.h"
#include "core/log.h"
#include "data/dataset.h"
#include "train/stop.h"
#include "train/time_limit.h"
#include "train/trainer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char dataset_name[64] = "fashion_mnist", data_path[PETSC_MAX_PATH_LEN];
static CordsDataset dataset; /* open before the run where only the files tell how many classes there are */
static CordsRun run;

/* The clock of a batch system runs while MPI starts. */
static void Begin(void)
{
  CordsTimeLimitStart();
  CordsStopCatch();
}

enum { CLASSES_HELP = 1000 }; /* for the network of -help, which opens no files */

static PetscErrorCode DescribeFiles(CordsContext context, PetscInt *channels, PetscInt *classes)
{
  PetscFunctionBegin;
  *channels = 3;
  *classes = CLASSES_HELP;
  if (CordsConfigHelp()) PetscFunctionReturn(PETSC_SUCCESS);
  PetscCall(CordsDatasetOpen(context, dataset_name, data_path, CORDS_SPLIT_TRAIN, &dataset));
  *channels = CordsDatasetGetFacts(dataset)->channels;
  *classes = CordsDatasetGetFacts(dataset)->classes;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The images that were left out, with the results: skipped_images.txt in the output folder, if there are any. */
static PetscErrorCode WriteSkipped(CordsContext context)
{
  char path[PETSC_MAX_PATH_LEN], where[PETSC_MAX_PATH_LEN];
  CordsSample *images;
  PetscInt count;
  FILE *stream;

  PetscFunctionBegin;
  PetscCall(CordsDatasetSkipped(dataset, &count, &images));
  snprintf(path, sizeof path, "%s/skipped_images.txt", run.output);
  if (context->rank == 0 && count > 0) {
    stream = fopen(path, "w");
    for (PetscInt k = 0; stream && k < count; k++) {
      CordsDatasetWhere(dataset, images[k], sizeof where, where);
      fprintf(stream, "%" PetscInt64_FMT " %s\n", images[k], where);
    }
    CordsCheckUser(stream && !fclose(stream), PETSC_COMM_SELF, "cannot write '%s': %s", path, strerror(errno));
  }
  if (count > 0) PetscCall(CordsLog(context, "images left out: %" PetscInt_FMT " (%s)\n", count, path));
  PetscCall(PetscFree(images));
  PetscFunctionReturn(PETSC_SUCCESS);
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
  PetscCall(CordsDatasetStrictFromOptions());
  PetscCall(CordsDatasetDescribe(dataset_name, &channels, &classes));
  if (channels == 0 || classes == 0) PetscCall(DescribeFiles(context, &channels, &classes));
  PetscCall(CordsArchitectureFromOptions(channels, classes, &run.architecture));
  PetscCall(CordsRunFromOptions(&run));
  PetscCall(CordsConvChoiceFromOptions((PetscBool)(run.settings[0].rollout.memory_limit_bytes > 0)));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(CordsContext context, int *exit_status)
{
  PetscBool stopped;

  PetscFunctionBegin;
  if (!dataset) PetscCall(CordsDatasetOpen(context, dataset_name, data_path, CORDS_SPLIT_TRAIN, &dataset));
  PetscCall(CordsTrain(context, &run, dataset, &stopped));
  PetscCall(WriteSkipped(context));
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
