/* The one training loop: batch, gradient, reduce, update, report, checkpoint, stop on signal. */
#ifndef CORDS_TRAIN_TRAINER_H
#define CORDS_TRAIN_TRAINER_H

#include "data/dataset.h"
#include "train/stage.h"

enum { CORDS_RUN_STAGES_MAX = 16 };

/* What a run is; everything else follows from these and the seed. */
typedef struct {
  char output[PETSC_MAX_PATH_LEN]; /* directory: checkpoint.h5, cnn.h5, model.h5, log.csv */
  PetscInt stage_count;
  PetscInt stages[CORDS_RUN_STAGES_MAX];             /* indices of CordsStageList */
  CordsStageSettings settings[CORDS_RUN_STAGES_MAX]; /* of each of them */
  CordsArchitecture architecture;
  PetscReal checkpoint_interval_s; /* at most this much work is lost when the process is killed */
  PetscInt log_interval;           /* updates per row of log.csv */
} CordsRun;

/* Declare and read -stages, -output, -checkpoint_interval, -log_interval and the options of the stages.
   architecture is filled by the caller. */
PetscErrorCode CordsRunFromOptions(CordsRun *run);

/* Train, or continue where the output directory stands, to the end.  stopped: SIGTERM or SIGUSR1 asked to stop, and the
   state was saved, or nothing was touched yet; the same call continues.  The signals are caught during the call, and
   before it from CordsStopCatch on.  Says on the log where it stopped.  Collective.
   Errors (user): output not writable, checkpoint of another run, fewer images than ranks, -memory_limit too small, loss
   not finite. */
PetscErrorCode CordsTrain(CordsContext context, const CordsRun *run, CordsDataset dataset, PetscBool *stopped);

#endif
